//! What holds for every document and every message.

use crate::example;
use evenkeel_control_api::mesh;
use evenkeel_control_api::mesh::MeshDocument;
use evenkeel_control_api::resource::Resources;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Messages;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddr;

fn cases(cases: u32) -> ProptestConfig {
    let failure_persistence = Some(Box::new(FileFailurePersistence::Off) as Box<_>);
    ProptestConfig {
        cases,
        failure_persistence,
        ..ProptestConfig::default()
    }
}

const PROTOCOLS: [&str; 6] = ["auto", "http", "http2", "grpc", "tls", "tcp"];
const BALANCES: [&str; 5] = [
    "peak_ewma",
    "round_robin",
    "random",
    "least_request",
    "least_request, choices: 7",
];
const LIMITS: [&str; 9] = [
    "connect_timeout: 1ms",
    "upstream_idle: 576h, user_timeout: 576h",
    "downstream_idle: off",
    "head_timeout: 1500ms",
    "header_bytes: 8MiB, header_fields: 65536",
    "keepalive: {idle: 32767s, interval: 1s, count: 127}",
    "http2: {max_concurrent_streams: 2147483647, stream_window: 2147483647, connection_window: 65535}",
    "header_bytes: 1KiB, header_fields: 1",
    "requests_per_connection: 4294967295",
];

/// A service as its text, without the name.
fn service() -> impl Strategy<Value = String> {
    let ports = vec(
        (
            any::<bool>(),
            select(&PROTOCOLS[..]),
            select(&BALANCES[..]),
            option::of(select(&LIMITS[..])),
            endpoints(),
        ),
        1..4,
    );
    (select(&["", "4", "6", "46"][..]), ports).prop_map(|(families, ports)| {
        let mut text = String::from("  vips: [");
        for family in families.chars() {
            // `N` becomes the number of the service, which keeps addresses apart.
            text.push_str(if family == '4' {
                "10.96.0.N, "
            } else {
                "\"fd00:96::N\", "
            });
        }
        text.push_str("]\n  ports:\n");
        for (index, (high, protocol, balance, limits, endpoints)) in ports.into_iter().enumerate() {
            let port = if high { 65_535 - index } else { 1 + index };
            let _ = writeln!(
                text,
                "  - port: {port}\n    protocol: {protocol}\n    balance: {{algorithm: {balance}}}"
            );
            let _ = writeln!(
                text,
                "    limits: {{{}}}\n    endpoints:{endpoints}",
                limits.unwrap_or_default()
            );
        }
        text
    })
}

fn endpoints() -> impl Strategy<Value = String> {
    let weight = option::of(prop_oneof![1_u32..10, Just(u32::MAX / 8)]);
    let zone = option::of(select(&["a", "b"][..]));
    vec((any::<bool>(), 1_u16.., weight, zone), 0..6).prop_map(|endpoints| {
        let mut text = String::new();
        for (index, (six, port, weight, zone)) in endpoints.into_iter().enumerate() {
            let ip = if six {
                format!("[fd00::{index}:1]")
            } else {
                format!("10.1.{index}.1")
            };
            let _ = write!(text, "\n    - {{address: \"{ip}:{port}\"");
            if let Some(weight) = weight {
                let _ = write!(text, ", weight: {weight}");
            }
            if let Some(zone) = zone {
                let _ = write!(text, ", locality: {{region: r, zone: {zone}}}");
            }
            text.push('}');
        }
        if text.is_empty() { " []".into() } else { text }
    })
}

