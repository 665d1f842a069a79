use super::*;
use crate::failure::Reason;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 64 * 1024,
    fields: 100,
};
const GET: Asked = Asked {
    head: false,
    connect: false,
    upgrade: false,
};
const HEAD: Asked = Asked { head: true, ..GET };
const CONNECT: Asked = Asked { connect: true, ..GET };
const UPGRADE: Asked = Asked { upgrade: true, ..GET };

/// Parses `text` whole, after checking that it says nothing else at any split.
fn parse(text: &str, asked: Asked) -> Result<ResponseHead, Fault> {
    let bytes = text.as_bytes();
    let whole = response(bytes, asked, &LIMITS);
    for length in 0..bytes.len() {
        match (response(&bytes[..length], asked, &LIMITS), &whole) {
            (Ok(Parsed::Partial), _) => {}
            (Err(early), Err(late)) => assert_eq!(early, *late, "{text:?} at {length}"),
            (early, _) => panic!("{text:?} at {length}: {early:?} before {whole:?}"),
        }
    }
    match whole? {
        Parsed::Complete(head) => Ok(head),
        Parsed::Partial => panic!("{text:?} is not a whole head"),
    }
}

fn accepted(text: &str, asked: Asked) -> ResponseHead {
    parse(text, asked).unwrap_or_else(|fault| panic!("{text:?}: {fault}"))
}

fn written(text: &str, asked: Asked, version: Version, persistent: bool) -> String {
    let head = accepted(text, asked);
    let mut out = Vec::new();
    let delivery = head.delivery(version);
    head.write_h1(
        text.as_bytes(),
        Downstream {
            version,
            persistent,
            delivery,
        },
        &mut out,
    );
    String::from_utf8(out).unwrap()
}

#[test]
fn an_ordinary_response_goes_on_verbatim() {
    let text = "HTTP/1.1 200 Sehr gut \u{fc}\r\nserver: x\r\nContent-Length: 3\r\n\r\n";
    let head = accepted(text, GET);
    assert_eq!(
        (head.status, head.version, head.framing),
        (StatusCode::OK, Version::Http11, Framing::Length(3))
    );
    assert!(head.persistent && !head.upgrade && !head.grpc);
    assert_eq!(head.fields(text.as_bytes()).count(), 2);
    assert_eq!(written(text, GET, Version::Http11, true), text);
}

#[test]
fn status_lines_are_strict() {
    for line in [
        "",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 2000 x",
        "HTTP/1.1 099 x",
        "HTTP/1.1  200",
        "HTTP/1.1 2x0",
        "HTTP/1.1\t200",
        "HTTP/2 200",
        "HTTP/1.2 200 x",
        "http/1.1 200 x",
        "ICY 200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        " HTTP/1.1 200 OK",
    ] {
        let text = format!("{line}\r\n\r\n");
        assert_eq!(
            parse(&text, GET).expect_err(&text).reason,
            Reason::MalformedResponse,
            "{text:?}"
        );
    }
    for (line, status) in [("HTTP/1.1 200", 200), ("HTTP/1.1 404 ", 404), ("HTTP/1.0 999 x y", 999)] {
        assert_eq!(accepted(&format!("{line}\r\n\r\n"), GET).status.as_u16(), status);
    }
}

#[test]
fn framing_and_syntax_are_strict_and_the_upstream_is_to_blame() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5,5\r\n",
        "Content-Length: +5\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "X : y\r\n",
        "X: y\r\n z\r\n",
        "X: y\n",
        "X: a\0\r\n",
    ] {
        for asked in [GET, HEAD] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            assert_eq!(
                parse(&text, asked).expect_err(&text).reason,
                Reason::MalformedResponse,
                "{text:?}"
            );
        }
    }
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(old, GET).unwrap_err().detail, "Transfer-Encoding in HTTP/1.0");
    let large = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
    assert_eq!(parse(&large, GET).unwrap_err().reason, Reason::MalformedResponse);
}

#[test]
fn the_body_follows_rfc_9112_6_3() {
    use Framing::Chunked;
    use Framing::Length;
    use Framing::None;
    use Framing::UntilClose;
    for (status, fields, asked, framing) in [
        (200, "Content-Length: 5\r\n", GET, Length(5)),
        (200, "Content-Length: 5\r\n", HEAD, None),
        (200, "Transfer-Encoding: chunked\r\n", GET, Chunked),
        (200, "Transfer-Encoding: chunked\r\n", HEAD, None),
        (200, "", GET, UntilClose),
        (200, "", HEAD, None),
        (204, "Content-Length: 5\r\n", GET, None),
        (304, "Content-Length: 5\r\n", GET, None),
        (304, "", GET, None),
        (100, "", GET, None),
        (103, "Link: x\r\n", GET, None),
        (101, "Upgrade: x\r\n", UPGRADE, None),
        (200, "Content-Length: 5\r\n", CONNECT, None),
        (404, "Content-Length: 5\r\n", CONNECT, Length(5)),
    ] {
        let text = format!("HTTP/1.1 {status} x\r\n{fields}\r\n");
        let head = accepted(&text, asked);
        assert_eq!(head.framing, framing, "{text:?} {asked:?}");
        assert_eq!(
            head.upgrade,
            status == 101 || (asked == CONNECT && status == 200),
            "{text:?} {asked:?}"
        );
        assert_eq!(
            head.persistent,
            framing != UntilClose && !head.upgrade,
            "{text:?} {asked:?}"
        );
    }
}

