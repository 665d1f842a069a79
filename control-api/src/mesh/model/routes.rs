//! Routes of a service port: what the Gateway API's HTTPRoute, GRPCRoute, TLSRoute and TCPRoute say, without their
//! Kubernetes.

use super::family::Family;
use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

/// Where connections and requests to the VIPs of a port go. Rules replace the port's own endpoints; those who want them
/// name the port itself as a backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Routes {
    /// To the port's own endpoints.
    #[default]
    Own,
    /// Each request as the most specific rule says that matches it; without one it is answered with 404. For protocols
    /// other than HTTP; where HTTP is not declared, what is not HTTP goes to the port's own endpoints.
    Http(Vec<HttpRule>),
    /// Each TLS connection by the name that it asks for; without a rule for it, and without TLS, it is closed.
    Tls(Vec<TlsRule>),
    /// Each connection, whatever is spoken, to one of these by weight.
    Tcp(Vec<Backend>),
}

/// A rule for requests. Of several that match, the one counts whose hostname is most specific, then the one whose match
/// is (the Gateway API's order: path, method, fields, query), then the one that comes first.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRule {
    /// For people, such as `shop/web-route rule 0`; may be empty.
    pub name: String,
    /// Whom the request asks for; empty: anybody.
    pub hostnames: Vec<Hostname>,
    /// One of them; empty: every request.
    pub matches: Vec<HttpMatch>,
    /// Of requests.
    pub request_headers: HeaderChanges,
    /// Of their answers.
    pub response_headers: HeaderChanges,
    /// What becomes of them.
    pub action: HttpAction,
}

/// The name of a host, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hostname {
    /// This name.
    Exactly(String),
    /// `*.` and this: every name that ends so, with at least one label more.
    Under(String),
}

/// What a request must be; all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpMatch {
    /// Its path, without the query.
    pub path: PathTest,
    /// Its method, such as `GET`; `None`: any.
    pub method: Option<String>,
    /// Its fields.
    pub headers: Vec<HeaderTest>,
    /// The parameters of its query.
    pub query: Vec<QueryTest>,
}

/// What a path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathTest {
    /// This.
    Exact(String),
    /// This, or this with more segments; a slash at its end does not count. `/`: any.
    Prefix(String),
    /// All of it matches this expression (RE2).
    Regex(String),
    /// It calls this method of gRPC.
    Grpc(GrpcMethod),
}

/// A method of gRPC; `None`: any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcMethod {
    /// Such as `shop.v1.Orders`.
    pub service: Option<TextTest>,
    /// Such as `Get`.
    pub method: Option<TextTest>,
}

/// What a text must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// This.
    Exact(String),
    /// All of it matches this expression (RE2).
    Regex(String),
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTest {
    /// In any case.
    pub name: String,
    /// Its values, joined with commas.
    pub value: TextTest,
}

/// What a parameter of the query must be; the first of its name counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryTest {
    /// As it stands in the query.
    pub name: String,
    /// As it stands in the query.
    pub value: TextTest,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpAction {
    /// It goes to a backend.
    Forward(HttpForward),
    /// Its client is sent elsewhere.
    Redirect(HttpRedirect),
}

/// Where requests go, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpForward {
    /// One of them by weight; without any, or without any weight, the answer is 500, and UNAVAILABLE to a match of gRPC.
    pub backends: Vec<Backend>,
    /// Another host.
    pub host: Option<String>,
    /// Another path.
    pub path: Option<PathReplacement>,
    /// How long they may take.
    pub timeouts: HttpTimeouts,
}

/// One of several places to go to.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Where.
    pub target: Target,
    /// Its share against the others; they add up to at most `u32::MAX`.
    pub weight: u32,
    /// Of requests that go there; nothing where these are connections.
    pub request_headers: HeaderChanges,
    /// Of their answers.
    pub response_headers: HeaderChanges,
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The endpoints of a service's port, whatever routes it has itself.
    Port {
        /// The service.
        service: String,
        /// Which of its ports.
        port: NonZeroU16,
        /// The family that is served apart there ([`super::Apart`]).
        apart: Option<Family>,
    },
    /// What was named does not exist, or may not be used: requests get 500 (a match of gRPC UNAVAILABLE), connections are reset.
    Missing,
}

