//! The same over HTTP/2, for calls of gRPC, too.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use evenkeel_tests::http2::collect;
use h2::RecvStream;
use h2::server::SendResponse;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;

use super::DELAY;

/// One connection.
pub(super) fn answers(stream: TcpStream, name: &'static str) -> Result<()> {
    stream.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = h2::server::handshake(tokio::net::TcpStream::from_std(stream)?).await?;
        while let Some(accepted) = connection.accept().await {
            let (request, respond) = accepted?;
            // A stream that fails is its client's business.
            drop(tokio::spawn(answer(request, respond, name)));
        }
        Ok(())
    })
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, name: &str) -> Result<()> {
    let (head, body) = request.into_parts();
    let (body, trailers) = collect(body).await?;
    let delay = head
        .headers
        .get(DELAY)
        .and_then(|delay| delay.to_str().ok()?.parse().ok());
    if let Some(delay) = delay {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut answer = Response::builder()
        .header("x-mirror", name)
        .header("x-one", "1")
        .header("x-two", "2")
        .header("server", "mirror");
    let grpc = head
        .headers
        .get("content-type")
        .filter(|kind| *kind == "application/grpc");
    if let Some(kind) = grpc {
        answer = answer.header("content-type", kind);
    }
    let told = told(&head, &body, &trailers);
    let mut to = respond.send_response(answer.body(())?, false)?;
    to.send_data(Bytes::from(told), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-trailer", HeaderValue::from_static("t"));
    if grpc.is_some() {
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
    }
    to.send_trailers(trailers)?;
    Ok(())
}

/// The request line, as far as there is one, and the fields in the order of their names.
fn told(head: &http::request::Parts, body: &[u8], trailers: &HeaderMap) -> String {
    let uri = &head.uri;
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let mut lines = vec![
        format!("{} {path} {:?}", head.method, head.version),
        format!(":authority: {host}"),
    ];
    let mut fields = texts(&head.headers, "");
    fields.extend(texts(trailers, "trailer "));
    // Lines of the same name keep their order.
    fields.sort_by(|one, other| one.split(':').next().cmp(&other.split(':').next()));
    lines.extend(fields);
    lines.push(String::from_utf8_lossy(body).into_owned());
    lines.join("\n")
}

fn texts(fields: &HeaderMap, before: &str) -> Vec<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fields = fields.iter();
    fields
        .map(|(name, value)| format!("{before}{name}: {}", text(value)))
        .collect()
}
