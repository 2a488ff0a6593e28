//! A watch, and waiting for its events.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

/// Which bookmarks are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bookmarks {
    /// All.
    Keep,
    /// None but the one that ends the initial events.
    Drop,
    /// Several in a row as one.
    Collapse,
}

/// What to wait for.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) count: usize,
    pub(super) within: Duration,
    /// How long to go on after the last that was awaited.
    pub(super) settle: Duration,
    pub(super) until_closed: bool,
    pub(super) bookmarks: Bookmarks,
}

/// An open watch.
#[derive(Debug)]
pub(super) struct Stream {
    body: Body,
    /// The beginning of an event that has not come whole.
    rest: Vec<u8>,
    events: Vec<Value>,
    pub(super) ended: bool,
}

impl Stream {
    pub(super) fn new(body: Body) -> Self {
        Self { body, rest: Vec::new(), events: Vec::new(), ended: false }
    }

    /// The events that came since the last time.
    pub(super) async fn collect(&mut self, awaited: &Awaited) -> Vec<Value> {
        let deadline = Instant::now() + awaited.within;
        while awaited.until_closed || tidy(&self.events, awaited.bookmarks).len() < awaited.count {
            if !self.read(deadline).await {
                break;
            }
        }
        if !awaited.until_closed {
            let quiet = Instant::now() + awaited.settle;
            while self.read(quiet).await {}
        }
        tidy(&std::mem::take(&mut self.events), awaited.bookmarks)
    }

    /// Reads on; false when the time is over or the watch ended.
    async fn read(&mut self, until: Instant) -> bool {
        if self.ended {
            return false;
        }
        match timeout_at(until, self.body.frame()).await {
            Err(_) => return false,
            Ok(Some(Ok(frame))) => self.take(&frame.into_data().unwrap_or_default()),
            Ok(None | Some(Err(_))) => self.ended = true,
        }
        true
    }

    fn take(&mut self, bytes: &Bytes) {
        self.rest.extend_from_slice(bytes);
        let mut events = serde_json::Deserializer::from_slice(&self.rest).into_iter::<Value>();
        let whole: Vec<Value> = events.by_ref().map_while(Result::ok).collect();
        let end = events.byte_offset();
        self.rest.drain(..end.min(self.rest.len()));
        self.events.extend(whole);
    }
}

fn tidy(events: &[Value], mode: Bookmarks) -> Vec<Value> {
    let bookmark = |event: &Value| crate::json::text(event, &["type"]) == "BOOKMARK";
    let mut kept: Vec<Value> = Vec::new();
    for event in events {
        let plain = bookmark(event) && !event.to_string().contains("k8s.io/initial-events-end");
        let dropped = match mode {
            Bookmarks::Keep => false,
            Bookmarks::Drop => plain,
            Bookmarks::Collapse => plain && kept.last().is_some_and(bookmark),
        };
        if !dropped {
            kept.push(event.clone());
        }
    }
    kept
}
