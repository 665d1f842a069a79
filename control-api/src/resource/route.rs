//! `envoy.config.route.v3.RouteConfiguration`: what becomes of a request.

mod action;
mod cluster_name;
mod condition;
mod decode;
mod domain;
mod filters;
mod header;
mod redirect;
mod response;
mod timeout;
mod weighted;

pub use action::Action;
pub use action::Destination;
pub use action::Forward;
pub use action::HostRewrite;
pub use action::PathRewrite;
pub use cluster_name::ClusterName;
pub use condition::FieldName;
pub use condition::Fraction;
pub use condition::HeaderMatch;
pub use condition::PathMatch;
pub use condition::QueryMatch;
pub use condition::RouteMatch;
pub use condition::ValueTest;
pub use domain::Domain;
pub use header::AppendAction;
pub use header::HeaderAddition;
pub use header::HeaderMutations;
pub use header::Mutations;
pub use redirect::Redirect;
pub use redirect::RedirectPath;
pub use response::DirectResponse;
pub use timeout::GrpcTimeout;
pub use timeout::Timeouts;
pub use weighted::WeightedCluster;

pub(crate) use decode::decode;
pub(crate) use header::changeable;

/// Virtual hosts and their routes.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteConfiguration {
    /// Unique among route configurations.
    pub name: String,
    /// In the order of delivery; domains are unique among them.
    pub virtual_hosts: Vec<VirtualHost>,
    /// For every request.
    pub mutations: Mutations,
    /// `most_specific_header_mutations_wins`: which mutations come last.
    pub last_word: LastWord,
    /// `ignore_port_in_host_matching`: domains are compared with an authority without its port.
    pub ports: Ports,
}

/// The level whose header mutations come last, and so overrule the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWord {
    /// The route configuration, after the virtual host, after the route.
    MostGeneral,
    /// The route, after the virtual host, after the route configuration.
    MostSpecific,
}

/// What domains are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The authority as it came.
    Compared,
    /// The authority without its port.
    Ignored,
}

/// Routes for a set of authorities.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualHost {
    /// For people.
    pub name: String,
    /// At least one.
    pub domains: Vec<Domain>,
    /// The first that matches.
    pub routes: Vec<Route>,
    /// For every request to these authorities.
    pub mutations: Mutations,
    /// `include_request_attempt_count`: endpoints are told the number of the attempt.
    pub tells_endpoints_attempts: bool,
    /// `include_attempt_count_in_response`: clients are told how many attempts there were.
    pub tells_clients_attempts: bool,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// For people; may be empty.
    pub name: String,
    /// Which requests.
    pub matches: RouteMatch,
    /// What becomes of them.
    pub action: Action,
    /// For these requests.
    pub mutations: Mutations,
}

impl RouteConfiguration {
    /// Every cluster that a route names, as often as it is named; those that requests name are not known.
    pub fn clusters(&self) -> impl Iterator<Item = &str> {
        let routes = self.virtual_hosts.iter().flat_map(|host| &host.routes);
        routes.flat_map(|route| route.action.clusters())
    }
}