/// How long a request may take. Of both the shorter counts: a proxy tries again only what no endpoint has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpTimeouts {
    /// In all; `None`: no limit.
    pub request: Option<Duration>,
    /// At one endpoint; `None`: no limit.
    pub backend_request: Option<Duration>,
}

/// Where a client is sent. What is `None` is that of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRedirect {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// A host.
    pub host: Option<String>,
    /// A port.
    pub port: Option<NonZeroU16>,
    /// The path.
    pub path: Option<PathReplacement>,
    /// The status of the answer.
    pub status: RedirectStatus,
}

/// The status of a redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectStatus {
    /// 301.
    MovedPermanently,
    /// 302.
    #[default]
    Found,
    /// 303.
    SeeOther,
    /// 307.
    Temporary,
    /// 308.
    Permanent,
}

/// Another path. The query stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathReplacement {
    /// This.
    Full(String),
    /// This in the place of the prefix that the rule matches; where it matches no prefix, in the place of all.
    Prefix(String),
}

/// Changes of header fields, in this order: `remove`, `set`, `add`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// These take the place of those of their names.
    pub set: Vec<Field>,
    /// These come to those of their names.
    pub add: Vec<Field>,
    /// All of these names go.
    pub remove: Vec<String>,
}

/// A header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// In any case.
    pub name: String,
    /// Without control characters.
    pub value: String,
}

/// A rule for TLS connections; where two have the same hostname, the first has it.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsRule {
    /// For people; may be empty.
    pub name: String,
    /// Whom the client asks for; empty: anybody, and nobody.
    pub hostnames: Vec<Hostname>,
    /// One of them by weight; without any, or without any weight, connections are reset.
    pub backends: Vec<Backend>,
}

impl HttpRule {
    /// A rule for every request.
    pub fn new(action: HttpAction) -> Self {
        Self {
            name: String::new(),
            hostnames: Vec::new(),
            matches: Vec::new(),
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
            action,
        }
    }
}

impl Hostname {
    /// Reads `web.example.com` or `*.example.com`; `None`: it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (name, hostname): (&str, fn(String) -> Self) = match lower.strip_prefix("*.") {
            Some(rest) => (rest, Self::Under),
            None => (&lower, Self::Exactly),
        };
        let label = |label: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !label.is_empty() && label.len() <= 63 && label.bytes().all(known)
        };
        (name.len() <= 253 && name.split('.').all(label)).then(|| hostname(name.to_owned()))
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => f.write_str(name),
            Self::Under(end) => write!(f, "*.{end}"),
        }
    }
}

impl Backend {
    /// A port of a service, with the weight 1.
    pub fn port(service: impl Into<String>, port: NonZeroU16) -> Self {
        Self::new(Target::Port {
            service: service.into(),
            port,
            apart: None,
        })
    }

    /// Something with the weight 1.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            weight: 1,
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
        }
    }
}

impl Default for PathTest {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

impl HeaderChanges {
    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostname_is_a_name_or_all_names_under_one() {
        let exactly = |name: &str| Some(Hostname::Exactly(name.to_owned()));
        assert_eq!(Hostname::parse("Web.Example.com"), exactly("web.example.com"));
        assert_eq!(Hostname::parse("localhost"), exactly("localhost"));
        assert_eq!(
            Hostname::parse("*.example.com"),
            Some(Hostname::Under("example.com".to_owned()))
        );
        for wrong in ["", "*", "*.", "a..b", "*.*.a", "a*.b", "web:80", "a b", "wéb"] {
            assert_eq!(Hostname::parse(wrong), None, "{wrong:?}");
        }
    }
}