fn document() -> impl Strategy<Value = String> {
    let inbound = vec((select(&PROTOCOLS[..]), option::of(select(&LIMITS[..]))), 0..4);
    let unknown = select(&["passthrough", "refuse"][..]);
    let limits = option::of(select(&LIMITS[..]));
    (vec(service(), 0..4), inbound, select(&PROTOCOLS[..]), unknown, limits).prop_map(
        |(services, inbound, default, unknown, limits)| {
            let mut text = format!(
                "unknown: {unknown}\nlimits: {{{}}}\nservices:\n",
                limits.unwrap_or_default()
            );
            for (index, service) in services.into_iter().enumerate() {
                let service = service.replace('N', &(index + 1).to_string());
                let _ = write!(text, "- name: s{index}.shop\n{service}");
            }
            let _ = writeln!(text, "inbound:\n  default: {{protocol: {default}}}\n  ports:");
            for (index, (protocol, limits)) in inbound.into_iter().enumerate() {
                let (port, limits) = (8000 + index, limits.unwrap_or_default());
                let _ = writeln!(text, "  - {{port: {port}, protocol: {protocol}, limits: {{{limits}}}}}");
            }
            text
        },
    )
}

/// Everything of the model that balancing needs is in the resources.
fn assert_carried(document: &MeshDocument, resources: &Resources) {
    let listeners: BTreeMap<_, _> = resources.listeners.iter().map(|one| (one.name.as_str(), one)).collect();
    let clusters: BTreeMap<_, _> = resources.clusters.iter().map(|one| (one.name.as_str(), one)).collect();
    let assignments: BTreeMap<_, _> = resources
        .assignments
        .iter()
        .map(|one| (one.cluster.as_str(), one))
        .collect();
    for service in &document.services {
        for port in &service.ports {
            let name = format!("outbound|{}||{}", port.port, service.name);
            let cluster = clusters[name.as_str()];
            assert_eq!(cluster.algorithm, port.algorithm);
            assert_eq!(cluster.tcp, port.limits.tcp);
            assert_eq!(cluster.connect_timeout, port.limits.connect_timeout);
            assert_eq!(cluster.http.idle_timeout, port.limits.upstream_idle);
            let expected: BTreeSet<_> = port
                .endpoints
                .known()
                .iter()
                .map(|one| {
                    (
                        one.address,
                        one.weight,
                        one.locality.region.as_str(),
                        one.locality.zone.as_str(),
                    )
                })
                .collect();
            let found: BTreeSet<_> = assignments[name.as_str()]
                .endpoints
                .iter()
                .map(|one| {
                    (
                        one.address,
                        one.weight,
                        one.place.group.locality.region.as_str(),
                        one.place.group.locality.zone.as_str(),
                    )
                })
                .collect();
            assert_eq!(found, expected);
            for vip in &service.vips {
                let address = SocketAddr::new(*vip, port.port.get());
                let found = listeners.get(address.to_string().as_str());
                assert_eq!(found.map(|listener| &*listener.addresses), Some(&[address][..]));
            }
        }
    }
}

/// What happens to a text or to bytes on the way.
#[derive(Clone, Debug)]
enum Damage<T> {
    Remove,
    Insert(T),
    Replace(T),
    Double,
}

fn damage<T: Clone + std::fmt::Debug + 'static>(
    values: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Vec<(Index, Damage<T>)>> {
    let one = prop_oneof![
        Just(Damage::Remove),
        values.clone().prop_map(Damage::Insert),
        values.prop_map(Damage::Replace),
        Just(Damage::Double),
    ];
    vec((any::<Index>(), one), 1..4)
}

