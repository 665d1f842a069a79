//! `Route`: a rule for one of its matches.

use super::Rules;
use super::condition;
use super::path;
use super::path::Change;
use crate::mesh::model::Field;
use crate::mesh::model::HeaderChanges;
use crate::mesh::model::HttpAction;
use crate::mesh::model::HttpForward;
use crate::mesh::model::HttpMatch;
use crate::mesh::model::HttpRedirect;
use crate::mesh::model::HttpRule;
use crate::mesh::model::PathTest;
use crate::mesh::model::RedirectStatus;
use crate::mesh::translate::backend::Shares;
use crate::mesh::translate::value;
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::route::v3 as proto;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use proto::redirect_action::PathRewriteSpecifier;
use proto::redirect_action::RedirectResponseCode;
use proto::redirect_action::SchemeRewriteSpecifier;
use proto::route::Action;
use proto::route_action::ClusterNotFoundResponseCode;
use proto::route_action::ClusterSpecifier;
use proto::route_action::HostRewriteSpecifier;
use proto::weighted_cluster::ClusterWeight;
use std::num::NonZeroU16;

/// Of so many requests a share is told.
const MILLION: u64 = 1_000_000;

/// One of these rules for one of its matches: the routes that take each other's place.
pub(super) fn routes(rule: &HttpRule, one: &HttpMatch, at: Rules<'_>) -> Vec<proto::Route> {
    match &rule.action {
        HttpAction::Redirect(to) => {
            let action = redirect(to, &one.path, at.port);
            vec![route(rule, one, None, Action::Redirect(action))]
        }
        HttpAction::Forward(forward) => {
            let shares = Shares::of(&forward.backends, at.dialled);
            let (missing, total) = (shares.missing, shares.total());
            if missing == total {
                return vec![route(rule, one, None, unavailable(one))];
            }
            let forwarded = route(rule, one, None, Action::Route(forward_to(&shares, forward, &one.path)));
            if missing == 0 {
                return vec![forwarded];
            }
            let share = (missing * MILLION).div_ceil(total).min(MILLION - 1);
            vec![route(rule, one, Some(share as u32), unavailable(one)), forwarded]
        }
    }
}

fn route(rule: &HttpRule, one: &HttpMatch, per_million: Option<u32>, action: Action) -> proto::Route {
    let share = per_million.map(|numerator| RuntimeFractionalPercent {
        default_value: Some(FractionalPercent {
            numerator,
            denominator: DenominatorType::Million as i32,
        }),
        ..RuntimeFractionalPercent::default()
    });
    let (request, response) = (&rule.request_headers, &rule.response_headers);
    proto::Route {
        name: rule.name.clone(),
        r#match: Some(proto::RouteMatch {
            runtime_fraction: share,
            ..condition::condition(one)
        }),
        request_headers_to_add: additions(request),
        request_headers_to_remove: request.remove.clone(),
        response_headers_to_add: additions(response),
        response_headers_to_remove: response.remove.clone(),
        action: Some(action),
        ..proto::Route::default()
    }
}

/// What the Gateway API asks for where a request has no backend: 500, and of gRPC the status UNAVAILABLE, which 503 is.
fn unavailable(one: &HttpMatch) -> Action {
    let status = if matches!(one.path, PathTest::Grpc(_)) {
        503
    } else {
        500
    };
    Action::DirectResponse(proto::DirectResponseAction {
        status,
        ..proto::DirectResponseAction::default()
    })
}

fn forward_to(shares: &Shares<'_>, forward: &HttpForward, matched: &PathTest) -> proto::RouteAction {
    let timeouts = &forward.timeouts;
    let timeout = timeouts.request.into_iter().chain(timeouts.backend_request).min();
    let mut action = proto::RouteAction {
        cluster_specifier: Some(clusters(shares)),
        cluster_not_found_response_code: ClusterNotFoundResponseCode::InternalServerError as i32,
        timeout: Some(value::limit(timeout)),
        // Whether it matters, the backend's cluster says.
        hash_policy: vec![value::source_ip_of_requests()],
        host_rewrite_specifier: forward.host.clone().map(HostRewriteSpecifier::HostRewriteLiteral),
        ..proto::RouteAction::default()
    };
    match forward.path.as_ref().and_then(|to| path::change(to, matched)) {
        Some(Change::Full(path)) => action.regex_rewrite = Some(path::whole(&path)),
        Some(Change::Matched(with)) => action.prefix_rewrite = with,
        Some(Change::Regex(substitution)) => action.regex_rewrite = Some(substitution),
        None => {}
    }
    action
}

