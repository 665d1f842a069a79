//! The client's side of the call.

use super::PATH;
use super::message::{WatchRequest, WatchResponse};
use http::uri::PathAndQuery;
use std::fmt;
use std::time::Duration;
use tonic::Streaming;
use tonic::client::Grpc;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

/// A proxy on the same machine answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// A call under way.
#[derive(Debug)]
pub struct Watching(Streaming<WatchResponse>);

/// Why there is no call, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens there.
    Unreachable(String),
    /// The proxy refuses, and why.
    Refused(String),
    /// The connection ended: the proxy did, or has let go of a reader who took nothing for too long.
    Ended,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => write!(f, "cannot connect: {reason}"),
            Self::Refused(reason) => write!(f, "the proxy refuses: {reason}"),
            Self::Ended => f.write_str(
                "the stream has ended: the proxy has ended, or this reader was away for more than ten minutes",
            ),
        }
    }
}

/// Asks the proxy at this address, `HOST:PORT`.
///
/// # Errors
/// Why it does not answer.
pub async fn watch(address: &str, request: WatchRequest) -> Result<Watching, Failure> {
    let unreachable = |error: &dyn std::error::Error| {
        // The cause says more than `transport error`.
        let cause = error.source().and_then(|cause| cause.source().or(Some(cause)));
        Failure::Unreachable(cause.map_or_else(|| error.to_string(), ToString::to_string))
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| unreachable(&error))?;
    let channel = endpoint
        .connect_timeout(PATIENCE)
        .connect()
        .await
        .map_err(|error| unreachable(&error))?;
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| unreachable(&error))?;
    let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
    let path = PathAndQuery::from_static(PATH);
    let called = grpc.server_streaming(tonic::Request::new(request), path, codec).await;
    let response = called.map_err(|status| Failure::Refused(status.message().to_owned()))?;
    Ok(Watching(response.into_inner()))
}

impl Watching {
    /// The next message. May be dropped while it waits.
    ///
    /// # Errors
    /// There is none.
    pub async fn next(&mut self) -> Result<WatchResponse, Failure> {
        match self.0.message().await {
            Ok(Some(response)) => Ok(response),
            Ok(None) | Err(_) => Err(Failure::Ended),
        }
    }
}
