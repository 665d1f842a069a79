//! `Listener` and its listener filters.

use super::ApplicationProtocol;
use super::Direction;
use super::FilterChain;
use super::ForwardedFor;
use super::Inspect;
use super::Listener;
use super::NetworkFilter;
use super::TransportProtocol;
use super::chain;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::value;
use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3 as proto;
use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use prost::Name;
use std::collections::HashSet;
use std::net::SocketAddr;

/// Decodes a listener.
pub(crate) fn decode(message: proto::Listener, report: &mut Report) -> Option<Listener> {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let proto::Listener {
        name,
        address,
        additional_addresses,
        stat_prefix,
        stats_matcher,
        filter_chains,
        fcds_config,
        filter_chain_matcher,
        use_original_dst,
        default_filter_chain,
        per_connection_buffer_limit_bytes,
        per_connection_buffer_high_watermark_timeout,
        metadata,
        deprecated_v1,
        drain_type,
        listener_filters,
        listener_filters_timeout,
        continue_on_listener_filters_timeout,
        transparent,
        freebind,
        socket_options,
        tcp_fast_open_queue_length,
        traffic_direction,
        udp_listener_config,
        api_listener,
        connection_balance_config,
        reuse_port,
        enable_reuse_port,
        access_log,
        tcp_backlog_size,
        max_connections_to_accept_per_socket_event,
        bind_to_port,
        enable_mptcp,
        ignore_global_conn_limit,
        bypass_overload_manager,
        tcp_keepalive,
        listener_specifier,
    } = message;
    refuse_set!(report; fcds_config, filter_chain_matcher, deprecated_v1, drain_type, freebind, socket_options);
    refuse_set!(report; tcp_fast_open_queue_length, udp_listener_config, api_listener, access_log, enable_mptcp);
    refuse_set!(report; per_connection_buffer_high_watermark_timeout, tcp_keepalive, listener_specifier);
    refuse_set!(report; ignore_global_conn_limit, bypass_overload_manager);
    note_set!(report; stat_prefix, stats_matcher, metadata, per_connection_buffer_limit_bytes, tcp_backlog_size);
    note_set!(report; connection_balance_config, reuse_port, enable_reuse_port);
    // Detection has no timer: it listens to both sides until one has spoken.
    note_set!(report; listener_filters_timeout, continue_on_listener_filters_timeout);
    note_set!(report; max_connections_to_accept_per_socket_event);
    if transparent.is_some_and(|transparent| transparent.value) {
        report.refuse_field("transparent", "cannot be true");
    }
    let addresses = addresses(address, additional_addresses, report);
    let direction = direction(traffic_direction, report);
    let bind = bind_to_port.is_none_or(|bind| bind.value);
    let hand_off = use_original_dst.is_some_and(|hand_off| hand_off.value);
    let found = Filters::decode(listener_filters, report);
    if bind && !hand_off && !found.original_destination {
        report.refuse_field(
            "listener_filters",
            "original_dst is missing: connections come by redirection only",
        );
    }
    let chains = report.each("filter_chains", filter_chains, chain::decode);
    chain::refuse_equal_matches(&chains, report);
    let default_chain = default_filter_chain
        .and_then(|message| report.within("default_filter_chain", |report| chain::decode_default(message, report)));
    refuse_blind_matches(&chains, found.inspect, report);
    if direction == Some(Direction::Outbound) && chains.iter().chain(&default_chain).any(appends_forwarded_for) {
        report.refuse_field(
            "filter_chains",
            "use_remote_address can be true in INBOUND listeners only",
        );
    }
    let name = value::required_name("name", name, report);
    let (addresses, direction) = (addresses?, direction?);
    Some(Listener {
        name: name?,
        addresses,
        direction,
        bind,
        hand_off,
        inspect: found.inspect,
        chains,
        default_chain,
    })
}

