//! The first bytes of a connection: a verdict, once given, is the verdict for every longer prefix.

use std::fmt::Debug;

use evenkeel_proxy::protocol::detect::sniff::ClientHello;
use evenkeel_proxy::protocol::detect::sniff::Evidence;
use evenkeel_proxy::protocol::detect::sniff::ServerSpoke;
use evenkeel_proxy::protocol::detect::sniff::Sniffed;
use evenkeel_proxy::protocol::detect::sniff::client;
use evenkeel_proxy::protocol::detect::sniff::client_hello as read_hello;
use evenkeel_proxy::protocol::detect::sniff::server;

use super::prefixes;

/// What a client sends first.
pub fn sniff_client(bytes: &[u8]) {
    let judge = |http_required| {
        let evidence = Evidence { http_required };
        assert_never_taken_back(bytes, Sniffed::NeedMore, |prefix| match client(prefix, &evidence) {
            Sniffed::Opaque(_) => Verdict::Opaque,
            verdict => Verdict::Of(verdict),
        })
    };
    let (undeclared, declared) = (judge(false), judge(true));
    // To know more can only decide what the bytes leave open.
    if !matches!(undeclared, Verdict::Opaque | Verdict::Of(Sniffed::NeedMore)) {
        assert_eq!(declared, undeclared, "declared as HTTP it is something else");
    }
}

/// What a server sends first.
pub fn sniff_server(bytes: &[u8]) {
    assert_never_taken_back(bytes, ServerSpoke::NeedMore, |prefix| match server(prefix) {
        ServerSpoke::ServerFirst(_) => Verdict::Opaque,
        verdict => Verdict::Of(verdict),
    });
}

/// A TLS `ClientHello`, and what it asks for.
pub fn client_hello(bytes: &[u8]) {
    let last = assert_never_taken_back(bytes, ClientHello::NeedMore, |prefix| Verdict::Of(read_hello(prefix)));
    if let Verdict::Of(ClientHello::Complete(hello)) = last {
        if let Some(name) = hello.sni {
            assert!(
                (1..=253).contains(&name.len())
                    && name
                        .bytes()
                        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')),
                "{name:?} is no host name"
            );
        }
        for protocol in hello.alpn {
            assert!(!protocol.is_empty() && protocol.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}

/// A verdict without its label, which is told by what there is, and on which nothing depends.
#[derive(Debug, PartialEq, Eq)]
enum Verdict<T> {
    Opaque,
    Of(T),
}

/// Judges prefixes and the whole, whose verdict it returns.
fn assert_never_taken_back<T: Debug + PartialEq>(
    bytes: &[u8],
    undecided: T,
    judge: impl Fn(&[u8]) -> Verdict<T>,
) -> Verdict<T> {
    let undecided = Verdict::Of(undecided);
    let last = judge(bytes);
    for prefix in prefixes(bytes) {
        let early = judge(prefix);
        assert!(
            early == undecided || early == last,
            "{early:?} of {} bytes before {last:?}",
            prefix.len()
        );
    }
    last
}
