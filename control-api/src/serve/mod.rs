//! The server kit: what a control plane needs to serve ADS, delta and state of the world, to many clients at once.
//!
//! ```text
//! server        listeners, and the end                         async
//! connection    HTTP/2, and the two RPCs                       async
//! guard, peer   who may come in: TLS and credentials           async | words
//! places        so many at once; the longest idle makes room   async
//! stream        one stream: requests in, responses out        async
//! session       what one stream has and is to be told         pure
//! subscription  the same for one type of resource             pure
//! view          what a node is to have                        immutable, shared
//! stock, wire   resources by name | bytes on the wire         pure
//! ```
//!
//! A resource is encoded once, when it comes into a [`View`]; every response, of either protocol and to any stream, is made of
//! those bytes. Views share what they have in common, so that the next one costs what has changed.

mod body;
mod book;
mod connection;
mod guard;
mod node;
mod peer;
mod places;
mod request;
mod server;
mod session;
mod stock;
mod stream;
mod subscription;
mod view;
mod wire;

pub use book::{KindStatus, Refusal, Status};
pub use guard::Guard;
pub use node::Node;
pub use peer::{Denial, Denied, Peer};
pub use places::{Notice, Place, Places};
pub use server::Server;
pub use view::{NotServed, View};
