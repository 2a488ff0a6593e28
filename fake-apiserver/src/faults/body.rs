//! The body of a watch that rules can silence, end and tamper with.

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use tokio::sync::watch;
use tower::BoxError;

use super::events::Held;
use super::target::Target;
use super::{Effect, Faults, RuleId};
use crate::refusal::Refusal;

/// The body of an answer.
pub type FaultyBody = UnsyncBoxBody<Bytes, BoxError>;

struct Watched<B> {
    faults: Faults,
    newest: watch::Receiver<u64>,
    target: Target,
    /// The newest rule when the watch was opened.
    opened: RuleId,
    held: Held,
    /// The beginning of an event whose end has not come: on a socket events come in any pieces.
    piece: Vec<u8>,
    /// What the server still sends; `None` once it ended the watch, or a rule did.
    body: Option<std::pin::Pin<Box<B>>>,
}

impl<B> Watched<B> {
    /// Takes in what came: the events that are whole now, a line each.
    fn take(&mut self, bytes: &Bytes) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = part.ends_with(b"\n");
            let line = if whole && self.piece.is_empty() {
                bytes.slice_ref(part)
            } else {
                self.piece.extend_from_slice(part);
                if !whole {
                    return;
                }
                Bytes::from(std::mem::take(&mut self.piece))
            };
            self.held.take(&self.faults, &self.target, line);
        }
    }
}

/// What the rules want of an open watch.
enum Wish {
    Pass,
    Silence,
    End,
    /// End it with 410.
    Expire,
}

impl Faults {
    fn wish(&self, target: &Target, opened: RuleId) -> Wish {
        let mut wish = Wish::Pass;
        for (id, entry) in self.rules().iter_mut().filter(|(_, entry)| entry.rule.matches(target)) {
            let end = match entry.rule.effect {
                Effect::CutWatches if *id > opened => Wish::End,
                Effect::ExpireWatches if *id > opened => Wish::Expire,
                Effect::StallWatches => {
                    wish = Wish::Silence;
                    continue;
                }
                _ => continue,
            };
            entry.fired += 1;
            return end;
        }
        wish
    }
}

/// Puts the body of a watch under the rules.
pub(super) fn watched<B>(faults: Faults, target: Target, body: B) -> FaultyBody
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut newest = faults.newest.subscribe();
    let opened = RuleId(*newest.borrow_and_update());
    let (held, body) = (Held::default(), Some(Box::pin(body)));
    let piece = Vec::new();
    let watched = Watched { faults, newest, target, opened, held, piece, body };
    StreamBody::new(stream::unfold(watched, next)).boxed_unsync()
}

async fn next<B>(mut watched: Watched<B>) -> Option<(Result<Frame<Bytes>, BoxError>, Watched<B>)>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    loop {
        let open = watched.body.is_some();
        let silent = match watched.faults.wish(&watched.target, watched.opened) {
            Wish::End => return None,
            Wish::Expire if open => {
                watched.body = None;
                watched.held = Held::default();
                return Some((Ok(Frame::data(gone())), watched));
            }
            Wish::Expire => return None,
            Wish::Silence => true,
            Wish::Pass => false,
        };
        if !silent {
            if let Some(bytes) = watched.held.pop() {
                return Some((Ok(Frame::data(bytes)), watched));
            }
            if !open && watched.held.due().is_none() {
                return None;
            }
        }
        let due = watched.held.due().filter(|_| !silent);
        let frame = async {
            match &mut watched.body {
                Some(body) if !silent => body.frame().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // `watched.faults` holds the sender: this cannot fail.
            _ = watched.newest.changed() => {}
            () = until(due) => {}
            frame = frame => match frame {
                None => watched.body = None,
                Some(Err(error)) => return Some((Err(error.into()), watched)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => watched.take(&bytes),
                    Err(trailers) => return Some((Ok(trailers), watched)),
                },
            }
        }
    }
}

async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The event that ends a watch whose version is no longer known.
fn gone() -> Bytes {
    let status = Refusal::expired("too old resource version: injected").status();
    Bytes::from(format!("{}\n", json!({ "type": "ERROR", "object": status })))
}

#[cfg(test)]
mod tests {
    use super::super::{Rule, Verb};
    use super::*;

    #[tokio::test]
    async fn events_that_come_in_pieces_are_hit_one_by_one() {
        let event = |name: &str| {
            let object = json!({ "metadata": { "name": name } });
            format!("{}\n", json!({ "type": "ADDED", "object": object }))
        };
        let text = [event("a"), event("b"), event("c")].concat();
        let pieces: Vec<_> = text.as_bytes().chunks(50).map(Bytes::copy_from_slice).collect();
        let frames = pieces.into_iter().map(|piece| Ok::<_, BoxError>(Frame::data(piece)));
        let body = StreamBody::new(stream::iter(frames));
        let faults = Faults::new();
        faults.add(Rule { name: Some("b".into()), ..Rule::always(Effect::LoseEvents) });
        let target = Target {
            verb: Verb::Watch,
            resource: "pods".into(),
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
        };
        let seen = watched(faults, target, body).collect().await.unwrap().to_bytes();
        assert_eq!(seen, [event("a"), event("c")].concat());
    }
}
