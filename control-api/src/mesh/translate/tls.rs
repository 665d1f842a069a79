//! Connections that are not looked into further than a TLS hello: rules by server name, and none at all.

use super::backend::Names;
use super::backend::Shares;
use super::filter;
use super::filter::Bytes;
use super::inspect;
use crate::mesh::model::Backend;
use crate::mesh::model::Family;
use crate::mesh::model::Hostname;
use crate::mesh::model::Protocol;
use crate::mesh::model::TlsRule;
use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use envoy_types::pb::envoy::config::listener::v3::FilterChainMatch;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use std::collections::HashSet;
use std::num::NonZeroU32;

/// What these rules make of a listener. What no chain takes is closed.
pub(super) fn by_name(rules: &[TlsRule], names: &Names<'_>, dialled: Family) -> Listener {
    let mut taken: HashSet<Option<&Hostname>> = HashSet::new();
    let mut filter_chains = Vec::new();
    for rule in rules {
        let server_names = if rule.hostnames.is_empty() {
            taken.insert(None).then(Vec::new)
        } else {
            let fresh = rule.hostnames.iter().filter(|hostname| taken.insert(Some(hostname)));
            let fresh: Vec<String> = fresh.map(Hostname::to_string).collect();
            (!fresh.is_empty()).then_some(fresh)
        };
        let Some(server_names) = server_names else { continue };
        filter_chains.push(FilterChain {
            name: rule.name.clone(),
            filter_chain_match: Some(FilterChainMatch {
                server_names,
                transport_protocol: "tls".to_owned(),
                ..FilterChainMatch::default()
            }),
            filters: vec![among(&rule.backends, names, dialled)],
            ..FilterChain::default()
        });
    }
    Listener {
        listener_filters: inspect::inspectors(Protocol::Tls),
        filter_chains,
        ..Listener::default()
    }
}

/// Everything by weight.
pub(super) fn anything(backends: &[Backend], names: &Names<'_>, dialled: Family) -> FilterChain {
    FilterChain {
        name: format!("{} by weight", names.stat_name()),
        filters: vec![among(backends, names, dialled)],
        ..FilterChain::default()
    }
}

/// Whether connections are led to what is missing.
pub(super) fn misses(backends: &[Backend]) -> bool {
    let shares = Shares::of(backends, None);
    shares.missing > 0 || shares.total() == 0
}

fn among(backends: &[Backend], names: &Names<'_>, dialled: Family) -> Filter {
    let shares = Shares::of(backends, Some(dialled));
    let missing = u32::try_from(shares.missing).unwrap_or(u32::MAX);
    let nothing = if shares.total() == 0 {
        Some(NonZeroU32::MIN)
    } else {
        NonZeroU32::new(missing)
    };
    let present = shares.present.into_iter().map(|(cluster, weight, _)| (cluster, weight));
    let all = present.chain(nothing.map(|weight| (names.missing(), weight)));
    filter::tcp_proxy(&names.stat_name(), Bytes::Among(all.collect()))
}
