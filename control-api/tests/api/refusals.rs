//! xDS messages that say more than we do are refused, by the path of the field.

use crate::example;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbSubsetConfig;
use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::google::protobuf::UInt32Value;
use envoy_types::util::pack_any;
use evenkeel_control_api::mesh;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Messages;
use evenkeel_control_api::xds::Packed;
use prost::Message;

const WEB: &str = "10.96.0.10:80";

fn messages() -> Messages {
    let document = mesh::parse(example()).unwrap_or_else(|faults| panic!("{faults}"));
    mesh::translate(&document)
}

/// Changes the message at an index.
fn change<M: Message + Default>(packed: &mut [Packed], index: usize, change: impl FnOnce(&mut M)) {
    let mut message = M::decode(packed[index].value.as_slice()).expect("a message of ours");
    change(&mut message);
    packed[index].value = message.encode_to_vec();
}

fn change_manager(messages: &mut Messages, change_it: impl FnOnce(&mut HttpConnectionManager)) {
    change(&mut messages.listeners, 0, |listener: &mut Listener| {
        let filter = &mut listener.filter_chains[0].filters[0];
        let Some(ConfigType::TypedConfig(any)) = &filter.config_type else {
            panic!("{filter:?}")
        };
        let mut manager = HttpConnectionManager::decode(any.value.as_slice()).expect("a message of ours");
        change_it(&mut manager);
        filter.config_type = Some(ConfigType::TypedConfig(pack_any(manager)));
    });
}

