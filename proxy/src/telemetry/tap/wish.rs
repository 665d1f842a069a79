//! Which requests a listener is told of, and how.

use crate::telemetry::Direction;
use crate::telemetry::access_log::Asked;
use crate::telemetry::access_log::Entry;
use crate::telemetry::access_log::Outcome;
use evenkeel_control_api::mesh::settings::StatusRange;
use evenkeel_control_api::resource::listener::Prefix;
use evenkeel_control_api::tap::WatchRequest;
use std::net::IpAddr;

/// Events a second where nothing is said.
const USUAL: u32 = 100;
/// More is no tap but an access log.
const MOST: u32 = 10_000;

/// All of it must hold.
#[derive(Debug)]
pub(super) struct Wish {
    host: Option<Host>,
    path: String,
    method: String,
    status: Vec<StatusRange>,
    peer: Option<Prefix>,
    direction: Option<Direction>,
    pub(super) per_second: u32,
    pub(super) headers: Values,
}

/// Which values of headers are told. There is no list of secrets: nobody knows the names of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Those of these headers, by their names in lower case; mostly none.
    Of(Vec<String>),
    /// All of them.
    All,
}

impl Values {
    /// Whether that of a header of this name is.
    pub(super) fn tell(&self, name: &[u8]) -> bool {
        match self {
            Self::Of(names) => names.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes())),
            Self::All => true,
        }
    }
}

#[derive(Debug)]
enum Host {
    Exactly(String),
    /// All that end so; it begins with a dot.
    Below(String),
}

impl Wish {
    /// `Err`: what makes no sense.
    pub(super) fn read(request: WatchRequest) -> Result<Self, String> {
        let WatchRequest {
            host,
            path,
            method,
            status,
            peer,
            direction,
            per_second,
            all_headers,
            headers,
        } = request;
        let status = status.iter().map(|text| {
            StatusRange::parse(text).ok_or_else(|| format!("status {text:?} is not {}", StatusRange::FORMS))
        });
        Ok(Self {
            host: (!host.is_empty()).then(|| Host::read(&host)),
            path,
            method,
            status: status.collect::<Result<_, _>>()?,
            peer: if peer.is_empty() { None } else { Some(network(&peer)?) },
            direction: match direction.as_str() {
                "" => None,
                "inbound" => Some(Direction::Inbound),
                "outbound" => Some(Direction::Outbound),
                other => return Err(format!("direction {other:?} is neither inbound nor outbound")),
            },
            per_second: match per_second {
                0 => USUAL,
                1..=MOST => per_second,
                _ => return Err(format!("{per_second} events a second are more than {MOST}")),
            },
            headers: if all_headers { Values::All } else { Values::Of(headers) },
        })
    }

    pub(super) fn holds(&self, entry: &Entry, outcome: &Outcome) -> bool {
        let asked = entry.asked.as_ref();
        let is_direction = |direction| entry.origin.direction == direction;
        let has_status = || {
            let status = outcome.status.map(|status| status.as_u16());
            status.is_some_and(|status| self.status.iter().any(|range| range.has(status)))
        };
        let is_peer = |network: Prefix| {
            let peers = [entry.origin.client, entry.upstream];
            peers
                .into_iter()
                .flatten()
                .any(|peer| network.contains(peer.ip().to_canonical()))
        };
        self.direction.is_none_or(is_direction)
            && (self.status.is_empty() || has_status())
            && (self.method.is_empty() || asked.is_some_and(|asked| asked.method() == self.method.as_bytes()))
            && (self.path.is_empty() || asked.is_some_and(|asked| asked.path().starts_with(self.path.as_bytes())))
            && self.host.as_ref().is_none_or(|host| host.holds(entry))
            && self.peer.is_none_or(is_peer)
    }
}

impl Host {
    fn read(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix("*.") {
            Some(rest) => Self::Below(format!(".{rest}")),
            None => Self::Exactly(text),
        }
    }

    fn holds(&self, entry: &Entry) -> bool {
        let authority = entry.asked.as_ref().and_then(Asked::authority);
        let Some(host) = authority
            .map(without_port)
            .or(entry.server_name.as_deref().map(str::as_bytes))
        else {
            return false;
        };
        let host = host.to_ascii_lowercase();
        match self {
            Self::Exactly(name) => host == name.as_bytes(),
            Self::Below(end) => host.ends_with(end.as_bytes()) && host.len() > end.len(),
        }
    }
}

fn without_port(authority: &[u8]) -> &[u8] {
    let digits = authority.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    match authority.split_at(authority.len() - digits) {
        ([host @ .., b':'], _) => host,
        _ => authority,
    }
}

fn network(text: &str) -> Result<Prefix, String> {
    let wrong = || format!("peer {text:?} is neither an address nor a network such as 10.1.0.0/16");
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse().map_err(|_| wrong())?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let (all, plain) = (bits(address), address.to_canonical());
    let length: u32 = length.unwrap_or(all);
    // An IPv4 address that is written as IPv6 is what it is: the first bits say that alone.
    let length = match all - bits(plain) {
        0 => length,
        mapped => length.checked_sub(mapped).ok_or_else(wrong)?,
    };
    Prefix::new(plain, length).ok_or_else(wrong)
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_that_is_written_as_ipv6_is_that_address() {
        for (text, inside, outside) in [
            ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("::ffff:10.1.0.0/112", "10.1.9.9", "10.2.0.1"),
            ("10.1.0.0/16", "10.1.9.9", "10.2.0.1"),
            ("fd00::/8", "fd00::1", "10.0.0.1"),
        ] {
            let network = network(text).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text}");
            assert!(!network.contains(outside.parse().unwrap()), "{text}");
        }
        assert!(network("::ffff:10.0.0.1/95").is_err() && network("::ffff:10.0.0.1/129").is_err());
    }
}
