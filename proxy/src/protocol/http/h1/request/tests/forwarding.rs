//! What an accepted request means, and how it goes on.

use super::*;

fn names(fields: &str) -> String {
    written(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}X: y\r\n\r\n"))
        .strip_prefix("GET / HTTP/1.1\r\nHost: a\r\n")
        .expect("the start is untouched")
        .to_owned()
}

#[test]
fn an_ordinary_request_is_read_and_goes_on_verbatim() {
    let text =
        "POST /a/../b//c?d=e HTTP/1.1\r\nhOsT: Shop.example:8080\r\nContent-Length: 5\r\nX-Odd:\t v \r\n\r\nhello";
    let head = accepted(text);
    let bytes = text.as_bytes();
    assert_eq!(head.length, text.len() - 5);
    assert_eq!(head.method, Method::POST);
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.form, TargetForm::Origin);
    assert_eq!(head.target.of(bytes), b"/a/../b//c?d=e");
    assert_eq!(head.path(bytes), b"/a/../b//c");
    assert_eq!(head.query(bytes), Some(&b"d=e"[..]));
    assert_eq!(head.authority(bytes), Some(&b"Shop.example:8080"[..]));
    assert_eq!(head.framing, Framing::Length(5));
    assert!(head.persistent && !head.upgrade && !head.expect_continue && !head.te_trailers && !head.grpc);
    assert!(!head.idempotent());
    assert_eq!(head.fields(bytes).count(), 3);
    assert_eq!(written(text), text[..head.length]);
}

#[test]
fn every_connection_line_is_obeyed() {
    assert_eq!(
        names("Connection: a, b\r\nA: 1\r\nConnection: C\r\nb: 2\r\nc: 3\r\nA: 4\r\n"),
        "X: y\r\n\r\n"
    );
    assert_eq!(
        names("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive\r\n"),
        "X: y\r\n\r\n"
    );
    assert_eq!(names("C: 3\r\nConnection: , d ,c\r\n"), "X: y\r\n\r\n");
    let many = "Connection: a\r\nA: 1\r\nB: 2\r\nA: 3\r\nKeep-Alive: x\r\n".repeat(6);
    assert_eq!(names(&many), format!("{}X: y\r\n\r\n", "B: 2\r\n".repeat(6)));
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", "a,".repeat(65));
    assert_eq!(
        parse(&endless).unwrap_err(),
        Fault::malformed("too many Connection options")
    );
}

#[test]
fn framing_cannot_be_cut_by_naming_it() {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\
                Connection: host, content-length, transfer-encoding, expect\r\n\r\n";
    let kept = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(written(text), kept);
}

#[test]
fn trailers_are_asked_for_anew() {
    assert_eq!(
        names("TE: deflate, Trailers\r\n"),
        "X: y\r\nConnection: TE\r\nTE: trailers\r\n\r\n"
    );
    assert_eq!(
        names("Connection: TE\r\nTE: trailers\r\n"),
        "X: y\r\nConnection: TE\r\nTE: trailers\r\n\r\n"
    );
    assert_eq!(names("Connection: TE\r\nTE: deflate\r\n"), "X: y\r\n\r\n");
}

#[test]
fn an_upgrade_is_passed_on_unless_it_is_h2c() {
    let upgrade = |fields: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        (
            accepted(&text).upgrade,
            written(&text).replacen("GET / HTTP/1.1\r\nHost: a\r\n", "", 1),
        )
    };
    for (fields, asked, forwarded) in [
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\n",
            true,
            "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        ),
        (
            "Connection: keep-alive, UPGRADE\r\nUpgrade: TLS/1.2\r\n",
            true,
            "Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n\r\n",
        ),
        (
            "Connection: x, Upgrade\r\nX: 1\r\nUpgrade: websocket\r\n",
            true,
            "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        ),
        ("Upgrade: websocket\r\n", false, "\r\n"),
        ("Connection: Upgrade\r\n", false, "\r\n"),
        (
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
            false,
            "\r\n",
        ),
        ("HTTP2-Settings: AAMA\r\n", false, "\r\n"),
        (
            "Connection: Upgrade\r\nUpgrade: H2C, websocket\r\nUpgrade: a, h2c\r\n",
            true,
            "Upgrade: websocket, a\r\nConnection: Upgrade\r\n\r\n",
        ),
        (
            "Connection: Upgrade\r\nUpgrade: a\r\nTE: trailers\r\n",
            true,
            "Upgrade: a\r\nConnection: Upgrade, TE\r\nTE: trailers\r\n\r\n",
        ),
    ] {
        assert_eq!(upgrade(fields), (asked, forwarded.to_owned()), "{fields:?}");
    }
}

#[test]
fn the_authority_of_an_absolute_target_wins_over_host() {
    for (target, host, authority, path) in [
        ("http://b:81/x?y", "a", "b:81", "/x"),
        ("HTTP://b", "a", "b", "/"),
        ("https://b?y=/z", "a", "b", "/"),
        ("http://[::1]:80/", "", "[::1]:80", "/"),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nX: y\r\nHost: {host}\r\n\r\n");
        let head = accepted(&text);
        assert_eq!(head.form, TargetForm::Absolute);
        assert_eq!(head.authority(text.as_bytes()), Some(authority.as_bytes()));
        assert_eq!(head.path(text.as_bytes()), path.as_bytes());
        assert_eq!(
            written(&text),
            format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\nX: y\r\n\r\n")
        );
    }
    let same = "GET http://b/ HTTP/1.1\r\nX: y\r\nHost: b\r\n\r\n";
    assert_eq!(written(same), same);
}

