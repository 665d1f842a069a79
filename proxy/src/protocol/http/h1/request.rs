//! Request heads: parsed strictly, written again as the next server shall get them.

mod edits;

use http::HeaderValue;
use http::Method;
use http::uri::Authority;
use http::uri::PathAndQuery;
use http::uri::Scheme;

use super::Fault;
use super::Version;
use super::connection;
use super::connection::Options;
use super::fields::append;
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
use super::target;
use super::target::TargetForm;
use super::write;
use crate::telemetry::trace::Onward;
use edits::Edits;
pub use edits::RequestFields;

/// Longer methods are refused; IANA's longest is 17 bytes.
const LONGEST_METHOD: usize = 64;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// A request head, as ranges of the bytes that it was parsed from.
///
/// Every method that takes `bytes` wants those bytes again, from the same first one.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of a head that do not depend on each other"
)]
pub struct RequestHead {
    /// Bytes of the head, the empty line included.
    pub length: usize,
    /// Any token of up to 64 bytes.
    pub method: Method,
    /// The client's version.
    pub version: Version,
    /// The target as it was sent.
    pub target: Span,
    /// Its form.
    pub form: TargetForm,
    /// The value of the `Host` field, which may be empty; always there in HTTP/1.1.
    pub host: Option<Span>,
    /// How the body is delimited: never `UntilClose`.
    pub framing: Framing,
    /// Whether the client wants its connection kept, by its version and `Connection`.
    pub persistent: bool,
    /// Whether the client asks for another protocol that is passed on (not `h2c`).
    pub upgrade: bool,
    /// Whether the client waits for 100 before it sends the body.
    pub expect_continue: bool,
    /// Whether the client takes trailers (`TE: trailers`).
    pub te_trailers: bool,
    /// Whether the content is gRPC's.
    pub grpc: bool,
    /// Whether either side may rightly be silent for hours in the middle of its message.
    pub conversation: bool,
    /// Whether a line may tell of a trace.
    pub traced: bool,
    /// The lines that are not forwarded as they stand.
    pub cuts: Cuts,
    /// Where the method begins: behind the empty line that may come first.
    start: usize,
    /// Where the field lines begin.
    fields: usize,
    authority: Option<Span>,
    path: Span,
    secure: bool,
    /// The target names another authority than `Host` does.
    host_differs: bool,
    /// An `Upgrade` line was cut because it offers `h2c`; what else it offers is written anew.
    upgrade_filtered: bool,
    /// Written anew in the place of the lines that came.
    forwarded_for: Option<Box<[u8]>>,
    edits: Option<Box<Edits>>,
    /// The trace that it belongs to, behind all other lines.
    onward: Option<Onward>,
}

/// What the field lines say, gathered in one pass.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of a head that do not depend on each other"
)]
struct Gathered {
    /// The request is of HTTP/1.0.
    old: bool,
    options: Options,
    framing: FramingFields,
    host: Option<(Span, Span)>,
    upgrade_lines: Vec<Span>,
    offers_h2c: bool,
    offers_other: bool,
    expect_continue: bool,
    te_trailers: bool,
    grpc: bool,
    conversation: bool,
    traced: bool,
    cuts: Cuts,
}

/// Parses the request head that `bytes` begin with; they may end anywhere.
///
/// Faults in lines that are complete are found before the head is. Parsing again from the start for each byte that
/// dribbles in is quadratic: ask [`super::head_end`] first, except for the first attempt.
pub fn request(bytes: &[u8], limits: &HeadLimits) -> Result<Parsed<RequestHead>, Fault> {
    // RFC 9112 2.2: one empty line before a request is ignored, for clients that end a body with one too many.
    let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let mut lines = Lines::new(bytes, start, limits);
    let Some((start, end)) = lines.start_line()? else {
        return Ok(Parsed::Partial);
    };
    let line = RequestLine::read(bytes, start, end)?;
    let fields = lines.position();
    let mut gathered = Gathered {
        old: line.version == Version::Http10,
        ..Gathered::default()
    };
    loop {
        match lines.next()? {
            Next::Field(field) => gathered.read(&field)?,
            Next::End(length) => return gathered.settle(&bytes[..length], line, fields).map(Parsed::Complete),
            Next::Partial => return Ok(Parsed::Partial),
        }
    }
}