fn clusters(shares: &Shares<'_>) -> ClusterSpecifier {
    if let [(cluster, _, backend)] = shares.present.as_slice()
        && backend.request_headers.is_empty()
        && backend.response_headers.is_empty()
    {
        return ClusterSpecifier::Cluster(cluster.clone());
    }
    let clusters = shares.present.iter().map(|(cluster, weight, backend)| {
        let (request, response) = (&backend.request_headers, &backend.response_headers);
        ClusterWeight {
            name: cluster.clone(),
            weight: Some(value::number(weight.get())),
            request_headers_to_add: additions(request),
            request_headers_to_remove: request.remove.clone(),
            response_headers_to_add: additions(response),
            response_headers_to_remove: response.remove.clone(),
            ..ClusterWeight::default()
        }
    });
    ClusterSpecifier::WeightedClusters(proto::WeightedCluster {
        clusters: clusters.collect(),
        ..proto::WeightedCluster::default()
    })
}

fn additions(changes: &HeaderChanges) -> Vec<HeaderValueOption> {
    let option = |field: &Field, action: HeaderAppendAction| HeaderValueOption {
        header: Some(HeaderValue {
            key: field.name.clone(),
            // Else it would be an operator.
            value: field.value.replace('%', "%%"),
            ..HeaderValue::default()
        }),
        append_action: action as i32,
        keep_empty_value: true,
        ..HeaderValueOption::default()
    };
    let set = changes
        .set
        .iter()
        .map(|field| option(field, HeaderAppendAction::OverwriteIfExistsOrAdd));
    let add = changes
        .add
        .iter()
        .map(|field| option(field, HeaderAppendAction::AppendIfExistsOrAdd));
    set.chain(add).collect()
}

fn redirect(to: &HttpRedirect, matched: &PathTest, port: NonZeroU16) -> proto::RedirectAction {
    let path = match to.path.as_ref().and_then(|to| path::change(to, matched)) {
        Some(Change::Full(path)) => Some(PathRewriteSpecifier::PathRedirect(path)),
        Some(Change::Matched(with)) => Some(PathRewriteSpecifier::PrefixRewrite(with)),
        Some(Change::Regex(substitution)) => Some(PathRewriteSpecifier::RegexRewrite(substitution)),
        None => None,
    };
    let status = match to.status {
        RedirectStatus::MovedPermanently => RedirectResponseCode::MovedPermanently,
        RedirectStatus::Found => RedirectResponseCode::Found,
        RedirectStatus::SeeOther => RedirectResponseCode::SeeOther,
        RedirectStatus::Temporary => RedirectResponseCode::TemporaryRedirect,
        RedirectStatus::Permanent => RedirectResponseCode::PermanentRedirect,
    };
    proto::RedirectAction {
        host_redirect: to.host.clone().unwrap_or_default(),
        port_redirect: redirected_port(to, port).map_or(0, u32::from),
        response_code: status as i32,
        scheme_rewrite_specifier: to.scheme.clone().map(SchemeRewriteSpecifier::SchemeRedirect),
        path_rewrite_specifier: path,
        ..proto::RedirectAction::default()
    }
}

/// The Gateway API: without a port that of the scheme, without a scheme that of the listener. One that goes without saying is
/// left out, unless the request's own would then stay.
fn redirected_port(to: &HttpRedirect, port: NonZeroU16) -> Option<u16> {
    let usual = if to.scheme.as_deref() == Some("https") { 443 } else { 80 };
    let wanted = match (to.port, &to.scheme) {
        (Some(port), _) => port.get(),
        (None, Some(_)) => usual,
        (None, None) => port.get(),
    };
    let goes_without = wanted == usual && (to.host.is_some() || port.get() == 80);
    (!goes_without).then_some(wanted)
}
