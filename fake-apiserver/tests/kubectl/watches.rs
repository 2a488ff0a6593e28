//! `kubectl get --watch`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::terminal::Terminal;

/// Ends the command also when a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_watch_shows_changes_as_they_come() {
    let Some(terminal) = Terminal::open("watch") else { return };
    let run = |line: &str| assert!(terminal.command(line).status().unwrap().success(), "{line}");
    run("create cm before");
    let start = |line: &str| {
        let mut command = terminal.command(line);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        (Running(child), out.lines().map(Result::unwrap))
    };
    let (_all, mut all) =
        start("get cm -w --no-headers --field-selector=metadata.name!=kube-root-ca.crt");
    assert_eq!(all.next().unwrap(), "before   0     0s");
    let (_new, mut new) =
        start("get cm --watch-only --output-watch-events --no-headers --selector=fresh=yes");
    // It says nothing of what was there before, so there is nothing to wait for until the first change.
    let told = std::thread::spawn(move || [(); 3].map(|()| new.next().unwrap()));
    while !told.is_finished() {
        run("create cm after");
        run("label cm after fresh=yes");
        run("label cm after more=yes");
        run("delete cm after");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let told = told.join().unwrap();
    assert!(told.iter().all(|line| line.contains("after")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("DELETED")), "{told:?}");
    assert_eq!(all.next().unwrap(), "after    0     0s");
}
