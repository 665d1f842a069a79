//! What RFC 9112 and RFC 9113 call malformed reaches nobody, from clients and from endpoints. Most of it the `h2` crate would not
//! send.

mod answers;
mod bodies;
mod frames;
mod heads;

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::frames::END_STREAM;
use crate::support::frames::GOAWAY;
use crate::support::frames::HEADERS;
use crate::support::frames::RST_STREAM;
use crate::support::frames::head;
use crate::support::server::Server;
use crate::support::wire::Wire;
use std::cell::Cell;
use std::fmt::Debug;
use std::rc::Rc;

type Fields = &'static [(&'static str, &'static str)];

const REQUEST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "web.test"),
];

/// A proxy before an endpoint that counts the requests which reach it.
struct Stage {
    bench: Bench,
    endpoint: Version,
    seen: Rc<Cell<usize>>,
    _server: Server,
}

impl Stage {
    async fn of(endpoint: Version) -> Self {
        let seen = Rc::new(Cell::new(0));
        let count = Rc::clone(&seen);
        let server = Server::answering(endpoint, move |_| {
            count.set(count.get() + 1);
            Answer::new(Content::default())
        });
        let server = server.await;
        Self {
            bench: Bench::before(endpoint.protocol(), &server),
            endpoint,
            seen,
            _server: server,
        }
    }

    /// What becomes of the first stream of a client that sends these frames.
    async fn outcome(&self, frames: &[u8]) -> &'static str {
        let mut client = self.bench.http1().await;
        client.begin_http2().await;
        client.send(frames).await;
        outcome(&mut client, 1).await
    }

    /// The frames are no request: they are not answered as one, and nothing whole reaches the endpoint.
    async fn refuses(&self, frames: &[u8], what: &impl Debug) {
        let outcome = self.outcome(frames).await;
        assert_ne!(outcome, "answered", "{what:?} to {:?}", self.endpoint);
        assert_eq!(self.seen.get(), 0, "{what:?} to {:?}", self.endpoint);
    }

    /// The same for a head without a body.
    async fn refuses_head(&self, fields: &[(&str, &str)]) {
        self.refuses(&head(END_STREAM, 1, fields), &fields).await;
    }
}

/// What becomes of a stream: the status of its answer where the proxy gives one.
async fn outcome(wire: &mut Wire, stream: u32) -> &'static str {
    while let Some(came) = wire.next_frame().await {
        match came.kind {
            // 400 is an entry of the static table, and the first field.
            HEADERS if came.stream == stream && came.payload[0] == 0x8c => return "400",
            HEADERS if came.stream == stream => return "answered",
            RST_STREAM if came.stream == stream => return "reset",
            GOAWAY => return "goodbye",
            _ => {}
        }
    }
    "closed"
}
