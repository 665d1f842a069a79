//! The body of an answer: messages as they come, cut into chunks when the connection takes them, and the status at the end.

use super::wire::Message;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc::Receiver;
use tonic::Status;

/// What a stream sends.
#[derive(Debug)]
pub(super) enum Part {
    Message(Message),
    /// The last one.
    End(Status),
}

/// Asked for the next chunk only when the connection has room for it: a client that reads slowly costs the list of pieces of
/// what it is being sent, and the pieces are shared.
#[derive(Debug)]
pub(super) struct Responses {
    parts: Receiver<Part>,
    current: Message,
}

impl Responses {
    pub(super) fn new(parts: Receiver<Part>) -> Self {
        Self {
            parts,
            current: Message::default(),
        }
    }
}

impl Body for Responses {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        loop {
            if let Some(chunk) = this.current.chunk() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            match ready!(this.parts.poll_recv(context)) {
                Some(Part::Message(message)) => this.current = message,
                Some(Part::End(status)) => {
                    let mut trailers = HeaderMap::new();
                    // A status that is no header at all is still the end.
                    let _ = status.add_header(&mut trailers);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}
