//! The chains of one listener, compiled, and what they mean for one connection: before a byte of it was seen, and after.

use super::handling::{Detection, Handling};
use super::select::{Hello, Opening, Seen, select};
use evenkeel_control_api::resource::listener::{
    ApplicationProtocol, ChainMatch, Inspect, Inspection, ServerName, SourceType, TransportProtocol,
};
use std::net::SocketAddr;
use std::sync::Arc;

/// The chains that connections to a listener choose from.
#[derive(Debug, PartialEq)]
pub(super) struct Chains {
    pub(super) inspect: Inspect,
    /// Each with what is done with its connections.
    pub(super) matched: Vec<(ChainMatch, Arc<Handling>)>,
    /// When none of them matches.
    pub(super) default: Option<Arc<Handling>>,
}

/// What a listener does.
#[derive(Clone, Debug, Default)]
pub(super) enum Entry {
    /// It refuses connections.
    #[default]
    Closed,
    /// The same for every connection.
    Same(Arc<Handling>),
    /// That depends on where a connection goes to or comes from.
    Depends(Arc<Chains>),
}

impl Entry {
    /// What is done with a connection of which nothing was seen yet.
    pub(super) fn handling(&self, destination: SocketAddr, source: Option<SocketAddr>) -> Option<Arc<Handling>> {
        match self {
            Self::Closed => None,
            Self::Same(handling) => Some(Arc::clone(handling)),
            Self::Depends(chains) => chains.handling(destination, source),
        }
    }

    /// Everything that it does with any connection.
    pub(super) fn handlings(&self) -> Vec<&Arc<Handling>> {
        match self {
            Self::Closed => Vec::new(),
            Self::Same(handling) => vec![handling],
            Self::Depends(chains) => chains.all().collect(),
        }
    }
}

impl Chains {
    /// What a listener with these chains does; the port of the destination is known to be `port`, if it is.
    pub(super) fn entry(self, port: Option<u16>) -> Entry {
        if self.all().next().is_none() {
            return Entry::Closed;
        }
        let chains = Arc::new(self);
        let depends = chains.matched.iter().any(|(matches, _)| depends(matches, port)) || chains.excepts_ports();
        if depends {
            return Entry::Depends(chains);
        }
        // Nothing asks for the addresses.
        let anywhere = SocketAddr::from(([0, 0, 0, 0], port.unwrap_or_default()));
        chains.handling(anywhere, None).map_or(Entry::Closed, Entry::Same)
    }

    /// What is done with connections to this destination from this source, before a byte of them was seen.
    pub(super) fn handling(
        self: &Arc<Self>,
        destination: SocketAddr,
        source: Option<SocketAddr>,
    ) -> Option<Arc<Handling>> {
        let openings = [
            Opening::Opaque,
            Opening::Http1,
            Opening::Http2,
            Opening::Tls(Hello::default()),
        ];
        let [opaque, one, two, tls] = openings.map(|opening| {
            self.narrowed(&Seen {
                destination,
                source,
                opening,
            })
        });
        if alike(opaque.as_ref(), one.as_ref())
            && alike(one.as_ref(), two.as_ref())
            && alike(two.as_ref(), tls.as_ref())
            && !self.asks_hello(destination.port())
        {
            return Some(self.declared(opaque?));
        }
        let speaks_http = [&one, &two]
            .into_iter()
            .find(|one| one.as_ref().is_some_and(|one| one.http.is_some()));
        let http = speaks_http.and_then(Option::as_ref);
        let fallback = opaque.as_ref().filter(|opaque| opaque.tcp.is_some());
        let asked = || self.asked(destination, source);
        let named = http.or(fallback).or(tls.as_ref()).cloned().or_else(asked)?;
        let folded = |other: &Option<Arc<Handling>>| {
            let other = other.as_ref();
            alike(other, opaque.as_ref()) || speaks_http.is_some_and(|http| alike(other, http.as_ref()))
        };
        let exact = folded(&one)
            && folded(&two)
            && alike(tls.as_ref(), opaque.as_ref())
            && !self.asks_hello(destination.port());
        Some(Arc::new(Handling {
            service: Arc::clone(&named.service),
            direction: named.direction,
            detection: match (http, fallback) {
                (Some(_), Some(_)) => Detection::Race,
                (Some(_), None) => Detection::Http,
                (None, _) => Detection::Tls,
            },
            http: http.and_then(|one| one.http.clone()),
            tcp: fallback.and_then(|opaque| opaque.tcp.clone()),
            chains: (!exact).then(|| Arc::clone(self)),
        }))
    }

