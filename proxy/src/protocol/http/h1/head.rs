//! The lines of a head: where they end, what a field line is, and which of them are not passed on.

use memchr::memchr;
use memchr::memchr_iter;

use super::Fault;
use super::octets;
use crate::failure::Reason;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes, from the first of the start line to the end of the empty line.
    pub bytes: usize,
    /// Field lines.
    pub fields: usize,
}

/// What a prefix of a connection's bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// All of it is there.
    Complete(T),
    /// Nothing is wrong so far; more bytes are needed.
    Partial,
}

/// A half-open range inside the head's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

/// The lines of one head that are not passed on, in their order.
///
/// Six fit without an allocation; heads with more hop-by-hop lines are rare.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    few: [Span; 6],
    count: u8,
    many: Vec<Span>,
}

/// One verified field line.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    /// Without the space around it.
    pub(super) value: &'a [u8],
    pub(super) value_span: Span,
    /// The whole line, CRLF included.
    pub(super) line: Span,
}

/// Reads one head line by line, within limits.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    fields: usize,
    limits: &'a HeadLimits,
}

/// What `Lines` finds next.
pub(super) enum Next<'a> {
    Field(Field<'a>),
    /// The empty line: the head ends at this offset.
    End(usize),
    Partial,
}

/// Where the head ends that begins at `bytes[0]`: the offset behind its empty line, if that is there.
///
/// `seen` bytes were looked at before and hold no end, so that a head which dribbles in costs its length and not its
/// square. A line feed without CR ends a line here: the parser refuses it, sooner than a limit or a timeout would.
pub fn head_end(bytes: &[u8], seen: usize) -> Option<usize> {
    let first = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    // The end is up to three bytes long, so it may have begun in what was seen.
    let from = seen.saturating_sub(3).max(first).min(bytes.len());
    memchr_iter(b'\n', &bytes[from..]).find_map(|feed| match &bytes[from + feed + 1..] {
        [b'\n', ..] => Some(from + feed + 2),
        [b'\r', b'\n', ..] => Some(from + feed + 3),
        _ => None,
    })
}

// === impl Span ===

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        // `Lines` reads no further than a `u32` counts.
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// What the span covers of the bytes that were parsed, which must begin at the same byte as they did then.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    /// Offset of the first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// Offset behind the last byte.
    pub fn end(self) -> usize {
        self.end as usize
    }
}

// === impl Cuts ===

impl Cuts {
    /// The lines, in ascending order.
    pub fn as_slice(&self) -> &[Span] {
        if self.many.is_empty() {
            &self.few[..usize::from(self.count)]
        } else {
            &self.many
        }
    }

    /// Adds a line; one that is in already stays once.
    pub(super) fn add(&mut self, line: Span) {
        let place = match self.as_slice().last() {
            Some(last) if last.start >= line.start => {
                match self.as_slice().binary_search_by_key(&line.start, |cut| cut.start) {
                    Ok(_) => return,
                    Err(place) => place,
                }
            }
            _ => self.as_slice().len(),
        };
        if self.many.is_empty() && place < self.few.len() && place == usize::from(self.count) {
            self.few[place] = line;
            self.count += 1;
        } else {
            if self.many.is_empty() {
                self.many.extend_from_slice(&self.few[..usize::from(self.count)]);
            }
            self.many.insert(place, line);
        }
    }

    pub(super) fn contains(&self, line: Span) -> bool {
        self.as_slice()
            .binary_search_by_key(&line.start, |cut| cut.start)
            .is_ok()
    }

    /// Appends `bytes[from..to]` without the lines that are cut.
    pub(super) fn copy_rest(&self, bytes: &[u8], from: usize, to: usize, out: &mut Vec<u8>) {
        let mut at = from;
        for cut in self.as_slice() {
            out.extend_from_slice(&bytes[at..cut.start()]);
            at = cut.end();
        }
        out.extend_from_slice(&bytes[at..to]);
    }
}

// === impl Lines ===

impl<'a> Lines<'a> {
    /// Reads a head that begins at `start`.
    pub(super) fn new(bytes: &'a [u8], start: usize, limits: &'a HeadLimits) -> Self {
        Self {
            bytes,
            at: start,
            fields: 0,
            limits,
        }
    }

