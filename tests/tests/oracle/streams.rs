//! The same request as a stream of HTTP/2, or as a call of gRPC.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use bytes::Bytes;
use evenkeel_tests::grpc::Echo;
use evenkeel_tests::grpc::frame;
use evenkeel_tests::http2::collect;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::pod::Pod;
use http::HeaderMap;
use http::Method;
use http::Request;
use http::Uri;
use http::uri::PathAndQuery;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::exchange::Outcome;
use crate::exchange::comparable;

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request of HTTP/1 in other words; `None`: there are none for it.
pub(crate) fn translated(text: &str, spoken: Spoken) -> Option<Request<Bytes>> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?, first.next()?);
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).ok()?);
    let mut host = None;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "host" => host = Some(value.trim()),
            "connection" => return None,
            // Of the body that is not sent.
            "content-length" if spoken == Spoken::Grpc => {}
            "content-type" if spoken == Spoken::Grpc => return None,
            _ => request = request.header(name, value.trim()),
        }
    }
    let uri = if target.starts_with('/') {
        let path: PathAndQuery = target.parse().ok()?;
        let uri = Uri::builder().scheme("http").authority(host?).path_and_query(path);
        uri.build().ok()?
    } else {
        target.parse().ok()?
    };
    request = request.uri(uri);
    match spoken {
        Spoken::Http1 => None,
        Spoken::Http2 => request.body(Bytes::copy_from_slice(body.as_bytes())).ok(),
        Spoken::Grpc => {
            let word = Echo {
                text: "even".to_owned(),
                replica: String::new(),
            };
            let call = request
                .method(Method::POST)
                .header("content-type", "application/grpc")
                .header("te", "trailers");
            call.body(frame(&word)).ok()
        }
    }
}

/// Sends it from inside the pod, on a connection of its own.
pub(crate) fn exchange(from: &Pod, to: SocketAddr, request: &Request<Bytes>) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    from.enter(|| {
        runtime.block_on(async {
            let answer = timeout(PATIENCE, answer(to, request)).await.context("no answer")?;
            match answer {
                Err(error) if error.downcast_ref::<h2::Error>().is_some() => Ok(Outcome::Closed),
                answer => answer,
            }
        })
    })?
}

async fn answer(to: SocketAddr, request: &Request<Bytes>) -> Result<Outcome> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (channel, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    let mut channel = channel.ready().await?;
    let (head, body) = request.clone().into_parts();
    let (answer, mut rest) = channel.send_request(Request::from_parts(head, ()), body.is_empty())?;
    if !body.is_empty() {
        rest.send_data(body, true)?;
    }
    let (head, body) = answer.await?.into_parts();
    let (body, trailers) = collect(body).await?;
    let mut fields = texts(&head.headers);
    fields.extend(texts(&trailers));
    fields.sort();
    let body = String::from_utf8_lossy(&body);
    let answer = comparable(head.status.as_u16(), Vec::new(), fields, &body);
    Ok(Outcome::Answer(answer))
}

fn texts(fields: &HeaderMap) -> Vec<(String, String)> {
    let fields = fields.iter();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    fields
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect()
}
