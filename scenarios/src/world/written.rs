//! What containers have written, for `kubectl logs`.

use std::collections::{BTreeMap, VecDeque};

use fake_agent::{Line, Logs};
use fake_apiserver::kubelet::{ContainerRef, ContainerStart, LogLine};
use jiff::Timestamp;

use super::containers::TT;

/// The container that prints the daemon log.
const DAEMON_LOG: &str = "daemonlog";

/// As many runs of a container as a kubelet keeps: the latest, and the one before.
const KEPT: usize = 2;

/// The logs of TimesTen in each pod, by namespace and name. A pod that is made anew under the same name
/// begins without.
#[derive(Default)]
pub(super) struct Written(BTreeMap<(String, String), Pod>);

#[derive(Default)]
struct Pod {
    uid: String,
    /// By the id of the run, the latest last.
    runs: VecDeque<(String, Logs)>,
}

impl Written {
    /// A run of TimesTen begins.
    pub(super) fn begins(&mut self, start: &ContainerStart, logs: Logs) {
        let meta = &start.pod.metadata;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let uid = text(&meta.uid);
        let pod = self.0.entry((text(&meta.namespace), text(&meta.name))).or_default();
        if pod.uid != uid {
            *pod = Pod { uid, runs: VecDeque::new() };
        }
        if pod.runs.len() >= KEPT {
            pod.runs.pop_front();
        }
        pod.runs.push_back((start.id.clone(), logs));
    }

    /// What a container wrote in a run. Those beside TimesTen and its daemon log are silent.
    pub(super) fn log(&self, at: &ContainerRef, id: &str) -> Option<Vec<LogLine>> {
        let pod = self.0.get(&(at.namespace.clone(), at.pod.clone()));
        let runs = pod.filter(|pod| pod.uid == at.uid).map(|pod| pod.runs.iter());
        let lines: Vec<Line> = match at.container.as_str() {
            TT => runs?.find(|(run, _)| run == id)?.1.agent(),
            // The file is on the volume: it goes on when TimesTen is started anew.
            DAEMON_LOG => runs.into_iter().flatten().flat_map(|(_, logs)| logs.daemon()).collect(),
            _ => Vec::new(),
        };
        let at = |unix| Timestamp::from_second(unix).unwrap_or_default();
        Some(lines.into_iter().map(|line| LogLine { at: at(line.unix), text: line.text }).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fake_agent::{ContainerSpec, Fleet, FleetOptions};
    use fake_apiserver::kubelet::StopSignal;
    use serde_json::json;

    use super::*;

    fn start(uid: &str, id: &str) -> ContainerStart {
        let pod = json!({"metadata": {"name": "sample-0", "namespace": "default", "uid": uid}});
        let (_, stop) = StopSignal::new();
        ContainerStart {
            pod: Arc::new(serde_json::from_value(pod).unwrap()),
            container: TT.to_owned(),
            id: id.to_owned(),
            init: false,
            restart_count: 0,
            node: String::new(),
            pod_ip: String::new(),
            mounts: Vec::new(),
            env: BTreeMap::new(),
            stop,
        }
    }

    fn at(uid: &str, container: &str) -> ContainerRef {
        let (namespace, pod, node) = ("default".into(), "sample-0".into(), String::new());
        ContainerRef { namespace, pod, uid: uid.into(), container: container.into(), node }
    }

    fn texts(lines: Option<Vec<LogLine>>) -> Option<Vec<String>> {
        lines.map(|lines| lines.into_iter().map(|line| line.text).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn two_runs_are_kept_and_none_of_another_pod() {
        let fleet = Fleet::new(FleetOptions::default());
        let mut written = Written::default();
        for id in ["one", "two", "three"] {
            let running = fleet.start(ContainerSpec::new("sample-0.sample", "volume"));
            written.begins(&start("a", id), running.logs());
            // Killed: dropping it is that.
        }
        let ran = ["Container started", "Container ends with exit code 137"].map(str::to_owned);
        assert_eq!(texts(written.log(&at("a", TT), "three")), Some(ran.to_vec()));
        assert_eq!(texts(written.log(&at("a", TT), "two")), Some(ran.to_vec()));
        assert_eq!(written.log(&at("a", TT), "one"), None);
        assert_eq!(written.log(&at("b", TT), "two"), None);
        assert_eq!(texts(written.log(&at("a", "exporter"), "any")), Some(Vec::new()));
        written.begins(&start("b", "four"), Logs::default());
        assert_eq!(written.log(&at("a", TT), "three"), None);
        assert_eq!(texts(written.log(&at("b", TT), "four")), Some(Vec::new()));
    }
}
