//! Scenarios on an API server in another process, in real time: `ttlab serve` stands for a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const TTLAB: &str = env!("CARGO_BIN_EXE_ttlab");

/// A server in another process, until it is dropped.
struct Server {
    process: Child,
    kubeconfig: PathBuf,
    url: String,
}

impl Server {
    /// Over TLS and with a token, as real ones are.
    fn start(name: &str, more: &[&str]) -> Self {
        let kubeconfig = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.kubeconfig"));
        let mut process = Command::new(TTLAB)
            .args(["serve", "--port", "0", "--token", "t", "--tls", "--kubeconfig"])
            .arg(&kubeconfig)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The first line comes when it listens.
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("https://")).unwrap();
        Self { process, kubeconfig, url: url.trim_end_matches(';').to_owned() }
    }

    fn ttlab(&self, arguments: &[&str]) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut command = Command::new(TTLAB);
        command.args(arguments).arg("--kubeconfig").arg(&self.kubeconfig).current_dir(root);
        command.output().unwrap()
    }

    /// The names of all objects of a kind.
    fn names(&self, path: &str) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let list: Value = runtime.block_on(async {
            let mut config = kube::Config::new(self.url.parse().unwrap());
            config.accept_invalid_certs = true;
            config.auth_info.token = Some("t".to_owned().into());
            let client = kube::Client::try_from(config).unwrap();
            client.request(http::Request::get(path).body(Vec::new()).unwrap()).await.unwrap()
        });
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Nothing is left of what a run has made.
    fn is_clean(&self) {
        let own = ["default", "kube-node-lease", "kube-public", "kube-system"];
        assert_eq!(self.names("/api/v1/namespaces"), own);
        for kind in [
            "/api/v1/nodes",
            "/api/v1/persistentvolumes",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "/apis/coordination.k8s.io/v1/leases",
        ] {
            assert_eq!(self.names(kind), [""; 0], "{kind}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn scenarios_run_on_a_server_in_another_process_and_leave_nothing() {
    let server = Server::start("run", &["--no-kubelet"]);
    let output = server.ttlab(&[
        "run",
        "--quick",
        "scenarios/tests/elsewhere/failover.yaml",
        "scenarios/catalog/api-server/stale-reads.yaml",
    ]);
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 passed, 0 failed, 1 skipped"), "{told}");
    assert!(told.contains("stale-reads") && told.contains("inside the API server"), "{told}");
    server.is_clean();
}

#[test]
fn a_pair_comes_up_where_nothing_but_an_api_server_runs() {
    let server = Server::start("up", &["--no-kubelet", "--no-controllers"]);
    let output = server.ttlab(&["up", "--once", "--speed", "20", "--controllers", "all"]);
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("is Normal"), "{told}");
    server.is_clean();
}

#[test]
fn ctrl_c_takes_everything_away() {
    let server = Server::start("interrupted", &["--no-kubelet"]);
    let mut up = Command::new(TTLAB);
    up.args(["up", "--kubeconfig"]).arg(&server.kubeconfig).stdout(Stdio::piped());
    let mut up = up.spawn().unwrap();
    // Read on until the end: who is not heard any more stops.
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("pod Running")), "it ended by itself");
    assert!(!server.names("/api/v1/nodes").is_empty());
    let interrupt = Command::new("kill").args(["-INT", &up.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    lines.for_each(drop);
    assert!(up.wait().unwrap().success());
    server.is_clean();
}

#[test]
fn who_is_not_heard_any_more_takes_everything_away() {
    let server = Server::start("unheard", &["--no-kubelet"]);
    let mut up = Command::new(TTLAB);
    up.args(["up", "--kubeconfig"]).arg(&server.kubeconfig).stdout(Stdio::piped());
    let mut up = up.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(up.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("namespace"), "{line}");
    assert!(up.wait().unwrap().success());
    server.is_clean();
}

#[test]
fn a_server_with_nodes_of_its_own_is_left_alone() {
    let server = Server::start("nodes", &[]);
    while server.names("/api/v1/nodes").is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let before = server.names("/api/v1/namespaces");
    let output = server.ttlab(&["up", "--once"]);
    assert!(!output.status.success());
    let told = text(&output);
    assert!(told.contains("node-1") && told.contains("has nodes already"), "{told}");
    assert_eq!(server.names("/api/v1/namespaces"), before);
}
