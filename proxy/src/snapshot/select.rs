//! Which chain takes a connection: a pure decider, as Envoy's filter chain manager decides.
//!
//! Field after field, the most specific value that matches is chosen, and only the chains that have it stay. There is no
//! way back: a chain that was more specific in an earlier field and fails in a later one takes others of that field with it.

use evenkeel_control_api::resource::listener::{
    ApplicationProtocol, ChainMatch, Prefix, ServerName, SourceType, TransportProtocol,
};
use std::net::{IpAddr, SocketAddr};

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Where it was going.
    pub destination: SocketAddr,
    /// Who connected; nothing for an in-process stream, which is the pod itself.
    pub source: Option<SocketAddr>,
    /// What was found in its first bytes.
    pub opening: Opening,
}

/// What an inspector finds in a connection's first bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// HTTP/1 in plaintext.
    Http1,
    /// HTTP/2 in plaintext.
    Http2,
    /// A TLS hello.
    Tls(Hello),
    /// Nothing that an inspector knows, or nothing because none runs.
    Opaque,
}

/// What a TLS hello asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hello {
    /// In lower case.
    pub server_name: Option<String>,
    /// In the client's order.
    pub protocols: Vec<String>,
}

/// How well a chain fits in one field; the more, the more specific. `None`: not at all.
type Fit = Option<u32>;
/// The field says nothing.
const ANY: Fit = Some(0);

const FIELDS: [fn(&ChainMatch, &Seen) -> Fit; 9] = [
    port,
    destination,
    server_name,
    transport,
    application,
    direct_source,
    source_type,
    source,
    source_port,
];

/// The place of the chain that takes the connection.
pub(super) fn select<'a>(chains: impl Iterator<Item = &'a ChainMatch>, seen: &Seen) -> Option<usize> {
    let mut left: Vec<(usize, &ChainMatch)> = chains.enumerate().collect();
    for field in FIELDS {
        let best = left.iter().filter_map(|(_, chain)| field(chain, seen)).max()?;
        left.retain(|(_, chain)| field(chain, seen) == Some(best));
    }
    left.first().map(|(place, _)| *place)
}

fn exactly(matches: bool) -> Fit {
    matches.then_some(1)
}

fn port(chain: &ChainMatch, seen: &Seen) -> Fit {
    match chain.destination_port {
        None => ANY,
        Some(port) => exactly(port == seen.destination.port()),
    }
}

fn destination(chain: &ChainMatch, seen: &Seen) -> Fit {
    longest(&chain.destinations, seen.destination.ip())
}

fn server_name(chain: &ChainMatch, seen: &Seen) -> Fit {
    if chain.server_names.is_empty() {
        return ANY;
    }
    let Opening::Tls(Hello {
        server_name: Some(asked),
        ..
    }) = &seen.opening
    else {
        return None;
    };
    let fits = chain.server_names.iter().filter_map(|name| match name {
        ServerName::Exactly(name) => (name == asked).then_some(u32::MAX),
        ServerName::Under(end) => {
            let rest = asked.strip_suffix(end.as_str())?;
            (rest.len() > 1 && rest.ends_with('.')).then_some(end.len() as u32)
        }
    });
    fits.max()
}

fn transport(chain: &ChainMatch, seen: &Seen) -> Fit {
    let tls = matches!(seen.opening, Opening::Tls(_));
    match chain.transport_protocol {
        None => ANY,
        Some(TransportProtocol::Tls) => exactly(tls),
        Some(TransportProtocol::Plaintext) => exactly(!tls),
    }
}

fn application(chain: &ChainMatch, seen: &Seen) -> Fit {
    if chain.application_protocols.is_empty() {
        return ANY;
    }
    let has = |protocol: &ApplicationProtocol| chain.application_protocols.contains(protocol);
    match &seen.opening {
        Opening::Http1 => exactly(has(&ApplicationProtocol::Http1)),
        Opening::Http2 => exactly(has(&ApplicationProtocol::Http2)),
        Opening::Tls(hello) => {
            let named = |name: &String| match name.as_str() {
                "http/1.1" => has(&ApplicationProtocol::Http1),
                "h2c" => has(&ApplicationProtocol::Http2),
                _ => has(&ApplicationProtocol::Alpn(name.clone())),
            };
            // What the client wants most is the most specific.
            let first = hello.protocols.iter().position(named)?;
            Some(u32::MAX - first as u32)
        }
        Opening::Opaque => None,
    }
}

fn direct_source(chain: &ChainMatch, seen: &Seen) -> Fit {
    longest(&chain.direct_sources, from(seen).ip())
}

fn source_type(chain: &ChainMatch, seen: &Seen) -> Fit {
    let ip = from(seen).ip();
    let near = ip.is_loopback() || ip == seen.destination.ip();
    match chain.source_type {
        SourceType::Any => ANY,
        SourceType::SameIpOrLoopback => exactly(near),
        SourceType::External => exactly(!near),
    }
}

fn source(chain: &ChainMatch, seen: &Seen) -> Fit {
    longest(&chain.sources, from(seen).ip())
}

fn source_port(chain: &ChainMatch, seen: &Seen) -> Fit {
    if chain.source_ports.is_empty() {
        return ANY;
    }
    exactly(chain.source_ports.contains(&from(seen).port()))
}

/// On an in-process stream the pod itself.
fn from(seen: &Seen) -> SocketAddr {
    seen.source.unwrap_or(SocketAddr::new(seen.destination.ip(), 0))
}

