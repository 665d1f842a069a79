//! What becomes of a request: it goes to a cluster, or is answered here.

use super::cluster_name::ClusterName;
use super::cluster_name::cluster_name;
use super::redirect::Redirect;
use super::redirect::redirect;
use super::redirect::speakable;
use super::response::DirectResponse;
use super::response::direct_response;
use super::timeout;
use super::timeout::Timeouts;
use super::weighted::WeightedCluster;
use super::weighted::host_literal;
use super::weighted::weighted;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::hash;
use crate::resource::hash::HashKey;
use crate::resource::matcher;
use crate::resource::matcher::Substitution;
use crate::resource::value;
use envoy_types::pb::envoy::config::route::v3 as proto;
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use proto::route_action::ClusterNotFoundResponseCode;
use proto::route_action::ClusterSpecifier;
use proto::route_action::HostRewriteSpecifier;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `route`: it goes to a cluster.
    Forward(Box<Forward>),
    /// `redirect`: its client is sent elsewhere.
    Redirect(Redirect),
    /// `direct_response`: it is answered from the configuration.
    Respond(DirectResponse),
    /// `non_forwarding_action`: gRPC's servers answer such a request themselves; a proxy has nobody to give it to.
    Nowhere,
}

/// `RouteAction`.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// Where to.
    pub destination: Destination,
    /// When that cluster does not exist: 503, 404 or 500.
    pub not_found: StatusCode,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Another path, without the query, which stays.
    pub path: Option<PathRewrite>,
    /// Another host.
    pub host: Option<HostRewrite>,
    /// `append_x_forwarded_host`: where the host is another, the first one is told.
    pub append_forwarded_host: bool,
    /// What is the same for requests that go to the same endpoint of a cluster that hashes; `None`: nothing.
    pub hash: Option<HashKey>,
}

/// Which cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    /// Always the same.
    One(ClusterName),
    /// One of these, by chance.
    Weighted(Vec<WeightedCluster>),
}

/// Another path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// This in the place of what the route matches, which is the prefix or else all of it.
    Prefix(String),
    /// Every match replaced.
    Regex(Substitution),
}

/// Another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRewrite {
    /// This.
    Literal(HeaderValue),
    /// What this field of the request says, if it says something.
    Field(HeaderName),
    /// The path, with every match replaced.
    Path(Substitution),
}

impl Action {
    /// Every cluster that it names.
    pub(super) fn clusters(&self) -> impl Iterator<Item = &str> {
        let destination = match self {
            Self::Forward(forward) => Some(&forward.destination),
            Self::Redirect(_) | Self::Respond(_) | Self::Nowhere => None,
        };
        let (one, several) = match destination {
            Some(Destination::One(name)) => (Some(name), &[][..]),
            Some(Destination::Weighted(several)) => (None, several.as_slice()),
            None => (None, &[][..]),
        };
        let names = one.into_iter().chain(several.iter().map(|one| &one.cluster));
        names.filter_map(|name| match name {
            ClusterName::Literal(name) => Some(name.as_str()),
            ClusterName::Field(_) => None,
        })
    }
}

/// Decodes what becomes of a request. The body of an answer may have `largest_body` bytes.
pub(super) fn action(message: Option<proto::route::Action>, largest_body: u32, report: &mut Report) -> Option<Action> {
    match message {
        Some(proto::route::Action::Route(message)) => {
            let forward = report.within("route", |report| forward(message, report));
            forward.map(|forward| Action::Forward(Box::new(forward)))
        }
        Some(proto::route::Action::Redirect(message)) => report
            .within("redirect", |report| redirect(message, report))
            .map(Action::Redirect),
        Some(proto::route::Action::DirectResponse(message)) => {
            let answer = report.within("direct_response", |report| {
                direct_response(message, largest_body, report)
            });
            answer.map(Action::Respond)
        }
        Some(proto::route::Action::NonForwardingAction(proto::NonForwardingAction {})) => Some(Action::Nowhere),
        Some(proto::route::Action::FilterAction(_)) => {
            report.refuse_field("filter_action", "is not supported");
            None
        }
        None => {
            report.refuse_field("route", "is missing, and so are the other actions");
            None
        }
    }
}

fn forward(message: proto::RouteAction, report: &mut Report) -> Option<Forward> {
    #[expect(deprecated, reason = "a deprecated field is decoded or refused too")]
    let proto::RouteAction {
        cluster_not_found_response_code,
        metadata_match,
        prefix_rewrite,
        regex_rewrite,
        path_rewrite_policy,
        path_rewrite,
        append_x_forwarded_host,
        timeout,
        idle_timeout,
        flush_timeout,
        early_data_policy,
        retry_policy,
        retry_policy_typed_config,
        request_mirror_policies,
        priority,
        rate_limits,
        include_vh_rate_limits,
        hash_policy,
        cors,
        max_grpc_timeout,
        grpc_timeout_offset,
        upgrade_configs,
        internal_redirect_policy,
        internal_redirect_action,
        max_internal_redirects,
        hedge_policy,
        max_stream_duration,
        cluster_specifier,
        host_rewrite_specifier,
    } = message;
    refuse_set!(report; metadata_match, path_rewrite_policy, path_rewrite, early_data_policy);
    refuse_set!(report; retry_policy_typed_config, rate_limits, include_vh_rate_limits);
    refuse_set!(report; internal_redirect_policy, internal_redirect_action, max_internal_redirects);
    note_set!(report; retry_policy, request_mirror_policies, priority, cors, hedge_policy);
    value::refuse_limit("flush_timeout", flush_timeout, report);
    report.check_each("upgrade_configs", upgrade_configs, upgrade);
    let fields = timeout::Fields {
        timeout,
        idle_timeout,
        max_grpc_timeout,
        grpc_timeout_offset,
        max_stream_duration,
    };
    let timeouts = timeout::timeouts(fields, report);
    let hash = hash::of_requests(hash_policy, report);
    let not_found = not_found(cluster_not_found_response_code, report);
    let path = path(prefix_rewrite, regex_rewrite, report);
    let host = host(host_rewrite_specifier, report);
    Some(Forward {
        destination: destination(cluster_specifier, report)?,
        not_found: not_found?,
        timeouts,
        path,
        host,
        append_forwarded_host: append_x_forwarded_host,
        hash,
    })
}

