//! Response heads: parsed strictly, written again as the client shall get them.

use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;

use super::Fault;
use super::Version;
use super::connection;
use super::connection::Options;
use super::fields::copy_fields;
use super::framing::Framing;
use super::framing::FramingFields;
use super::head::Cuts;
use super::head::Field;
use super::head::HeadLimits;
use super::head::Lines;
use super::head::Next;
use super::head::Parsed;
use super::head::Span;
use super::octets;
use super::request::is_grpc;
use super::write;
use crate::route::Full;
use crate::route::Head;
use crate::telemetry::access_log;

/// What the request was, as far as it decides how its response is read (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// HEAD: no body whatever the fields say.
    pub head: bool,
    /// CONNECT: a 2xx opens a tunnel.
    pub connect: bool,
    /// An upgrade: a 101 is allowed.
    pub upgrade: bool,
}

/// How a body reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As it comes.
    Verbatim,
    /// A body that ends with the upstream's connection, for a client that can be told its end: as chunks.
    ToChunked,
    /// A chunked body for a client that does not know chunks: its content, then the end of the connection.
    UntilClose,
}

/// The client's side of a response.
#[derive(Clone, Copy, Debug)]
pub struct Downstream {
    /// The client's version.
    pub version: Version,
    /// Whether we keep its connection. A body that only the end of the connection delimits overrules it.
    pub persistent: bool,
    /// How the body is delivered; [`ResponseHead::delivery`] knows.
    pub delivery: Delivery,
}

/// A response head, as ranges of the bytes that it was parsed from.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of a head that do not depend on each other"
)]
pub struct ResponseHead {
    /// Bytes of the head, the empty line included.
    pub length: usize,
    /// 100 to 999: servers use more than RFC 9110 knows.
    pub status: StatusCode,
    /// The server's version.
    pub version: Version,
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the server keeps the connection after this response.
    pub persistent: bool,
    /// Whether the connection stops being HTTP behind this head: 101, or a 2xx to CONNECT.
    pub upgrade: bool,
    /// Whether the content is gRPC's.
    pub grpc: bool,
    /// Seconds for which the server keeps an idle connection, if it says so (`Keep-Alive: timeout=`).
    pub keep_alive_timeout: Option<u32>,
    /// The lines that are not forwarded as they stand.
    pub cuts: Cuts,
    /// Where the field lines begin.
    fields: usize,
    /// The `Transfer-Encoding` line, which a client of HTTP/1.0 must not get.
    coding: Option<Span>,
    /// `Upgrade` is passed on.
    advertises: bool,
    /// Written behind the lines that came.
    added: Vec<(HeaderName, HeaderValue)>,
}

/// A head whose fields can be changed, with the bytes that it was parsed from.
pub struct ResponseFields<'a> {
    head: &'a mut ResponseHead,
    bytes: &'a [u8],
}

/// Where the status code begins: behind the version and its space.
const STATUS_AT: usize = 9;

#[derive(Default)]
struct Gathered {
    options: Options,
    framing: FramingFields,
    keep_alive_timeout: Option<u32>,
    grpc: bool,
    length: Option<Span>,
    coding: Option<Span>,
    upgrades: Vec<Span>,
    cuts: Cuts,
}

/// Parses the response head that `bytes` begin with; they may end anywhere. Every fault is the upstream's.
pub fn response(bytes: &[u8], asked: Asked, limits: &HeadLimits) -> Result<Parsed<ResponseHead>, Fault> {
    read(bytes, asked, limits).map_err(Fault::of_response)
}

fn read(bytes: &[u8], asked: Asked, limits: &HeadLimits) -> Result<Parsed<ResponseHead>, Fault> {
    // What cannot become a status line any more is refused at once: who sent it may be waiting for us.
    if bytes.iter().zip(b"HTTP/1.").any(|(byte, expected)| byte != expected) {
        return Err(Fault::malformed("the version is not HTTP/1.0 or HTTP/1.1"));
    }
    let mut lines = Lines::new(bytes, 0, limits);
    let Some((_, end)) = lines.start_line()? else {
        return Ok(Parsed::Partial);
    };
    let (version, status) = status_line(&bytes[..end])?;
    let fields = lines.position();
    let mut gathered = Gathered::default();
    loop {
        match lines.next()? {
            Next::Field(field) => gathered.read(&field)?,
            Next::End(length) => {
                return gathered
                    .settle(&bytes[..length], version, status, asked, fields)
                    .map(Parsed::Complete);
            }
            Next::Partial => return Ok(Parsed::Partial),
        }
    }
}

