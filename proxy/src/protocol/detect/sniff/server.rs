//! What it means that the server spoke before the client did.

use super::Fit;
use super::starts_with;

/// The server's first words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerSpoke {
    /// Too few bytes to tell the first two apart.
    NeedMore,
    /// What a server that waits for its client may say first all the same: an HTTP/1 status line (408 on an idle
    /// connection), or HTTP/2 SETTINGS (gRPC servers send them at accept). The bytes are kept, the client is listened to.
    Held,
    /// A server that speaks first: relay from here.
    ServerFirst(ServerHint),
}

/// What the greeting looks like: a metric's label, told by what there is of it, for nothing waits for a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerHint {
    /// `MySQL` or `MariaDB`.
    Mysql,
    /// SSH.
    Ssh,
    /// SMTP or FTP, which greet alike.
    Smtp,
    /// NATS.
    Nats,
    /// POP3.
    Pop3,
    /// IMAP.
    Imap,
    /// None of these.
    Unknown,
}

impl ServerHint {
    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Ssh => "ssh",
            Self::Smtp => "smtp",
            Self::Nats => "nats",
            Self::Pop3 => "pop3",
            Self::Imap => "imap",
            Self::Unknown => "unknown",
        }
    }
}

/// What the server says whose bytes so far, all of them, are `bytes`.
pub fn server(bytes: &[u8]) -> ServerSpoke {
    match (starts_with(bytes, b"HTTP/1."), settings(bytes)) {
        (Fit::Yes, _) | (_, Fit::Yes) => ServerSpoke::Held,
        (Fit::Maybe, _) | (_, Fit::Maybe) => ServerSpoke::NeedMore,
        (Fit::No, Fit::No) => ServerSpoke::ServerFirst(greeting(bytes)),
    }
}

/// The header of a SETTINGS frame that acknowledges nothing (RFC 9113 6.5): stream 0, and a multiple of six bytes, of
/// which no server sends more than the smallest frame limit holds.
fn settings(bytes: &[u8]) -> Fit {
    let possible = bytes.iter().take(9).enumerate().all(|(place, byte)| match place {
        1 => *byte <= 0x40,
        2 => true,
        3 => *byte == 4,
        // The top of the length, flags, and stream.
        _ => *byte == 0,
    });
    let length = match bytes {
        [0, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    };
    match length {
        _ if !possible => Fit::No,
        Some(length) if length % 6 != 0 || length > 16_384 => Fit::No,
        Some(_) if bytes.len() >= 9 => Fit::Yes,
        _ => Fit::Maybe,
    }
}

fn greeting(bytes: &[u8]) -> ServerHint {
    match bytes {
        // Handshake version 10, or an error, as packet 0.
        [_, _, _, 0, 0x0a | 0xff, ..] => ServerHint::Mysql,
        [b'S', b'S', b'H', b'-', ..] => ServerHint::Ssh,
        [b'2', b'2', b'0', b' ' | b'-', ..] => ServerHint::Smtp,
        [b'I', b'N', b'F', b'O', b' ', ..] => ServerHint::Nats,
        [b'+', b'O', b'K', ..] => ServerHint::Pop3,
        [b'*', b' ', b'O', b'K', ..] => ServerHint::Imap,
        _ => ServerHint::Unknown,
    }
}
