//! The three levels: the configuration, its virtual hosts, their routes.

use super::LastWord;
use super::Ports;
use super::Route;
use super::RouteConfiguration;
use super::VirtualHost;
use super::action::action;
use super::condition::route_match;
use super::domain::Domain;
use super::domain::domain;
use super::filters::refuse_filters;
use super::header;
use super::response::LARGEST_BODY;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::value;
use envoy_types::pb::envoy::config::route::v3 as proto;
use std::collections::HashSet;

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
    refuse_set!(report; vhds, internal_only_headers, cluster_specifier_plugins, vhost_header);
    refuse_set!(report; ignore_path_parameters_in_path_matching, route_specifiers);
    note_set!(report; request_mirror_policies, metadata);
    if validate_clusters.is_some_and(|validate| validate.value) {
        report.note_field(
            "validate_clusters",
            "has no effect: whether a cluster is there is asked of each request",
        );
    }
    refuse_filters(typed_per_filter_config, report);
    let fields = header::Fields {
        request_headers_to_add,
        request_headers_to_remove,
        response_headers_to_add,
        response_headers_to_remove,
    };
    let mutations = header::mutations(fields, report);
    let largest_body = max_direct_response_body_size_bytes.map_or(LARGEST_BODY, |most| most.value);
    let virtual_hosts = report.each("virtual_hosts", virtual_hosts, |message, report| {
        virtual_host(message, largest_body, report)
    });
    refuse_shared_domains(&virtual_hosts, report);
    RouteConfiguration {
        name,
        virtual_hosts,
        mutations,
        last_word: if most_specific_header_mutations_wins {
            LastWord::MostSpecific
        } else {
            LastWord::MostGeneral
        },
        ports: if ignore_port_in_host_matching {
            Ports::Ignored
        } else {
            Ports::Compared
        },
    }
}

/// Whose an authority is must be clear.
fn refuse_shared_domains(virtual_hosts: &[VirtualHost], report: &mut Report) {
    let mut domains: HashSet<&Domain> = HashSet::new();
    for domain in virtual_hosts.iter().flat_map(|host| &host.domains) {
        if !domains.insert(domain) {
            report.refuse_field(
                "virtual_hosts",
                format!("the domain {:?} is there twice", domain.to_string()),
            );
        }
    }
}

fn virtual_host(message: proto::VirtualHost, largest_body: u32, report: &mut Report) -> Option<VirtualHost> {
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
    refuse_set!(report; matcher, require_tls, rate_limits, retry_policy_typed_config, route_specifiers);
    note_set!(report; retry_policy, hedge_policy, request_mirror_policies, cors);
    // A timeout is no reason for another attempt, so that no attempt would have it.
    note_set!(report; include_is_timeout_retry_header);
    note_set!(report; virtual_clusters, per_request_buffer_limit_bytes, request_body_buffer_limit, metadata);
    refuse_filters(typed_per_filter_config, report);
    let fields = header::Fields {
        request_headers_to_add,
        request_headers_to_remove,
        response_headers_to_add,
        response_headers_to_remove,
    };
    let mutations = header::mutations(fields, report);
    let name = value::required_name("name", name, report);
    if domains.is_empty() {
        report.refuse_field("domains", "is empty");
    }
    let domains = report.each("domains", domains, |text, report| domain(&text, report));
    let routes = report.each("routes", routes, |message, report| route(message, largest_body, report));
    Some(VirtualHost {
        name: name?,
        domains,
        routes,
        mutations,
        tells_endpoints_attempts: include_request_attempt_count,
        tells_clients_attempts: include_attempt_count_in_response,
    })
}

fn route(message: proto::Route, largest_body: u32, report: &mut Report) -> Option<Route> {
    #[expect(deprecated, reason = "a deprecated field is noted too")]
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
        action: becomes,
    } = message;
    refuse_set!(report; route_specifiers);
    note_set!(report; metadata, decorator, tracing, stat_prefix);
    note_set!(report; per_request_buffer_limit_bytes, request_body_buffer_limit);
    refuse_filters(typed_per_filter_config, report);
    let fields = header::Fields {
        request_headers_to_add,
        request_headers_to_remove,
        response_headers_to_add,
        response_headers_to_remove,
    };
    let mutations = header::mutations(fields, report);
    let matches = report.within("match", |report| route_match(r#match, report));
    let action = action(becomes, largest_body, report);
    Some(Route {
        name,
        matches: matches?,
        action: action?,
        mutations,
    })
}
