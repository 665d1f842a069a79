//! What real clients send first: captured from them, or for those that are not at hand as their documents have it.

use evenkeel_proxy::protocol::detect::sniff::Evidence;
use evenkeel_proxy::protocol::detect::sniff::Sniffed;
use evenkeel_proxy::protocol::detect::sniff::client;

/// What is to be made of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
    Tls,
    Opaque,
}

/// The bytes after which a client waits for its server.
#[derive(Clone, Debug)]
pub(crate) struct Prologue {
    pub(crate) name: &'static str,
    pub(crate) spoken: Spoken,
    pub(crate) bytes: Vec<u8>,
}

impl Spoken {
    /// Its verdict in the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::Opaque => "opaque",
        }
    }

    pub(crate) fn is_http(self) -> bool {
        matches!(self, Self::Http1 | Self::Http2)
    }
}

/// Whether these first bytes of a client say nothing yet.
pub(crate) fn is_undecided(bytes: &[u8]) -> bool {
    client(bytes, &Evidence::default()) == Sniffed::NeedMore
}

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS without a setting.
pub(crate) const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// The frame that asks for `/` with GET on this stream: entries of HPACK's static table, and an authority.
pub(crate) fn get(stream: u8) -> Vec<u8> {
    [&b"\0\0\x06\x01\x05\0\0\0"[..], &[stream], b"\x82\x86\x84\x01\x01a"].concat()
}

const GET: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: web.test\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
const POST: &[u8] = b"POST /form HTTP/1.1\r\nHost: web.test\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\
    Content-Length: 10\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nname=value";
const MONGO: &[u8] = b"\x37\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\
    \x22\0\0\0\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0";
const NATS: &[u8] =
    b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"go\",\"version\":\"1.31.0\"}\r\nPING\r\n";

pub(crate) fn all() -> Vec<Prologue> {
    let http2 = [PREFACE, SETTINGS, &get(1)].concat();
    let post_quantum = hello(&[(0x11ec, &[7; 1216]), X25519]);
    assert!(post_quantum.len() > 1536);
    let rows: [(&str, Spoken, &[u8]); 22] = [
        ("curl's GET", Spoken::Http1, GET),
        ("curl's POST", Spoken::Http1, POST),
        ("HTTP/2", Spoken::Http2, &http2),
        ("openssl's hello", Spoken::Tls, &hello(&[X25519])),
        ("a post-quantum hello", Spoken::Tls, &post_quantum),
        ("redis-cli", Spoken::Opaque, b"*2\r\n$3\r\nget\r\n$1\r\nk\r\n"),
        ("Redis, inline", Spoken::Opaque, b"GET key\r\n"),
        ("PostgreSQL, SSL", Spoken::Opaque, b"\0\0\0\x08\x04\xd2\x16\x2f"),
        ("PostgreSQL", Spoken::Opaque, b"\0\0\0\x12\0\x03\0\0user\0me\0\0"),
        (
            "Kafka",
            Spoken::Opaque,
            b"\0\0\0\x12\0\x12\0\x03\0\0\0\x01\0\x07rdkafka\0",
        ),
        ("MongoDB", Spoken::Opaque, MONGO),
        ("AMQP 0-9-1", Spoken::Opaque, b"AMQP\0\0\x09\x01"),
        ("MQTT 3.1.1", Spoken::Opaque, b"\x10\x0e\0\x04MQTT\x04\x02\0<\0\x02ab"),
        ("NATS", Spoken::Opaque, NATS),
        ("memcached", Spoken::Opaque, b"version\r\n"),
        ("memcached, gets", Spoken::Opaque, b"get some-key\r\n"),
        ("SMTP", Spoken::Opaque, b"EHLO client.test\r\n"),
        ("SSH", Spoken::Opaque, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        ("a telnet line", Spoken::Opaque, b"help\r\n"),
        ("one byte", Spoken::Opaque, b"\n"),
        (
            "binary that begins with a method",
            Spoken::Opaque,
            b"GET \0\x01\xff\xfe",
        ),
        ("no line", Spoken::Opaque, &[b'x'; 64]),
    ];
    let prologue = |(name, spoken, bytes): (_, _, &[u8])| Prologue {
        name,
        spoken,
        bytes: bytes.to_vec(),
    };
    rows.into_iter().map(prologue).collect()
}

/// A group and a key for it.
type Share<'a> = (u16, &'a [u8]);

const X25519: Share<'_> = (0x1d, &[7; 32]);

/// openssl's `ClientHello` with these key shares. With X25519MLKEM768 (0x11ec) and the classic one, as browsers send
/// them, it fits no single packet.
fn hello(shares: &[Share<'_>]) -> Vec<u8> {
    let share = |(group, key): &Share<'_>| [&group.to_be_bytes()[..], &sized(2, key)].concat();
    let shares: Vec<u8> = shares.iter().flat_map(share).collect();
    let extensions = [EXTENSIONS, b"\0\x33", &sized(2, &sized(2, &shares))].concat();
    let body = [UP_TO_EXTENSIONS, &sized(2, &extensions)].concat();
    let message = [&[1][..], &sized(3, &body)].concat();
    [b"\x16\x03\x01", &*sized(2, &message)].concat()
}

fn sized(width: usize, content: &[u8]) -> Vec<u8> {
    [&content.len().to_be_bytes()[8 - width..], content].concat()
}

/// Version, random, session, cipher suites, compression.
const UP_TO_EXTENSIONS: &[u8] =
    b"\x03\x03\xc3T\x18\xc9\x9fp\xb6\xe1j\x85_\xbf6)!Y\xd3\xd3\x1c\xc5\x85`B\xd3w\xbcY#\x92\xbdk- \xca\xfe\x0e\xb4\
    \xd3+v\x94YU\xb3\0\xdd\x16\xa1\xb8\xbe\x1d\x84\x98\xcb}\xf8\xb0\x95v\x15\x0b\x19K\xa0\xb6\0>\x13\x02\x13\x03\
    \x13\x01\xc0,\xc00\0\x9f\xcc\xa9\xcc\xa8\xcc\xaa\xc0+\xc0/\0\x9e\xc0$\xc0(\0k\xc0#\xc0'\0g\xc0\x0a\xc0\x14\0\
    9\xc0\x09\xc0\x13\x003\0\x9d\0\x9c\0=\0<\x005\0/\0\xff\x01\0";
/// The server's name, ALPN and others, without the key share.
const EXTENSIONS: &[u8] =
    b"\0\0\0\x0d\0\x0b\0\0\x08web.test\0\x0b\0\x04\x03\0\x01\x02\0\x0a\0\x16\0\x14\0\x1d\0\x17\0\x1e\0\x19\0\x18\
    \x01\0\x01\x01\x01\x02\x01\x03\x01\x04\0#\0\0\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1\0\x16\0\0\0\x17\0\0\0\x0d\
    \0*\0(\x04\x03\x05\x03\x06\x03\x08\x07\x08\x08\x08\x09\x08\x0a\x08\x0b\x08\x04\x08\x05\x08\x06\x04\x01\x05\
    \x01\x06\x01\x03\x03\x03\x01\x03\x02\x04\x02\x05\x02\x06\x02\0+\0\x09\x08\x03\x04\x03\x03\x03\x02\x03\x01\0-\
    \0\x02\x01\x01";
