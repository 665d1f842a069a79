//! What is refused, and what only looks as if it should be.

use super::*;
use crate::failure::Reason;

/// Refuses each of `fields` in an otherwise good request, for the reason that stands before it.
fn assert_refused(refused: &[(&str, &[&str])]) {
    for (detail, all) in refused {
        for fields in *all {
            let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let fault = parse(&text).expect_err(&text);
            assert_eq!(
                (fault.reason, fault.detail),
                (Reason::MalformedRequest, *detail),
                "{text:?}"
            );
        }
    }
}

#[test]
fn framing_is_strict() {
    assert_refused(&[
        (
            "Content-Length beside Transfer-Encoding",
            &[
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            ],
        ),
        (
            "Content-Length more than once",
            &[
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                "Content-Length: 5\r\ncontent-length: 5\r\n",
            ],
        ),
        (
            "a Content-Length that is not one number",
            &[
                "Content-Length: 5, 5\r\n",
                "Content-Length: 5 5\r\n",
                "Content-Length: +5\r\n",
                "Content-Length: -0\r\n",
                "Content-Length: 0x5\r\n",
                "Content-Length: 5.0\r\n",
                "Content-Length:\r\n",
                "Content-Length: 9223372036854775808\r\n",
            ],
        ),
        (
            "the last transfer coding is not chunked",
            &[
                "Transfer-Encoding: xchunked\r\n",
                "Transfer-Encoding: gzip\r\n",
                "Transfer-Encoding: identity\r\n",
                "Transfer-Encoding: chunked;a=b\r\n",
                "Transfer-Encoding: \"chunked\"\r\n",
            ],
        ),
        (
            "chunked is not the last transfer coding",
            &[
                "Transfer-Encoding: chunked, gzip\r\n",
                "Transfer-Encoding: chunked, chunked\r\n",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            ],
        ),
        (
            "an empty element in Transfer-Encoding",
            &[
                "Transfer-Encoding:\r\n",
                "Transfer-Encoding: ,chunked\r\n",
                "Transfer-Encoding: chunked,\r\n",
            ],
        ),
        (
            "a control byte in a field value",
            &["Transfer-Encoding: \u{b}chunked\r\n"],
        ),
        ("Host more than once", &["Host: a\r\n", "host: b\r\n"]),
    ]);
}

#[test]
fn lines_are_strict() {
    assert_refused(&[
        (
            "space between a field name and its colon",
            &["Transfer-Encoding : chunked\r\n", "X\t: y\r\n"],
        ),
        ("a folded line", &["X: y\r\n folded\r\n", " X: y\r\n", "\tX: y\r\n"]),
        ("an empty field name", &[": y\r\n"]),
        ("a field line without a colon", &["X\r\n"]),
        (
            "a byte in a field name that is not of a token",
            &["X\0: y\r\n", "X(: y\r\n", "X\u{fc}: y\r\n", "X\r: y\r\n", "\r\r\n"],
        ),
        (
            "a control byte in a field value",
            &[
                "X: a\0b\r\n",
                "X: a\rb\r\n",
                "X: a\r\r\n",
                "X: a\u{7f}b\r\n",
                "X: a\u{8}b\r\n",
            ],
        ),
        ("a line feed without a carriage return", &["X: a\n", "\n", "X: a\n\r\n"]),
    ]);
}

