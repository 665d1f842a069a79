//! B3, as Zipkin has it: in one header, or in several.

use super::context::Context;
use super::context::Decision;
use super::context::Incoming;
use super::context::Parent;
use super::hex;
use http::HeaderName;
use opentelemetry::trace::SpanId;
use opentelemetry::trace::TraceId;

/// All of it.
pub(super) const SINGLE: HeaderName = HeaderName::from_static("b3");
/// The trace.
pub(super) const TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
/// The span that asks.
pub(super) const SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
/// That one's parent, which nobody needs.
pub(super) const PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
/// The decision.
pub(super) const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
/// A decision that nobody overrules.
pub(super) const FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// The value of `b3`; `None`: it is malformed.
pub(super) fn read(value: &[u8]) -> Option<Incoming> {
    let mut parts = value.split(|byte| *byte == b'-');
    let first = parts.next()?;
    let Some(span) = parts.next() else {
        return Some(Incoming {
            decision: Some(decision(first)?),
            ..Incoming::default()
        });
    };
    let parent = parent(first, span)?;
    let decided = parts.next().map(decision);
    // Whose child the parent is has to be right, and is not asked for.
    let known = parts
        .next()
        .is_none_or(|grandparent| hex::bytes::<8>(grandparent).is_some());
    if !known || parts.next().is_some() {
        return None;
    }
    Some(Incoming {
        parent: Some(parent),
        decision: match decided {
            Some(decision) => Some(decision?),
            None => None,
        },
        random: false,
    })
}

/// What the several headers say; `None`: nothing, or what is malformed.
pub(super) fn read_several<'a>(field: impl Fn(&HeaderName) -> Option<&'a [u8]>) -> Option<Incoming> {
    let sampled = match field(&SAMPLED) {
        // Old ones wrote it as a word.
        Some(b"1" | b"true") => Some(Decision::Sample),
        Some(b"0" | b"false") => Some(Decision::Drop),
        Some(_) => return None,
        None => None,
    };
    let decision = match field(&FLAGS) {
        Some(b"1") => Some(Decision::Debug),
        _ => sampled,
    };
    match (field(&TRACE), field(&SPAN)) {
        (Some(trace), Some(span)) => Some(Incoming {
            parent: Some(parent(trace, span)?),
            decision,
            random: false,
        }),
        (None, None) if decision.is_some() => Some(Incoming {
            decision,
            ..Incoming::default()
        }),
        _ => None,
    }
}

fn decision(word: &[u8]) -> Option<Decision> {
    match word {
        b"0" => Some(Decision::Drop),
        b"1" => Some(Decision::Sample),
        b"d" => Some(Decision::Debug),
        _ => None,
    }
}

/// A trace has an identity of 128 bits, or of 64, which are its lower half.
fn parent(trace: &[u8], span: &[u8]) -> Option<Parent> {
    let trace = match trace.len() {
        16 => TraceId::from(u128::from(u64::from_be_bytes(hex::bytes(trace)?))),
        _ => TraceId::from_bytes(hex::bytes(trace)?),
    };
    let span = SpanId::from_bytes(hex::bytes(span)?);
    (trace != TraceId::INVALID && span != SpanId::INVALID).then_some(Parent { trace, span })
}

/// The value of `b3`.
pub(super) fn text(context: &Context) -> Vec<u8> {
    let mut text = trace(context.trace);
    text.push(b'-');
    text.extend(span(context.span));
    text.extend_from_slice(match context.decision {
        Decision::Drop => b"-0",
        Decision::Sample => b"-1",
        Decision::Debug => b"-d",
    });
    text
}

/// The identity of a trace, as long as it came: who has 64 bits may not be able to read more.
pub(super) fn trace(trace: TraceId) -> Vec<u8> {
    let digits = hex::digits(trace);
    let (upper, lower) = digits.split_at(16);
    if upper == [b'0'; 16] {
        lower.to_vec()
    } else {
        digits.to_vec()
    }
}

