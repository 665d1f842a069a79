//! The server name and the protocols that a TLS `ClientHello` asks for (RFC 8446 4.1.2), read and never answered.
//!
//! The name says where the client wants to go, not where it may: whoever routes by it checks it against what the
//! original destination allows.

/// A hello that is not whole after so many bytes is none. Post-quantum key shares need more than one segment, not more
/// than one record.
const MOST_BYTES: usize = 16 * 1024;

/// What a prefix of a connection's bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientHello {
    /// Undecided.
    NeedMore,
    /// All of it.
    Complete(Hello),
    /// No hello, and why.
    Refused(&'static str),
}

/// What a hello asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The host name (RFC 6066 3) in lower case, if it is one: labels of letters, digits and inner hyphens.
    pub sni: Option<String>,
    /// The application protocols (RFC 7301 3.1) in the client's order, without those that are not visible ASCII.
    pub alpn: Vec<String>,
}

/// Reads the hello that `bytes` begin with; they may end anywhere, and it may be split over several records.
pub fn client_hello(bytes: &[u8]) -> ClientHello {
    let mut message = Vec::new();
    let mut rest = &bytes[..bytes.len().min(MOST_BYTES)];
    loop {
        if let Some(whole) = whole(&message) {
            return match whole.and_then(|body| hello(body).ok_or("a ClientHello with a length that does not fit")) {
                Ok(hello) => ClientHello::Complete(hello),
                Err(fault) => ClientHello::Refused(fault),
            };
        }
        let record = match record(rest) {
            Ok(Some(record)) => record,
            Ok(None) if bytes.len() >= MOST_BYTES => return ClientHello::Refused("a ClientHello of more than 16 KiB"),
            Ok(None) => return ClientHello::NeedMore,
            Err(fault) => return ClientHello::Refused(fault),
        };
        message.extend_from_slice(record.fragment);
        rest = record.behind;
    }
}

/// One record's content, and what follows it.
struct Record<'a> {
    fragment: &'a [u8],
    behind: &'a [u8],
}

/// The record that `bytes` begin with, if all of it is there.
fn record(bytes: &[u8]) -> Result<Option<Record<'_>>, &'static str> {
    let (kind, version) = (bytes.first(), bytes.get(1));
    if kind.is_some_and(|kind| *kind != 0x16) || version.is_some_and(|version| *version != 0x03) {
        return Err("no TLS handshake record");
    }
    let Some(([_, _, _, high, low], rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes([*high, *low])) {
        0 => Err("an empty handshake record"),
        length if length > MOST_BYTES => Err("a TLS record of more than 16 KiB"),
        length => Ok(rest
            .split_at_checked(length)
            .map(|(fragment, behind)| Record { fragment, behind })),
    }
}

/// The body of the handshake message, if all of it is there; the rest of the last record is not ours to read.
fn whole(message: &[u8]) -> Option<Result<&[u8], &'static str>> {
    match message {
        [0x01, high, middle, low, body @ ..] => {
            let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            if length > MOST_BYTES {
                return Some(Err("a ClientHello of more than 16 KiB"));
            }
            body.get(..length).map(Ok)
        }
        [] | [0x01, ..] => None,
        _ => Some(Err("a handshake that does not begin with a ClientHello")),
    }
}

/// Takes lengths and what they measure off the front; `None` where they do not fit.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, width: usize) -> Option<usize> {
        Some(
            self.take(width)?
                .iter()
                .fold(0, |number, byte| number << 8 | usize::from(*byte)),
        )
    }

    fn vector(&mut self, width: usize) -> Option<Self> {
        let length = self.number(width)?;
        self.take(length).map(Self)
    }
}

fn hello(body: &[u8]) -> Option<Hello> {
    let mut reader = Reader(body);
    // Version and random, session, cipher suites, compression methods.
    reader.take(2 + 32)?;
    reader.vector(1)?;
    reader.vector(2)?;
    reader.vector(1)?;
    let mut hello = Hello::default();
    if reader.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = reader.vector(2)?;
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let mut content = extensions.vector(2)?;
        match kind {
            0 => server_name(&mut content, &mut hello)?,
            16 => protocols(&mut content, &mut hello)?,
            _ => {}
        }
    }
    reader.0.is_empty().then_some(hello)
}

fn server_name(content: &mut Reader<'_>, hello: &mut Hello) -> Option<()> {
    let mut names = content.vector(2)?;
    while !names.0.is_empty() {
        let kind = names.number(1)?;
        let name = names.vector(2)?.0;
        if kind == 0 && hello.sni.is_none() && is_host_name(name) {
            hello.sni = std::str::from_utf8(name).ok().map(str::to_ascii_lowercase);
        }
    }
    Some(())
}

fn is_host_name(name: &[u8]) -> bool {
    // RFC 6066 3: literal addresses are not permitted.
    let literal = std::str::from_utf8(name).is_ok_and(|name| name.parse::<std::net::Ipv4Addr>().is_ok());
    !literal
        && name.len() <= 253
        && name.split(|byte| *byte == b'.').all(|label| {
            (1..=63).contains(&label.len())
                && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
                && !label.starts_with(b"-")
                && !label.ends_with(b"-")
        })
}

fn protocols(content: &mut Reader<'_>, hello: &mut Hello) -> Option<()> {
    let mut list = content.vector(2)?;
    while !list.0.is_empty() {
        let name = list.vector(1)?.0;
        if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) {
            hello.alpn.extend(std::str::from_utf8(name).ok().map(str::to_owned));
        }
    }
    Some(())
}