struct RequestLine {
    start: usize,
    method: Method,
    version: Version,
    target: Span,
    parts: target::Target,
}

impl RequestLine {
    /// `method SP target SP version`, with single spaces (RFC 9112 3).
    fn read(bytes: &[u8], start: usize, end: usize) -> Result<Self, Fault> {
        let line = &bytes[start..end];
        let method = line
            .iter()
            .position(|byte| !octets::is_token(*byte))
            .unwrap_or(line.len());
        if method == 0 || method > LONGEST_METHOD || line.get(method) != Some(&b' ') {
            return Err(Fault::malformed("the method is not a token"));
        }
        let rest = &line[method + 1..];
        let Some(target) = rest.iter().position(|byte| *byte == b' ') else {
            return Err(Fault::malformed("a request line without a version"));
        };
        let version = Version::of(&rest[target + 1..])?;
        let target = Span::new(start + method + 1, start + method + 1 + target);
        let Ok(method) = Method::from_bytes(&line[..method]) else {
            return Err(Fault::malformed("the method is not a token"));
        };
        let parts = target::target(bytes, target, &method)?;
        Ok(Self {
            start,
            method,
            version,
            target,
            parts,
        })
    }
}

impl Gathered {
    fn read(&mut self, field: &Field<'_>) -> Result<(), Fault> {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
        // The length tells the names apart that we know, so that most fields cost one comparison of a number.
        match field.name.len() {
            2 if is("b3") => self.traced = true,
            2 if is("te") => {
                self.te_trailers |= octets::list(field.value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
                self.cuts.add(field.line);
            }
            4 if is("host") => return self.host(field),
            6 if is("expect") => {
                // RFC 9110 10.1.1: ignored in HTTP/1.0, and what is ignored must not be asked of the next hop.
                if self.old {
                    self.cuts.add(field.line);
                } else {
                    self.expect_continue |= field.value.eq_ignore_ascii_case(b"100-continue");
                }
            }
            7 if is("upgrade") => {
                for protocol in octets::list(field.value) {
                    *(if is_h2c(protocol) {
                        &mut self.offers_h2c
                    } else {
                        &mut self.offers_other
                    }) = true;
                }
                self.upgrade_lines.push(field.line);
            }
            10 if is("connection") => {
                self.cuts.add(field.line);
                return self.options.read(field.value);
            }
            10 if is("keep-alive") => self.cuts.add(field.line),
            10 if is("tracestate") || is("x-b3-flags") => self.traced = true,
            11 if is("traceparent") || is("x-b3-spanid") => self.traced = true,
            12 if is("x-b3-traceid") || is("x-b3-sampled") => self.traced = true,
            12 if is("content-type") => {
                self.grpc |= is_grpc(field.value);
                self.conversation |= self.grpc || is_connect(field.value);
            }
            14 if is("content-length") => return self.framing.content_length(field.value),
            14 if is("http2-settings") => self.cuts.add(field.line),
            16 if is("proxy-connection") => self.cuts.add(field.line),
            17 if is("x-b3-parentspanid") => self.traced = true,
            17 if is("transfer-encoding") => return self.framing.transfer_encoding(field.value),
            _ => {}
        }
        Ok(())
    }

    fn host(&mut self, field: &Field<'_>) -> Result<(), Fault> {
        if self.host.is_some() {
            return Err(Fault::malformed("Host more than once"));
        }
        if !target::is_authority(field.value) {
            return Err(Fault::malformed("Host is not a host and a port"));
        }
        self.host = Some((field.value_span, field.line));
        Ok(())
    }

    fn settle(mut self, head: &[u8], line: RequestLine, fields: usize) -> Result<RequestHead, Fault> {
        let modern = !self.old;
        if modern && self.host.is_none() {
            return Err(Fault::malformed("HTTP/1.1 without Host"));
        }
        let framing = self.framing.settle(line.version)?.unwrap_or(Framing::None);
        if line.method == Method::CONNECT && !matches!(framing, Framing::None | Framing::Length(0)) {
            return Err(Fault::malformed("CONNECT with a body"));
        }
        self.options.cut_named(head, fields, &mut self.cuts);

        // RFC 9110 7.8: ignored in HTTP/1.0, as Expect is.
        let upgrade = modern && self.options.upgrade && self.offers_other;
        let upgrade_filtered = upgrade && self.offers_h2c;
        if !upgrade || upgrade_filtered {
            self.upgrade_lines.iter().for_each(|line| self.cuts.add(*line));
        }

        let host = self.host.map(|(value, _)| value);
        let host_differs = match (line.parts.authority, self.host) {
            (Some(authority), Some((value, host_line))) if authority.of(head) != value.of(head) => {
                self.cuts.add(host_line);
                true
            }
            (authority, None) => authority.is_some(),
            _ => false,
        };
        Ok(RequestHead {
            length: head.len(),
            version: line.version,
            target: line.target,
            form: line.parts.form,
            host,
            framing,
            persistent: !self.options.close && (modern || self.options.keep_alive),
            upgrade,
            expect_continue: self.expect_continue,
            te_trailers: modern && self.te_trailers,
            grpc: self.grpc,
            conversation: self.conversation,
            traced: self.traced,
            cuts: self.cuts,
            start: line.start,
            fields,
            authority: line
                .parts
                .authority
                .or(host)
                .filter(|authority| authority.start() < authority.end()),
            path: line.parts.path,
            secure: line.parts.secure,
            host_differs,
            upgrade_filtered,
            forwarded_for: None,
            edits: None,
            onward: None,
            method: line.method,
        })
    }
}

fn is_h2c(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"h2c")
}