/// The identity of a span.
pub(super) fn span(span: SpanId) -> [u8; 16] {
    let mut digits = [0; 16];
    hex::write(&span.to_bytes(), &mut digits);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SHORT: &str = "64fe8b2a57d3eff7";
    const ID: &str = "e457b5a2e4d86bd1";

    fn context(incoming: &Incoming) -> Context {
        let parent = incoming.parent.unwrap();
        Context {
            trace: parent.trace,
            span: parent.span,
            decision: incoming.decision.unwrap_or(Decision::Drop),
            random: false,
        }
    }

    #[test]
    fn a_single_header_is_read_and_written_as_it_came() {
        for trace in [LONG, SHORT] {
            for word in ["0", "1", "d"] {
                let text = format!("{trace}-{ID}-{word}");
                let incoming = read(text.as_bytes()).unwrap();
                assert_eq!(incoming.decision, decision(word.as_bytes()));
                assert_eq!(super::text(&context(&incoming)), text.as_bytes());
                let longer = format!("{text}-05e3ac9a4f6e3b90");
                assert_eq!(read(longer.as_bytes()), Some(incoming));
            }
        }
        assert_eq!(read(format!("{LONG}-{ID}").as_bytes()).unwrap().decision, None);
        assert_eq!(
            read(b"0").unwrap(),
            Incoming {
                decision: Some(Decision::Drop),
                ..Incoming::default()
            }
        );
    }

    #[test]
    fn a_malformed_single_header_is_not_read() {
        for text in [
            String::new(),
            "2".to_owned(),
            "-".to_owned(),
            LONG.to_owned(),
            format!("{LONG}-"),
            format!("{LONG}-{ID}-2"),
            format!("{LONG}-{ID}-1-"),
            format!("{LONG}-{ID}-1-{ID}-1"),
            format!("{LONG}-{ID}-1-{LONG}"),
            format!("{}-{ID}-1", LONG.to_uppercase()),
            format!("{}-{ID}-1", &LONG[..31]),
            format!("{}-{ID}-1", "0".repeat(32)),
            format!("{LONG}-{}-1", "0".repeat(16)),
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    fn several(fields: &[(&HeaderName, &'static str)]) -> Option<Incoming> {
        read_several(|name| {
            let field = fields.iter().find(|(other, _)| *other == name);
            field.map(|(_, value)| value.as_bytes())
        })
    }

    #[test]
    fn several_headers_are_read_together() {
        let ids = [(&TRACE, LONG), (&SPAN, ID)];
        for (field, expected) in [
            ((&SAMPLED, "1"), Some(Decision::Sample)),
            ((&SAMPLED, "true"), Some(Decision::Sample)),
            ((&SAMPLED, "0"), Some(Decision::Drop)),
            ((&FLAGS, "1"), Some(Decision::Debug)),
            ((&FLAGS, "0"), None),
            ((&PARENT, ID), None),
        ] {
            let incoming = several(&[ids[0], ids[1], field]).unwrap();
            assert_eq!(
                (incoming.parent.is_some(), incoming.decision),
                (true, expected),
                "{field:?}"
            );
        }
        let alone = several(&[(&SAMPLED, "0")]).unwrap();
        assert_eq!((alone.parent, alone.decision), (None, Some(Decision::Drop)));
        let debug = several(&[(&FLAGS, "1"), (&SAMPLED, "0")]).unwrap();
        assert_eq!(debug.decision, Some(Decision::Debug));
    }

    #[test]
    fn several_headers_of_which_one_is_malformed_or_missing_are_not_read() {
        for fields in [
            vec![],
            vec![(&TRACE, LONG)],
            vec![(&SPAN, ID), (&SAMPLED, "1")],
            vec![(&TRACE, "1"), (&SPAN, ID)],
            vec![(&TRACE, LONG), (&SPAN, "E457B5A2E4D86BD1")],
            vec![(&TRACE, LONG), (&SPAN, ID), (&SAMPLED, "yes")],
        ] {
            assert_eq!(several(&fields), None, "{fields:?}");
        }
    }
}
