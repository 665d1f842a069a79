//! Tap: what a proxy tells of requests as they end, over gRPC: the messages, the server's side of the call and the client's.
//! What is told, and to whom, is the proxy's.

mod client;
mod message;
mod server;

pub use client::{Failure, Watching, watch};
pub use message::{Event, Header, WatchRequest, WatchResponse};
pub use server::{Refused, answer};

/// Where the one method is.
pub const PATH: &str = "/evenkeel.v1.Tap/Watch";

#[cfg(test)]
mod tests {
    use super::PATH;

    #[test]
    fn the_path_is_that_of_the_proto_file() {
        let text = include_str!("../../../proto/evenkeel/v1/tap.proto");
        let word = |after: &str| {
            let (_, rest) = text.split_once(after).unwrap();
            let end = rest
                .find(|letter: char| !(letter.is_alphanumeric() || letter == '.'))
                .unwrap();
            &rest[..end]
        };
        assert_eq!(
            PATH,
            format!("/{}.{}/{}", word("\npackage "), word("\nservice "), word("\n  rpc "))
        );
    }
}