/// `application/grpc`, with a suffix (`+proto`) or a parameter or nothing behind; `application/grpc-web` is not it.
pub(super) fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    content_type
        .get(..GRPC.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
        && matches!(content_type.get(GRPC.len()), None | Some(b'+' | b';' | b' ' | b'\t'))
}

/// A stream of the Connect protocol.
fn is_connect(content_type: &[u8]) -> bool {
    content_type.starts_with(b"application/connect+")
}

impl RequestHead {
    /// Whom the request is for: the target's authority, else `Host` (RFC 9112 3.2.2), if it is not empty.
    pub fn authority<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.authority.map(|authority| authority.of(bytes))
    }

    /// The path without the query, never normalised. `*` for OPTIONS as such, `/` where the target has none.
    pub fn path<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let path = self
            .path
            .of(bytes)
            .split(|byte| *byte == b'?')
            .next()
            .unwrap_or_default();
        if path.is_empty() { b"/" } else { path }
    }

    /// What follows the first `?`.
    pub fn query<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.path.of(bytes).splitn(2, |byte| *byte == b'?').nth(1)
    }

    /// All field lines in their order, name and value, hop-by-hop ones included.
    pub fn fields<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        Lines::fields(&bytes[..self.length], self.fields).map(|field| (field.name, field.value))
    }

    /// Whether sending it twice is the same as once (RFC 9110 9.2.2).
    pub fn idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// Keeps the lines called `name`, in any case, from being forwarded: a value that only the mesh may state.
    /// Framing, `Host` and `Upgrade` are not asked for here.
    pub fn cut(&mut self, bytes: &[u8], name: &str) {
        for field in Lines::fields(&bytes[..self.length], self.fields) {
            if field.name.eq_ignore_ascii_case(name.as_bytes()) {
                self.cuts.add(field.line);
            }
        }
    }

    /// The version that `write_h1` speaks. A client of HTTP/1.0 that names no host is forwarded as it came, for
    /// HTTP/1.1 requires a `Host` and we do not invent one; its answer ends with the connection.
    pub fn upstream_version(&self) -> Version {
        if self.host.is_none() && self.authority.is_none() && !self.has_other_host() {
            self.version
        } else {
            Version::Http11
        }
    }

    /// Appends the head as an upstream HTTP/1 server shall get it: verbatim but for the cuts, the version, a `Host` that
    /// the target overrules, and the hop-by-hop fields that begin anew (`Upgrade`, `TE: trailers`).
    ///
    /// More fields go in with [`write::append_field`].
    pub fn write_h1(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let head = &bytes[..self.length];
        out.reserve(head.len() + 64);
        match self.other_target() {
            None => out.extend_from_slice(&head[self.start..self.target.end()]),
            Some(target) => {
                out.extend_from_slice(&head[self.start..self.target.start()]);
                out.extend_from_slice(target);
            }
        }
        out.extend_from_slice(b" ");
        out.extend_from_slice(self.upstream_version().text().as_bytes());
        out.extend_from_slice(b"\r\n");
        if let Some(host) = self.other_host(bytes) {
            out.extend_from_slice(b"Host: ");
            out.extend_from_slice(host);
            out.extend_from_slice(b"\r\n");
        }
        self.cuts.copy_rest(head, self.fields, head.len() - 2, out);
        if self.upgrade_filtered {
            self.write_upgrade(head, out);
        }
        connection::write_options(
            &[self.upgrade.then_some("Upgrade"), self.te_trailers.then_some("TE")],
            out,
        );
        if self.te_trailers {
            out.extend_from_slice(b"TE: trailers\r\n");
        }
        if let Some(list) = &self.forwarded_for {
            out.extend_from_slice(b"X-Forwarded-For: ");
            out.extend_from_slice(list);
            out.extend_from_slice(b"\r\n");
        }
        if let Some(onward) = &self.onward {
            onward.write_lines(out);
        }
        write::fields(self.added(), out);
        out.extend_from_slice(b"\r\n");
    }

    /// What the client offers besides `h2c`.
    fn write_upgrade(&self, head: &[u8], out: &mut Vec<u8>) {
        let mut lead: &[u8] = b"Upgrade: ";
        for field in Lines::fields(head, self.fields).filter(|field| field.name.eq_ignore_ascii_case(b"upgrade")) {
            for protocol in octets::list(field.value).filter(|protocol| !is_h2c(protocol)) {
                out.extend_from_slice(lead);
                out.extend_from_slice(protocol);
                lead = b", ";
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// As the head of an HTTP/2 request (RFC 9113 8.3): the authority in the URI instead of `Host`, nothing that
    /// concerns a connection. Without an authority the version stays HTTP/1.1, which is how `h2` lets one be missing.
    ///
    /// Fails where the `http` crate has no words for it: a target that is not UTF-8, or holds `<`, `>` or a backquote.
    pub fn to_http(&self, bytes: &[u8]) -> Result<http::Request<()>, Fault> {
        const UNSPEAKABLE: Fault = Fault::malformed("a target that HTTP/2 cannot carry");
        let mut uri = http::uri::Parts::default();
        if let Some(authority) = self.other_host(bytes).or_else(|| self.authority(bytes)) {
            uri.authority = Some(Authority::try_from(authority).map_err(|_| UNSPEAKABLE)?);
        }
        if self.form != TargetForm::Authority {
            uri.path_and_query = Some(self.path_and_query(bytes).ok_or(UNSPEAKABLE)?);
            if uri.authority.is_some() {
                uri.scheme = Some(if self.secure { Scheme::HTTPS } else { Scheme::HTTP });
            }
        }
        let mut request = http::Request::new(());
        *request.version_mut() = if uri.authority.is_some() {
            http::Version::HTTP_2
        } else {
            http::Version::HTTP_11
        };
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = http::Uri::from_parts(uri).map_err(|_| UNSPEAKABLE)?;
        let headers = request.headers_mut();
        let dropped = ["host", "transfer-encoding", "upgrade"];
        copy_fields(&bytes[..self.length], self.fields, &self.cuts, &dropped, headers)?;
        if self.te_trailers {
            headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
        }
        if let Some(list) = &self.forwarded_for {
            append(FORWARDED_FOR.as_bytes(), list, headers)?;
        }
        if let Some(onward) = &self.onward {
            onward.insert(headers);
        }
        for (name, value) in self.added() {
            append(name.as_str().as_bytes(), value.as_bytes(), headers)?;
        }
        Ok(request)
    }

    fn path_and_query(&self, bytes: &[u8]) -> Option<PathAndQuery> {
        if let Some(target) = self.other_target() {
            return PathAndQuery::try_from(target).ok();
        }
        match self.path.of(bytes) {
            // RFC 9113 8.3.1: OPTIONS for an authority as such.
            [] if self.method == Method::OPTIONS => Some(PathAndQuery::from_static("*")),
            [] => Some(PathAndQuery::from_static("/")),
            query @ [b'?', ..] => PathAndQuery::try_from([b"/", query].concat()).ok(),
            path => PathAndQuery::try_from(path).ok(),
        }
    }
}

#[cfg(test)]
mod tests;
