//! Contexts in the heads of requests: read as the configuration says, and written so.

use super::b3;
use super::context::Context;
use super::context::Decision;
use super::context::Incoming;
use super::w3c;
use evenkeel_control_api::mesh::settings::Propagation;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

/// Of a `tracestate` in a span; participants must carry 512 on (Trace Context 3.3.1.1).
const LONGEST_STATE: usize = 1_024;

/// How contexts are written, and in which order they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats([Option<Propagation>; 3]);

/// What is configured unless something else is.
const JUST_W3C: Formats = Formats([Some(Propagation::W3c), None, None]);

impl Formats {
    /// These; what is there twice counts once.
    pub fn new(configured: &[Propagation]) -> Self {
        let mut formats = [None; 3];
        let mut free = formats.iter_mut();
        for (place, format) in configured.iter().enumerate() {
            if !configured[..place].contains(format)
                && let Some(free) = free.next()
            {
                *free = Some(*format);
            }
        }
        Self(formats)
    }

    fn iter(self) -> impl Iterator<Item = Propagation> {
        self.0.into_iter().flatten()
    }

    fn is_one(self) -> bool {
        self.0[1].is_none()
    }
}

/// Whether a head has a field that any format reads.
pub fn carries(head: &HeaderMap) -> bool {
    // Other lengths are the rule, and cheap to tell.
    let lengths = |name: &&str| matches!(name.len(), 2 | 10..=12 | 17);
    let is = |name: &str| matches!(name, "traceparent" | "tracestate" | "b3") || name.starts_with("x-b3-");
    head.keys().map(HeaderName::as_str).filter(lengths).any(is)
}

/// What a head says, and what becomes of the rest of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) incoming: Incoming,
    /// There is a `tracestate`, and it belongs to the parent.
    pub(super) has_state: bool,
    /// There is one that must not go on.
    pub(super) drops_state: bool,
}

/// Reads a head; `field` has the value of the line of a name that has so many others of it before it.
pub(super) fn read<'a>(formats: Formats, field: impl Fn(&HeaderName, usize) -> Option<&'a [u8]>) -> Found {
    let once = |name: &HeaderName| field(name, 0).filter(|_| field(name, 1).is_none());
    let found = formats.iter().find_map(|format| {
        let incoming = match format {
            Propagation::W3c => w3c::read(once(&w3c::TRACEPARENT)?),
            Propagation::B3 => b3::read(once(&b3::SINGLE)?),
            Propagation::B3Multi => b3::read_several(once),
        };
        Some((format, incoming?))
    });
    let writes_state = formats.iter().any(|format| format == Propagation::W3c);
    let state = writes_state && field(&w3c::TRACESTATE, 0).is_some();
    let lines = || (0..).map_while(|before| field(&w3c::TRACESTATE, before));
    let has_state = state && matches!(found, Some((Propagation::W3c, _))) && w3c::is_state(lines());
    Found {
        incoming: found.map(|(_, incoming)| incoming).unwrap_or_default(),
        has_state,
        drops_state: state && !has_state,
    }
}

/// The lines of a `tracestate` as one, for a span. One that is longer goes on with its request and is left out of the span:
/// thousands of spans wait for a collector that is slow.
pub(super) fn state<'a>(field: impl Fn(&HeaderName, usize) -> Option<&'a [u8]>) -> Option<String> {
    let lines = || (0..).map_while(|before| field(&w3c::TRACESTATE, before));
    let length: usize = lines().map(|line| line.len() + 1).sum();
    (length <= LONGEST_STATE).then(|| String::from_utf8_lossy(&lines().collect::<Vec<_>>().join(&b',')).into_owned())
}

/// What is written into a head before it goes on.
#[derive(Clone, Debug)]
pub struct Onward {
    context: Context,
    formats: Formats,
    drops_state: bool,
}

impl Onward {
    /// `None`: the head says so already, and stays as it is.
    pub(super) fn new(context: Context, formats: Formats, found: &Found) -> Option<Self> {
        let said = found.incoming.decision == Some(Decision::Drop);
        let stays = said && formats.is_one() && !found.drops_state;
        (!stays).then_some(Self {
            context,
            formats,
            drops_state: found.drops_state,
        })
    }

