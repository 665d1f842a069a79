//! HTTP/2 as a client and a server of a test speak it.

use super::ask::Content;
use bytes::Bytes;
use h2::RecvStream;
use h2::SendStream;
use h2::client::ResponseFuture;
use h2::client::SendRequest;
use http::HeaderMap;
use http::Request;
use http::Response;
use std::future::poll_fn;
use tokio::net::TcpStream;

/// A client's connection.
pub(crate) struct Two {
    sender: SendRequest<Bytes>,
    driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Two {
    pub(crate) async fn new(stream: TcpStream) -> Self {
        Self::with(stream, &h2::client::Builder::new()).await
    }

    pub(crate) async fn with(stream: TcpStream, builder: &h2::client::Builder) -> Self {
        let (sender, driver) = builder.handshake(stream).await.unwrap();
        let driver = tokio::task::spawn_local(driver);
        Self { sender, driver }
    }

    /// Opens a stream.
    pub(crate) async fn open(&mut self, request: Request<()>, end: bool) -> (ResponseFuture, SendStream<Bytes>) {
        poll_fn(|cx| self.sender.poll_ready(cx)).await.unwrap();
        self.sender.send_request(request, end).unwrap()
    }

    /// A GET, and what became of it.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Response<Content>, h2::Error> {
        let (response, _) = self.open(get(path), true).await;
        whole(response.await?).await
    }

    /// Waits until the server has said goodbye and all streams have ended.
    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        drop(self.sender);
        self.driver.await.unwrap()
    }

    /// Closes at once, streams or not.
    pub(crate) fn close(self) {
        self.driver.abort();
    }
}

/// A request to `path` without a body.
pub(crate) fn get(path: &str) -> Request<()> {
    request("GET", path)
}

pub(crate) fn request(method: &str, path: &str) -> Request<()> {
    let uri = format!("http://web.test{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

/// A gRPC call.
pub(crate) fn call(path: &str) -> Request<()> {
    let mut call = request("POST", path);
    let headers = call.headers_mut();
    headers.insert("content-type", "application/grpc".parse().unwrap());
    headers.insert("te", "trailers".parse().unwrap());
    call
}

/// A response with all of its body.
pub(crate) async fn whole(response: Response<RecvStream>) -> Result<Response<Content>, h2::Error> {
    let (head, body) = response.into_parts();
    Ok(Response::from_parts(head, collect(body).await?))
}

/// All of a body.
pub(crate) async fn collect(mut body: RecvStream) -> Result<Content, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    Ok(Content {
        bytes: bytes.into(),
        trailers,
    })
}

/// Sends a body and its end.
pub(crate) fn deliver(to: &mut SendStream<Bytes>, content: &Content) {
    let more = !content.trailers.is_empty();
    to.send_data(content.bytes.clone(), !more).unwrap();
    if more {
        to.send_trailers(content.trailers.clone()).unwrap();
    }
}

/// Trailers with one field.
pub(crate) fn trailer(name: &'static str, value: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, value.parse().unwrap());
    trailers
}
