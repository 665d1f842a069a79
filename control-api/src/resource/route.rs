//! `envoy.config.route.v3.RouteConfiguration`: which cluster a request goes to.

use super::value;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use envoy_types::pb::envoy::config::route::v3 as proto;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use std::collections::HashSet;
use std::time::Duration;

/// Virtual hosts and their routes.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteConfiguration {
    /// Unique among route configurations.
    pub name: String,
    /// In the order of delivery; domains are unique among them.
    pub virtual_hosts: Vec<VirtualHost>,
}

/// Routes for a set of authorities.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualHost {
    /// For people.
    pub name: String,
    /// `*` only, until routes by host are built.
    pub domains: Vec<String>,
    /// The first that matches.
    pub routes: Vec<Route>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// A path prefix; `/` matches everything, `*` and a CONNECT's authority included.
    pub prefix: String,
    /// Where to.
    pub cluster: String,
    /// For the whole exchange; `None`: no limit.
    pub timeout: Option<Duration>,
}

/// Decodes a route configuration.
pub(crate) fn decode(message: proto::RouteConfiguration, report: &mut Report) -> RouteConfiguration {
    let proto::RouteConfiguration {
        name,
        virtual_hosts,
        vhds,
        internal_only_headers,
        response_headers_to_add,
        response_headers_to_remove,
        request_headers_to_add,
        request_headers_to_remove,
        most_specific_header_mutations_wins,
        validate_clusters,
        max_direct_response_body_size_bytes,
        cluster_specifier_plugins,
        request_mirror_policies,
        ignore_port_in_host_matching,
        vhost_header,
        ignore_path_parameters_in_path_matching,
        typed_per_filter_config,
        metadata,
        route_specifiers,
    } = message;
    refuse_set!(report; vhds, internal_only_headers, cluster_specifier_plugins, request_mirror_policies, vhost_header);
    refuse_set!(report; response_headers_to_add, response_headers_to_remove);
    refuse_set!(report; request_headers_to_add, request_headers_to_remove);
    refuse_set!(report; ignore_path_parameters_in_path_matching, typed_per_filter_config, route_specifiers);
    // Without effect while `*` is the only domain, nothing changes headers, and clusters are always checked.
    note_set!(report; ignore_port_in_host_matching, most_specific_header_mutations_wins, validate_clusters);
    note_set!(report; max_direct_response_body_size_bytes, metadata);
    let virtual_hosts = report.each("virtual_hosts", virtual_hosts, virtual_host);
    let mut domains = HashSet::new();
    for domain in virtual_hosts.iter().flat_map(|host| &host.domains) {
        if !domains.insert(domain) {
            report.refuse_field("virtual_hosts", format!("the domain {domain:?} is there twice"));
        }
    }
    RouteConfiguration { name, virtual_hosts }
}

fn virtual_host(message: proto::VirtualHost, report: &mut Report) -> Option<VirtualHost> {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let proto::VirtualHost {
        name,
        domains,
        routes,
        matcher,
        require_tls,
        virtual_clusters,
        rate_limits,
        request_headers_to_add,
        request_headers_to_remove,
        response_headers_to_add,
        response_headers_to_remove,
        cors,
        typed_per_filter_config,
        include_request_attempt_count,
        include_attempt_count_in_response,
        retry_policy,
        retry_policy_typed_config,
        hedge_policy,
        include_is_timeout_retry_header,
        per_request_buffer_limit_bytes,
        request_body_buffer_limit,
        request_mirror_policies,
        metadata,
        route_specifiers,
    } = message;
    refuse_set!(report; matcher, require_tls, rate_limits, cors, typed_per_filter_config, route_specifiers);
    refuse_set!(report; request_headers_to_add, request_headers_to_remove);
    refuse_set!(report; response_headers_to_add, response_headers_to_remove);
    refuse_set!(report; include_request_attempt_count, include_attempt_count_in_response);
    refuse_set!(report; retry_policy, retry_policy_typed_config, hedge_policy, include_is_timeout_retry_header);
    refuse_set!(report; request_mirror_policies);
    note_set!(report; virtual_clusters, per_request_buffer_limit_bytes, request_body_buffer_limit, metadata);
    let name = value::required_name("name", name, report);
    if domains.is_empty() {
        report.refuse_field("domains", "is empty");
    }
    if let Some(other) = domains.iter().find(|domain| *domain != "*") {
        report.refuse_field("domains", format!("{other:?}: only \"*\" is supported"));
    }
    let routes = report.each("routes", routes, route);
    Some(VirtualHost {
        name: name?,
        domains,
        routes,
    })
}

