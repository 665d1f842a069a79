//! Heads and chunks of messages that do not come from HTTP/1: from HTTP/2, or from ourselves.

use std::io::Write;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::header;
use http::request::Parts;

use super::Version;
use super::connection;
use super::framing::Framing;
use crate::failure::Reason;

/// Appends the head of an HTTP/2 request as an HTTP/1.1 server shall get it.
///
/// `Host` comes first, from the authority (RFC 9113 8.3.1), then the fields without those that concern a connection,
/// cookie crumbs joined (8.2.3), `TE: trailers` as a hop of our own, and the framing as `body` says. A method that
/// usually has a body says that it has none (RFC 9110 8.6): servers answer 411 else.
pub fn request_head(parts: &Parts, body: Framing, out: &mut Vec<u8>) {
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    write_target(parts, out);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    match parts.uri.authority() {
        Some(authority) => field("Host", authority.as_str().as_bytes(), out),
        None => field(
            "Host",
            parts.headers.get(header::HOST).map_or(b"", HeaderValue::as_bytes),
            out,
        ),
    }
    let mut crumbs = parts.headers.get_all(header::COOKIE).iter();
    if let Some(crumb) = crumbs.next() {
        out.extend_from_slice(b"cookie: ");
        out.extend_from_slice(crumb.as_bytes());
        for crumb in crumbs {
            out.extend_from_slice(b"; ");
            out.extend_from_slice(crumb.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    for (name, value) in &parts.headers {
        if name != header::HOST && name != header::COOKIE && name != header::CONTENT_LENGTH && !is_hop_by_hop(name) {
            field(name.as_str(), value.as_bytes(), out);
        }
    }
    if parts
        .headers
        .get_all(header::TE)
        .iter()
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"))
    {
        out.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n");
    }
    let expects_body = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
    write_framing(
        if body == Framing::None && expects_body {
            Framing::Length(0)
        } else {
            body
        },
        out,
    );
    out.extend_from_slice(b"\r\n");
}

fn write_target(parts: &Parts, out: &mut Vec<u8>) {
    if parts.method == Method::CONNECT {
        out.extend_from_slice(
            parts
                .uri
                .authority()
                .map_or(b"", |authority| authority.as_str().as_bytes()),
        );
        return;
    }
    match parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str) {
        None | Some("") => out.push(b'/'),
        Some(path) => {
            // A URI may have a query and no path; a request line may not.
            if path.starts_with('?') {
                out.push(b'/');
            }
            out.extend_from_slice(path.as_bytes());
        }
    }
}

/// Appends a response head for an HTTP/1 client of `version`.
///
/// `framing` says how the body will be written. With `None` a `content-length` among the headers stays, as in the
/// answer to HEAD and in a 304; a body that is merely empty is `Length(0)`.
pub fn response_head(
    status: StatusCode,
    headers: &HeaderMap,
    framing: Framing,
    version: Version,
    persistent: bool,
    out: &mut Vec<u8>,
) {
    write_status(status, out);
    for (name, value) in headers {
        let reframed = name == header::CONTENT_LENGTH && framing != Framing::None;
        if !reframed && !is_hop_by_hop(name) && name != header::TE {
            field(name.as_str(), value.as_bytes(), out);
        }
    }
    write_framing(framing, out);
    if !status.is_informational() {
        let keeping = keeping(version, persistent && framing != Framing::UntilClose);
        connection::write_options(&[keeping], out);
    }
    out.extend_from_slice(b"\r\n");
}

/// For whom we make a response ourselves.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its version.
    pub version: Version,
    /// Whether we keep its connection.
    pub persistent: bool,
    /// Whether it sent HEAD, and gets no body.
    pub head: bool,
}

/// Appends a whole response of our own: the status, and why, in a header for machines and in a line of text for people.
pub fn own_response(status: StatusCode, reason: Reason, detail: &str, client: Client, out: &mut Vec<u8>) {
    write_status(status, out);
    field("x-evenkeel-reason", reason.label().as_bytes(), out);
    field("content-type", b"text/plain; charset=utf-8", out);
    let text = format!("{reason}: {detail}\n");
    write_framing(Framing::Length(text.len() as u64), out);
    connection::write_options(&[keeping(client.version, client.persistent)], out);
    out.extend_from_slice(b"\r\n");
    if !client.head {
        out.extend_from_slice(text.as_bytes());
    }
}

/// The interim response that lets a client send its body, for when the upstream speaks no HTTP/1.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Adds a field to the head that `out` ends with. The value must be free of control bytes, as that of any
/// [`http::HeaderValue`] is.
pub fn append_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    debug_assert!(out.ends_with(b"\r\n\r\n"), "a head was written before");
    out.truncate(out.len().saturating_sub(2));
    field(name, value, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends the line before a chunk of `length` bytes, which must not be 0. [`CHUNK_END`] follows the chunk.
pub fn chunk_header(length: usize, out: &mut Vec<u8>) {
    debug_assert!(length > 0, "an empty chunk ends the body");
    write_number(format_args!("{length:x}\r\n"), out);
}

/// What follows the content of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Appends the last chunk, the trailers, and the end of the body.
pub fn last_chunk(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        let framing = name == header::CONTENT_LENGTH || name == header::HOST;
        if !framing && !is_hop_by_hop(name) {
            field(name.as_str(), value.as_bytes(), out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The `Connection` option that a client of `version` must be told; none where its version says it already.
pub(super) fn keeping(version: Version, persistent: bool) -> Option<&'static str> {
    match (version, persistent) {
        (Version::Http11, true) => None,
        (Version::Http10, true) => Some("keep-alive"),
        (_, false) => Some("close"),
    }
}

fn write_status(status: StatusCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_framing(framing: Framing, out: &mut Vec<u8>) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => write_number(format_args!("content-length: {length}\r\n"), out),
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
}

fn write_number(text: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    out.write_fmt(text).expect("a Vec takes every byte");
}

/// Appends lines that the mesh adds.
pub(super) fn fields(fields: &[(HeaderName, HeaderValue)], out: &mut Vec<u8>) {
    for (name, value) in fields {
        field(name.as_str(), value.as_bytes(), out);
    }
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Fields that belong to one connection (RFC 9113 8.2.2), which nothing that comes from HTTP/2 may bring.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TE,
    ]
    .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).unwrap()
    }

    fn request(request: http::request::Builder, body: Framing) -> String {
        let mut out = Vec::new();
        request_head(&request.body(()).unwrap().into_parts().0, body, &mut out);
        text(out)
    }

    fn response(
        headers: &[(&'static str, &'static str)],
        framing: Framing,
        version: Version,
        persistent: bool,
    ) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let mut out = Vec::new();
        response_head(StatusCode::OK, &map, framing, version, persistent, &mut out);
        text(out)
    }

    #[test]
    fn an_http_2_request_becomes_one_of_http_1_1() {
        let full = http::Request::post("http://Shop:80/a?b")
            .header("cookie", "a=b")
            .header("host", "ignored")
            .header("cookie", "c=d")
            .header("te", "trailers")
            .header("connection", "x")
            .header("transfer-encoding", "gzip")
            .header("content-length", "9")
            .header("x", "y");
        assert_eq!(
            request(full, Framing::Chunked),
            "POST /a?b HTTP/1.1\r\nHost: Shop:80\r\ncookie: a=b; c=d\r\nx: y\r\nConnection: TE\r\nTE: trailers\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn targets_take_the_form_of_their_method() {
        for (method, uri, line) in [
            ("GET", "http://a", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET", "http://a?b", "GET /?b HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("OPTIONS", "*", "OPTIONS * HTTP/1.1\r\nHost: \r\n\r\n"),
            ("CONNECT", "a:443", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        ] {
            assert_eq!(
                request(http::Request::builder().method(method).uri(uri), Framing::None),
                line
            );
        }
    }

    #[test]
    fn a_post_without_a_body_says_so() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(request(http::Request::post("http://a/"), Framing::None), head);
    }

    #[test]
    fn an_http_2_response_is_framed_as_the_body_will_be() {
        let headers = [("content-length", "7"), ("x", "y"), ("connection", "z")];
        for (framing, version, persistent, fields) in [
            (Framing::None, Version::Http11, true, "content-length: 7\r\nx: y\r\n"),
            (
                Framing::Length(3),
                Version::Http11,
                true,
                "x: y\r\ncontent-length: 3\r\n",
            ),
            (
                Framing::Length(3),
                Version::Http10,
                true,
                "x: y\r\ncontent-length: 3\r\nConnection: keep-alive\r\n",
            ),
            (
                Framing::Chunked,
                Version::Http11,
                false,
                "x: y\r\ntransfer-encoding: chunked\r\nConnection: close\r\n",
            ),
            (
                Framing::UntilClose,
                Version::Http10,
                true,
                "x: y\r\nConnection: close\r\n",
            ),
        ] {
            let expected = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            assert_eq!(response(&headers, framing, version, persistent), expected);
        }
    }

    #[test]
    fn our_own_responses_say_why() {
        let client = Client {
            version: Version::Http11,
            persistent: false,
            head: false,
        };
        let mut out = Vec::new();
        let (status, reason) = (StatusCode::NOT_FOUND, Reason::NoRoute);
        own_response(status, reason, "no host matches", client, &mut out);
        let whole = text(out);
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "no_route: no host matches\n");
        assert!(head.contains("\r\nx-evenkeel-reason: no_route\r\n"), "{head}");
        assert!(
            head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())),
            "{head}"
        );
        assert!(head.ends_with("\r\nConnection: close"), "{head}");
        let mut out = Vec::new();
        own_response(
            status,
            reason,
            "no host matches",
            Client { head: true, ..client },
            &mut out,
        );
        assert_eq!(text(out), format!("{head}\r\n\r\n"));
    }

    #[test]
    fn chunks_that_are_written_can_be_read() {
        let mut trailers = HeaderMap::new();
        trailers.append("grpc-status", HeaderValue::from_static("0"));
        trailers.append("content-length", HeaderValue::from_static("1"));
        let mut out = Vec::new();
        for piece in ["hello", &"x".repeat(300)] {
            chunk_header(piece.len(), &mut out);
            out.extend_from_slice(piece.as_bytes());
            out.extend_from_slice(CHUNK_END);
        }
        last_chunk(Some(&trailers), &mut out);
        let mut body = crate::protocol::http::h1::Body::of_request(Framing::Chunked);
        let scanned = body.scan(&out).unwrap();
        assert!(scanned.done);
        assert_eq!(scanned.length, out.len());
        assert!(text(out).ends_with("\r\n0\r\ngrpc-status: 0\r\n\r\n"));
    }
}
