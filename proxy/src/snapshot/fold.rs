//! Filter chains as workers use them.

use super::chains::Chains;
use super::handling::{Detection, Handling, HttpHandling, Split, TcpHandling, Versions};
use super::places::Places;
use crate::route::Table;
use evenkeel_control_api::resource::listener::{
    ApplicationProtocol, Codec, FilterChain, HttpConnectionManager, NetworkFilter, RouteSource, TcpProxy,
};
use evenkeel_control_api::resource::{Catalog, Listener};
use std::sync::Arc;

/// What folding looks things up in.
pub(super) struct Folder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) places: &'a mut Places,
}

impl Folder<'_> {
    /// Compiles chains of a listener, and its default chain.
    pub(super) fn chains(&mut self, listener: &Listener, chains: &[&FilterChain]) -> Chains {
        Chains {
            inspect: listener.inspect.clone(),
            matched: chains
                .iter()
                .map(|chain| (chain.matches.clone(), Arc::new(self.chain(listener, chain))))
                .collect(),
            default: listener
                .default_chain
                .as_ref()
                .map(|chain| Arc::new(self.chain(listener, chain))),
        }
    }

    /// What one chain does with connections.
    fn chain(&mut self, listener: &Listener, chain: &FilterChain) -> Handling {
        let (service, http, tcp) = match &chain.filter {
            NetworkFilter::Http(manager) => (&manager.stat_prefix, Some(Arc::new(self.http(chain, manager))), None),
            NetworkFilter::Tcp(proxy) => (&proxy.stat_prefix, None, Some(self.tcp(proxy))),
        };
        Handling {
            service: Arc::from(service.as_str()),
            direction: listener.direction,
            detection: if http.is_some() {
                Detection::Http
            } else {
                Detection::Opaque
            },
            http,
            tcp,
            chains: None,
        }
    }

    fn tcp(&mut self, proxy: &TcpProxy) -> TcpHandling {
        let places: Vec<_> = proxy
            .clusters
            .iter()
            .map(|cluster| (self.places.of(&cluster.name), cluster.weight))
            .collect();
        // A decoded proxy has at least one.
        let first = places.first().map_or(usize::MAX, |(place, _)| *place);
        TcpHandling {
            clusters: Split::new(first, places),
            idle_timeout: proxy.idle_timeout,
            hash: proxy.hash,
        }
    }

    fn http(&mut self, chain: &FilterChain, manager: &HttpConnectionManager) -> HttpHandling {
        let routes = match &manager.routes {
            RouteSource::Inline(routes) => Some(routes),
            // Without its routes a listener answers that there are none, as Envoy does once it has waited for them.
            RouteSource::Named(name) => self.catalog.routes.get(name.as_str()).map(|routes| &**routes),
        };
        let places = &mut *self.places;
        let table = routes.map(|routes| Table::compile(routes, &mut |name| places.of(name)));
        HttpHandling {
            versions: versions(manager.codec, &chain.matches.application_protocols),
            routes: table.unwrap_or_default(),
            max_header_bytes: manager.max_header_bytes,
            max_header_fields: manager.max_header_fields,
            head_timeout: manager.head_timeout,
            idle_timeout: manager.idle_timeout,
            max_requests: manager.max_requests,
            http2: manager.http2,
            forwarded_for: manager.forwarded_for,
        }
    }
}

/// The route configurations that a listener names.
pub(super) fn named_routes(listener: &Listener) -> impl Iterator<Item = &str> {
    let chains = listener.chains.iter().chain(&listener.default_chain);
    chains.filter_map(|chain| match &chain.filter {
        NetworkFilter::Http(manager) => match &manager.routes {
            RouteSource::Named(name) => Some(name.as_str()),
            RouteSource::Inline(_) => None,
        },
        NetworkFilter::Tcp(_) => None,
    })
}

fn versions(codec: Codec, protocols: &[ApplicationProtocol]) -> Versions {
    let only = |protocol| protocols.iter().all(|named| *named == protocol) && !protocols.is_empty();
    match codec {
        Codec::Http1 => Versions::Http1,
        Codec::Http2 => Versions::Http2,
        Codec::Auto if only(ApplicationProtocol::Http1) => Versions::Http1,
        Codec::Auto if only(ApplicationProtocol::Http2) => Versions::Http2,
        Codec::Auto => Versions::Both,
    }
}