fn longest(prefixes: &[Prefix], ip: IpAddr) -> Fit {
    if prefixes.is_empty() {
        return ANY;
    }
    let fitting = prefixes.iter().filter(|prefix| prefix.contains(ip));
    fitting.map(|prefix| u32::from(prefix.length())).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(opening: Opening) -> Seen {
        Seen {
            destination: "10.1.2.3:443".parse().unwrap(),
            source: Some("10.9.9.9:40000".parse().unwrap()),
            opening,
        }
    }

    fn tls(name: &str, protocols: &[&str]) -> Seen {
        seen(Opening::Tls(Hello {
            server_name: Some(name.to_owned()),
            protocols: protocols.iter().map(|one| (*one).to_owned()).collect(),
        }))
    }

    fn named(names: &[ServerName]) -> ChainMatch {
        ChainMatch {
            server_names: names.to_vec(),
            ..ChainMatch::default()
        }
    }

    fn at(port: u16) -> ChainMatch {
        ChainMatch {
            destination_port: Some(port),
            ..ChainMatch::default()
        }
    }

    fn under(end: &str) -> ServerName {
        ServerName::Under(end.to_owned())
    }

    fn exact(name: &str) -> ServerName {
        ServerName::Exactly(name.to_owned())
    }

    fn prefix(text: &str) -> Prefix {
        let (address, length) = text.split_once('/').unwrap();
        Prefix::new(address.parse().unwrap(), length.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_name_is_more_specific_than_its_end_and_a_long_end_than_a_short_one() {
        let chains = [
            named(&[]),
            named(&[under("example.com")]),
            named(&[under("api.example.com")]),
            named(&[exact("v1.api.example.com")]),
        ];
        let cases = [
            ("v1.api.example.com", 3),
            ("v2.api.example.com", 2),
            ("api.example.com", 1),
            ("example.com", 0),
            ("notexample.com", 0),
        ];
        for (name, place) in cases {
            assert_eq!(select(chains.iter(), &tls(name, &[])), Some(place), "{name}");
        }
        assert_eq!(select(chains.iter(), &seen(Opening::Opaque)), Some(0));
    }

    #[test]
    fn there_is_no_way_back_from_a_more_specific_field() {
        // The port is more specific, and asks for TLS.
        let strict = ChainMatch {
            transport_protocol: Some(TransportProtocol::Tls),
            ..at(443)
        };
        let chains = [ChainMatch::default(), strict];
        assert_eq!(select(chains.iter(), &tls("a.test", &[])), Some(1));
        assert_eq!(select(chains.iter(), &seen(Opening::Opaque)), None);
    }

    #[test]
    fn the_longest_range_of_destinations_wins() {
        let within = |range: &str| ChainMatch {
            destinations: vec![prefix(range)],
            ..ChainMatch::default()
        };
        let chains = [within("10.0.0.0/8"), within("10.1.0.0/16"), within("192.0.2.0/24")];
        assert_eq!(select(chains.iter(), &seen(Opening::Opaque)), Some(1));
        assert_eq!(select(chains[2..].iter(), &seen(Opening::Opaque)), None);
    }

    #[test]
    fn what_the_client_wants_most_decides() {
        let speaks = |name: &str| ChainMatch {
            application_protocols: vec![ApplicationProtocol::Alpn(name.to_owned())],
            ..ChainMatch::default()
        };
        let chains = [speaks("h2"), speaks("istio"), ChainMatch::default()];
        assert_eq!(select(chains.iter(), &tls("a.test", &["istio", "h2"])), Some(1));
        assert_eq!(select(chains.iter(), &tls("a.test", &["h2", "istio"])), Some(0));
        assert_eq!(select(chains.iter(), &tls("a.test", &["smtp"])), Some(2));
    }

    #[test]
    fn a_port_of_the_source_is_more_specific_than_none() {
        let from = |ports: &[u16]| ChainMatch {
            source_ports: ports.to_vec(),
            ..ChainMatch::default()
        };
        let chains = [from(&[]), from(&[1, 40_000]), from(&[50_000])];
        let coming = |source: &str| Seen {
            source: Some(source.parse().unwrap()),
            ..seen(Opening::Opaque)
        };
        assert_eq!(select(chains.iter(), &coming("10.9.9.9:40000")), Some(1));
        assert_eq!(select(chains.iter(), &coming("10.9.9.9:50000")), Some(2));
        assert_eq!(select(chains.iter(), &coming("10.9.9.9:50001")), Some(0));
        assert_eq!(select(chains[1..].iter(), &coming("10.9.9.9:50001")), None);
    }

    #[test]
    fn sources_are_told_apart_last() {
        let near = ChainMatch {
            source_type: SourceType::SameIpOrLoopback,
            ..ChainMatch::default()
        };
        let far = ChainMatch {
            source_type: SourceType::External,
            sources: vec![prefix("10.9.0.0/16")],
            ..ChainMatch::default()
        };
        let chains = [near, far];
        assert_eq!(select(chains.iter(), &seen(Opening::Opaque)), Some(1));
        let itself = Seen {
            source: None,
            ..seen(Opening::Opaque)
        };
        assert_eq!(select(chains.iter(), &itself), Some(0));
        let stranger = Seen {
            source: Some("192.0.2.1:1".parse().unwrap()),
            ..seen(Opening::Opaque)
        };
        assert_eq!(select(chains.iter(), &stranger), None);
    }
}
