//! From one resource of a response to what the store takes: named, bounded, decoded.

use crate::ads::message::Text;
use crate::ads::message::Wrapped;
use crate::fault::Fault;
use crate::fault::Faults;
use crate::fault::Note;
use crate::resource::Kind;
use crate::resource::Resource;
use crate::xds;
use crate::xds::Packed;
use prost::Message;
use std::hash::DefaultHasher;
use std::hash::Hasher;
use std::net::SocketAddr;
use std::time::Duration;

/// The hash of a resource's bytes. What comes again as it was is not decoded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

/// A resource as it arrived.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// `None`: nobody can tell.
    pub name: Option<Text>,
    /// The wrapper's; `None`: that of the response.
    pub version: Option<Text>,
    /// How long it holds without being repeated.
    pub ttl: Option<Duration>,
    /// What it is.
    pub content: Content,
}

/// What a resource holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing: it only holds for longer.
    Heartbeat,
    /// The bytes of the version that is in force.
    Same(Fingerprint),
    /// Decoded.
    New(Resource, Vec<Note>, Fingerprint),
    /// Cannot be used. Where a listener would have been found, as far as can be told: there nothing may pass in its place.
    Refused(Faults, Vec<SocketAddr>),
}

/// Every type of resource has its name in its first field. Read apart from the decode, so that a resource that is refused
/// has a name, too.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

/// What a `Listener` says of its place (fields of `envoy.config.listener.v3` and `envoy.config.core.v3`).
#[derive(Clone, PartialEq, Message)]
struct Placed {
    #[prost(message, optional, tag = "2")]
    address: Option<Address>,
    #[prost(message, repeated, tag = "33")]
    additional: Vec<AdditionalAddress>,
}

#[derive(Clone, PartialEq, Message)]
struct AdditionalAddress {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
}

#[derive(Clone, PartialEq, Message)]
struct Address {
    #[prost(message, optional, tag = "1")]
    socket: Option<Socket>,
}

#[derive(Clone, PartialEq, Message)]
struct Socket {
    #[prost(string, tag = "2")]
    address: String,
    #[prost(uint32, tag = "3")]
    port: u32,
}

/// Looks into a resource. `accepted` is the fingerprint of the version in force under a name.
pub(crate) fn examine(
    kind: Kind,
    wrapped: Wrapped,
    limit: usize,
    accepted: impl FnOnce(&str) -> Option<Fingerprint>,
) -> Delivered {
    let Wrapped {
        name: outer,
        version,
        ttl,
        body,
    } = wrapped;
    let inner = body.as_ref().map(|packed| Named::decode(packed.value.as_slice()));
    let name = match (&outer, &inner) {
        (Some(outer), _) => Some(Text::from(outer.as_str())),
        (None, Some(Ok(inner))) => Some(Text::from(inner.name.as_str())),
        (None, _) => None,
    };
    let content = match (body, inner) {
        (None, _) if ttl.is_some() => Content::Heartbeat,
        (None, _) => refused("has no body".to_owned()),
        (Some(packed), _) if packed.value.len() > limit => refused(format!(
            "is {} bytes long, which is more than {limit}",
            packed.value.len()
        )),
        (Some(_), Some(Ok(inner))) if outer.as_ref().is_some_and(|outer| *outer != inner.name) => {
            refused(format!("is called {:?} inside", inner.name))
        }
        (Some(packed), _) => decode(kind, &packed, name.as_deref().and_then(accepted)),
    };
    Delivered {
        name: name.filter(|name| !name.is_empty()),
        version: version.map(Text::from),
        ttl,
        content,
    }
}

fn decode(kind: Kind, packed: &Packed, accepted: Option<Fingerprint>) -> Content {
    let fingerprint = Fingerprint::of(packed);
    if accepted == Some(fingerprint) {
        return Content::Same(fingerprint);
    }
    match xds::decode_one(kind, packed) {
        Ok((resource, notes)) => Content::New(resource, notes, fingerprint),
        Err(faults) if kind == Kind::Listener => Content::Refused(faults, addresses(&packed.value)),
        Err(faults) => Content::Refused(faults, Vec::new()),
    }
}

fn refused(reason: String) -> Content {
    Content::Refused(fault(reason), Vec::new())
}

/// The addresses of a listener that has faults. Read apart from the decode, which says what is wrong with it.
fn addresses(listener: &[u8]) -> Vec<SocketAddr> {
    let Ok(placed) = Placed::decode(listener) else {
        return Vec::new();
    };
    let more = placed
        .additional
        .into_iter()
        .filter_map(|additional| additional.address);
    placed
        .address
        .into_iter()
        .chain(more)
        .filter_map(|address| {
            let socket = address.socket?;
            Some(SocketAddr::new(
                socket.address.parse().ok()?,
                socket.port.try_into().ok()?,
            ))
        })
        .collect()
}

/// One fault of a resource as a whole.
pub(crate) fn fault(reason: String) -> Faults {
    Faults(vec![Fault {
        position: None,
        path: String::new(),
        reason,
    }])
}

impl Fingerprint {
    fn of(packed: &Packed) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(packed.type_url.as_bytes());
        hasher.write_u8(0);
        hasher.write(&packed.value);
        Self(hasher.finish())
    }
}
