//! The server's side of the call.

use super::message::{WatchRequest, WatchResponse};
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;
use std::error::Error;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_stream::Stream;
use tonic::Status;
use tonic::server::{Grpc, ServerStreamingService};
use tonic_prost::ProstCodec;

/// Bytes of a request.
const REQUEST_BYTES: usize = 64 << 10;

/// Why a call is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The request makes no sense, and why.
    Malformed(String),
    /// As many listen as may.
    Full,
}

/// Answers a call with what `open` gives for its request, until the caller goes away: it is asked for the next message as
/// a future is polled. Needs a tokio runtime.
pub async fn answer<B, N>(
    request: Request<B>,
    open: impl FnMut(WatchRequest) -> Result<N, Refused>,
) -> Response<impl Body<Data = Bytes, Error = Status> + Send>
where
    B: Body + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    N: FnMut(&mut Context<'_>) -> Poll<WatchResponse> + Send + Unpin + 'static,
{
    let mut grpc = Grpc::new(ProstCodec::<WatchResponse, WatchRequest>::default());
    grpc = grpc.max_decoding_message_size(REQUEST_BYTES);
    grpc.server_streaming(Opening(open), request).await
}

struct Opening<F>(F);

/// The messages, one after the other.
struct Messages<N>(N);

impl<N> Stream for Messages<N>
where
    N: FnMut(&mut Context<'_>) -> Poll<WatchResponse> + Unpin,
{
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        (self.0)(cx).map(|message| Some(Ok(message)))
    }
}

impl<F, N> ServerStreamingService<WatchRequest> for Opening<F>
where
    F: FnMut(WatchRequest) -> Result<N, Refused>,
    N: FnMut(&mut Context<'_>) -> Poll<WatchResponse> + Send + Unpin + 'static,
{
    type Response = WatchResponse;
    type ResponseStream = Messages<N>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<WatchRequest>) -> Self::Future {
        ready(match (self.0)(request.into_inner()) {
            Ok(next) => Ok(tonic::Response::new(Messages(next))),
            Err(Refused::Malformed(reason)) => Err(Status::invalid_argument(reason)),
            Err(Refused::Full) => Err(Status::resource_exhausted("as many listen as may")),
        })
    }
}
