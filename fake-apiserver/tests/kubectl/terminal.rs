//! A folder with manifests, a server, and the `kubectl` that speaks to it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, mpsc};

use fake_apiserver::controllers::{self, Controller};
use fake_apiserver::{ApiServer, Options};
use regex::Regex;

const MANIFESTS: &[(&str, &str)] = &[
    ("well-kind.yaml", include_str!("manifests/well-kind.yaml")),
    ("well.yaml", include_str!("manifests/well.yaml")),
    ("set.yaml", include_str!("manifests/set.yaml")),
    ("set-of-three.yaml", include_str!("manifests/set-of-three.yaml")),
    ("maps.yaml", include_str!("manifests/maps.yaml")),
    ("one-map.yaml", include_str!("manifests/one-map.yaml")),
    ("certificate.yaml", include_str!("manifests/certificate.yaml")),
    ("storage.yaml", include_str!("manifests/storage.yaml")),
];

/// Where commands are typed.
pub(crate) struct Terminal {
    address: SocketAddr,
    folder: PathBuf,
}

impl Terminal {
    /// A terminal at a server of its own; `None`, and a line that cannot be overlooked, if `kubectl` is not installed.
    pub(crate) fn open(name: &str) -> Option<Self> {
        if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
            let line = format!(
                "\n*** kubectl is not installed: the session {name} was NOT tested ***\n\n"
            );
            // Not by a macro: the test runner would swallow the line.
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kubectl").join(name);
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        for (file, text) in MANIFESTS {
            std::fs::write(folder.join(file), text).unwrap();
        }
        Some(Self { address: serve(), folder })
    }

    /// A command that is not started yet. Words are split at spaces, but not within single quotes.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new("kubectl");
        command
            .current_dir(&self.folder)
            .env("HOME", &self.folder)
            .env("KUBECONFIG", self.folder.join("no-config"))
            // A person who changes the depth of a well.
            .env("EDITOR", "sed -i s/depth:.*/depth:\\ 31/")
            .arg(format!("--server=http://{}", self.address))
            .arg(format!("--cache-dir={}", self.folder.join("cache").display()))
            .args(words(line));
        command
    }

    /// Types the lines and compares everything that was read with the snapshot of that name.
    pub(crate) fn expect(&self, name: &str, lines: &[&str]) {
        let mut read = String::new();
        for line in lines {
            read += &format!("$ kubectl {line}\n");
            read += &self.shown(&self.command(line).output().unwrap());
            read += "\n";
        }
        insta::with_settings!({
            snapshot_path => "../../../snapshots/kubectl", prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, read);
        });
    }

    fn shown(&self, output: &Output) -> String {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text += &String::from_utf8_lossy(&output.stderr);
        text = text.replace(&self.address.to_string(), "SERVER");
        for (pattern, replacement) in REDACTED {
            text = Regex::new(pattern).unwrap().replace_all(&text, *replacement).into_owned();
        }
        let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        if output.status.success() { text } else { format!("{text}[failed]\n") }
    }
}

/// What is not the same in every run, or in every version of `kubectl`.
const REDACTED: &[(&str, &str)] = &[
    (r#"(resourceVersion"?: ?)"\d+""#, r#"${1}"REV""#),
    (r"Resource Version:( +)\d+", "Resource Version:${1}REV"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"kube-api-access-\w{5}", "kube-api-access-RANDOM"),
    (r"controller-revision-hash=db-\w+", "controller-revision-hash=db-HASH"),
    (r"/tmp/(LIVE|MERGED)-\d+", "/tmp/$1"),
    (r"\t\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*", ""),
    (r"(?m)^[WIE]\d{4} .*\n", ""),
    (r" deleted from \w+ namespace", " deleted"),
];

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words
}

/// A server on a thread of its own, whose time stands still.
fn serve() -> SocketAddr {
    let (tell, hear) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let options = Options::at("2026-01-01T00:00:00Z".parse().unwrap(), 1);
            let clock = Arc::clone(&options.clock);
            let server = ApiServer::new(options);
            let client = server.client();
            let authority = server.authority().unwrap();
            tokio::spawn(controllers::certificates(client.clone(), Arc::clone(&clock), authority));
            tokio::spawn(async move {
                let some =
                    Controller::ALL.into_iter().filter(|which| *which != Controller::Volumes);
                controllers::run(client, clock, &some.collect::<Vec<_>>()).await;
            });
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            server.serve(listener).await.unwrap();
        });
    });
    hear.recv().unwrap()
}
