//! Listeners, who may come in, and the end.

use super::Node;
use super::book::{Book, Status};
use super::connection;
use super::guard::Guard;
use super::peer::{Denial, Denied, Peer};
use super::stream::Shared;
use super::view::View;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 16_384;
/// How long the end waits for clients to take theirs.
const GOODBYE: Duration = Duration::from_secs(5);
/// After a failure to accept: without descriptors the next attempt would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves views to clients. Cloning one makes another handle of the same server.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

impl Server {
    /// `views` says what a node is to have, now and from now on, or why it is to have nothing. It is called once for each
    /// stream. There is a peer where a [`Guard`] has asked for it, and then the node is that peer's.
    pub fn new(
        views: impl Fn(&Node, Option<&Peer>) -> Result<watch::Receiver<Arc<View>>, Denied> + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            views: Box::new(views),
            book: Book::default(),
            ending: watch::Sender::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// How the streams are doing.
    pub fn status(&self) -> Status {
        self.shared.book.status()
    }

    /// Serves in plaintext, and asks nobody who they are, until `end`; then every stream of the server, also those of its other
    /// listeners, ends with UNAVAILABLE and every connection with a GOAWAY. Needs a tokio runtime with IO and time.
    pub async fn serve(&self, listener: TcpListener, end: impl Future<Output = ()>) {
        let shared = Arc::clone(&self.shared);
        let open = move |stream| connection::serve(Arc::clone(&shared), stream, None);
        self.accept(listener, open, end).await;
    }

    /// The same over TLS, for those whom `guard` lets in.
    pub async fn serve_guarded(&self, listener: TcpListener, guard: Guard, end: impl Future<Output = ()>) {
        let (shared, guard) = (Arc::clone(&self.shared), Arc::new(guard));
        let open = move |stream| guarded(Arc::clone(&shared), Arc::clone(&guard), stream);
        self.accept(listener, open, end).await;
    }

    async fn accept<F>(&self, listener: TcpListener, open: impl Fn(TcpStream) -> F, end: impl Future<Output = ()>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut connections = JoinSet::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut end = pin!(end);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            tokio::select! {
                () = &mut end => break,
                (place, accepted) = accepted => match accepted {
                    Ok((stream, _)) => {
                        // Without it, a response waits for the acknowledgement of the one before: slower, not wrong.
                        let _ = stream.set_nodelay(true);
                        let served = open(stream);
                        connections.spawn(async move {
                            served.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the xDS listener cannot accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        self.shared.ending.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE, all).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "clients did not take their end in time"
            );
        }
    }
}

async fn guarded(shared: Arc<Shared>, guard: Arc<Guard>, stream: TcpStream) {
    let made = tokio::select! {
        made = guard.handshake(stream) => made,
        () = shared.ended() => return,
    };
    match made {
        Ok(stream) => connection::serve(shared, stream, Some(guard)).await,
        Err(reason) => shared.book.denied(Denial::Handshake, &reason),
    }
}
