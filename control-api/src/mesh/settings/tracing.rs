//! `tracing:`, which requests have spans, and where these go.

use super::Collector;
use http::HeaderName;

/// The `tracing:` section, with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// Where spans go.
    pub collector: Collector,
    /// Of the requests that come without a decision (default 1 %).
    pub sample: Share,
    /// How contexts are written and read, the first that is valid; never empty (default W3C alone).
    pub propagation: Vec<Propagation>,
    /// `service.name`; `None`: from the environment.
    pub service: Option<String>,
    /// Of every span.
    pub attributes: Vec<SpanAttribute>,
}

/// A share of many, from none to all, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// All of them.
    pub const ALL: Self = Self(1_000_000);

    /// So many of a million; `None` for more than all.
    pub fn of_millionths(millionths: u32) -> Option<Self> {
        (millionths <= Self::ALL.0).then_some(Self(millionths))
    }

    /// So many of a million.
    pub fn millionths(self) -> u32 {
        self.0
    }
}

/// How the context of a trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// `traceparent` and `tracestate`.
    W3c,
    /// `b3`.
    B3,
    /// `x-b3-traceid` and its companions.
    B3Multi,
}

/// An attribute that is not of the conventions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanAttribute {
    /// Its name.
    pub name: String,
    /// Where its value is.
    pub source: AttributeSource,
}

/// Where the value of an attribute is. What is not there makes no attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeSource {
    /// In the first line of this field of the request.
    Header(HeaderName),
    /// In the member of this name of the request's `baggage`.
    Baggage(String),
    /// In this variable of the proxy's environment.
    Environment(String),
}
