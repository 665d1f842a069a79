//! Whether a connection begins with an HTTP/1 request line.

use memchr::memchr;
use memchr::memmem;

use super::Evidence;
use crate::failure::Reason;

/// A line that is longer without an end is not waited for.
const LONGEST_LINE: usize = 64 * 1024;
/// As the parser: no method is longer.
const LONGEST_METHOD: usize = 64;

/// The methods of IANA's registry, and those that common servers know beside them. Where nothing says HTTP but the bytes,
/// only these may be waited for: a client whose first message is any other word, and who waits for its answer, would
/// wait for ever.
const METHODS: [&[u8]; 46] = [
    b"GET",
    b"POST",
    b"PUT",
    b"DELETE",
    b"HEAD",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"ACL",
    b"BASELINE-CONTROL",
    b"BIND",
    b"CHECKIN",
    b"CHECKOUT",
    b"COPY",
    b"LABEL",
    b"LINK",
    b"LOCK",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MKREDIRECTREF",
    b"MKWORKSPACE",
    b"MOVE",
    b"ORDERPATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"QUERY",
    b"REBIND",
    b"REPORT",
    b"SEARCH",
    b"UNBIND",
    b"UNCHECKOUT",
    b"UNLINK",
    b"UNLOCK",
    b"UPDATE",
    b"UPDATEREDIRECTREF",
    b"VERSION-CONTROL",
    b"PURGE",
    b"BAN",
    b"NOTIFY",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"M-SEARCH",
    b"SOURCE",
];

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// HTTP/1, whatever may be wrong with it.
    Commits,
    NotYet,
    /// No request; the reason counts where HTTP is required.
    Not(Reason),
}

/// HTTP/1 is decided at the first line feed, with or without a carriage return: `token SP ... SP HTTP/` commits.
/// Methods alone do not, for RTSP, SIP and Redis' inline commands share them.
pub(super) fn fit(bytes: &[u8], evidence: Evidence) -> Verdict {
    // RFC 9112 2.2 allows one empty line before a request. Elsewhere it says nothing for HTTP.
    let bytes = match bytes {
        [b'\r', b'\n', rest @ ..] if evidence.http_required => rest,
        [b'\r'] if evidence.http_required => return Verdict::NotYet,
        _ => bytes,
    };
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    let feed = memchr(b'\n', within);
    let line = &within[..feed.unwrap_or(within.len())];
    match judge(line, evidence) {
        Line::Commits => Verdict::Commits,
        Line::Possible if feed.is_some() && names_http(line) => Verdict::Commits,
        Line::Possible if feed.is_some() => Verdict::Not(Reason::MalformedRequest),
        Line::Impossible => Verdict::Not(Reason::ProtocolMismatch),
        Line::Possible if within.len() == LONGEST_LINE => Verdict::Not(Reason::HeadTooLarge),
        Line::Possible => Verdict::NotYet,
    }
}

/// What the first line is without regard to its end.
enum Line {
    /// A byte that no request line holds, behind what commits.
    Commits,
    /// The beginning of a request line.
    Possible,
    /// Not even that.
    Impossible,
}

/// A control byte, or a CR before anything but the end, stands in no request line. It decides at once, by what stands
/// before it.
fn judge(line: &[u8], evidence: Evidence) -> Line {
    let method = line
        .iter()
        .take(LONGEST_METHOD + 1)
        .take_while(|byte| is_token(**byte))
        .count();
    let (word, rest) = line.split_at(method);
    match rest.first() {
        _ if method > LONGEST_METHOD => return Line::Impossible,
        None if !evidence.http_required && !METHODS.iter().any(|known| known.starts_with(word)) => {
            return Line::Impossible;
        }
        Some(_) if !evidence.http_required && !METHODS.contains(&word) => return Line::Impossible,
        None => return Line::Possible,
        Some(b' ' | b'\r') if method > 0 => {}
        Some(_) => return Line::Impossible,
    }
    match rest.iter().position(|byte| *byte < b' ' || *byte == 0x7f) {
        None => Line::Possible,
        // The end of the line, or what may become it.
        Some(place) if rest[place] == b'\r' && place + 1 == rest.len() => Line::Possible,
        Some(place) if names_http(&rest[..place]) => Line::Commits,
        Some(_) => Line::Impossible,
    }
}

fn names_http(line: &[u8]) -> bool {
    memmem::find(line, b" HTTP/").is_some()
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
