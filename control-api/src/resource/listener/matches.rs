//! `FilterChainMatch`: which connections a chain takes.

use super::ApplicationProtocol;
use super::ChainMatch;
use super::FilterChain;
use super::Prefix;
use super::ServerName;
use super::SourceType;
use super::TransportProtocol;
use crate::report::Report;
use crate::report::refuse_set;
use envoy_types::pb::envoy::config::core::v3::CidrRange;
use envoy_types::pb::envoy::config::listener::v3 as proto;
use envoy_types::pb::envoy::config::listener::v3::filter_chain_match::ConnectionSourceType;
use std::collections::HashSet;
use std::net::IpAddr;

/// Chains of one listener: each is compared with each.
const MOST_CHAINS: usize = 2_048;

/// Decodes a match.
pub(super) fn decode(message: proto::FilterChainMatch, report: &mut Report) -> ChainMatch {
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
    refuse_set!(report; address_suffix, suffix_len);
    ChainMatch {
        destination_port: destination_port.and_then(|number| port("destination_port", number.value, report)),
        destinations: report.each("prefix_ranges", prefix_ranges, prefix),
        server_names: report.each("server_names", server_names, |name, report| server_name(&name, report)),
        transport_protocol: transport(&transport_protocol, report),
        application_protocols: protocols(&application_protocols, report),
        direct_sources: report.each("direct_source_prefix_ranges", direct_source_prefix_ranges, prefix),
        source_type: source(source_type, report),
        sources: report.each("source_prefix_ranges", source_prefix_ranges, prefix),
        source_ports: report.each("source_ports", source_ports, |number, report| port("", number, report)),
    }
}

/// Refuses two chains of which neither is more specific than the other. As in Envoy, a chain with several values in a
/// field stands for one chain for each.
pub(super) fn refuse_equal(chains: &[FilterChain], report: &mut Report) {
    if chains.len() > MOST_CHAINS {
        return report.refuse_field("filter_chains", format!("are more than {MOST_CHAINS}"));
    }
    for (index, chain) in chains.iter().enumerate() {
        if chains[..index]
            .iter()
            .any(|earlier| meet(&earlier.matches, &chain.matches))
        {
            let field = format!("filter_chains[{index}].filter_chain_match");
            report.refuse_field(&field, "matches the same as an earlier chain");
        }
    }
}

/// Whether both have a value in common in every field.
fn meet(one: &ChainMatch, other: &ChainMatch) -> bool {
    one.destination_port == other.destination_port
        && share(&one.destinations, &other.destinations)
        && share(&one.server_names, &other.server_names)
        && one.transport_protocol == other.transport_protocol
        && share(&one.application_protocols, &other.application_protocols)
        && share(&one.direct_sources, &other.direct_sources)
        && one.source_type == other.source_type
        && share(&one.sources, &other.sources)
        && share(&one.source_ports, &other.source_ports)
}

/// "Any" is a value of its own.
fn share<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    (one.is_empty() && other.is_empty()) || one.iter().any(|value| other.contains(value))
}

fn port(field: &str, number: u32, report: &mut Report) -> Option<u16> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    if port.is_none() {
        let reason = "must be from 1 to 65535";
        if field.is_empty() {
            report.refuse(reason);
        } else {
            report.refuse_field(field, reason);
        }
    }
    port
}

fn prefix(message: CidrRange, report: &mut Report) -> Option<Prefix> {
    let CidrRange {
        address_prefix,
        prefix_len,
    } = message;
    let Ok(address) = address_prefix.parse::<IpAddr>() else {
        report.refuse_field("address_prefix", format!("{address_prefix:?} is not an IP address"));
        return None;
    };
    let prefix = Prefix::new(address, prefix_len.map_or(0, |length| length.value));
    if prefix.is_none() {
        report.refuse_field("prefix_len", "is more than the address has bits");
    }
    prefix
}

fn server_name(name: &str, report: &mut Report) -> Option<ServerName> {
    let lower = name.to_ascii_lowercase();
    match lower.strip_prefix("*.") {
        Some(rest) if !rest.is_empty() && !rest.contains('*') => Some(ServerName::Under(rest.to_owned())),
        None if !lower.is_empty() && !lower.contains('*') => Some(ServerName::Exactly(lower)),
        _ => {
            report.refuse(format!("{name:?}: a name, or \"*.\" and the end of one"));
            None
        }
    }
}

fn transport(name: &str, report: &mut Report) -> Option<TransportProtocol> {
    match name {
        "" => None,
        "raw_buffer" => Some(TransportProtocol::Plaintext),
        "tls" => Some(TransportProtocol::Tls),
        other => {
            report.refuse_field("transport_protocol", format!("{other:?} is neither raw_buffer nor tls"));
            None
        }
    }
}

fn source(number: i32, report: &mut Report) -> SourceType {
    match ConnectionSourceType::try_from(number) {
        Ok(ConnectionSourceType::Any) => SourceType::Any,
        Ok(ConnectionSourceType::SameIpOrLoopback) => SourceType::SameIpOrLoopback,
        Ok(ConnectionSourceType::External) => SourceType::External,
        Err(_) => {
            report.refuse_field("source_type", "must be ANY, SAME_IP_OR_LOOPBACK or EXTERNAL");
            SourceType::Any
        }
    }
}

fn protocols(names: &[String], report: &mut Report) -> Vec<ApplicationProtocol> {
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
            other => found.push(ApplicationProtocol::Alpn(other.to_owned())),
        }
    }
    if has("http/1.1") && !has("http/1.0") {
        report.note_field(FIELD, "http/1.0 matches as well");
    }
    found
}
