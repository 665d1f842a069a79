//! Discovery requests and responses as plain values, delta and state of the world alike.

use crate::resource::Kind;
use crate::xds::Packed;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The name of a resource, a version, or a nonce: kept in several places, so shared.
pub(crate) type Text = Arc<str>;

/// Which of the two protocols a stream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Incremental xDS: what changed.
    Delta,
    /// State of the world: everything of a type, each time.
    Sotw,
}

/// What we say to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Of what type; an answer repeats what the response said, known to us or not.
    pub type_url: String,
    /// Whether the node goes with it.
    pub node: Introduction,
    /// Of the response that this answers; empty: it answers none.
    pub nonce: Text,
    /// Why the response was refused.
    pub refusal: Option<String>,
    /// What we want of the type.
    pub body: RequestBody,
}

/// A server learns who we are once a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Introduction {
    /// The first request of a stream has the node.
    First,
    /// Any later one.
    Later,
}

/// The part of a request in which the two protocols differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestBody {
    /// `DeltaDiscoveryRequest`.
    Delta {
        /// `resource_names_subscribe`.
        subscribe: Vec<Text>,
        /// `resource_names_unsubscribe`.
        unsubscribe: Vec<Text>,
        /// `initial_resource_versions`: name and version.
        initial_versions: Vec<(Text, Text)>,
    },
    /// `DiscoveryRequest`.
    Sotw {
        /// `version_info`: of the last response that was accepted in whole.
        version: Text,
        /// `resource_names`: all of them. Every answer repeats them, so they are shared.
        names: Arc<[Text]>,
    },
}

/// What a server says to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    /// Of what type.
    pub type_url: String,
    /// `version_info` or `system_version_info`.
    pub version: Text,
    /// To be repeated by the answer.
    pub nonce: Text,
    /// In the order of delivery.
    pub resources: Vec<Wrapped>,
    /// `removed_resources`; delta only.
    pub removed: Vec<Text>,
}

/// One resource of a response: `envoy.service.discovery.v3.Resource`, or the bare message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrapped {
    /// What the wrapper calls it; `None`: there is no wrapper.
    pub name: Option<String>,
    /// The wrapper's version.
    pub version: Option<String>,
    /// How long it holds without being repeated.
    pub ttl: Option<Duration>,
    /// `None` in a heartbeat.
    pub body: Option<Packed>,
}

impl Response {
    /// Its type, if it is one of ours.
    pub(crate) fn kind(&self) -> Option<Kind> {
        Kind::of_type_url(&self.type_url)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delta => "delta",
            Self::Sotw => "sotw",
        })
    }
}
