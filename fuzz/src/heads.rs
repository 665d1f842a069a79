//! Heads: a prefix never says what the whole does not, and what is written again means what was read.

use std::fmt::Debug;

use evenkeel_proxy::protocol::http::h1::Asked;
use evenkeel_proxy::protocol::http::h1::Delivery;
use evenkeel_proxy::protocol::http::h1::Downstream;
use evenkeel_proxy::protocol::http::h1::Fault;
use evenkeel_proxy::protocol::http::h1::Framing;
use evenkeel_proxy::protocol::http::h1::HeadLimits;
use evenkeel_proxy::protocol::http::h1::Parsed;
use evenkeel_proxy::protocol::http::h1::RequestHead;
use evenkeel_proxy::protocol::http::h1::ResponseHead;
use evenkeel_proxy::protocol::http::h1::Version;
use evenkeel_proxy::protocol::http::h1::head_end;
use evenkeel_proxy::protocol::http::h1::request;
use evenkeel_proxy::protocol::http::h1::response;
use evenkeel_proxy::protocol::http::h1::write;

use super::prefixes;

/// Small, so that they are met.
const LIMITS: HeadLimits = HeadLimits {
    bytes: 2048,
    fields: 24,
};
/// For what is written again, which may be longer by a few fields of our own.
const AGAIN: HeadLimits = HeadLimits {
    bytes: 8192,
    fields: 32,
};

/// A connection that begins with a request head.
pub fn request_head(bytes: &[u8]) {
    let parse = |bytes: &[u8]| request(bytes, &LIMITS);
    let Some(head) = whole(bytes, parse, |head| head.length) else {
        return;
    };
    let mut out = Vec::new();
    head.write_h1(bytes, &mut out);
    let again = complete(request(&out, &AGAIN), &out);
    assert_eq!((again.length, again.version), (out.len(), head.upstream_version()));
    assert_same_request((&again, &out), (&head, bytes));
    assert_eq!((again.target.of(&out), again.form), (head.target.of(bytes), head.form));
    assert_eq!(
        (again.path(&out), again.query(&out)),
        (head.path(bytes), head.query(bytes))
    );
    assert_eq!((again.upgrade, again.te_trailers), (head.upgrade, head.te_trailers));

    let Ok(http) = head.to_http(bytes) else { return };
    let mut out = Vec::new();
    write::request_head(&http.into_parts().0, head.framing, &mut out);
    let mut again = complete(request(&out, &AGAIN), &out);
    if head.framing == Framing::None && again.framing == Framing::Length(0) {
        again.framing = Framing::None;
    }
    assert_same_request((&again, &out), (&head, bytes));
}

fn assert_same_request((again, out): (&RequestHead, &[u8]), (head, bytes): (&RequestHead, &[u8])) {
    assert_eq!(again.method, head.method);
    assert_eq!(again.framing, head.framing);
    assert_eq!(again.authority(out), head.authority(bytes));
    assert_eq!(again.grpc, head.grpc);
    assert_eq!(again.expect_continue, head.expect_continue);
}

/// A connection that begins with a response head, to each kind of request.
pub fn response_head(bytes: &[u8]) {
    for number in 0..8 {
        let asked = Asked {
            head: number & 1 != 0,
            connect: number & 2 != 0,
            upgrade: number & 4 != 0,
        };
        let parse = |bytes: &[u8]| response(bytes, asked, &LIMITS);
        if let Some(head) = whole(bytes, parse, |head| head.length) {
            for version in [Version::Http10, Version::Http11] {
                assert_written_for(version, &head, bytes, asked);
            }
            let http = head.to_http(bytes).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(http.status(), head.status);
        }
    }
}

fn assert_written_for(version: Version, head: &ResponseHead, bytes: &[u8], asked: Asked) {
    let delivery = head.delivery(version);
    let downstream = Downstream {
        version,
        persistent: true,
        delivery,
    };
    let mut out = Vec::new();
    head.write_h1(bytes, downstream, &mut out);
    let again = complete(response(&out, asked, &AGAIN), &out);
    assert_eq!(
        (again.length, again.status, again.upgrade, again.grpc),
        (out.len(), head.status, head.upgrade, head.grpc)
    );
    let framing = match delivery {
        Delivery::Verbatim => head.framing,
        Delivery::ToChunked => Framing::Chunked,
        Delivery::UntilClose => Framing::UntilClose,
    };
    assert_eq!(again.framing, framing);
    assert_eq!(again.persistent, framing != Framing::UntilClose && !again.upgrade);
}

/// Parses `bytes`, after checking that no prefix of them is told otherwise; the head, if there is one.
fn whole<T: Debug>(
    bytes: &[u8],
    parse: impl Fn(&[u8]) -> Result<Parsed<T>, Fault>,
    length: impl Fn(&T) -> usize,
) -> Option<T> {
    let whole = parse(bytes);
    for prefix in prefixes(bytes) {
        match (parse(prefix), &whole) {
            (Ok(Parsed::Partial), _) => {}
            (Ok(Parsed::Complete(early)), Ok(Parsed::Complete(late))) => assert_eq!(length(&early), length(late)),
            (Err(early), Err(late)) => assert_eq!(early, *late),
            (early, _) => panic!("{early:?} of {} bytes before {whole:?}", prefix.len()),
        }
    }
    match whole {
        Ok(Parsed::Complete(head)) => {
            assert_eq!(head_end(bytes, 0), Some(length(&head)));
            Some(head)
        }
        _ => None,
    }
}

fn complete<T: Debug>(parsed: Result<Parsed<T>, Fault>, bytes: &[u8]) -> T {
    match parsed {
        Ok(Parsed::Complete(head)) => head,
        other => panic!("written again it is {other:?}: {}", bytes.escape_ascii()),
    }
}
