//! Where a body ends (RFC 9112 6.3), what it holds, and its trailers (7.1).

use super::Fields;
use super::Framing;
use super::Stop;
use super::grammar::behind_quoted_string;
use super::grammar::field_line;
use super::grammar::is_tchar;

/// Limits that are this proxy's and not the grammar's.
const MOST_SIZE_DIGITS: usize = 15;
const MOST_EXTENSION: usize = 256;
const MOST_TRAILER_BYTES: usize = 64 * 1024;
const MOST_TRAILERS: usize = 100;

/// A body that is all there, if the connection ends behind what there is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) length: usize,
    pub(crate) content: String,
    pub(crate) trailers: Fields,
}

/// Reads the body that `text` begins with.
pub(crate) fn body(text: &str, framing: Framing) -> Result<Body, Stop> {
    let content = match framing {
        Framing::None => String::new(),
        Framing::Length(length) => characters(text, length)?,
        Framing::Chunked => return chunked_body(text),
        Framing::UntilClose => text.to_owned(),
    };
    Ok(Body {
        length: content.chars().count(),
        content,
        trailers: Fields::new(),
    })
}

fn characters(text: &str, count: u64) -> Result<String, Stop> {
    let taken: String = text.chars().take(count as usize).collect();
    if (taken.chars().count() as u64) < count {
        return Err(Stop::Partial);
    }
    Ok(taken)
}

/// `*chunk last-chunk trailer-section CRLF`.
fn chunked_body(text: &str) -> Result<Body, Stop> {
    let mut rest = text;
    let mut content = String::new();
    loop {
        let Some((line, behind)) = rest.split_once('\n') else {
            return Err(unfinished_chunk_line(rest));
        };
        let line = line.strip_suffix('\r').ok_or(Stop::Refused("a bare LF"))?;
        let size = chunk_line(line).ok_or(Stop::Refused("no chunk-size [ chunk-ext ]"))?;
        rest = behind;
        if size == 0 {
            break;
        }
        let data = characters(rest, size)?;
        rest = &rest[data.len()..];
        content.push_str(&data);
        rest = match rest.strip_prefix("\r\n") {
            Some(behind) => behind,
            None if "\r\n".starts_with(rest) => return Err(Stop::Partial),
            None => return Err(Stop::Refused("chunk-data without CRLF")),
        };
    }
    let (trailers, behind) = trailer_section(rest)?;
    Ok(Body {
        length: text.chars().count() - behind.chars().count(),
        content,
        trailers,
    })
}

/// `chunk-size [ chunk-ext ]`: the size. No white space behind the size: it is digits alone.
fn chunk_line(line: &str) -> Option<u64> {
    let digits = line.find(';').unwrap_or(line.len());
    let (size, extension) = line.split_at(digits);
    let is_size = (1..=MOST_SIZE_DIGITS).contains(&size.len()) && size.chars().all(|c| c.is_ascii_hexdigit());
    let short = extension.chars().count() <= 1 + MOST_EXTENSION;
    (is_size && short && is_chunk_ext(extension)).then(|| u64::from_str_radix(size, 16).ok())?
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`.
fn is_chunk_ext(text: &str) -> bool {
    let without_bws = |text| str::trim_start_matches(text, [' ', '\t']);
    let mut rest = text;
    while !rest.is_empty() {
        let Some(name) = without_bws(rest).strip_prefix(';').map(without_bws) else {
            return false;
        };
        rest = name.trim_start_matches(is_tchar);
        if rest.len() == name.len() {
            return false;
        }
        if let Some(value) = without_bws(rest).strip_prefix('=').map(without_bws) {
            rest = behind_quoted_string(value).unwrap_or(value.trim_start_matches(is_tchar));
            if rest.len() == value.len() {
                return false;
            }
        }
    }
    true
}

/// Whether a line that has not ended can still become one: nothing that is wrong already is waited for.
fn unfinished_chunk_line(line: &str) -> Stop {
    let endings = ["", "0", "a", "\"", "a\"", "=a", ";a"];
    let possible = match line.strip_suffix('\r') {
        Some(ended) => chunk_line(ended).is_some(),
        None => endings
            .iter()
            .any(|ending| chunk_line(&format!("{line}{ending}")).is_some()),
    };
    if possible {
        Stop::Partial
    } else {
        Stop::Refused("no beginning of chunk-size [ chunk-ext ]")
    }
}

/// `*( field-line CRLF ) CRLF`, and what follows it. No field that frames or routes (RFC 9110 6.5.1).
fn trailer_section(text: &str) -> Result<(Fields, &str), Stop> {
    let mut trailers = Fields::new();
    let mut rest = text;
    let mut read = 0;
    while let Some((line, behind)) = rest.split_once('\n') {
        read += line.chars().count() + 1;
        if read > MOST_TRAILER_BYTES {
            break;
        }
        let line = line.strip_suffix('\r').ok_or(Stop::Refused("a bare LF"))?;
        rest = behind;
        if line.is_empty() {
            return Ok((trailers, rest));
        }
        let (name, value) = field_line(line).ok_or(Stop::Refused("no field-line"))?;
        if ["content-length", "transfer-encoding", "host"].contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Stop::Refused("a field that is no trailer"));
        }
        trailers.push((name, value));
        if trailers.len() > MOST_TRAILERS {
            return Err(Stop::Refused("too many trailers"));
        }
    }
    if text.chars().count() > MOST_TRAILER_BYTES {
        return Err(Stop::Refused("too many bytes of trailers"));
    }
    Err(Stop::Partial)
}
