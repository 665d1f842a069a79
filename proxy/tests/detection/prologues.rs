//! What clients send first: files are captures of real programs (the `captures/README.md` beside them says of which), bytes that stand here
//! were written after the documents.

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

macro_rules! captured {
    ($name:literal) => {
        include_bytes!(concat!("../../src/protocol/detect/sniff/captures/", $name, ".bin"))
    };
}

pub(crate) fn all() -> Vec<Prologue> {
    let http2 = [PREFACE, SETTINGS, &get(1)].concat();
    let post_quantum = captured!("chromium");
    assert!(post_quantum.len() > 1536, "it fits no single packet");
    let rows: [(&str, Spoken, &[u8]); 26] = [
        ("curl's GET", Spoken::Http1, captured!("curl-get")),
        ("curl's POST", Spoken::Http1, captured!("curl-post")),
        ("HTTP/2", Spoken::Http2, &http2),
        ("curl's HTTP/2", Spoken::Http2, captured!("curl-http2")),
        ("openssl's hello", Spoken::Tls, captured!("openssl")),
        ("Chromium's post-quantum hello", Spoken::Tls, post_quantum),
        ("redis-cli", Spoken::Opaque, captured!("redis-cli")),
        ("redis-py", Spoken::Opaque, captured!("redis-py")),
        ("Redis, inline", Spoken::Opaque, b"GET key\r\n"),
        ("psql, TLS", Spoken::Opaque, captured!("psql-ssl")),
        ("psql", Spoken::Opaque, captured!("psql")),
        ("librdkafka", Spoken::Opaque, captured!("librdkafka")),
        ("kafka-python", Spoken::Opaque, captured!("kafka-python")),
        ("PyMongo", Spoken::Opaque, captured!("pymongo-balanced")),
        ("pika, AMQP 0-9-1", Spoken::Opaque, captured!("pika")),
        ("paho, MQTT 3.1.1", Spoken::Opaque, captured!("paho-mqtt")),
        ("paho, MQTT 5", Spoken::Opaque, captured!("paho-mqtt5")),
        ("nats-py", Spoken::Opaque, captured!("nats-py")),
        ("memcached", Spoken::Opaque, b"version\r\n"),
        ("memcached, gets", Spoken::Opaque, b"get some-key\r\n"),
        ("smtplib", Spoken::Opaque, captured!("smtplib")),
        ("ssh", Spoken::Opaque, captured!("ssh")),
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
