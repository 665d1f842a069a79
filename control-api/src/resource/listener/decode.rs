//! `Listener`.

use super::ApplicationProtocol;
use super::ChainMatch;
use super::Direction;
use super::FilterChain;
use super::ForwardedFor;
use super::Inspect;
use super::Inspection;
use super::Listener;
use super::NetworkFilter;
use super::TransportProtocol;
use super::chain;
use super::inspect::Filters;
use super::matches;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::value;
use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3 as proto;
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
    matches::refuse_equal(&chains, report);
    let default_chain = default_filter_chain
        .and_then(|message| report.within("default_filter_chain", |report| chain::decode_default(message, report)));
    note_blind_matches(&chains, &found.inspect, report);
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

/// A chain that is chosen by what no inspector looks for would never be chosen.
fn note_blind_matches(chains: &[FilterChain], inspect: &Inspect, report: &mut Report) {
    for (index, chain) in chains.iter().enumerate() {
        let ChainMatch {
            server_names,
            transport_protocol,
            application_protocols,
            ..
        } = &chain.matches;
        let tls = !server_names.is_empty() || *transport_protocol == Some(TransportProtocol::Tls);
        let http = [ApplicationProtocol::Http1, ApplicationProtocol::Http2];
        let http =
            application_protocols.iter().all(|protocol| http.contains(protocol)) && !application_protocols.is_empty();
        let field = format!("filter_chains[{index}].filter_chain_match");
        if tls && inspect.tls == Inspection::Never {
            report.note_field(&field, "matches nothing: tls_inspector is missing");
        }
        if http && inspect.http == Inspection::Never {
            report.note_field(&field, "matches nothing: http_inspector is missing");
        }
    }
}
