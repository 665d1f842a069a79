use super::*;
use crate::report::Report;
use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::config::listener::v3::FilterChainMatch;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteMatch;
use envoy_types::pb::google::protobuf::Any;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Name;

/// `Listener.filter_chains`, `FilterChain.filter_chain_match`.
const MATCH: [u32; 2] = [3, 1];
/// `FilterChainMatch.source_ports`.
const SOURCE_PORTS: u32 = 7;
/// No type has it.
const NOWHERE: u32 = 1000;

/// A number in so many bytes more than it needs.
fn varint(number: u64, more: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_varint(number, &mut bytes);
    for _ in 0..more.min(10 - bytes.len()) {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(0);
    }
    bytes
}

fn number(field: u32, value: u64, more: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(field, WireType::Varint, &mut bytes);
    bytes.extend(varint(value, more));
    bytes
}

fn text(field: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(field, WireType::LengthDelimited, &mut bytes);
    length_delimited(&mut bytes, value);
    bytes
}

fn packed(ports: &[u32]) -> Vec<u8> {
    let ports: Vec<u8> = ports.iter().flat_map(|port| varint(u64::from(*port), 0)).collect();
    text(SOURCE_PORTS, &ports)
}

#[test]
fn numbers_are_known_packed_and_one_by_one() {
    for bytes in [
        packed(&[80, 443]),
        [number(SOURCE_PORTS, 80, 0), number(SOURCE_PORTS, 443, 0)].concat(),
        [packed(&[80]), number(SOURCE_PORTS, 443, 2)].concat(),
    ] {
        assert_eq!(FilterChainMatch::decode(&*bytes).unwrap().source_ports, [80, 443]);
        assert_eq!(check::<FilterChainMatch>(&bytes), Ok(()));
    }
}

#[test]
fn an_unknown_field_as_long_as_what_packing_saves_is_found() {
    let message = FilterChainMatch {
        source_ports: (1..=100).collect(),
        ..FilterChainMatch::default()
    };
    // Packed: one key instead of a hundred, and a length.
    let mut bytes = packed(&message.source_ports);
    let missing = message.encoded_len() - bytes.len();
    bytes.extend(text(NOWHERE, &vec![b'x'; missing - text(NOWHERE, b"").len()]));
    let read = FilterChainMatch::decode(&*bytes).unwrap();
    assert_eq!(read.encoded_len(), bytes.len());
    assert_eq!(check::<FilterChainMatch>(&bytes), Err(Unknown(vec![NOWHERE])));
}

#[test]
fn a_default_that_is_written_out_is_known_and_an_unknown_field_without_a_value_is_not() {
    // Most write both fields of each pair of a map.
    let pair = [text(1, b"name"), text(2, b"")].concat();
    let message = text(1, &pair);
    assert!(Metadata::decode(&*message).unwrap().encoded_len() < message.len());
    assert_eq!(check::<Metadata>(&message), Ok(()));
    let pair = [pair, number(3, 0, 0)].concat();
    assert_eq!(check::<Metadata>(&text(1, &pair)), Err(Unknown(vec![1, 3])));
    assert_eq!(check::<Metadata>(&text(NOWHERE, b"")), Err(Unknown(vec![NOWHERE])));
}

#[test]
fn one_of_a_choice_wrappers_and_what_looks_like_a_message_are_values() {
    // `path`, `case_sensitive` with its `BoolValue`.
    let message = [text(2, &number(9, 1, 0)), text(4, &number(1, 0, 0))].concat();
    assert!(RouteMatch::decode(&*message).is_ok());
    assert_eq!(check::<RouteMatch>(&message), Ok(()));
    let unknown = text(4, &number(2, 1, 0));
    assert_eq!(check::<RouteMatch>(&unknown), Err(Unknown(vec![4, 2])));
}

#[test]
fn groups_are_not_known() {
    let mut bytes = Vec::new();
    encode_key(NOWHERE, WireType::StartGroup, &mut bytes);
    encode_key(NOWHERE, WireType::EndGroup, &mut bytes);
    assert!(FilterChainMatch::decode(&*bytes).is_ok());
    assert_eq!(check::<FilterChainMatch>(&bytes), Err(Unknown(vec![NOWHERE])));
}

#[test]
fn what_is_remembered_has_an_end() {
    // `Metadata.filter_metadata` to `Struct.fields` to `Value.struct_value`, and on.
    let structure = (0..20).fold(text(1, &text(1, b"x")), |inner, _| text(1, &text(2, &text(5, &inner))));
    let deep = text(1, &text(2, &structure));
    for _ in 0..2 {
        assert_eq!(check::<Metadata>(&deep), Ok(()));
    }
    let remembered = || SHAPES.with_borrow(|shapes| shapes[&TypeId::of::<Metadata>()].places.len());
    let before = remembered();
    SHAPES.with_borrow_mut(|shapes| {
        let places = &mut shapes.get_mut(&TypeId::of::<Metadata>()).unwrap().places;
        places.resize_with(MOST_PLACES + 1, Place::default);
    });
    assert_eq!(check::<Metadata>(&deep), Ok(()));
    assert_eq!(remembered(), before);
}

/// A field of `FilterChainMatch`, in any form in which it can be written.
fn known() -> impl Strategy<Value = Vec<u8>> {
    let ports = vec(any::<u16>().prop_map(u32::from), 0..5);
    let range = (any::<u8>(), 0..3_usize).prop_map(|(length, more)| {
        let length = text(2, &number(1, u64::from(length), more));
        [text(1, b"10.0.0.0"), length].concat()
    });
    prop_oneof![
        ports.prop_map(|ports| packed(&ports)),
        (any::<u16>(), 0..3_usize).prop_map(|(port, more)| number(SOURCE_PORTS, u64::from(port), more)),
        range.prop_map(|range| text(3, &range)),
        (any::<u16>(), 0..3_usize).prop_map(|(port, more)| text(8, &number(1, u64::from(port), more))),
        "[a-z]{0,3}".prop_map(|name| text(11, name.as_bytes())),
        (0..3_u64, 0..3_usize).prop_map(|(kind, more)| number(12, kind, more)),
    ]
}

fn unknown() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (any::<u64>(), 0..3_usize).prop_map(|(value, more)| number(NOWHERE, value, more)),
        vec(any::<u8>(), 0..20).prop_map(|value| text(NOWHERE, &value)),
    ]
}

/// Listeners, a chain each that matches these fields.
fn listener(chains: &[Vec<Vec<u8>>]) -> Vec<u8> {
    chains
        .iter()
        .flat_map(|fields| inside(&MATCH, fields.concat()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_message_is_taken_however_it_is_written_unless_it_holds_a_field_that_is_not_known(
        mut chains in vec(vec(known(), 0..6), 1..4),
        unknown in unknown(),
        (chain, field) in any::<(Index, Index)>(),
    ) {
        let open = |value: Vec<u8>| {
            let any = Any { type_url: Listener::type_url(), value };
            Report::default().open::<Listener>(&any)
        };
        let before = listener(&chains);
        prop_assert_eq!(open(before.clone()), Listener::decode(&*before).ok());
        let fields = chain.get_mut(&mut chains);
        fields.insert(field.index(fields.len() + 1), unknown);
        let after = listener(&chains);
        prop_assert!(Listener::decode(&*after).is_ok());
        prop_assert_eq!(open(after), None);
    }
}
