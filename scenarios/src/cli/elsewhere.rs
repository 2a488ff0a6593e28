//! An API server that others run, in place of the fake one: how it is reached, and what it lacks.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use fake_apiserver::controllers::Controller;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use scenarios::world::Visit;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(clap::Args)]
pub(crate) struct Elsewhere {
    /// Use the API server that this kubeconfig tells of, in real time, instead of a fake one. It must have no nodes:
    /// simulated ones are registered. Namespace, nodes and definition are taken away at the end and at Ctrl-C.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig. Default: its current one.
    #[arg(long, requires = "kubeconfig")]
    context: Option<String>,
    /// The controllers that the API server lacks, separated by commas; `all` where nothing runs beside it, `none`.
    #[arg(long, requires = "kubeconfig", value_name = "LIST", default_value = "scheduler,volumes")]
    controllers: Chosen,
}

/// Controllers that somebody chose.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chosen(Vec<Controller>);

fn name(controller: Controller) -> String {
    format!("{controller:?}").to_lowercase()
}

impl FromStr for Chosen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = |word: &str| {
            Controller::ALL.into_iter().find(|known| name(*known) == word).ok_or_else(|| {
                let known = Controller::ALL.map(name).join(", ");
                format!("there is no controller {word:?}; there are {known}, and all or none")
            })
        };
        match text {
            "all" => Ok(Self(Controller::ALL.to_vec())),
            "none" => Ok(Self(Vec::new())),
            list => {
                list.split(',').map(|word| one(word.trim())).collect::<Result<_, _>>().map(Self)
            }
        }
    }
}

impl Elsewhere {
    /// Begins a visit to the server, which ends early at Ctrl-C.
    pub(crate) async fn visit(&self, file: &std::path::Path) -> anyhow::Result<Visit> {
        let options =
            KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let reading = || format!("--kubeconfig {}", file.display());
        let kubeconfig = Kubeconfig::read_from(file).with_context(reading)?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &options).await.with_context(reading)?;
        let url = config.cluster_url.to_string();
        let visit = Visit::begin(config, self.controllers.0.clone(), interrupted()?);
        visit.await.with_context(|| format!("the API server at {url}"))
    }
}

/// Becomes true at the first Ctrl-C; the second ends the process at once.
fn interrupted() -> anyhow::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            if sender.send_replace(true) {
                eprintln!("ended at once; what is left has the label ttlab/world");
                std::process::exit(130);
            }
            eprintln!("\ntaking away what was made; Ctrl-C again leaves it there");
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_chosen_by_name() {
        let some: Chosen = "scheduler, volumes".parse().unwrap();
        assert_eq!(some, Chosen(vec![Controller::Scheduler, Controller::Volumes]));
        assert_eq!("all".parse::<Chosen>().unwrap().0.len(), Controller::ALL.len());
        assert_eq!("none".parse(), Ok(Chosen(Vec::new())));
        let error = "schedule".parse::<Chosen>().unwrap_err();
        assert!(error.contains("endpointslice"), "{error}");
    }
}