fn apply<T: Clone>(damages: Vec<(Index, Damage<T>)>, content: &mut Vec<T>) {
    for (index, damage) in damages {
        if content.is_empty() {
            return;
        }
        let at = index.index(content.len());
        match damage {
            Damage::Remove => drop(content.remove(at)),
            Damage::Insert(value) => content.insert(at, value),
            Damage::Replace(value) => content[at] = value,
            Damage::Double => content.insert(at, content[at].clone()),
        }
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn a_valid_document_becomes_resources_that_say_the_same(text in document()) {
        let document = mesh::parse(&text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        let (resources, notes) = xds::decode(&mesh::translate(&document)).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        prop_assert_eq!(notes, vec![]);
        assert_carried(&document, &resources);
    }

    #[test]
    fn damaged_bytes_of_messages_never_panic(which in any::<Index>(), damages in damage(any::<u8>())) {
        let mut messages = messages();
        let Messages { listeners, routes, clusters, assignments } = &mut messages;
        let mut all: Vec<_> = [listeners, routes, clusters, assignments].into_iter().flatten().collect();
        let index = which.index(all.len());
        let packed = &mut *all[index];
        apply(damages, &mut packed.value);
        let _ = xds::decode(&messages);
    }

    #[test]
    fn arbitrary_bytes_as_messages_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut messages = messages();
        let Messages { listeners, routes, clusters, assignments } = &mut messages;
        for packed in [listeners, routes, clusters, assignments].into_iter().flatten() {
            packed.value.clone_from(&bytes);
        }
        let _ = xds::decode(&messages);
    }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn what_the_reader_accepts_is_never_refused_later(damages in damage(select(WORDS.as_slice()))) {
        let mut words: Vec<&str> = example().split_inclusive([' ', '\n', ',', ':', '{', '[']).collect();
        apply(damages, &mut words);
        let text = words.concat();
        if mesh::parse(&text).is_ok() {
            mesh::load(&text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        }
    }

    #[test]
    fn a_limit_that_the_reader_accepts_is_never_refused_later(limit in select(ONE_LIMIT.as_slice()), number in number()) {
        let limit = limit.replace('#', &number.to_string());
        let port = format!("{{port: 80, limits: {{{limit}}}, endpoints: []}}");
        let text = format!("limits: {{{limit}}}\nservices:\n- {{name: web, vips: [10.0.0.1], ports: [{port}]}}\n");
        if mesh::parse(&text).is_ok() {
            mesh::load(&text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        }
    }

    #[test]
    fn any_text_at_all_is_read_or_refused(text in "(?s).{0,80}", yaml in "[-a \n:{}\\[\\],&*!|>'\"#%@?~0-9]{0,60}") {
        for text in [text, yaml] {
            if let Err(faults) = mesh::parse(&text) {
                prop_assert!(!faults.0.is_empty());
            }
        }
    }
}

fn messages() -> Messages {
    mesh::translate(&mesh::parse(example()).unwrap_or_else(|faults| panic!("{faults}")))
}

/// Each limit, with `#` for a number.
const ONE_LIMIT: [&str; 26] = [
    "connect_timeout: #ms",
    "connect_timeout: #h",
    "upstream_idle: #h",
    "downstream_idle: #s",
    "head_timeout: #m",
    "user_timeout: #ms",
    "user_timeout: #h",
    "header_bytes: #",
    "header_bytes: #KiB",
    "header_fields: #",
    "keepalive: {idle: #s}",
    "keepalive: {interval: #ms}",
    "keepalive: {count: #}",
    "http2: {max_concurrent_streams: #}",
    "http2: {stream_window: #}",
    "http2: {connection_window: #KiB}",
    "requests_per_connection: #",
    "connections_per_source: #",
    "requests: #",
    "buffered_bytes: #MiB",
    "connection_buffer: #KiB",
    "body_timeout: #s",
    "answer_timeout: #s",
    "interim_answers: #",
    "flood: {control_frames: #}",
    "flood: {resets: #}",
];

/// The edges of all ranges, and what is just outside.
fn number() -> impl Strategy<Value = u64> {
    let edges = [
        0,
        1,
        127,
        128,
        576,
        577,
        1_000,
        1_023,
        1_024,
        8_192,
        8_193,
        32_767,
        32_768,
        65_534,
        65_535,
        65_536,
        65_537,
        2_097_151,
        2_147_483_647,
        2_147_483_648,
        4_294_967_295,
        4_294_967_296,
        u64::MAX,
    ];
    prop_oneof![1_u64..100_000, select(edges.to_vec())]
}

/// What a slip of the hand may put into a document.
const WORDS: [&str; 26] = [
    " ",
    "\n",
    "\n  ",
    "- ",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "off",
    "0",
    "1",
    "80",
    "4294967295",
    "64KiB",
    "1ms",
    "0s",
    "tcp",
    "http",
    "10.96.0.11",
    "\"10.244.1.11:8080\"",
    "random",
    "127.0.0.1",
    "15001",
];