fn route(message: proto::Route, report: &mut Report) -> Option<Route> {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let proto::Route {
        name,
        r#match,
        metadata,
        decorator,
        typed_per_filter_config,
        request_headers_to_add,
        request_headers_to_remove,
        response_headers_to_add,
        response_headers_to_remove,
        tracing,
        per_request_buffer_limit_bytes,
        stat_prefix,
        request_body_buffer_limit,
        route_specifiers,
        action,
    } = message;
    refuse_set!(report; typed_per_filter_config, request_headers_to_add, request_headers_to_remove);
    refuse_set!(report; response_headers_to_add, response_headers_to_remove, route_specifiers);
    note_set!(report; name, metadata, decorator, tracing, stat_prefix);
    note_set!(report; per_request_buffer_limit_bytes, request_body_buffer_limit);
    let prefix = report.within("match", |report| route_match(r#match, report));
    let (cluster, timeout) = if let Some(Action::Route(action)) = action {
        report.within("route", |report| route_action(action, report))
    } else {
        report.refuse_field("route", "is missing: other actions are not supported");
        (None, None)
    };
    Some(Route {
        prefix: prefix?,
        cluster: cluster?,
        timeout,
    })
}

/// The prefix that paths must have.
fn route_match(message: Option<proto::RouteMatch>, report: &mut Report) -> Option<String> {
    let Some(message) = message else {
        report.refuse("is missing");
        return None;
    };
    let proto::RouteMatch {
        case_sensitive,
        runtime_fraction,
        headers,
        query_parameters,
        cookies,
        grpc,
        tls_context,
        dynamic_metadata,
        filter_state,
        path_specifier,
    } = message;
    refuse_set!(report; runtime_fraction, headers, query_parameters, cookies, grpc, tls_context);
    refuse_set!(report; dynamic_metadata, filter_state);
    if case_sensitive.is_some_and(|sensitive| !sensitive.value) {
        report.refuse_field("case_sensitive", "cannot be false");
    }
    match path_specifier {
        Some(PathSpecifier::Prefix(prefix)) if prefix.starts_with('/') => Some(prefix),
        Some(PathSpecifier::Prefix(prefix)) => {
            report.refuse_field("prefix", format!("{prefix:?} does not begin with \"/\""));
            None
        }
        _ => {
            report.refuse_field("prefix", "is missing: other matches are not supported");
            None
        }
    }
}

/// The cluster and the time for the whole exchange.
fn route_action(message: proto::RouteAction, report: &mut Report) -> (Option<String>, Option<Duration>) {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
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
    refuse_set!(report; metadata_match, prefix_rewrite, regex_rewrite, path_rewrite_policy, path_rewrite);
    refuse_set!(report; append_x_forwarded_host, host_rewrite_specifier, early_data_policy, priority);
    refuse_set!(report; retry_policy, retry_policy_typed_config, hedge_policy, request_mirror_policies);
    refuse_set!(report; rate_limits, include_vh_rate_limits, hash_policy, cors, max_grpc_timeout, grpc_timeout_offset);
    refuse_set!(report; upgrade_configs, internal_redirect_policy, internal_redirect_action, max_internal_redirects);
    refuse_set!(report; max_stream_duration);
    // Clusters are always there: one that is missing is a fault of the whole set.
    note_set!(report; cluster_not_found_response_code);
    value::refuse_limit("idle_timeout", idle_timeout, report);
    value::refuse_limit("flush_timeout", flush_timeout, report);
    let timeout = value::limit("timeout", timeout, None, report);
    let cluster = if let Some(ClusterSpecifier::Cluster(name)) = cluster_specifier {
        value::required_name("cluster", name, report)
    } else {
        report.refuse_field("cluster", "is missing: other ways to name one are not supported");
        None
    };
    (cluster, timeout)
}