/// `version SP 3DIGIT [ SP reason ]`: RFC 9112 4 wants the second space even without a reason, servers leave it out.
fn status_line(line: &[u8]) -> Result<(Version, StatusCode), Fault> {
    const STATUS: Fault = Fault::malformed("the status is not a number of three digits");
    let version = Version::of(line.get(..8).unwrap_or(line))?;
    let (Some(b' '), Some(digits)) = (line.get(8), line.get(9..12)) else {
        return Err(STATUS);
    };
    let status = StatusCode::from_bytes(digits).map_err(|_| STATUS)?;
    match &line[12..] {
        [] => Ok((version, status)),
        [b' ', reason @ ..] if octets::is_text(reason) => Ok((version, status)),
        [b' ', ..] => Err(Fault::malformed("a control byte in the reason phrase")),
        _ => Err(STATUS),
    }
}

impl Gathered {
    fn read(&mut self, field: &Field<'_>) -> Result<(), Fault> {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
        match field.name.len() {
            7 if is("upgrade") => self.upgrades.push(field.line),
            10 if is("connection") => {
                self.cuts.add(field.line);
                return self.options.read(field.value);
            }
            10 if is("keep-alive") => {
                self.keep_alive_timeout = self.keep_alive_timeout.or_else(|| timeout(field.value));
                self.cuts.add(field.line);
            }
            12 if is("content-type") => self.grpc |= is_grpc(field.value),
            14 if is("content-length") => {
                self.length = Some(field.line);
                return self.framing.content_length(field.value);
            }
            16 if is("proxy-connection") => self.cuts.add(field.line),
            17 if is("transfer-encoding") => {
                self.coding = Some(field.line);
                return self.framing.transfer_encoding(field.value);
            }
            _ => {}
        }
        Ok(())
    }

    fn settle(
        mut self,
        head: &[u8],
        version: Version,
        status: StatusCode,
        asked: Asked,
        fields: usize,
    ) -> Result<ResponseHead, Fault> {
        if status == StatusCode::SWITCHING_PROTOCOLS && !asked.upgrade {
            return Err(Fault::malformed("101 that was not asked for"));
        }
        // RFC 9110 7.8: it says to what.
        if status == StatusCode::SWITCHING_PROTOCOLS && self.upgrades.is_empty() {
            return Err(Fault::malformed("101 without an Upgrade field"));
        }
        let declared = self.framing.settle(version)?;
        let tunnel = asked.connect && status.is_success();
        let upgrade = tunnel || status == StatusCode::SWITCHING_PROTOCOLS;
        // RFC 9112 6.3, the cases in their order.
        let bodiless = status.is_informational() || matches!(status.as_u16(), 204 | 304) || asked.head;
        let framing = if bodiless || tunnel {
            Framing::None
        } else {
            declared.unwrap_or(Framing::UntilClose)
        };

        // RFC 9112 6.1 and RFC 9110 8.6: neither field may stand in a 1xx or in a 2xx to CONNECT, nor a coding in a
        // 204. They are harmless to us and not to everyone behind us.
        if status.is_informational() || tunnel {
            self.length.into_iter().for_each(|line| self.cuts.add(line));
        }
        if status.is_informational() || tunnel || status == StatusCode::NO_CONTENT {
            self.coding.take().into_iter().for_each(|line| self.cuts.add(line));
        }
        self.options.cut_named(head, fields, &mut self.cuts);
        // Servers advertise h2 on any response (Apache does); that concerns one hop. 426 is about it (RFC 9110 15.5.22).
        let advertises = matches!(status.as_u16(), 101 | 426) && !self.upgrades.is_empty();
        if !advertises {
            self.upgrades.iter().for_each(|line| self.cuts.add(*line));
        }
        let keeps = !self.options.close && (version == Version::Http11 || self.options.keep_alive);
        Ok(ResponseHead {
            length: head.len(),
            status,
            version,
            framing,
            persistent: keeps && framing != Framing::UntilClose && !upgrade,
            upgrade,
            grpc: self.grpc,
            keep_alive_timeout: self.keep_alive_timeout,
            cuts: self.cuts,
            fields,
            coding: self.coding,
            advertises,
            added: Vec::new(),
        })
    }
}

fn timeout(keep_alive: &[u8]) -> Option<u32> {
    octets::list(keep_alive).find_map(|parameter| {
        let equals = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (
            octets::trim(&parameter[..equals]),
            octets::trim(&parameter[equals + 1..]),
        );
        let seconds = octets::decimal(value).filter(|_| name.eq_ignore_ascii_case(b"timeout"))?;
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    })
}

impl ResponseHead {
    /// How the body of this response is delivered to a client of `version`.
    pub fn delivery(&self, version: Version) -> Delivery {
        match (self.framing, version) {
            (Framing::Chunked, Version::Http10) => Delivery::UntilClose,
            (Framing::UntilClose, Version::Http11) => Delivery::ToChunked,
            _ => Delivery::Verbatim,
        }
    }