    /// Whether a field of the head is replaced by what is written, or goes.
    pub fn replaces(&self, name: &[u8]) -> bool {
        let is = |other: &HeaderName| name.eq_ignore_ascii_case(other.as_str().as_bytes());
        let several = [b3::TRACE, b3::SPAN, b3::PARENT, b3::SAMPLED, b3::FLAGS];
        self.formats.iter().any(|format| match format {
            Propagation::W3c => is(&w3c::TRACEPARENT) || (self.drops_state && is(&w3c::TRACESTATE)),
            Propagation::B3 => is(&b3::SINGLE),
            Propagation::B3Multi => several.iter().any(is),
        })
    }

    /// Whether a field of this name is written.
    pub fn writes(&self, name: &HeaderName) -> bool {
        let mut writes = false;
        self.each(|written, _| writes |= written == *name);
        writes
    }

    /// Without the formats that would write this field; `None`: nothing is left to say.
    pub fn without(mut self, name: &HeaderName) -> Option<Self> {
        for format in &mut self.formats.0 {
            let writes = format.is_some_and(|format| match format {
                Propagation::W3c => *name == w3c::TRACEPARENT,
                Propagation::B3 => *name == b3::SINGLE,
                Propagation::B3Multi => [b3::TRACE, b3::SPAN, b3::SAMPLED, b3::FLAGS].contains(name),
            });
            if writes {
                *format = None;
            }
        }
        self.formats.iter().next().is_some().then_some(self)
    }

    /// Appends the lines to a head of HTTP/1.
    pub fn write_lines(&self, out: &mut Vec<u8>) {
        if self.formats == JUST_W3C {
            // What nearly everybody has, in one piece.
            out.extend_from_slice(&w3c::line(&self.context));
            return;
        }
        self.each(|name, value| {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        });
    }

    /// Puts the fields into a head of HTTP/2. One that is full keeps what it has.
    pub fn insert(&self, head: &mut HeaderMap) {
        if self.formats == JUST_W3C {
            if self.drops_state {
                head.remove(w3c::TRACESTATE);
            }
            // What nearly everybody has, without a look at what others would have.
            put(head, w3c::TRACEPARENT, w3c::text(&self.context));
            return;
        }
        self.clear(head);
        self.each(|name, value| put(head, name, value));
    }

    /// Takes out of a head of HTTP/2 what is not replaced and must not stay.
    fn clear(&self, head: &mut HeaderMap) {
        let several = [b3::TRACE, b3::SPAN, b3::PARENT, b3::SAMPLED, b3::FLAGS];
        for format in self.formats.iter() {
            match format {
                Propagation::W3c if self.drops_state => drop(head.remove(w3c::TRACESTATE)),
                Propagation::W3c | Propagation::B3 => {}
                Propagation::B3Multi => several.iter().for_each(|name| drop(head.remove(name))),
            }
        }
    }

    #[inline]
    fn each(&self, mut put: impl FnMut(HeaderName, &[u8])) {
        let context = &self.context;
        for format in self.formats.iter() {
            match format {
                Propagation::W3c => put(w3c::TRACEPARENT, &w3c::text(context)),
                Propagation::B3 => put(b3::SINGLE, &b3::text(context)),
                Propagation::B3Multi => {
                    put(b3::TRACE, &b3::trace(context.trace));
                    put(b3::SPAN, &b3::span(context.span));
                    match context.decision {
                        Decision::Drop => put(b3::SAMPLED, b"0"),
                        Decision::Sample => put(b3::SAMPLED, b"1"),
                        Decision::Debug => put(b3::FLAGS, b"1"),
                    }
                }
            }
        }
    }
}

/// Of the first head on a connection of HTTP/2: it puts the name of our field into the table of HPACK, where all that follow find it
/// (170 instructions of a request).
pub fn introduce(head: &mut HeaderMap) {
    if let Some(value) = head.get_mut(w3c::TRACEPARENT) {
        value.set_sensitive(false);
    }
}

/// A field of HTTP/2. Its value never comes again: in the table of HPACK it would be in the way of what does, and be looked for among
/// all its like (2,600 instructions of a request).
///
/// A value whose length the compiler knows is looked through with half the instructions.
#[inline]
fn put(head: &mut HeaderMap, name: HeaderName, value: impl AsRef<[u8]>) {
    if let Ok(mut value) = HeaderValue::from_bytes(value.as_ref()) {
        value.set_sensitive(true);
        let _ = head.try_insert(name, value);
    }
}
