//! W3C Trace Context, level 2: `traceparent` and `tracestate`.

use super::context::Context;
use super::context::Decision;
use super::context::Incoming;
use super::context::Parent;
use super::hex;
use http::HeaderName;
use opentelemetry::trace::SpanId;
use opentelemetry::trace::TraceId;

/// Who asks.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What others want to know again.
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Of version 00, and the least of any later one.
const LENGTH: usize = 55;
const NAME: &[u8] = b"traceparent: ";
const LINE: usize = NAME.len() + LENGTH + 2;
/// The recorded bit of the flags.
const SAMPLED: u8 = 1;
/// The bit that says that the identity of the trace is random.
const RANDOM: u8 = 2;
/// Members of a `tracestate`.
const MOST_MEMBERS: usize = 32;
/// Of a key, and of a value.
const LONGEST: usize = 256;

/// A `traceparent`; `None`: it is malformed. Of a version that is not known only what was always there is read (4.3).
pub(super) fn read(value: &[u8]) -> Option<Incoming> {
    let known = value.get(..LENGTH)?;
    let [version] = hex::bytes(&known[..2])?;
    let ends = match version {
        0 => value.len() == LENGTH,
        0xff => false,
        _ => matches!(value.get(LENGTH), None | Some(b'-')),
    };
    if !ends || [known[2], known[35], known[52]] != *b"---" {
        return None;
    }
    let parent = Parent {
        trace: TraceId::from_bytes(hex::bytes(&known[3..35])?),
        span: SpanId::from_bytes(hex::bytes(&known[36..52])?),
    };
    let [flags] = hex::bytes(&known[53..])?;
    if parent.trace == TraceId::INVALID || parent.span == SpanId::INVALID {
        return None;
    }
    Some(Incoming {
        parent: Some(parent),
        decision: Some(if flags & SAMPLED == 0 {
            Decision::Drop
        } else {
            Decision::Sample
        }),
        random: flags & RANDOM != 0,
    })
}

/// The value of a `traceparent`.
#[inline]
pub(super) fn text(context: &Context) -> [u8; LENGTH] {
    let sampled = if context.decision.samples() { SAMPLED } else { 0 };
    let random = if context.random { RANDOM } else { 0 };
    compose(&context.trace.to_bytes(), &context.span.to_bytes(), sampled | random)
}

/// Of bytes that lie in memory the compiler takes eight at once, of a number each by itself (80 instructions of a request).
#[inline(never)]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "by value it would be a number again")]
fn compose(trace: &[u8; 16], span: &[u8; 8], flags: u8) -> [u8; LENGTH] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex::write(trace, &mut text[3..35]);
    hex::write(span, &mut text[36..52]);
    text[54] += flags;
    text
}

/// The same as a line of HTTP/1.
#[inline]
pub(super) fn line(context: &Context) -> [u8; LINE] {
    let mut line = [0; LINE];
    line[..NAME.len()].copy_from_slice(NAME);
    line[NAME.len()..LINE - 2].copy_from_slice(&text(context));
    line[LINE - 2..].copy_from_slice(b"\r\n");
    line
}

/// Whether the lines of a `tracestate` are one list that may be passed on (3.3.1).
pub(super) fn is_state<'a>(lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let members = lines.flat_map(|line| line.split(|byte| *byte == b','));
    let mut members = members.map(trim).filter(|member| !member.is_empty());
    members.by_ref().take(MOST_MEMBERS).all(is_member) && members.next().is_none()
}

/// Without the white space around it.
fn trim(member: &[u8]) -> &[u8] {
    member.trim_ascii()
}

fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    let of_key = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let of_value = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    key.first()
        .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.len() <= LONGEST
        && key.iter().all(of_key)
        && !value.is_empty()
        && value.len() <= LONGEST
        && value.iter().all(of_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_parent_is_read_and_written_as_it_came() {
        for (flags, decision, random) in [
            ("00", Decision::Drop, false),
            ("01", Decision::Sample, false),
            ("02", Decision::Drop, true),
            ("03", Decision::Sample, true),
        ] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let incoming = read(text.as_bytes()).unwrap();
            let parent = incoming.parent.unwrap();
            assert_eq!(
                (parent.trace.to_string(), parent.span.to_string()),
                (TRACE.to_owned(), SPAN.to_owned())
            );
            assert_eq!((incoming.decision, incoming.random), (Some(decision), random));
            let context = Context {
                trace: parent.trace,
                span: parent.span,
                decision,
                random,
            };
            assert_eq!(super::text(&context), *text.as_bytes());
            assert_eq!(line(&context), *format!("traceparent: {text}\r\n").as_bytes());
        }
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        for text in [
            format!("cc-{TRACE}-{SPAN}-01"),
            format!("01-{TRACE}-{SPAN}-01-what-the-future-will-be-like"),
            format!("fe-{TRACE}-{SPAN}-ff"),
        ] {
            assert_eq!(
                read(text.as_bytes()).unwrap().decision,
                Some(Decision::Sample),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_malformed_is_not_read() {
        let zero = ["0".repeat(32), "0".repeat(16)];
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-x"),
            format!("01-{TRACE}-{SPAN}-01.x"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0x-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-0A"),
            format!("00-{}-{SPAN}-01", zero[0]),
            format!("00-{TRACE}-{}-01", zero[1]),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{SPAN}-{TRACE}-01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_state_is_passed_on_if_it_is_a_list_of_keys_and_values() {
        let many = |count: usize| {
            (0..count)
                .map(|number| format!("k{number}=v"))
                .collect::<Vec<_>>()
                .join(",")
        };
        for lines in [
            vec!["congo=t61rcWkgMzE,rojo=00f067aa0ba902b7".to_owned()],
            vec!["a=1".to_owned(), "b=2".to_owned()],
            vec!["a=1 \t,\t b=2,,".to_owned(), String::new()],
            vec!["fw529a3039@dt=FfAAA/-.:;<>?!\"#$%&'()*+".to_owned(), "0=1".to_owned()],
            vec![many(32)],
            vec![format!("{}={}", "k".repeat(256), "v".repeat(256))],
        ] {
            assert!(is_state(lines.iter().map(String::as_bytes)), "{lines:?}");
        }
        for line in [
            "a".to_owned(),
            "=1".to_owned(),
            "a=".to_owned(),
            "A=1".to_owned(),
            "a =1".to_owned(),
            "a=1=2".to_owned(),
            "a.b=1".to_owned(),
            "@a=1".to_owned(),
            "a=\u{e9}".to_owned(),
            many(33),
            format!("{}=v", "k".repeat(257)),
            format!("k={}", "v".repeat(257)),
        ] {
            assert!(!is_state(std::iter::once(line.as_bytes())), "{line:?}");
        }
    }
}
