//! The body of a watch that rules can silence and end.

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::watch;
use tower::BoxError;

use super::target::Target;
use super::{Effect, Faults, RuleId};

/// The body of an answer.
pub type FaultyBody = UnsyncBoxBody<Bytes, BoxError>;

struct Watched<B> {
    faults: Faults,
    newest: watch::Receiver<u64>,
    target: Target,
    /// The newest rule when the watch was opened.
    opened: RuleId,
    body: std::pin::Pin<Box<B>>,
}

/// What the rules want of an open watch.
enum Wish {
    Pass,
    Silence,
    End,
}

impl Faults {
    fn wish(&self, target: &Target, opened: RuleId) -> Wish {
        let mut wish = Wish::Pass;
        for (id, entry) in self.rules().iter_mut().filter(|(_, entry)| entry.rule.matches(target)) {
            match entry.rule.effect {
                Effect::CutWatches if *id > opened => {
                    entry.fired += 1;
                    return Wish::End;
                }
                Effect::StallWatches => wish = Wish::Silence,
                _ => {}
            }
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
    let watched = Watched { faults, newest, target, opened, body: Box::pin(body) };
    StreamBody::new(stream::unfold(watched, next)).boxed_unsync()
}

async fn next<B>(mut watched: Watched<B>) -> Option<(Result<Frame<Bytes>, BoxError>, Watched<B>)>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    loop {
        let silent = match watched.faults.wish(&watched.target, watched.opened) {
            Wish::End => return None,
            Wish::Silence => true,
            Wish::Pass => false,
        };
        tokio::select! {
            biased;
            // `watched.faults` holds the sender: this cannot fail.
            _ = watched.newest.changed() => {}
            frame = watched.body.frame(), if !silent => {
                let frame = frame?.map_err(Into::into);
                return Some((frame, watched));
            }
        }
    }
}