#[test]
fn request_lines_are_strict() {
    let long = format!("{} / HTTP/1.1", "M".repeat(65));
    let refused: [(&str, &[&str]); 6] = [
        (
            "the method is not a token",
            &[
                "",
                " GET / HTTP/1.1",
                "G(T / HTTP/1.1",
                "GET\t/ HTTP/1.1",
                "GET",
                "\u{fc} / HTTP/1.1",
                &long,
            ],
        ),
        ("a request line without a version", &["GET /", "GET "]),
        (
            "the version is not HTTP/1.0 or HTTP/1.1",
            &[
                "GET  / HTTP/1.1",
                "GET /  HTTP/1.1",
                "GET / HTTP/1.1 ",
                "GET /a b HTTP/1.1",
                "GET / HTTP/1.1\r",
                "GET / HTTP/2.0",
                "GET / HTTP/1.2",
                "GET / HTTP/0.9",
                "GET / http/1.1",
                "GET / HTTP/1",
                "PRI * HTTP/2.0",
            ],
        ),
        (
            "a byte in the target that may not stand there",
            &[
                "GET /\0 HTTP/1.1",
                "GET /a\tb HTTP/1.1",
                "GET /a#b HTTP/1.1",
                "GET /a\u{7f} HTTP/1.1",
            ],
        ),
        ("a target of no known form", &["GET * HTTP/1.1", "GET a HTTP/1.1"]),
        (
            "CONNECT wants a host and a port",
            &["CONNECT / HTTP/1.1", "CONNECT a HTTP/1.1"],
        ),
    ];
    for (detail, lines) in refused {
        for line in lines {
            let text = format!("{line}\r\nHost: a\r\n\r\n");
            assert_eq!(parse(&text).expect_err(&text), Fault::malformed(detail), "{text:?}");
        }
    }
    for line in [
        "GET /ü HTTP/1.1",
        "QUERY /\"<>\\^`{|} HTTP/1.1",
        "!#$%&'*+-.^_`|~ / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ] {
        let text = format!("{line}\r\nHost: a\r\n\r\n");
        assert_eq!(written(&text), text);
    }
}

#[test]
fn one_empty_line_may_come_first_and_is_not_passed_on() {
    assert_eq!(
        written("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    );
    for text in [
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(
            parse(text).expect_err(text).reason,
            Reason::MalformedRequest,
            "{text:?}"
        );
    }
}

#[test]
fn host_is_one_sane_host_and_required_from_1_1_on() {
    for host in ["a b", "a,b", "user@a", "a/b", "a:b", "[::1", "a\u{e9}"] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(
            parse(&text).expect_err(&text),
            Fault::malformed("Host is not a host and a port")
        );
    }
    assert_eq!(
        parse("GET / HTTP/1.1\r\n\r\n").unwrap_err(),
        Fault::malformed("HTTP/1.1 without Host")
    );
    assert_eq!(
        parse("GET http://a/ HTTP/1.1\r\n\r\n").unwrap_err(),
        Fault::malformed("HTTP/1.1 without Host")
    );
    let text = "GET / HTTP/1.1\r\nHost:\r\n\r\n";
    assert_eq!(accepted(text).authority(text.as_bytes()), None);
    assert_eq!(written(text), text);
}

#[test]
fn codings_that_we_do_not_know_are_not_implemented() {
    for fields in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(parse(&text).expect_err(&text).reason, Reason::UnknownCoding, "{text:?}");
    }
    let text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \t Chunked \r\n\r\n";
    assert_eq!(accepted(text).framing, Framing::Chunked);
    let text = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        parse(text).unwrap_err(),
        Fault::malformed("Transfer-Encoding in HTTP/1.0")
    );
}

#[test]
fn heads_beyond_the_limits_are_too_large() {
    let head = |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields));
    let limits = HeadLimits {
        bytes: head(3).len(),
        fields: 4,
    };
    let reason = |text: &[u8]| request(text, &limits).map_err(|fault| fault.reason);
    assert!(matches!(reason(head(3).as_bytes()), Ok(Parsed::Complete(_))));
    assert!(matches!(
        reason(&head(3).as_bytes()[..head(3).len() - 1]),
        Ok(Parsed::Partial)
    ));
    assert_eq!(reason(head(4).as_bytes()).err(), Some(Reason::HeadTooLarge), "fields");
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(limits.bytes));
    for length in 0..limits.bytes {
        assert!(
            matches!(reason(&long.as_bytes()[..length]), Ok(Parsed::Partial)),
            "at {length}"
        );
    }
    for length in limits.bytes..long.len() {
        assert_eq!(
            reason(&long.as_bytes()[..length]).err(),
            Some(Reason::HeadTooLarge),
            "at {length}"
        );
    }
}
