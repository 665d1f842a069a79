//! HTTP: one pipeline over two codecs.
//!
//! ```text
//!              client speaks HTTP/1          client speaks HTTP/2
//!                 http1 (heads)                 http2 (streams)
//!                      \                            /
//!              routing: which cluster, what changes; or configured: an answer
//!                          attempt: pick, lease, perhaps again
//!                      /              |
//!       outgoing, verbatim (1 -> 1)     bridge (any pairing with HTTP/2)
//! ```
//! HTTP/1 to HTTP/1 moves bytes as they came; every other pairing moves pieces (data, trailers) between two sides.

mod alarm;
mod attempt;
mod bridge;
mod client;
mod clock;
mod configured;
mod failing;
pub mod h1;
mod http1;
mod http2;
mod outgoing;
mod own;
mod patience;
mod routing;
mod streams;
mod traced;
mod verbatim;
mod verify;

pub use http1::{refuse_connection as refuse, serve as serve_http1};
pub use http2::serve as serve_http2;
