//! What connections to the application are, as the pod says. The control plane tells it to the pod's proxy.

use super::{fault, items};
use crate::inject::{labels, place};
use evenkeel_control_api::fault::Faults;
use evenkeel_control_api::mesh::model::Protocol;
use evenkeel_init::ports::parse_port;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

/// Each is a listener's chain in the proxy; nobody declares more by hand.
const MOST_PORTS: usize = 64;

/// What a pod says of its inbound connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inbound {
    /// Ports of the application, with what is spoken there.
    pub ports: BTreeMap<NonZeroU16, Protocol>,
    /// What is spoken on all others, where the pod says it.
    pub default: Option<Protocol>,
}

/// Reads `opaque-ports` and `protocol`; all other annotations are somebody else's.
pub fn inbound(annotations: &BTreeMap<String, String>) -> Result<Inbound, Faults> {
    let mut inbound = Inbound::default();
    let mut faults = Vec::new();
    for (name, read) in [("opaque-ports", opaque as Read), ("protocol", declared)] {
        let Some(text) = annotations.get(&format!("{}{name}", labels::PREFIX)) else {
            continue;
        };
        for item in items(text) {
            if let Err(reason) = read(item).and_then(|(port, protocol)| inbound.declare(port, protocol)) {
                faults.push(fault(name, reason));
            }
        }
    }
    if inbound.ports.len() > MOST_PORTS {
        let reason = format!("more than {MOST_PORTS} ports; `*=tcp` stands for all that are not named");
        faults.push(fault("protocol", reason));
    }
    if faults.is_empty() {
        Ok(inbound)
    } else {
        Err(Faults(faults))
    }
}

/// An item: a port, or none for all others, and its protocol.
type Read = fn(&str) -> Result<(Option<NonZeroU16>, Protocol), String>;

fn opaque(item: &str) -> Result<(Option<NonZeroU16>, Protocol), String> {
    Ok((NonZeroU16::new(parse_port(item)?), Protocol::Tcp))
}

fn declared(item: &str) -> Result<(Option<NonZeroU16>, Protocol), String> {
    let wrong = || format!("{item:?} is not PORT=PROTOCOL, such as 8080=http2 or *=tcp");
    let (port, word) = item.split_once('=').ok_or_else(wrong)?;
    let protocol = place::word(word.trim(), &Protocol::WORDS)?;
    match port.trim() {
        "*" => Ok((None, protocol)),
        port => Ok((NonZeroU16::new(parse_port(port)?), protocol)),
    }
}

impl Inbound {
    fn declare(&mut self, port: Option<NonZeroU16>, protocol: Protocol) -> Result<(), String> {
        let before = match port {
            Some(port) => self.ports.insert(port, protocol),
            None => self.default.replace(protocol),
        };
        match before {
            Some(before) if before != protocol => {
                let port = port.map_or("*".to_owned(), |port| port.to_string());
                Err(format!("{port} is declared twice, and otherwise"))
            }
            _ => Ok(()),
        }
    }
}