fn destination(specifier: Option<ClusterSpecifier>, report: &mut Report) -> Option<Destination> {
    match specifier {
        Some(ClusterSpecifier::Cluster(name)) => {
            let name = value::required_name("cluster", name, report)?;
            Some(Destination::One(ClusterName::Literal(name)))
        }
        Some(ClusterSpecifier::ClusterHeader(name)) => {
            cluster_name("cluster_header", &name, report).map(Destination::One)
        }
        Some(ClusterSpecifier::WeightedClusters(message)) => {
            let several = report.within("weighted_clusters", |report| weighted(message, report));
            several.map(Destination::Weighted)
        }
        Some(ClusterSpecifier::ClusterSpecifierPlugin(_)) => {
            report.refuse_field("cluster_specifier_plugin", "is not supported");
            None
        }
        Some(ClusterSpecifier::InlineClusterSpecifierPlugin(_)) => {
            report.refuse_field("inline_cluster_specifier_plugin", "is not supported");
            None
        }
        None => {
            report.refuse_field("cluster", "is missing, and so are the other ways to name one");
            None
        }
    }
}

fn not_found(number: i32, report: &mut Report) -> Option<StatusCode> {
    match ClusterNotFoundResponseCode::try_from(number) {
        Ok(ClusterNotFoundResponseCode::ServiceUnavailable) => Some(StatusCode::SERVICE_UNAVAILABLE),
        Ok(ClusterNotFoundResponseCode::NotFound) => Some(StatusCode::NOT_FOUND),
        Ok(ClusterNotFoundResponseCode::InternalServerError) => Some(StatusCode::INTERNAL_SERVER_ERROR),
        Err(_) => {
            report.refuse_field("cluster_not_found_response_code", format!("{number} is not known"));
            None
        }
    }
}

fn path(prefix: String, regex: Option<RegexMatchAndSubstitute>, report: &mut Report) -> Option<PathRewrite> {
    if !prefix.is_empty() && regex.is_some() {
        report.refuse_field("regex_rewrite", "cannot be there with prefix_rewrite");
        return None;
    }
    if let Some(message) = regex {
        let found = report.within("regex_rewrite", |report| matcher::substitution(message, report));
        return found.map(PathRewrite::Regex);
    }
    if prefix.is_empty() || !speakable("prefix_rewrite", &prefix, &['?', '#'], report) {
        return None;
    }
    if !prefix.starts_with('/') {
        report.refuse_field("prefix_rewrite", format!("{prefix:?} does not begin with \"/\""));
    }
    Some(PathRewrite::Prefix(prefix))
}

fn host(specifier: Option<HostRewriteSpecifier>, report: &mut Report) -> Option<HostRewrite> {
    match specifier? {
        HostRewriteSpecifier::HostRewriteLiteral(host) => host_literal(&host, report).map(HostRewrite::Literal),
        HostRewriteSpecifier::AutoHostRewrite(auto) => {
            if auto.value {
                report.refuse_field("auto_host_rewrite", "cannot be true");
            }
            None
        }
        HostRewriteSpecifier::HostRewriteHeader(name) => {
            let known = HeaderName::from_bytes(name.as_bytes());
            if known.is_err() {
                report.refuse_field("host_rewrite_header", format!("{name:?} is not the name of a field"));
            }
            known.ok().map(HostRewrite::Field)
        }
        HostRewriteSpecifier::HostRewritePathRegex(message) => {
            let found = report.within("host_rewrite_path_regex", |report| {
                matcher::substitution(message, report)
            });
            found.map(HostRewrite::Path)
        }
        HostRewriteSpecifier::HostRewrite(_) => {
            report.refuse_field("host_rewrite", "is not supported");
            None
        }
    }
}

/// Every upgrade is passed on, so that one that is allowed is fine, and one that is forbidden or ends here is not.
fn upgrade(message: proto::route_action::UpgradeConfig, report: &mut Report) {
    let proto::route_action::UpgradeConfig {
        upgrade_type: _,
        enabled,
        connect_config,
    } = message;
    refuse_set!(report; connect_config);
    if enabled.is_some_and(|enabled| !enabled.value) {
        report.refuse_field("enabled", "cannot be false");
    }
}