fn addresses(
    first: Option<envoy_types::pb::envoy::config::core::v3::Address>,
    others: Vec<proto::AdditionalAddress>,
    report: &mut Report,
) -> Option<Vec<SocketAddr>> {
    let first = report.within("address", |report| value::address(first, report));
    let others = report.each("additional_addresses", others, |message, report| {
        let proto::AdditionalAddress {
            address,
            socket_options,
            tcp_keepalive,
        } = message;
        refuse_set!(report; socket_options, tcp_keepalive);
        report.within("address", |report| value::address(address, report))
    });
    let addresses: Vec<SocketAddr> = first.into_iter().chain(others).collect();
    let mut seen = HashSet::new();
    for address in &addresses {
        if !seen.insert(*address) {
            report.refuse_field("additional_addresses", format!("{address} is there twice"));
        }
    }
    first.map(|_| addresses)
}

fn direction(number: i32, report: &mut Report) -> Option<Direction> {
    match TrafficDirection::try_from(number) {
        Ok(TrafficDirection::Inbound) => Some(Direction::Inbound),
        Ok(TrafficDirection::Outbound) => Some(Direction::Outbound),
        Ok(TrafficDirection::Unspecified) | Err(_) => {
            report.refuse_field("traffic_direction", "must be INBOUND or OUTBOUND");
            None
        }
    }
}

fn appends_forwarded_for(chain: &FilterChain) -> bool {
    matches!(&chain.filter, NetworkFilter::Http(manager) if manager.forwarded_for == ForwardedFor::Append)
}

/// Which listener filters there are.
#[derive(Default)]
struct Filters {
    inspect: Inspect,
    original_destination: bool,
}

impl Filters {
    fn decode(messages: Vec<proto::ListenerFilter>, report: &mut Report) -> Self {
        let mut found = Self::default();
        report.each("listener_filters", messages, |message, report| {
            let proto::ListenerFilter {
                name: _,
                filter_disabled,
                config_type,
            } = message;
            refuse_set!(report; filter_disabled);
            let config = match config_type {
                Some(ConfigType::TypedConfig(any)) => Some(any),
                Some(ConfigType::ConfigDiscovery(_)) | None => None,
            };
            let any = value::typed_config(config, report)?;
            report.within("typed_config", |report| {
                let seen = if any.type_url == OriginalDst::type_url() {
                    let OriginalDst {} = report.open(&any)?;
                    &mut found.original_destination
                } else if any.type_url == HttpInspector::type_url() {
                    let HttpInspector {} = report.open(&any)?;
                    &mut found.inspect.http
                } else if any.type_url == TlsInspector::type_url() {
                    tls_inspector(report.open(&any)?, report);
                    &mut found.inspect.tls
                } else {
                    report.refuse(format!("the listener filter {:?} is not supported", any.type_url));
                    return None;
                };
                if std::mem::replace(seen, true) {
                    report.refuse("the same filter is there twice");
                }
                Some(())
            })
        });
        found
    }
}

fn tls_inspector(message: TlsInspector, report: &mut Report) {
    let TlsInspector {
        enable_ja3_fingerprinting,
        enable_ja4_fingerprinting,
        initial_read_buffer_size,
        close_connection_on_client_hello_parsing_errors,
        max_client_hello_size,
    } = message;
    refuse_set!(report; close_connection_on_client_hello_parsing_errors);
    note_set!(report; enable_ja3_fingerprinting, enable_ja4_fingerprinting);
    note_set!(report; initial_read_buffer_size, max_client_hello_size);
}

/// A chain that is chosen by what no inspector looks for would never be chosen.
fn refuse_blind_matches(chains: &[FilterChain], inspect: Inspect, report: &mut Report) {
    let wants_tls = |chain: &FilterChain| chain.matches.transport_protocol == Some(TransportProtocol::Tls);
    let wants_http = |chain: &FilterChain| {
        let known = [ApplicationProtocol::Http1, ApplicationProtocol::Http2];
        chain
            .matches
            .application_protocols
            .iter()
            .any(|protocol| known.contains(protocol))
    };
    if !inspect.tls && chains.iter().any(wants_tls) {
        report.refuse_field(
            "listener_filters",
            "tls_inspector is missing: a chain matches the transport protocol tls",
        );
    }
    if !inspect.http && chains.iter().any(wants_http) {
        report.refuse_field(
            "listener_filters",
            "http_inspector is missing: a chain matches application protocols",
        );
    }
}
