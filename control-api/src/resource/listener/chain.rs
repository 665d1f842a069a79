//! `FilterChain`, `FilterChainMatch` and the one network filter of a chain.

use super::ApplicationProtocol;
use super::ChainMatch;
use super::FilterChain;
use super::NetworkFilter;
use super::TransportProtocol;
use super::http;
use super::tcp;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::value;
use envoy_types::pb::envoy::config::listener::v3 as proto;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use prost::Name;
use std::collections::HashSet;

/// Decodes a filter chain.
pub(super) fn decode(message: proto::FilterChain, report: &mut Report) -> Option<FilterChain> {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let proto::FilterChain {
        filter_chain_match,
        filters,
        use_proxy_proto,
        metadata,
        transport_socket,
        transport_socket_connect_timeout,
        name,
    } = message;
    refuse_set!(report; use_proxy_proto, transport_socket);
    note_set!(report; metadata, transport_socket_connect_timeout);
    let matches = filter_chain_match
        .map(|message| report.within("filter_chain_match", |report| chain_match(message, report)))
        .unwrap_or_default();
    let count = filters.len();
    let mut filters = report.each("filters", filters, network_filter);
    if count != 1 {
        report.refuse_field("filters", format!("must be exactly one, not {count}"));
        return None;
    }
    Some(FilterChain {
        name,
        matches,
        filter: filters.pop()?,
    })
}

/// Decodes a filter chain that is taken when no other matches, and so must match nothing itself.
pub(super) fn decode_default(message: proto::FilterChain, report: &mut Report) -> Option<FilterChain> {
    let chain = decode(message, report)?;
    if chain.matches != ChainMatch::default() {
        report.refuse_field("filter_chain_match", "has no meaning in the default chain");
    }
    Some(chain)
}

/// Refuses two chains of which neither is more specific than the other. As in Envoy, a chain with several application
/// protocols stands for one chain for each.
pub(super) fn refuse_equal_matches(chains: &[FilterChain], report: &mut Report) {
    let mut seen = HashSet::new();
    for (index, chain) in chains.iter().enumerate() {
        let ChainMatch {
            destination_port,
            transport_protocol,
            application_protocols,
        } = &chain.matches;
        let protocols = application_protocols.iter().map(Some);
        let any = application_protocols.is_empty().then_some(None);
        let mut equal = false;
        for protocol in protocols.chain(any) {
            equal |= !seen.insert((destination_port, transport_protocol, protocol));
        }
        if equal {
            let field = format!("filter_chains[{index}].filter_chain_match");
            report.refuse_field(&field, "matches the same as an earlier chain");
        }
    }
}

fn chain_match(message: proto::FilterChainMatch, report: &mut Report) -> ChainMatch {
    let proto::FilterChainMatch {
        destination_port,
        prefix_ranges,
        address_suffix,
        suffix_len,
        direct_source_prefix_ranges,
        source_type,
        source_prefix_ranges,
        source_ports,
        server_names,
        transport_protocol,
        application_protocols,
    } = message;
    refuse_set!(report; prefix_ranges, address_suffix, suffix_len, direct_source_prefix_ranges, source_type);
    refuse_set!(report; source_prefix_ranges, source_ports, server_names);
    let destination_port = destination_port.and_then(|number| {
        let port = u16::try_from(number.value).ok().filter(|port| *port > 0);
        if port.is_none() {
            report.refuse_field("destination_port", "must be from 1 to 65535");
        }
        port
    });
    let transport_protocol = match transport_protocol.as_str() {
        "" => None,
        "raw_buffer" => Some(TransportProtocol::Plaintext),
        "tls" => Some(TransportProtocol::Tls),
        other => {
            report.refuse_field("transport_protocol", format!("{other:?} is neither raw_buffer nor tls"));
            None
        }
    };
    let application_protocols = application_protocols_of(&application_protocols, report);
    ChainMatch {
        destination_port,
        transport_protocol,
        application_protocols,
    }
}

fn application_protocols_of(names: &[String], report: &mut Report) -> Vec<ApplicationProtocol> {
    const FIELD: &str = "application_protocols";
    let mut found = Vec::new();
    let has = |name: &str| names.iter().any(|other| other == name);
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            report.refuse_field(FIELD, format!("{name:?} is there twice"));
            continue;
        }
        match name.as_str() {
            "http/1.1" => found.push(ApplicationProtocol::Http1),
            "h2c" => found.push(ApplicationProtocol::Http2),
            // We do not tell both versions of HTTP/1 apart.
            "http/1.0" if has("http/1.1") => {}
            "http/1.0" => report.refuse_field(FIELD, "\"http/1.0\" is supported together with \"http/1.1\" only"),
            other => report.refuse_field(FIELD, format!("{other:?} is not one of http/1.0, http/1.1, h2c")),
        }
    }
    if has("http/1.1") && !has("http/1.0") {
        report.note_field(FIELD, "http/1.0 matches as well");
    }
    found
}

fn network_filter(message: proto::Filter, report: &mut Report) -> Option<NetworkFilter> {
    let proto::Filter { name: _, config_type } = message;
    let config = match config_type {
        Some(ConfigType::TypedConfig(any)) => Some(any),
        Some(ConfigType::ConfigDiscovery(_)) | None => None,
    };
    let any = value::typed_config(config, report)?;
    report.within("typed_config", |report| {
        if any.type_url == HttpConnectionManager::type_url() {
            let manager = http::decode(report.open(&any)?, report)?;
            Some(NetworkFilter::Http(Box::new(manager)))
        } else if any.type_url == TcpProxy::type_url() {
            tcp::decode(report.open(&any)?, report).map(NetworkFilter::Tcp)
        } else {
            report.refuse(format!("the network filter {:?} is not supported", any.type_url));
            None
        }
    })
}
