//! What a data plane of the version before is sent, against `version-1.txt`: the page of fields as that version had it, which never
//! changes again. When there is a version 3, the page of version 2 is put beside it.

use super::decoder::decoders;
use super::decoder::snake;
use super::message::messages;
use super::page_of_the_code;
use crate::example;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use evenkeel_control_api::mesh;
use evenkeel_control_api::mesh::Reader;
use evenkeel_control_api::xds::Packed;
use prost::Message;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Debug;

const VERSION_1: &str = include_str!("version-1.txt");

/// By the last word of a message's name, for each of its fields whether some message of that name takes it.
type Table = BTreeMap<String, BTreeMap<String, bool>>;

/// What a page says.
fn table(page: &str) -> Table {
    let (mut table, mut message, mut taken) = (Table::new(), String::new(), false);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let name = heading.split(',').next().unwrap_or_default();
            name.rsplit('.').next().unwrap_or_default().clone_into(&mut message);
            table.entry(message.clone()).or_default();
        } else if let Some((treatment, _)) = line.strip_prefix("- ").and_then(|rest| rest.split_once(':')) {
            taken = treatment != "Refused";
        }
        let Some(fields) = table.get_mut(&message).filter(|_| !line.starts_with('#')) else {
            continue;
        };
        for word in line.split('`').skip(1).step_by(2) {
            *fields.entry(word.to_owned()).or_default() |= taken;
        }
    }
    table
}

/// The fields that are set in a message, each with the last word of its message's name: generated types print one on a line. One of a
/// choice has several names.
fn set<M: Debug>(message: &M) -> BTreeSet<(String, Vec<String>)> {
    let text = format!("{message:#?}");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let (mut open, mut found) = (Vec::new(), BTreeSet::new());
    for (number, line) in lines.iter().enumerate() {
        if let Some(name) = line.strip_suffix(" {") {
            let (field, name) = name
                .split_once(": ")
                .map_or((None, name), |(field, name)| (Some(field), name));
            if let (Some(field), Some(owner)) = (field, open.last()) {
                found.insert((String::clone(owner), vec![field.to_owned()]));
            }
            open.push(name.to_owned());
        } else if line.starts_with('}') {
            open.pop();
        } else if let (Some((field, value)), Some(owner)) = (line.split_once(": "), open.last())
            && !["None,", "[],", "{},", "\"\",", "0,", "false,", "0.0,"].contains(&value)
        {
            let field = field.trim_start_matches("r#");
            let chosen = lines.get(number + 1).and_then(|next| next.split_once('('));
            let chosen = chosen.filter(|(variant, _)| variant.starts_with(|letter: char| letter.is_ascii_uppercase()));
            let names = chosen.map(|(variant, _)| snake(variant)).into_iter();
            let names = names.chain([field.to_owned(), format!("every other {field}")]);
            found.insert((owner.clone(), names.collect()));
        }
    }
    found
}

fn open<M: Message + Default + Debug>(packed: &[Packed]) -> BTreeSet<(String, Vec<String>)> {
    let each = packed
        .iter()
        .map(|packed| M::decode(packed.value.as_slice()).expect("ours"));
    each.flat_map(|message| set(&message)).collect()
}

/// The same of what is packed inside of these listeners.
fn filters(packed: &[Packed]) -> BTreeSet<(String, Vec<String>)> {
    use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
    let listeners = packed
        .iter()
        .map(|packed| Listener::decode(packed.value.as_slice()).expect("ours"));
    let chains = listeners.flat_map(|listener| {
        let default = listener.default_filter_chain;
        listener.filter_chains.into_iter().chain(default)
    });
    let mut found = BTreeSet::new();
    for filter in chains.flat_map(|chain| chain.filters) {
        let Some(ConfigType::TypedConfig(any)) = filter.config_type else {
            panic!("a filter without a configuration")
        };
        found.extend(if any.type_url.ends_with(".TcpProxy") {
            set(&TcpProxy::decode(any.value.as_slice()).expect("ours"))
        } else {
            assert!(any.type_url.ends_with(".HttpConnectionManager"), "{}", any.type_url);
            set(&HttpConnectionManager::decode(any.value.as_slice()).expect("ours"))
        });
    }
    found
}

/// What this reader is sent and version 1 would not have taken, though this one takes it. Values that every message has, such as the first
/// word of an enum, are told from nothing by that: we set nothing that we would refuse.
fn unknown_to_version_1(reader: Reader) -> BTreeSet<String> {
    let document = mesh::parse(example()).unwrap_or_else(|faults| panic!("{faults}"));
    let sent = mesh::translate_for(&document, reader);
    let mut fields = open::<Cluster>(&sent.clusters);
    fields.extend(open::<ClusterLoadAssignment>(&sent.assignments));
    fields.extend(open::<Listener>(&sent.listeners));
    fields.extend(filters(&sent.listeners));
    let (before, now) = (table(VERSION_1), table(&page_of_the_code()));
    let takes = |table: &Table, message: &str, names: &[String]| {
        let fields = table.get(message);
        fields.is_some_and(|fields| {
            names
                .iter()
                .find_map(|name| fields.get(name))
                .copied()
                .unwrap_or_default()
        })
    };
    let unknown = fields
        .into_iter()
        .filter(|(message, names)| takes(&now, message, names) && !takes(&before, message, names));
    unknown
        .map(|(message, names)| format!("{message}.{}", names[0]))
        .collect()
}

#[test]
fn a_data_plane_of_version_1_is_sent_what_its_own_page_has_and_this_one_more() {
    assert!(messages(&decoders()).len() > 60 && table(VERSION_1).len() > 50);
    assert!(VERSION_1.contains("This is version 1 of the table"));
    assert_eq!(unknown_to_version_1(Reader::Evenkeel(1)), BTreeSet::new());
    let more = unknown_to_version_1(Reader::Evenkeel(mesh::FIELDS));
    assert!(more.iter().any(|field| field.ends_with("hash_policy")), "{more:?}");
}