    /// One chain takes every connection. Bytes that contradict HTTP go where the listener's default chain leads, which
    /// nothing else takes.
    fn declared(&self, only: Arc<Handling>) -> Arc<Handling> {
        let fallback = self.default.as_ref().and_then(|default| default.tcp.clone());
        let tls = |(matches, _): &(ChainMatch, _)| matches.transport_protocol == Some(TransportProtocol::Tls);
        let (detection, tcp) = match (&only.http, fallback) {
            (Some(_), Some(fallback)) => (Detection::Http, Some(fallback)),
            // It says what it expects: the client speaks first, and its hello is looked at.
            (None, _) if self.matched.iter().any(tls) => (Detection::Tls, only.tcp.clone()),
            _ => return only,
        };
        Arc::new(Handling {
            service: Arc::clone(&only.service),
            direction: only.direction,
            detection,
            http: only.http.clone(),
            tcp,
            chains: None,
        })
    }

    /// What is done with a connection of which this was seen, as far as the listener looks.
    pub(super) fn narrowed(&self, seen: &Seen) -> Option<Arc<Handling>> {
        let port = seen.destination.port();
        let runs = match seen.opening {
            Opening::Http1 | Opening::Http2 => self.inspect.http.runs_at(port),
            Opening::Tls(_) => self.inspect.tls.runs_at(port),
            Opening::Opaque => true,
        };
        let blind;
        let seen = if runs {
            seen
        } else {
            blind = Seen {
                opening: Opening::Opaque,
                ..*seen
            };
            &blind
        };
        let place = select(self.matched.iter().map(|(matches, _)| matches), seen);
        let chosen = place
            .and_then(|place| self.matched.get(place))
            .map(|(_, handling)| handling);
        chosen.or(self.default.as_ref()).cloned()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Handling>> {
        self.matched.iter().map(|(_, handling)| handling).chain(&self.default)
    }

    /// Whether what is in a TLS hello decides between chains.
    fn asks_hello(&self, port: u16) -> bool {
        let asks = |matches: &ChainMatch| {
            let alpn = |protocol: &ApplicationProtocol| matches!(protocol, ApplicationProtocol::Alpn(_));
            !matches.server_names.is_empty() || matches.application_protocols.iter().any(alpn)
        };
        self.inspect.tls.runs_at(port) && self.matched.iter().any(|(matches, _)| asks(matches))
    }

    /// What takes a connection whose hello asks for what one of the chains wants: there may be no other way in.
    fn asked(&self, destination: SocketAddr, source: Option<SocketAddr>) -> Option<Arc<Handling>> {
        let mut openings = self.matched.iter().map(|(matches, _)| Opening::Tls(wanted(matches)));
        openings.find_map(|opening| {
            self.narrowed(&Seen {
                destination,
                source,
                opening,
            })
        })
    }

    fn excepts_ports(&self) -> bool {
        let excepts = |inspection: &Inspection| matches!(inspection, Inspection::Except(ports) if !ports.is_empty());
        excepts(&self.inspect.tls) || excepts(&self.inspect.http)
    }
}

/// Whether a chain asks where a connection goes to, beyond its port where that is known, or where it comes from.
fn depends(matches: &ChainMatch, port: Option<u16>) -> bool {
    let ChainMatch {
        destination_port,
        destinations,
        server_names: _,
        transport_protocol: _,
        application_protocols: _,
        direct_sources,
        source_type,
        sources,
        source_ports,
    } = matches;
    (destination_port.is_some() && *destination_port != port)
        || *source_type != SourceType::Any
        || !(destinations.is_empty() && direct_sources.is_empty() && sources.is_empty() && source_ports.is_empty())
}

/// A hello that asks for what a chain wants.
fn wanted(matches: &ChainMatch) -> Hello {
    let name = |name: &ServerName| match name {
        ServerName::Exactly(name) => name.clone(),
        ServerName::Under(end) => format!("any.{end}"),
    };
    let protocol = |protocol: &ApplicationProtocol| match protocol {
        ApplicationProtocol::Alpn(name) => Some(name.clone()),
        _ => None,
    };
    Hello {
        server_name: matches.server_names.first().map(name),
        protocols: matches.application_protocols.iter().filter_map(protocol).collect(),
    }
}

/// The same, which two chains of one meaning are without being one.
fn alike(one: Option<&Arc<Handling>>, other: Option<&Arc<Handling>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
        (None, None) => true,
        _ => false,
    }
}