#[test]
fn connect_has_an_authority_and_no_body() {
    let text = "CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = accepted(text);
    assert_eq!(head.form, TargetForm::Authority);
    assert_eq!(head.authority(text.as_bytes()), Some(&b"b:443"[..]));
    assert_eq!(written(text), "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n");
    for body in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"] {
        let text = format!("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n{body}\r\n");
        assert_eq!(parse(&text).unwrap_err(), Fault::malformed("CONNECT with a body"));
    }
}

#[test]
fn http_1_0_goes_up_as_1_1_if_a_host_is_known() {
    for (text, forwarded) in [
        (
            "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nTE: trailers\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        (
            "GET http://a/ HTTP/1.0\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        ("GET / HTTP/1.0\r\nX: y\r\n\r\n", "GET / HTTP/1.0\r\nX: y\r\n\r\n"),
        (
            "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
    ] {
        assert_eq!(written(text), forwarded);
        assert!(!accepted(text).expect_continue && !accepted(text).upgrade && !accepted(text).te_trailers);
    }
}

#[test]
fn persistence_follows_version_and_connection() {
    for (version, connection, persistent) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x\r\nConnection: keep-alive, Close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        assert_eq!(accepted(&text).persistent, persistent, "{text:?}");
    }
}

#[test]
fn a_field_can_be_kept_from_the_upstream_in_any_case() {
    let text = "GET / HTTP/1.1\r\nX-Identity: me\r\nHost: a\r\nConnection: close\r\nx-identity: you\r\nX: y\r\n\r\n";
    let mut head = accepted(text);
    head.cut(text.as_bytes(), "x-identity");
    let mut out = Vec::new();
    head.write_h1(text.as_bytes(), &mut out);
    write::append_field(&mut out, "x-identity", b"she");
    assert_eq!(out, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nx-identity: she\r\n\r\n");
}

#[test]
fn http_2_gets_the_authority_and_no_hop_by_hop_fields() {
    let text = "GET /a?b HTTP/1.1\r\nHost: A.example:80\r\nConnection: keep-alive, x\r\nX: 1\r\nKeep-Alive: 5\r\n\
                TE: trailers\r\nTransfer-Encoding: chunked\r\nCookie: a=b; c\r\nUpgrade: foo\r\nAccept: *\r\nAccept: b\r\n\r\n";
    let request = accepted(text).to_http(text.as_bytes()).unwrap();
    assert_eq!(request.uri().to_string(), "http://A.example:80/a?b");
    assert_eq!(request.version(), http::Version::HTTP_2);
    let fields: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let expected: [(&str, &[u8]); 4] = [
        ("cookie", b"a=b; c"),
        ("accept", b"*"),
        ("accept", b"b"),
        ("te", b"trailers"),
    ];
    assert_eq!(fields.len(), expected.len(), "{fields:?}");
    assert!(expected.iter().all(|field| fields.contains(field)), "{fields:?}");
}

#[test]
fn http_2_targets_follow_their_form() {
    for (line, host, uri) in [
        ("OPTIONS * HTTP/1.1", "Host: a\r\n", ("http", "a", "*")),
        ("OPTIONS http://a HTTP/1.1", "Host: a\r\n", ("http", "a", "*")),
        ("GET https://b?x HTTP/1.1", "Host: a\r\n", ("https", "b", "/?x")),
        ("GET / HTTP/1.0", "", ("", "", "/")),
        ("GET / HTTP/1.1", "Host:\r\n", ("", "", "/")),
        ("GET / HTTP/1.1", "Host: a:\r\n", ("http", "a:", "/")),
        ("CONNECT a:1 HTTP/1.1", "Host: a:1\r\n", ("", "a:1", "")),
        ("GET /ü HTTP/1.1", "Host: a\r\n", ("http", "a", "/ü")),
    ] {
        let text = format!("{line}\r\n{host}\r\n");
        let request = accepted(&text)
            .to_http(text.as_bytes())
            .unwrap_or_else(|fault| panic!("{line}: {fault}"));
        let parts = request.uri().clone().into_parts();
        let found = (
            parts.scheme.as_ref().map_or("", |scheme| scheme.as_str()),
            parts.authority.as_ref().map_or("", |authority| authority.as_str()),
            parts.path_and_query.as_ref().map_or("", |path| path.as_str()),
        );
        assert_eq!(found, uri, "{line}");
        assert_eq!(request.version() == http::Version::HTTP_2, !uri.1.is_empty(), "{line}");
        assert!(request.headers().is_empty());
    }
}

#[test]
fn grpc_is_told_by_its_content_type() {
    for (content_type, grpc) in [
        ("application/grpc", true),
        ("Application/gRPC+proto", true),
        ("application/grpc;x", true),
        ("application/grpc-web", false),
        ("application/json", false),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n\r\n");
        assert_eq!(accepted(&text).grpc, grpc, "{content_type}");
    }
}