    /// All field lines in their order, name and value, hop-by-hop ones included.
    pub fn fields<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        Lines::fields(&bytes[..self.length], self.fields).map(|field| (field.name, field.value))
    }

    /// Keeps the lines called `name`, in any case, from being forwarded.
    pub fn cut(&mut self, bytes: &[u8], name: &str) {
        for field in Lines::fields(&bytes[..self.length], self.fields) {
            if field.name.eq_ignore_ascii_case(name.as_bytes()) {
                self.cuts.add(field.line);
            }
        }
    }

    /// Its fields, to be changed on their way to a client of HTTP/1.
    pub fn editing<'a>(&'a mut self, bytes: &'a [u8]) -> ResponseFields<'a> {
        ResponseFields { head: self, bytes }
    }

    /// Appends the head as an HTTP/1 client shall get it. The version written is ours, HTTP/1.1 (RFC 9110 2.5), and
    /// whether the connection is kept is always said to a client of HTTP/1.0.
    pub fn write_h1(&self, bytes: &[u8], downstream: Downstream, out: &mut Vec<u8>) {
        let head = &bytes[..self.length];
        out.reserve(head.len() + 64);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(&head[STATUS_AT..self.fields]);
        match self.coding.filter(|_| downstream.version == Version::Http10) {
            Some(coding) => {
                let mut cuts = self.cuts.clone();
                cuts.add(coding);
                cuts.copy_rest(head, self.fields, head.len() - 2, out);
            }
            None => self.cuts.copy_rest(head, self.fields, head.len() - 2, out),
        }
        write::fields(&self.added, out);
        if downstream.delivery == Delivery::ToChunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        connection::write_options(&[self.advertises.then_some("Upgrade"), self.keeping(downstream)], out);
        out.extend_from_slice(b"\r\n");
    }

    /// What `Connection` says of the client's connection; nothing where it goes without saying.
    fn keeping(&self, downstream: Downstream) -> Option<&'static str> {
        // An interim response says nothing of the final one, and a tunnel has no next request.
        if self.status.is_informational() || self.upgrade {
            return None;
        }
        let delimited = match downstream.delivery {
            Delivery::Verbatim => self.framing != Framing::UntilClose,
            Delivery::ToChunked => true,
            Delivery::UntilClose => false,
        };
        write::keeping(downstream.version, downstream.persistent && delimited)
    }

    /// As the head of an HTTP/2 response (RFC 9113 8.3): nothing that concerns a connection.
    pub fn to_http(&self, bytes: &[u8]) -> Result<http::Response<()>, Fault> {
        let mut response = http::Response::new(());
        *response.status_mut() = self.status;
        *response.version_mut() = http::Version::HTTP_2;
        let headers = response.headers_mut();
        copy_fields(
            &bytes[..self.length],
            self.fields,
            &self.cuts,
            &["transfer-encoding", "upgrade"],
            headers,
        )
        .map_err(Fault::of_response)?;
        Ok(response)
    }
}

impl Head for ResponseFields<'_> {
    fn has(&self, name: &HeaderName) -> bool {
        let mut lines = Lines::fields(&self.bytes[..self.head.length], self.head.fields);
        let came = |field: Field<'_>| {
            field.name.eq_ignore_ascii_case(name.as_str().as_bytes()) && !self.head.cuts.contains(field.line)
        };
        lines.any(came) || self.head.added.iter().any(|(added, _)| added == name)
    }

    fn remove(&mut self, name: &HeaderName) {
        self.head.cut(self.bytes, name.as_str());
        self.head.added.retain(|(added, _)| added != name);
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Full> {
        self.head.added.push((name.clone(), value.clone()));
        Ok(())
    }
}

impl access_log::Head for ResponseFields<'_> {
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        let mut came = self.came();
        let came = came.find(|field| field.name.eq_ignore_ascii_case(name.as_str().as_bytes()));
        let added = || self.head.added.iter().find(|(added, _)| added == name);
        came.map(|field| field.value)
            .or_else(|| added().map(|(_, value)| value.as_bytes()))
    }

    fn each(&self, tell: &mut dyn FnMut(&[u8], &[u8])) {
        for field in self.came() {
            tell(field.name, field.value);
        }
        for (name, value) in &self.head.added {
            tell(name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

impl ResponseFields<'_> {
    /// The lines that came and are passed on.
    fn came(&self) -> impl Iterator<Item = Field<'_>> {
        let lines = Lines::fields(&self.bytes[..self.head.length], self.head.fields);
        lines.filter(|field| !self.head.cuts.contains(field.line))
    }
}

#[cfg(test)]
mod tests;