#[test]
fn a_101_is_accepted_only_where_it_was_asked_for() {
    let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    for asked in [GET, HEAD, CONNECT] {
        assert_eq!(parse(text, asked).unwrap_err().reason, Reason::MalformedResponse);
    }
    assert_eq!(written(text, UPGRADE, Version::Http11, true), text);
}

#[test]
fn head_204_and_304_keep_their_content_length() {
    for (status, asked) in [(200, HEAD), (204, GET), (304, GET)] {
        let text = format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(written(&text, asked, Version::Http11, true), text);
        assert!(accepted(&text, asked).persistent);
    }
}

#[test]
fn framing_that_may_not_be_there_is_not_passed_on() {
    for (status, fields, asked, left) in [
        (100, "Content-Length: 0\r\nX: y\r\n", GET, "X: y\r\n"),
        (103, "Transfer-Encoding: chunked\r\n", GET, ""),
        (204, "Transfer-Encoding: chunked\r\n", GET, ""),
        (200, "Content-Length: 5\r\n", CONNECT, ""),
        (200, "Transfer-Encoding: chunked\r\n", CONNECT, ""),
    ] {
        let text = format!("HTTP/1.1 {status} x\r\n{fields}\r\n");
        assert_eq!(
            written(&text, asked, Version::Http11, true),
            format!("HTTP/1.1 {status} x\r\n{left}\r\n")
        );
    }
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let text = "HTTP/1.1 200 OK\r\nConnection: a\r\nA: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\
                Connection: keep-alive, B\r\nb: 2\r\nProxy-Connection: x\r\nX: y\r\n\r\n";
    assert_eq!(
        written(text, GET, Version::Http11, true),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: y\r\n\r\n"
    );
    let required = "HTTP/1.1 426 x\r\nUpgrade: TLS/1.3\r\nContent-Length: 0\r\nConnection: Upgrade\r\n\r\n";
    assert_eq!(written(required, GET, Version::Http11, true), required);
    assert!(written(required, GET, Version::Http11, false).ends_with("Connection: Upgrade, close\r\n\r\n"));
}

#[test]
fn each_client_is_told_how_the_body_ends_and_the_connection_goes_on() {
    const SIZED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const CLOSING: &str = "HTTP/1.0 200 OK\r\n\r\n";
    use Version::Http10;
    use Version::Http11;
    for (text, asked, version, persistent, fields) in [
        (SIZED, GET, Http11, true, "Content-Length: 5\r\n"),
        (SIZED, GET, Http11, false, "Content-Length: 5\r\nConnection: close\r\n"),
        (
            SIZED,
            GET,
            Http10,
            true,
            "Content-Length: 5\r\nConnection: keep-alive\r\n",
        ),
        (SIZED, GET, Http10, false, "Content-Length: 5\r\nConnection: close\r\n"),
        (CHUNKED, GET, Http11, true, "Transfer-Encoding: chunked\r\n"),
        (CHUNKED, GET, Http10, true, "Connection: close\r\n"),
        (CHUNKED, HEAD, Http11, true, "Transfer-Encoding: chunked\r\n"),
        (CHUNKED, HEAD, Http10, true, "Connection: keep-alive\r\n"),
        (CLOSING, GET, Http11, true, "Transfer-Encoding: chunked\r\n"),
        (CLOSING, GET, Http10, true, "Connection: close\r\n"),
        (CLOSING, HEAD, Http11, true, ""),
    ] {
        let expected = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        assert_eq!(
            written(text, asked, version, persistent),
            expected,
            "{text:?} {asked:?} {version:?} {persistent}"
        );
    }
}

#[test]
fn the_servers_patience_is_read() {
    for (fields, timeout, persistent) in [
        ("Keep-Alive: timeout=5, max=100\r\n", Some(5), true),
        ("Keep-Alive: max=3, Timeout = 7\r\n", Some(7), true),
        ("Keep-Alive: timeout=99999999999\r\n", Some(u32::MAX), true),
        ("Keep-Alive: timeout=-1\r\n", None, true),
        ("Keep-Alive: timeout\r\n", None, true),
        ("Connection: close\r\n", None, false),
    ] {
        let head = accepted(&format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n"), GET);
        assert_eq!(
            (head.keep_alive_timeout, head.persistent),
            (timeout, persistent),
            "{fields:?}"
        );
    }
    assert!(!accepted("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", GET).persistent);
    assert!(
        accepted(
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            GET
        )
        .persistent
    );
}

#[test]
fn http_2_gets_no_hop_by_hop_fields() {
    let text = "HTTP/1.1 200 OK\r\nConnection: x\r\nX: 1\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
                Upgrade: h2\r\nKeep-Alive: timeout=1\r\nTrailer: t\r\n\r\n";
    let response = accepted(text, GET).to_http(text.as_bytes()).unwrap();
    let fields: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    assert_eq!(
        fields,
        [("set-cookie", &b"a"[..]), ("set-cookie", b"b"), ("trailer", b"t")]
    );
}
