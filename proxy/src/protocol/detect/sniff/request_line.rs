//! Whether a connection begins with an HTTP/1 request line.

use memchr::memchr;
use memchr::memmem;

use super::Evidence;
use crate::failure::Reason;

/// A line that is longer without an end is not waited for.
const LONGEST_LINE: usize = 64 * 1024;
/// As the parser: no method is longer.
const LONGEST_METHOD: usize = 64;

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// HTTP/1, whatever may be wrong with it.
    Commits,
    NotYet,
    /// A whole line of text, and no request; the reason counts where HTTP is required.
    Text(Reason),
    /// No request, as before.
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
    match judge(line) {
        Line::Commits => Verdict::Commits,
        Line::Possible if feed.is_some() && names_http(line) => Verdict::Commits,
        Line::Possible if feed.is_some() => Verdict::Text(Reason::MalformedRequest),
        Line::Impossible if feed.is_some() && is_text(line) => Verdict::Text(Reason::ProtocolMismatch),
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
fn judge(line: &[u8]) -> Line {
    let method = line
        .iter()
        .take(LONGEST_METHOD + 1)
        .take_while(|byte| is_token(**byte))
        .count();
    let rest = &line[method..];
    match rest.first() {
        _ if method > LONGEST_METHOD => return Line::Impossible,
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

fn is_text(line: &[u8]) -> bool {
    line.strip_suffix(b"\r")
        .unwrap_or(line)
        .iter()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
