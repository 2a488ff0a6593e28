//! The network of a world: who can reach whom, and the pipes between the operator and the agents.
//!
//! A pipe carries TLS and HTTP like a socket would. What is cut goes silent, and after the time that
//! the operator's keepalive takes the pipe breaks; a container that ends closes its pipes at once.
//!
//! Never: knows what is said.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use fake_agent::Running;
use timesten_operator::agent::{Connection, Connector, KEEPALIVE};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::watch;
use tokio::time::Sleep;

/// What one side of a pipe holds at most before the writer waits.
const PIPE: usize = 64 << 10;

/// The operator, as a place in the network.
pub const OPERATOR: &str = "operator";

/// The network of a world.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The containers that have a name in DNS.
    hosts: BTreeMap<String, Arc<Running>>,
    /// Directions that are cut.
    cut: BTreeSet<(String, String)>,
    /// The operators, by name, that reach nobody.
    isolated: BTreeSet<String>,
    /// Tells open pipes that something was cut or mended.
    changed: Option<watch::Sender<u64>>,
}

impl Network {
    /// Gives a container its name.
    pub fn join(&self, host: &str, container: &Arc<Running>) {
        self.with(|state| state.hosts.insert(host.to_owned(), Arc::clone(container)));
    }

    /// Takes the name away, if it is still that container's.
    pub fn leave(&self, host: &str, container: &Arc<Running>) {
        self.with(|state| {
            if state.hosts.get(host).is_some_and(|known| Arc::ptr_eq(known, container)) {
                state.hosts.remove(host);
            }
        });
    }

    /// The container that has a name.
    #[must_use]
    pub fn container(&self, host: &str) -> Option<Arc<Running>> {
        self.with(|state| state.hosts.get(host).cloned())
    }

    /// Cuts a direction.
    pub fn cut(&self, from: &str, to: &str) {
        self.with(|state| {
            state.cut.insert((from.to_owned(), to.to_owned()));
            state.notify();
        });
    }

    /// Mends a direction.
    pub fn mend(&self, from: &str, to: &str) {
        self.with(|state| {
            state.cut.remove(&(from.to_owned(), to.to_owned()));
            state.notify();
        });
    }

    /// Cuts one operator off from all agents, or no longer.
    pub fn isolate(&self, operator: &str, isolated: bool) {
        self.with(|state| {
            if isolated {
                state.isolated.insert(operator.to_owned());
            } else {
                state.isolated.remove(operator);
            }
            state.notify();
        });
    }

    /// Mends everything.
    pub fn mend_all(&self) {
        self.with(|state| {
            state.cut.clear();
            state.isolated.clear();
            state.notify();
        });
    }

    /// What is sent in this direction arrives.
    #[must_use]
    pub fn passes(&self, from: &str, to: &str) -> bool {
        self.with(|state| {
            state.cut.is_empty() || !state.cut.contains(&(from.to_owned(), to.to_owned()))
        })
    }

    /// What is sent in this direction by, or to, the operator of this name arrives.
    fn reaches(&self, operator: &str, from: &str, to: &str) -> bool {
        self.passes(from, to) && self.with(|state| !state.isolated.contains(operator))
    }

    /// The way to agents of the operator of this name. What is cut for [`OPERATOR`] is cut for all.
    #[must_use]
    pub fn connector(&self, operator: &str) -> Connector {
        let (network, operator) = (self.clone(), Arc::<str>::from(operator));
        Arc::new(move |host: &str, _port: u16| {
            let (network, operator, host) =
                (network.clone(), Arc::clone(&operator), host.to_owned());
            Box::pin(async move { network.connect(operator, &host).await })
        })
    }

    async fn connect(&self, operator: Arc<str>, host: &str) -> io::Result<Box<dyn Connection>> {
        let mut changes = self.watch();
        // Packets into the void: the caller's own limit ends the wait.
        while !(self.reaches(&operator, OPERATOR, host) && self.reaches(&operator, host, OPERATOR))
        {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        let Some(container) = self.container(host) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such host"));
        };
        if !container.listening() {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"));
        }
        let (ours, theirs) = tokio::io::duplex(PIPE);
        tokio::spawn(container.serve(theirs));
        let network = self.clone();
        let changed = Box::pin(change(changes));
        Ok(Box::new(Pipe {
            stream: ours,
            network,
            operator,
            host: host.to_owned(),
            changed,
            dead: None,
            torn: false,
        }))
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.with(|state| state.changed.get_or_insert_with(|| watch::channel(0).0).subscribe())
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn notify(&mut self) {
        if let Some(changed) = &self.changed {
            changed.send_modify(|count| *count += 1);
        }
    }
}

/// The operator's end of a connection to an agent.
struct Pipe {
    stream: DuplexStream,
    network: Network,
    operator: Arc<str>,
    host: String,
    changed: Pin<Box<dyn Future<Output = watch::Receiver<u64>> + Send>>,
    dead: Option<Pin<Box<Sleep>>>,
    /// Bytes were lost: whatever is mended, this connection will not work again.
    torn: bool,
}

/// Waits for something to be cut or mended.
async fn change(mut changes: watch::Receiver<u64>) -> watch::Receiver<u64> {
    if changes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    changes
}

impl Pipe {
    /// While the way is cut nothing passes; when the keepalive has had no answer the pipe breaks.
    fn poll_way(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Poll::Ready(changes) = self.changed.as_mut().poll(context) {
            self.changed = Box::pin(change(changes));
        }
        if !self.torn && self.network.reaches(&self.operator, &self.host, OPERATOR) {
            self.dead = None;
            return Poll::Ready(Ok(()));
        }
        let dead = self.dead.get_or_insert_with(|| Box::pin(tokio::time::sleep(KEEPALIVE)));
        dead.as_mut()
            .poll(context)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to keepalive")))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.poll_way(context)? {
            Poll::Ready(()) => Pin::new(&mut self.stream).poll_read(context, buffer),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.torn || !self.network.reaches(&self.operator, OPERATOR, &self.host) {
            // Lost on the way, and with it the rest: a stream with a hole in it is none.
            self.torn = true;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
