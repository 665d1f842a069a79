//! A second parser of HTTP/1, for the tests alone: the grammar of RFC 9112 in the most obvious way, over owned strings
//! in which each character is a byte. It shares the codec's policy (its module documentation) and none of its code.
//!
//! Where the grammar leaves off: the limits of [`Limits`], a method of 64 bytes, a `Content-Length` of 19 digits that an
//! `i64` holds, 64 `Connection` options; in `body` those of chunks and trailers.

mod body;
mod grammar;
mod target;

pub(crate) use body::Body;
pub(crate) use body::body;
use grammar::is_authority;
use grammar::is_number;
use grammar::is_text;
use grammar::is_token;
use grammar::without_ows;
pub(crate) use target::Target;

/// Names and values in their order.
pub(crate) type Fields = Vec<(String, String)>;

/// Why there is no message yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing is wrong so far.
    Partial,
    /// Whatever follows.
    Refused(&'static str),
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Of a head.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) fields: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) length: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) parts: Target,
    pub(crate) version: String,
    pub(crate) fields: Fields,
    pub(crate) framing: Framing,
    pub(crate) persistent: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) length: usize,
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) framing: Framing,
    pub(crate) persistent: bool,
    pub(crate) tunnel: bool,
}

/// What a response answers.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) head: bool,
    pub(crate) connect: bool,
    pub(crate) upgrade: bool,
}

/// Each byte as the character of its number.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Reads the request head that `text` begins with.
pub(crate) fn request(text: &str, limits: Limits) -> Result<Request, Stop> {
    let (skipped, text) = match text.strip_prefix("\r\n") {
        Some(rest) => (2, rest),
        None => (0, text),
    };
    let bytes = limits.bytes.saturating_sub(skipped);
    let lines = lines(text, Limits { bytes, ..limits })?;
    let (method, target, version) = request_line(&lines.start)?;
    let mut parts = target::target(method, target)?;
    let fields = fields(&lines.fields)?;
    let hosts = values(&fields, "host");
    if hosts.len() > 1 || !hosts.iter().all(|host| is_authority(host)) {
        return Err(Stop::Refused("Host is not one host"));
    }
    let length = skipped + lines.length.ok_or(Stop::Partial)?;
    if version == "HTTP/1.1" && hosts.is_empty() {
        return Err(Stop::Refused("no Host"));
    }
    let framing = declared_framing(&fields, version)?.unwrap_or(Framing::None);
    if method == "CONNECT" && !matches!(framing, Framing::None | Framing::Length(0)) {
        return Err(Stop::Refused("CONNECT with content"));
    }
    if parts.authority.is_none() {
        parts.authority = hosts.first().filter(|host| !host.is_empty()).cloned();
    }
    Ok(Request {
        length,
        method: method.to_owned(),
        target: target.to_owned(),
        parts,
        version: version.to_owned(),
        framing,
        persistent: is_persistent(&fields, version),
        fields,
    })
}

/// Reads the response head that `text` begins with.
pub(crate) fn response(text: &str, asked: Asked, limits: Limits) -> Result<Response, Stop> {
    // Decided at the first character that no status line has.
    let start: String = text.chars().take(7).collect();
    if !"HTTP/1.".starts_with(&start) {
        return Err(Stop::Refused("no status line of HTTP/1"));
    }
    let lines = lines(text, limits)?;
    let (version, status) = status_line(&lines.start)?;
    let fields = fields(&lines.fields)?;
    let length = lines.length.ok_or(Stop::Partial)?;
    if status == 101 && !asked.upgrade {
        return Err(Stop::Refused("101 unasked"));
    }
    if status == 101 && values(&fields, "upgrade").is_empty() {
        return Err(Stop::Refused("101 to nothing"));
    }
    let declared = declared_framing(&fields, version)?;
    let tunnel = asked.connect && (200..300).contains(&status);
    // RFC 9112 6.3, 1 and 2; then 4 to 6; then 8.
    let framing = if asked.head || status < 200 || status == 204 || status == 304 || tunnel {
        Framing::None
    } else {
        declared.unwrap_or(Framing::UntilClose)
    };
    let tunnel = tunnel || status == 101;
    Ok(Response {
        length,
        version: version.to_owned(),
        status,
        framing,
        persistent: is_persistent(&fields, version) && framing != Framing::UntilClose && !tunnel,
        fields,
        tunnel,
    })
}

/// The lines of a head, without their ends.
struct Lines {
    start: String,
    fields: Vec<String>,
    /// Up to and with the empty line, if that is there.
    length: Option<usize>,
}

