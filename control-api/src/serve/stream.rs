//! One stream from its first request to its end.

use super::Node;
use super::body::Part;
use super::book::Book;
use super::peer::{Denied, Peer};
use super::request::Request;
use super::session::{Heard, Protocol, Session};
use super::view::View;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tonic::{Status, Streaming};

/// What a node is to have, now and from now on.
type Views = dyn Fn(&Node, Option<&Peer>) -> Result<watch::Receiver<Arc<View>>, Denied> + Send + Sync;

/// What all streams of a server have.
pub(super) struct Shared {
    pub(super) views: Box<Views>,
    pub(super) book: Book,
    /// Becomes true when the server ends.
    pub(super) ending: watch::Sender<bool>,
}

impl Shared {
    /// Waits for the end of the server.
    pub(super) async fn ended(&self) {
        // An error would mean that the sender is gone, which is here.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }
}

/// Serves a stream, and says at its end how it went.
pub(super) async fn serve(
    shared: &Shared,
    protocol: Protocol,
    peer: Option<&Peer>,
    requests: Streaming<Request>,
    responses: Sender<Part>,
) {
    let _open = shared.book.open();
    let status = match converse(shared, protocol, peer, requests, &responses).await {
        Ok(()) => Status::ok(""),
        Err(status) => status,
    };
    tracing::debug!(code = ?status.code(), reason = status.message(), "a stream ends");
    // Nobody is left to be told where the client has gone.
    let _ = responses.send(Part::End(status)).await;
}

/// `Ok`: the client has ended it, or is gone.
async fn converse(
    shared: &Shared,
    protocol: Protocol,
    peer: Option<&Peer>,
    mut requests: Streaming<Request>,
    responses: &Sender<Part>,
) -> Result<(), Status> {
    let mut ended = pin!(shared.ended());
    let first = tokio::select! {
        first = requests.message() => first?,
        () = &mut ended => return Err(going()),
    };
    let Some(first) = first else { return Ok(()) };
    let node = first.node.clone().filter(|node| !node.id.is_empty());
    let node = node.ok_or_else(|| Status::invalid_argument("the first request must name its node, with an id"))?;
    tracing::debug!(node = node.id, ?protocol, reader = ?node.reader, "a stream begins");

    let mut views = views(shared, &node, peer).map_err(|denied| {
        shared.book.denied(denied.denial(), &denied.to_string());
        Status::from(denied)
    })?;
    let view = Arc::clone(&views.borrow_and_update());
    let mut session = Session::new(protocol, view);
    hear(shared, &node, &mut session, first)?;
    loop {
        tokio::select! {
            request = requests.message() => match request? {
                Some(request) => hear(shared, &node, &mut session, request)?,
                None => return Ok(()),
            },
            changed = views.changed() => {
                changed.map_err(|_| going())?;
                let view = Arc::clone(&views.borrow_and_update());
                session.view(view);
            }
            // Composed when the one before is on its way, and not sooner: what happens meanwhile is told at once then.
            permit = responses.reserve(), if session.has_response() => {
                let Ok(permit) = permit else { return Ok(()) };
                if let Some(response) = session.response() {
                    shared.book.pushed(response.kind);
                    permit.send(Part::Message(response.message));
                }
            }
            () = responses.closed() => return Ok(()),
            () = &mut ended => return Err(going()),
        }
    }
}

/// What the node is to have, if it is who it says it is.
fn views(shared: &Shared, node: &Node, peer: Option<&Peer>) -> Result<watch::Receiver<Arc<View>>, Denied> {
    if let Some(peer) = peer
        && node.id != peer.node_id()
    {
        let its = peer.node_id();
        return Err(Denied::Forbidden(format!(
            "the node says that it is {:?}, and its credentials are those of {its:?}",
            node.id
        )));
    }
    (shared.views)(node, peer)
}

fn going() -> Status {
    Status::unavailable("the control plane ends; another one may be there")
}

fn hear(shared: &Shared, node: &Node, session: &mut Session, request: Request) -> Result<(), Status> {
    if request.type_url.is_empty() {
        return Err(Status::invalid_argument("a request must name a type of resources"));
    }
    let type_url = request.type_url.clone();
    let heard = session.request(request);
    let heard = heard.map_err(|error| Status::resource_exhausted(error.to_string()))?;
    match &heard {
        Heard::Refused(kind, reason) => {
            tracing::warn!(node = node.id, %kind, reason, "a node refuses what it was sent");
        }
        Heard::Unserved => {
            tracing::debug!(
                node = node.id,
                type_url,
                "asked for resources of a type that is not served"
            );
        }
        Heard::Nothing | Heard::Accepted(_) | Heard::Stale(_) => {}
    }
    shared.book.heard(&node.id, heard);
    Ok(())
}
