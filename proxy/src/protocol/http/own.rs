//! Answers that the proxy makes itself.

use super::routing::Refused;
use crate::failure::Reason;
use crate::telemetry::RequestRecord;
use bytes::Bytes;
use h2::server::SendResponse;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Method, Request, Response, StatusCode};

/// The header by which an answer says that the proxy made it, and why.
const REASON: &str = "x-evenkeel-reason";

/// Whether a message is gRPC's.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    let rest = content_type.as_bytes().strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Whether either side may rightly be silent for hours in the middle of its message: a call of gRPC or of Connect, a tunnel.
pub(super) fn is_conversation<T>(request: &Request<T>) -> bool {
    let connect = |value: &HeaderValue| value.as_bytes().starts_with(b"application/connect+");
    request.method() == Method::CONNECT
        || is_grpc(request.headers())
        || request.headers().get(CONTENT_TYPE).is_some_and(connect)
}

/// In words, for people.
pub(super) fn detail(reason: Reason) -> &'static str {
    match reason {
        Reason::NoEndpoint => "the service has no endpoint that may be used",
        Reason::NoRoute => "no route matches this request",
        Reason::NoCluster => "the route names a cluster that does not exist",
        Reason::ConnectRefused => "the endpoint refused the connection",
        Reason::ConnectTimeout => "the endpoint did not answer the connection attempt in time",
        Reason::ConnectFailed => "the endpoint cannot be reached",
        Reason::UpstreamClosed => "the endpoint closed the connection before it answered",
        Reason::UpstreamReset => "the endpoint reset the stream before it answered",
        Reason::StreamRefused => "the endpoint refused the stream",
        Reason::MalformedResponse => "the endpoint's answer is malformed",
        Reason::MalformedBody => "the framing of the body is broken",
        Reason::RequestTimeout => "the route's timeout has passed",
        Reason::AnswerTimeout => "the endpoint's answer did not go on in time",
        Reason::BodyTimeout => "the body of the request did not come in time",
        Reason::Overloaded => "as many requests as the proxy takes are under way",
        Reason::TooManyInterim => "the endpoint sends one interim answer after the other",
        Reason::UpstreamFlood => "the endpoint floods its connection with frames",
        _ => "the request failed in the mesh",
    }
}

/// Answers a stream: for gRPC a trailers-only status (gRPC over HTTP/2, "Responses"), for others a status and a line of text,
/// without that line where a body would be a breach of the protocol.
pub(super) fn answer_http2(
    respond: &mut SendResponse<Bytes>,
    Refused { reason, status }: Refused,
    (grpc, bodiless): (bool, bool),
    record: &mut RequestRecord,
) {
    if grpc {
        let mut response = grpc_head(reason.grpc_status(), detail(reason));
        response
            .headers_mut()
            .insert(REASON, HeaderValue::from_static(reason.label()));
        record.set_status(StatusCode::OK);
        record.set_grpc_status(u32::from(reason.grpc_status()));
        // A stream that is over has nobody who waits for the answer.
        let _ = respond.send_response(response, true);
        return;
    }
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(reason.label()));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    *response.status_mut() = status;
    record.set_status(status);
    if let Ok(mut body) = respond.send_response(response, bodiless)
        && !bodiless
    {
        let _ = body.send_data(Bytes::from(format!("{reason}: {}\n", detail(reason))), true);
    }
}

/// The head of an answer that is a status of gRPC and nothing else. The message is of visible ASCII; an empty one is none.
pub(super) fn grpc_head(status: u8, message: &str) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(status)));
    if !message.is_empty()
        && let Ok(message) = HeaderValue::from_str(message)
    {
        headers.insert("grpc-message", message);
    }
    response
}