    /// The lines of a head that was parsed before, from its first field line.
    pub(super) fn fields(head: &'a [u8], start: usize) -> impl Iterator<Item = Field<'a>> {
        const VERIFIED: HeadLimits = HeadLimits {
            bytes: usize::MAX,
            fields: usize::MAX,
        };
        let mut lines = Self::new(head, start, &VERIFIED);
        std::iter::from_fn(move || match lines.next() {
            Ok(Next::Field(field)) => Some(field),
            _ => None,
        })
    }

    /// The start line, as a range without its CRLF.
    pub(super) fn start_line(&mut self) -> Result<Option<(usize, usize)>, Fault> {
        let start = self.at;
        Ok(self.line()?.map(|end| (start, end - 2)))
    }

    /// Offset of the next line.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Next<'a>, Fault> {
        let start = self.at;
        let Some(end) = self.line()? else {
            return Ok(Next::Partial);
        };
        if end - start == 2 {
            return Ok(Next::End(end));
        }
        self.fields += 1;
        if self.fields > self.limits.fields {
            return Err(Fault::because(Reason::HeadTooLarge, "more field lines than the limit"));
        }
        field(self.bytes, start, end).map(Next::Field)
    }

    /// Steps over one line, to the offset behind its CRLF.
    #[inline]
    fn line(&mut self) -> Result<Option<usize>, Fault> {
        const TOO_LARGE: Fault = Fault::because(Reason::HeadTooLarge, "more bytes than the limit");
        let limit = self.limits.bytes.min(u32::MAX as usize);
        let readable = &self.bytes[..self.bytes.len().min(limit)];
        let Some(feed) = memchr(b'\n', readable.get(self.at..).unwrap_or_default()) else {
            return if self.bytes.len() >= limit {
                Err(TOO_LARGE)
            } else {
                Ok(None)
            };
        };
        if feed == 0 || readable[self.at + feed - 1] != b'\r' {
            return Err(Fault::malformed("a line feed without a carriage return"));
        }
        self.at += feed + 1;
        Ok(Some(self.at))
    }
}

/// The field line at `bytes[start..end]`, which ends with CRLF (RFC 9112 5).
#[inline]
pub(super) fn field(bytes: &[u8], start: usize, end: usize) -> Result<Field<'_>, Fault> {
    let line = &bytes[start..end - 2];
    let name = line
        .iter()
        .position(|byte| !octets::is_token(*byte))
        .unwrap_or(line.len());
    if name == 0 || line.get(name) != Some(&b':') {
        return Err(Fault::malformed(match line.get(name) {
            Some(b' ' | b'\t') if name == 0 => "a folded line",
            Some(b' ' | b'\t') => "space between a field name and its colon",
            Some(b':') => "an empty field name",
            Some(_) => "a byte in a field name that is not of a token",
            None => "a field line without a colon",
        }));
    }
    let after = &line[name + 1..];
    if !octets::is_text(after) {
        return Err(Fault::malformed("a control byte in a field value"));
    }
    let space = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let value = octets::trim(&after[space..]);
    let value_at = start + name + 1 + space;
    Ok(Field {
        name: &line[..name],
        value,
        value_span: Span::new(value_at, value_at + value.len()),
        line: Span::new(start, end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_from_wherever_one_stopped() {
        for (bytes, end) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest"[..], Some(27)),
            (b"\r\nGET / HTTP/1.1\r\n\r\n", Some(20)),
            (b"GET / HTTP/1.1\n\nrest", Some(16)),
            (b"GET / HTTP/1.1\r\n\nrest", Some(17)),
            (b"GET / HTTP/1.1\n\r\nrest", Some(17)),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r", None),
            (b"\r\n", None),
            (b"", None),
        ] {
            assert_eq!(head_end(bytes, 0), end, "{bytes:?}");
            // As a caller does: each look begins where the last one ended.
            let mut found = None;
            for length in 0..=bytes.len() {
                found = found.or_else(|| head_end(&bytes[..length], length.saturating_sub(1)));
            }
            assert_eq!(found, end, "{bytes:?} byte by byte");
        }
    }

    #[test]
    fn cuts_stay_in_order_and_each_line_once() {
        let mut cuts = Cuts::default();
        let mut expected = Vec::new();
        for start in [10, 30, 50, 20, 30, 70, 60, 40, 90, 80, 100] {
            let line = Span::new(start, start + 5);
            cuts.add(line);
            assert!(cuts.contains(line));
            if !expected.contains(&start) {
                expected.push(start);
            }
            expected.sort_unstable();
            let starts: Vec<usize> = cuts.as_slice().iter().map(|cut| cut.start()).collect();
            assert_eq!(starts, expected);
        }
    }

    #[test]
    fn a_field_value_is_found_whatever_space_surrounds_it() {
        for (line, value) in [
            (&b"a:b\r\n"[..], &b"b"[..]),
            (b"a: b\r\n", b"b"),
            (b"a: \t b c\t \r\n", b"b c"),
            (b"a:\r\n", b""),
            (b"a:  \r\n", b""),
            (b"a: \xff\r\n", b"\xff"),
        ] {
            let field = field(line, 0, line.len()).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(field.name, b"a");
            assert_eq!(field.value, value, "{line:?}");
            assert_eq!(field.value_span.of(line), value, "{line:?}");
        }
    }
}
