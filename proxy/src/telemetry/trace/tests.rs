//! Heads in, heads out: what is malformed never gets further, and what is read is what is written.

use super::Formats;
use super::Onward;
use super::context::Context;
use super::context::Decision;
use super::propagation;
use evenkeel_control_api::mesh::settings::Propagation;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use opentelemetry::trace::SpanId;
use opentelemetry::trace::TraceId;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn head(fields: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut head = HeaderMap::new();
    for (name, value) in fields {
        head.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    head
}

fn read(formats: Formats, head: &HeaderMap) -> propagation::Found {
    propagation::read(formats, |name: &HeaderName, before| {
        head.get_all(name).iter().nth(before).map(HeaderValue::as_bytes)
    })
}

/// The head as it goes on, of a request that is this span.
fn onward(formats: Formats, came: &HeaderMap) -> HeaderMap {
    let found = read(formats, came);
    let parent = found.incoming.parent;
    let context = Context {
        trace: parent.map_or(TraceId::from(7), |parent| parent.trace),
        span: SpanId::from(8),
        decision: found.incoming.decision.unwrap_or(Decision::Drop),
        random: found.incoming.random,
    };
    let mut head = came.clone();
    if let Some(onward) = Onward::new(context, formats, &found) {
        onward.insert(&mut head);
    }
    head
}

#[test]
fn a_state_goes_with_its_parent_and_not_without_it() {
    let w3c = Formats::new(&[Propagation::W3c]);
    let ours = "00-00000000000000000000000000000007-0000000000000008-00";
    for (fields, parent, state) in [
        (vec![("traceparent", PARENT), ("tracestate", "a=1")], None, Some("a=1")),
        (vec![("traceparent", PARENT), ("tracestate", "a")], None, None),
        (vec![("tracestate", "a=1")], Some(ours), None),
        (vec![("traceparent", "00-1"), ("tracestate", "a=1")], Some(ours), None),
        (vec![("traceparent", PARENT), ("traceparent", PARENT)], Some(ours), None),
    ] {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let head = onward(w3c, &head(&fields));
        let expected = parent.unwrap_or("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000008-01");
        let parents: Vec<_> = head.get_all("traceparent").iter().collect();
        assert_eq!(parents, [expected], "{fields:?}");
        assert_eq!(
            head.get("tracestate").map(|state| state.to_str().unwrap()),
            state,
            "{fields:?}"
        );
    }
}

#[test]
fn a_parent_that_is_not_recorded_stays_as_it_came() {
    let came = head(&[
        (
            "traceparent",
            b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more",
        ),
        ("tracestate", b"a=1"),
    ]);
    assert_eq!(onward(Formats::new(&[Propagation::W3c]), &came), came);
    let came = head(&[("b3", b"0")]);
    assert_eq!(onward(Formats::new(&[Propagation::B3]), &came), came);
}

#[test]
fn the_first_valid_context_counts_and_all_are_written() {
    let both = Formats::new(&[Propagation::B3, Propagation::W3c, Propagation::B3Multi, Propagation::B3]);
    let b3 = b"80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0";
    let head = onward(
        both,
        &head(&[("traceparent", PARENT.as_bytes()), ("tracestate", b"a=1"), ("b3", b3)]),
    );
    let trace = "80f198ee56343ba864fe8b2a57d3eff7";
    for (name, value) in [
        ("b3", format!("{trace}-0000000000000008-0")),
        ("traceparent", format!("00-{trace}-0000000000000008-00")),
        ("x-b3-traceid", trace.to_owned()),
        ("x-b3-spanid", "0000000000000008".to_owned()),
        ("x-b3-sampled", "0".to_owned()),
    ] {
        assert_eq!(head[name], value, "{name}");
    }
    assert_eq!(head.len(), 5, "{head:?}");
}

#[test]
fn whatever_comes_what_goes_on_is_valid_and_the_same_trace() {
    let mut seed = 1_u64;
    let seeds: [(&'static str, &[u8]); 7] = [
        ("traceparent", PARENT.as_bytes()),
        ("tracestate", b"rojo=00f067aa0ba902b7,congo@x=t61rcWkgMzE"),
        (
            "b3",
            b"80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
        ),
        ("x-b3-traceid", b"64fe8b2a57d3eff7"),
        ("x-b3-spanid", b"e457b5a2e4d86bd1"),
        ("x-b3-sampled", b"1"),
        ("x-b3-flags", b"1"),
    ];
    let configured = [
        vec![Propagation::W3c],
        vec![Propagation::B3],
        vec![Propagation::B3Multi],
        vec![Propagation::B3Multi, Propagation::W3c, Propagation::B3],
    ];
    for _ in 0..50_000 {
        // Knuth's generator, whose upper bits are good.
        let mut below = |most: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % most
        };
        let mut came = HeaderMap::new();
        for (name, value) in seeds {
            for _ in 0..[1, 1, 1, 1, 1, 0, 2][below(7)] {
                let mut value = value.to_vec();
                for _ in 0..[0, 0, 0, 1, 2][below(5)] {
                    let place = below(value.len());
                    match below(4) {
                        0 => value[place] = b"0aFz- ,=\xff@1"[below(11)],
                        1 => drop(value.remove(place)),
                        2 => value.insert(place, b"0aFz- ,=\xff@1"[below(11)]),
                        _ => value.truncate(place),
                    }
                    if value.is_empty() {
                        break;
                    }
                }
                came.append(name, HeaderValue::from_bytes(&value).unwrap());
            }
        }
        let formats = Formats::new(&configured[below(4)]);
        let before = read(formats, &came).incoming;
        let head = onward(formats, &came);
        let after = read(formats, &head).incoming;
        let kept = before.parent.map(|parent| parent.trace);
        if before.parent.is_some() || before.decision != Some(Decision::Drop) {
            let trace = after.parent.unwrap_or_else(|| panic!("{came:?} -> {head:?}")).trace;
            assert_eq!(trace, kept.unwrap_or(TraceId::from(7)), "{came:?}");
        }
        assert_eq!(
            after.decision,
            before.decision.or(Some(Decision::Drop)),
            "{came:?} -> {head:?}"
        );
    }
}

#[test]
fn the_table_of_hpack_gets_our_field_from_the_first_head_of_a_connection_alone() {
    let mut head = onward(Formats::new(&[Propagation::W3c]), &HeaderMap::new());
    assert!(head["traceparent"].is_sensitive());
    propagation::introduce(&mut head);
    assert!(!head["traceparent"].is_sensitive());
}
