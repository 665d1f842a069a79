//! A probe by gRPC: `grpc.health.v1.Health/Check`. Its two messages have a field each, which needs no generated code.

use super::Down;
use bytes::Bytes;
use h2::RecvStream;
use h2::client;
use http::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::header;
use hyper::header::HeaderValue;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Of an answer, which has seven bytes.
const ANSWER_LIMIT: usize = 1 << 10;
/// Of the fields around it.
const FIELDS_LIMIT: u32 = 16 << 10;
/// `HealthCheckResponse.ServingStatus`, by number.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: usize = 1;

pub(super) async fn ask(
    stream: TcpStream,
    address: SocketAddr,
    service: &str,
    agent: Option<HeaderValue>,
) -> Result<(), Down> {
    let mut builder = client::Builder::new();
    builder.max_header_list_size(FIELDS_LIMIT).enable_push(false);
    let (client, connection) = builder.handshake::<_, Bytes>(stream).await.map_err(Down::broken)?;
    // It ends with this probe, however far it is.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let mut client = client.ready().await.map_err(Down::broken)?;
    let (response, mut body) = client
        .send_request(request(address, agent)?, false)
        .map_err(Down::broken)?;
    body.send_data(question(service), true).map_err(Down::broken)?;
    let response = response.await.map_err(Down::broken)?;
    if !response.status().is_success() {
        return Err(Down::Status(response.status()));
    }
    // Without a message, the head is the end.
    call_status(response.headers())?;
    let mut body = response.into_body();
    let message = read(&mut body).await?;
    if let Some(trailers) = body.trailers().await.map_err(Down::broken)? {
        call_status(&trailers)?;
    }
    match serving_status(&message).ok_or_else(|| Down::broken("it is not a HealthCheckResponse"))? {
        SERVING => Ok(()),
        other => Err(Down::NotServing(STATUSES.get(other).unwrap_or(&"an unknown status"))),
    }
}

fn request(address: SocketAddr, agent: Option<HeaderValue>) -> Result<Request<()>, Down> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers");
    if let Some(agent) = agent {
        request = request.header(header::USER_AGENT, agent);
    }
    request.body(()).map_err(Down::broken)
}

/// `HealthCheckRequest { service }` in its frame.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame.into()
}

async fn read(body: &mut RecvStream) -> Result<Vec<u8>, Down> {
    let mut message = Vec::new();
    while let Some(piece) = body.data().await {
        message.extend_from_slice(&piece.map_err(Down::broken)?);
        if message.len() > ANSWER_LIMIT {
            return Err(Down::broken("it is too long"));
        }
    }
    Ok(message)
}

fn call_status(fields: &HeaderMap) -> Result<(), Down> {
    match fields.get("grpc-status") {
        Some(status) if status != "0" => {
            let text = fields.get("grpc-message").unwrap_or(status);
            let text = String::from_utf8_lossy(text.as_bytes());
            let status = String::from_utf8_lossy(status.as_bytes());
            Err(Down::CallFailed(format!("{status} ({})", text.escape_debug())))
        }
        _ => Ok(()),
    }
}

/// Field 1 of a framed `HealthCheckResponse`; a message without it says 0.
fn serving_status(frame: &[u8]) -> Option<usize> {
    let (head, message) = frame.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    match message {
        _ if head[0] != 0 || length as usize != message.len() => None,
        [] => Some(0),
        [0x08, status @ 0..=0x7f] => Some(usize::from(*status)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_a_framed_message() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("a.B")[..], [0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B']);
        let long = question(&"a".repeat(200));
        assert_eq!(&long[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
    }

    #[test]
    fn only_a_whole_answer_is_understood() {
        assert_eq!(serving_status(&[0, 0, 0, 0, 2, 8, 1]), Some(SERVING));
        assert_eq!(serving_status(&[0, 0, 0, 0, 0]), Some(0));
        for wrong in [
            &[][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 2, 8],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 2, 16, 1],
        ] {
            assert_eq!(serving_status(wrong), None, "{wrong:?}");
        }
    }
}
