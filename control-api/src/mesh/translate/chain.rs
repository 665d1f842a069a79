//! `FilterChain`s: what a protocol means for connections to a port.

use super::filter;
use super::filter::Bytes;
use super::route::Requests;
use super::route::Rules;
use super::value;
use crate::mesh::model::Protocol;
use crate::mesh::model::TrafficLimits;
use crate::resource::listener::ForwardedFor;
use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use envoy_types::pb::envoy::config::listener::v3::FilterChainMatch;

/// Connections of one kind, and where they go.
pub(super) struct Traffic<'a> {
    /// The destination port that they are told by, where one listener has many.
    pub(super) port: Option<u16>,
    /// What is spoken.
    pub(super) protocol: Protocol,
    /// What happens to `X-Forwarded-For`.
    pub(super) forwarded_for: ForwardedFor,
    /// Names them in metrics.
    pub(super) stat_prefix: &'a str,
    /// Where they go.
    pub(super) cluster: &'a str,
    /// What is of one client goes to the same endpoint.
    pub(super) sticky: bool,
    /// Where requests go instead.
    pub(super) rules: Option<Rules<'a>>,
    /// Theirs.
    pub(super) limits: &'a TrafficLimits,
}

/// What `http_inspector` says of HTTP.
const HTTP: [&str; 3] = ["http/1.0", "http/1.1", "h2c"];

impl Traffic<'_> {
    /// The chains that say more than "bytes":
    /// `auto`: what is found to be HTTP; `http`, `http2`, `grpc`: everything; `tls`: what is found to be TLS; `tcp`: none.
    pub(super) fn chains(&self) -> Vec<FilterChain> {
        let matches = FilterChainMatch {
            destination_port: self.port.map(|port| value::number(u32::from(port))),
            ..FilterChainMatch::default()
        };
        match self.protocol {
            Protocol::Auto => {
                let application_protocols = HTTP.map(str::to_owned).to_vec();
                vec![self.chain(
                    FilterChainMatch {
                        application_protocols,
                        ..matches
                    },
                    self.http(),
                )]
            }
            Protocol::Http | Protocol::Http2 | Protocol::Grpc => vec![self.chain(matches, self.http())],
            Protocol::Tls => {
                let transport_protocol = "tls".to_owned();
                vec![self.chain(
                    FilterChainMatch {
                        transport_protocol,
                        ..matches
                    },
                    self.tcp(),
                )]
            }
            Protocol::Tcp => Vec::new(),
        }
    }

    /// The chain for bytes that no other chain of the same port takes; `None` where one takes everything.
    pub(super) fn remainder(&self) -> Option<FilterChain> {
        let matches = FilterChainMatch {
            destination_port: self.port.map(|port| value::number(u32::from(port))),
            ..FilterChainMatch::default()
        };
        match self.protocol {
            Protocol::Http | Protocol::Http2 | Protocol::Grpc => None,
            Protocol::Auto | Protocol::Tls | Protocol::Tcp => Some(self.chain(matches, self.tcp())),
        }
    }

    /// The default chain of a listener. Where HTTP was declared Envoy never takes it, and we do for bytes that contradict
    /// the declaration.
    pub(super) fn default_chain(&self) -> FilterChain {
        FilterChain {
            name: format!("{} tcp", self.stat_prefix),
            filters: vec![self.tcp()],
            ..FilterChain::default()
        }
    }

    /// Whether its chains are chosen by what inspectors find.
    pub(super) fn is_inspected(&self) -> bool {
        matches!(self.protocol, Protocol::Auto | Protocol::Tls)
    }

    fn chain(&self, matches: FilterChainMatch, filter: Filter) -> FilterChain {
        FilterChain {
            name: format!("{} {}", self.stat_prefix, word(self.protocol)),
            filter_chain_match: Some(matches),
            filters: vec![filter],
            ..FilterChain::default()
        }
    }

    /// The filter for requests.
    pub(super) fn http(&self) -> Filter {
        let requests = match self.rules {
            Some(rules) => Requests::By(rules),
            None => Requests::To {
                cluster: self.cluster,
                sticky: self.sticky,
            },
        };
        filter::connection_manager(self.stat_prefix, requests, self.forwarded_for, self.limits)
    }

    fn tcp(&self) -> Filter {
        let to = Bytes::To {
            cluster: self.cluster,
            sticky: self.sticky,
        };
        filter::tcp_proxy(self.stat_prefix, to)
    }
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Auto => "auto",
        Protocol::Http => "http",
        Protocol::Http2 => "http2",
        Protocol::Grpc => "grpc",
        Protocol::Tls => "tls",
        Protocol::Tcp => "tcp",
    }
}
