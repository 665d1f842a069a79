//! `FilterChain` and its one network filter.

use super::ChainMatch;
use super::FilterChain;
use super::NetworkFilter;
use super::http;
use super::matches;
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
        .map(|message| report.within("filter_chain_match", |report| matches::decode(message, report)))
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