#[track_caller]
fn assert_refused(messages: &Messages, expected: &[&str]) {
    let faults = xds::decode(messages).expect_err("the set should be refused");
    let found: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn fields_that_we_do_not_do_are_refused_wherever_they_stand() {
    let mut messages = messages();
    change(&mut messages.listeners, 0, |listener: &mut Listener| {
        listener.filter_chains[0].transport_socket = Some(TransportSocket::default());
    });
    change_manager(&mut messages, |manager| {
        manager.xff_num_trusted_hops = 1;
        let Some(RouteSpecifier::RouteConfig(routes)) = &mut manager.route_specifier else {
            panic!("no routes")
        };
        routes.virtual_hosts[0].domains = vec!["a*b".into()];
    });
    change(&mut messages.clusters, 0, |cluster: &mut Cluster| {
        cluster.lb_subset_config = Some(LbSubsetConfig::default());
    });
    let manager = format!("listeners[{WEB}].filter_chains[0].filters[0].typed_config");
    assert_refused(
        &messages,
        &[
            &format!("listeners[{WEB}].filter_chains[0].transport_socket: is not supported"),
            &format!("{manager}.xff_num_trusted_hops: is not supported"),
            &format!(
                "{manager}.route_config.virtual_hosts[0].domains[0]: \"a*b\": there can be one *, at the beginning or at the end"
            ),
            "clusters[outbound|80||web.shop.svc.cluster.local].lb_subset_config: is not supported",
        ],
    );
}

#[test]
fn fields_newer_than_the_types_are_refused_inside_packed_messages_too() {
    let mut messages = messages();
    change(&mut messages.listeners, 0, |listener: &mut Listener| {
        let filter = &mut listener.filter_chains[0].filters[0];
        let Some(ConfigType::TypedConfig(any)) = &mut filter.config_type else {
            panic!("{filter:?}")
        };
        any.value.extend([0xf8, 0x7f, 1]);
    });
    let path = format!("listeners[{WEB}].filter_chains[0].filters[0].typed_config");
    assert_refused(
        &messages,
        &[&format!(
            "{path}: holds a field of HttpConnectionManager that is not known: number 2047"
        )],
    );
}

#[test]
fn two_chains_that_match_the_same_are_refused() {
    let mut messages = messages();
    change(&mut messages.listeners, 0, |listener: &mut Listener| {
        let mut again = listener.filter_chains[0].clone();
        again
            .filter_chain_match
            .as_mut()
            .expect("a match")
            .application_protocols = vec!["h2c".into()];
        listener.filter_chains.push(again);
    });
    let path = format!("listeners[{WEB}].filter_chains[1].filter_chain_match");
    assert_refused(&messages, &[&format!("{path}: matches the same as an earlier chain")]);
}

#[test]
fn enum_values_without_a_name_are_refused() {
    let mut messages = messages();
    change(&mut messages.listeners, 0, |listener: &mut Listener| {
        listener.traffic_direction = 9;
    });
    change_manager(&mut messages, |manager| manager.codec_type = 9);
    let manager = format!("listeners[{WEB}].filter_chains[0].filters[0].typed_config");
    assert_refused(
        &messages,
        &[
            &format!("listeners[{WEB}].traffic_direction: must be INBOUND or OUTBOUND"),
            &format!("{manager}.codec_type: must be AUTO, HTTP1 or HTTP2"),
        ],
    );
}

#[test]
fn a_choice_that_was_not_made_is_refused() {
    let mut messages = messages();
    change(&mut messages.listeners, 0, |listener: &mut Listener| {
        listener.filter_chains[0].filters[0].config_type = None;
    });
    let path = format!("listeners[{WEB}].filter_chains[0].filters[0].typed_config");
    assert_refused(
        &messages,
        &[&format!(
            "{path}: is missing: other kinds of configuration are not supported"
        )],
    );
}

#[test]
fn a_name_that_leads_nowhere_is_a_fault_of_the_set() {
    let mut messages = messages();
    messages.clusters.remove(0);
    messages.assignments.remove(1);
    let found = xds::decode(&messages)
        .expect_err("the set should be refused")
        .to_string();
    assert!(
        found.contains("names the cluster outbound|80||web.shop.svc.cluster.local, which is missing"),
        "{found}"
    );
    assert!(
        found.contains("names the assignment outbound|443||web.shop.svc.cluster.local, which is missing"),
        "{found}"
    );
}

#[test]
fn the_same_name_or_address_twice_is_refused() {
    let mut messages = messages();
    let again = messages.clusters[0].clone();
    messages.clusters.push(again);
    assert_refused(
        &messages,
        &["clusters[outbound|80||web.shop.svc.cluster.local]: is there twice"],
    );
    messages.clusters.pop();
    let again = messages.listeners[0].clone();
    messages.listeners.push(again);
    change(&mut messages.listeners, 0, |listener: &mut Listener| {
        listener.name = "other".into();
    });
    let found = xds::decode(&messages)
        .expect_err("the set should be refused")
        .to_string();
    assert!(
        found.contains("10.96.0.10:80 is an address of the listener other already"),
        "{found}"
    );
}

#[test]
fn a_message_of_another_type_is_refused() {
    let mut messages = messages();
    let cluster = messages.clusters[0].clone();
    messages.listeners.push(cluster);
    let found = xds::decode(&messages)
        .expect_err("the set should be refused")
        .to_string();
    assert!(
        found.contains("expected the type type.googleapis.com/envoy.config.listener.v3.Listener"),
        "{found}"
    );
}

#[test]
fn a_field_without_effect_is_noted() {
    let mut messages = messages();
    change(&mut messages.listeners, 0, |listener: &mut Listener| {
        listener.tcp_backlog_size = Some(UInt32Value { value: 5 });
    });
    let (_, notes) = xds::decode(&messages).unwrap_or_else(|faults| panic!("{faults}"));
    let paths: Vec<_> = notes.into_iter().map(|note| note.path).collect();
    assert_eq!(paths, [format!("listeners[{WEB}].tcp_backlog_size")]);
}

#[test]
fn forwarded_for_is_not_appended_to_what_leaves_and_addresses_are_not_used_without_it() {
    let with = |skip_xff_append| {
        let mut messages = messages();
        change_manager(&mut messages, |manager| {
            manager.use_remote_address = Some(BoolValue { value: true });
            manager.skip_xff_append = skip_xff_append;
        });
        messages
    };
    let chains = format!("listeners[{WEB}].filter_chains: use_remote_address can be true in INBOUND listeners only");
    assert_refused(&with(false), &[&chains]);
    let manager = format!("listeners[{WEB}].filter_chains[0].filters[0].typed_config");
    let skipped = format!("{manager}.use_remote_address: cannot be true with skip_xff_append");
    assert_refused(&with(true), &[&skipped, &chains]);
}