fn lines(text: &str, limits: Limits) -> Result<Lines, Stop> {
    const TOO_LARGE: Stop = Stop::Refused("too large");
    let mut all = Vec::new();
    let mut length = 0;
    let mut rest = text;
    let mut ended = false;
    while let Some((line, behind)) = rest.split_once('\n').filter(|_| !ended) {
        length += line.chars().count() + 1;
        let line = line.strip_suffix('\r').ok_or(Stop::Refused("a bare LF"))?;
        rest = behind;
        ended = line.is_empty() && !all.is_empty();
        all.push(line.to_owned());
    }
    if length > limits.bytes || !ended && text.chars().count() >= limits.bytes {
        return Err(TOO_LARGE);
    }
    if all.is_empty() {
        return Err(Stop::Partial);
    }
    let start = all.remove(0);
    if ended {
        all.pop();
    }
    if all.len() > limits.fields {
        return Err(TOO_LARGE);
    }
    Ok(Lines {
        start,
        fields: all,
        length: ended.then_some(length),
    })
}

/// `method SP request-target SP HTTP-version`.
fn request_line(line: &str) -> Result<(&str, &str, &str), Stop> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        [method, target, version] if is_token(method) && method.len() <= 64 && is_version(version) => {
            Ok((method, target, version))
        }
        _ => Err(Stop::Refused("no request-line")),
    }
}

/// `HTTP-version SP 3DIGIT [ SP [ reason-phrase ] ]`: the last space is missing where servers have no reason to give.
fn status_line(line: &str) -> Result<(&str, u16), Stop> {
    const NONE: Stop = Stop::Refused("no status-line");
    let mut words = line.splitn(3, ' ');
    let (version, status) = words.next().zip(words.next()).ok_or(NONE)?;
    let is_status = is_number(status) && status.len() == 3 && !status.starts_with('0');
    if !is_version(version) || !is_status || !words.next().is_none_or(is_text) {
        return Err(NONE);
    }
    Ok((version, status.parse().map_err(|_| NONE)?))
}

fn is_version(text: &str) -> bool {
    ["HTTP/1.0", "HTTP/1.1"].contains(&text)
}

/// The field lines, where none of them is wrong by itself or beside those before it.
fn fields(lines: &[String]) -> Result<Fields, Stop> {
    let fields = lines.iter().map(|line| grammar::field_line(line));
    let fields: Fields = fields.collect::<Option<_>>().ok_or(Stop::Refused("no field-line"))?;
    let lengths = values(&fields, "content-length");
    let is_length = |text: &String| is_number(text) && text.len() <= 19 && text.parse::<i64>().is_ok();
    if lengths.len() > 1 || !lengths.iter().all(is_length) {
        return Err(Stop::Refused("Content-Length is not one number"));
    }
    let codings = codings(&fields);
    let chunked = codings.iter().position(|coding| coding == "chunked");
    if codings.iter().any(String::is_empty) || chunked.is_some_and(|place| place + 1 < codings.len()) {
        return Err(Stop::Refused("Transfer-Encoding does not end with its only chunked"));
    }
    if options(&fields).len() > 64 {
        return Err(Stop::Refused("too many Connection options"));
    }
    Ok(fields)
}

fn values(fields: &Fields, name: &str) -> Vec<String> {
    let called = |found: &String| found.to_ascii_lowercase() == name;
    let of_name = fields.iter().filter(|(found, _)| called(found));
    of_name.map(|(_, value)| value.clone()).collect()
}

/// The elements of all lines called `name`, in lower case.
fn elements(fields: &Fields, name: &str) -> Vec<String> {
    let values = values(fields, name);
    let elements = values.iter().flat_map(|value| value.split(','));
    elements
        .map(|element| without_ows(element).to_ascii_lowercase())
        .collect()
}

fn codings(fields: &Fields) -> Vec<String> {
    elements(fields, "transfer-encoding")
}

fn options(fields: &Fields) -> Vec<String> {
    let mut options = elements(fields, "connection");
    options.retain(|option| !option.is_empty());
    options
}

/// RFC 9112 6.3, 3 to 6, without what it lets a recipient repair.
fn declared_framing(fields: &Fields, version: &str) -> Result<Option<Framing>, Stop> {
    let lengths = values(fields, "content-length");
    let codings = codings(fields);
    match (lengths.first(), codings.as_slice()) {
        (None, []) => Ok(None),
        (Some(length), []) => Ok(length.parse().ok().map(Framing::Length)),
        (None, [coding]) if coding == "chunked" && version == "HTTP/1.1" => Ok(Some(Framing::Chunked)),
        _ => Err(Stop::Refused("framing that is not plain")),
    }
}

/// RFC 9112 9.3.
fn is_persistent(fields: &Fields, version: &str) -> bool {
    let options = options(fields);
    let says = |option: &str| options.iter().any(|found| found == option);
    !says("close") && (version == "HTTP/1.1" || says("keep-alive"))
}
