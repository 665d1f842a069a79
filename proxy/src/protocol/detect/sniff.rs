//! What the first bytes of a connection say: a pure function of the whole prefix so far.
//!
//! A verdict, once given, is the verdict for every longer prefix, so that it does not matter how the bytes were split:
//! each question below answers yes, no or not yet, and no answer but the last is ever taken back. Only a label, which
//! nothing depends on, is told by what there is. What can no longer be
//! any protocol that we know is decided at its first impossible byte, for nothing may wait that need not.
//!
//! To add a protocol: a variant of `Hint`, and its test and place in `signatures`.

mod hello;
mod request_line;
mod server;
mod signatures;

use crate::failure::Reason;

pub use hello::ClientHello;
pub use hello::Hello;
pub use hello::client_hello;
pub use server::ServerHint;
pub use server::ServerSpoke;
pub use server::server;

/// What we know of the destination beside the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence {
    /// HTTP is declared: any method is one, and a line that is no request line is refused, not relayed.
    pub http_required: bool,
}

/// What the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// Undecided.
    NeedMore,
    /// HTTP/1, or what meant to be: from here its parser judges, and refuses aloud.
    Http1,
    /// HTTP/2 with prior knowledge: its whole preface.
    Http2,
    /// A TLS `ClientHello`.
    Tls,
    /// Bytes to be relayed as they are.
    Opaque(Hint),
    /// Not to be relayed: HTTP that is broken before its parser could say so, or a line of text where HTTP is declared.
    BadHttp(Reason),
}

/// What opaque bytes look like: a metric's label, and nothing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// RESP.
    Redis,
    /// The `PostgreSQL` startup, or its SSL, GSS or cancel request.
    Postgres,
    /// The `MongoDB` wire protocol.
    Mongo,
    /// A Kafka request of a version that clients begin with.
    Kafka,
    /// AMQP 0-9-1 or 1.0.
    Amqp,
    /// MQTT 3.1, 3.1.1 or 5.
    Mqtt,
    /// `RSocket` over TCP.
    Rsocket,
    /// None of these.
    Unknown,
}

impl Hint {
    /// Its name in the log.
    pub fn label(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Mongo => "mongo",
            Self::Kafka => "kafka",
            Self::Amqp => "amqp",
            Self::Mqtt => "mqtt",
            Self::Rsocket => "rsocket",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether bytes are the beginning of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Yes,
    /// So far.
    Maybe,
    No,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The part of the preface that looks like a request line.
const PREFACE_LINE: usize = 16;

/// What the client speaks whose bytes so far, all of them, are `bytes`.
pub fn client(bytes: &[u8], evidence: &Evidence) -> Sniffed {
    match starts_with(bytes, PREFACE) {
        Fit::Yes => return Sniffed::Http2,
        Fit::Maybe => return Sniffed::NeedMore,
        // Nobody sends this line who does not mean HTTP/2 (RFC 9113 3.4), and HTTP/1 must not take it for a request.
        Fit::No if bytes.starts_with(&PREFACE[..PREFACE_LINE]) => return Sniffed::BadHttp(Reason::MalformedRequest),
        Fit::No => {}
    }
    match tls(bytes) {
        Fit::Yes => return Sniffed::Tls,
        Fit::Maybe => return Sniffed::NeedMore,
        Fit::No => {}
    }
    match (request_line::fit(bytes, *evidence), evidence.http_required) {
        (request_line::Verdict::Commits, _) => Sniffed::Http1,
        (request_line::Verdict::NotYet, _) => Sniffed::NeedMore,
        // A line that is no request line is told so; what is no text at all contradicts the declaration, and is relayed.
        (request_line::Verdict::Not(reason), true) if reason != Reason::ProtocolMismatch => Sniffed::BadHttp(reason),
        (request_line::Verdict::Not(_), _) => Sniffed::Opaque(signatures::hint(bytes)),
    }
}

/// A handshake record of any version of TLS that holds a `ClientHello` (RFC 8446 5.1).
fn tls(bytes: &[u8]) -> Fit {
    match bytes {
        [0x16, 0x03, 0..=4, _, _, 0x01, ..] => Fit::Yes,
        [] | [0x16] | [0x16, 0x03] | [0x16, 0x03, 0..=4] | [0x16, 0x03, 0..=4, _] | [0x16, 0x03, 0..=4, _, _] => {
            Fit::Maybe
        }
        _ => Fit::No,
    }
}

/// Whether `bytes` are `whole` and perhaps more, or the beginning of it.
fn starts_with(bytes: &[u8], whole: &[u8]) -> Fit {
    if bytes.starts_with(whole) {
        Fit::Yes
    } else if whole.starts_with(bytes) {
        Fit::Maybe
    } else {
        Fit::No
    }
}

#[cfg(test)]
mod prologues;
#[cfg(test)]
mod tests;
