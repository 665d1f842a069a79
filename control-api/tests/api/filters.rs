//! HTTP filters that we do not have: which of them may be missing, in a listener and on a route.

use crate::example;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType as NetworkConfig;
use envoy_types::pb::envoy::config::route::v3::FilterConfig;
use envoy_types::pb::envoy::config::route::v3::Route;
use envoy_types::pb::envoy::extensions::filters::http::buffer::v3::Buffer;
use envoy_types::pb::envoy::extensions::filters::http::buffer::v3::BufferPerRoute;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::Cors;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::ExtAuthz;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::grpc_stats::v3::FilterConfig as GrpcStats;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::JwtAuthentication;
use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use envoy_types::pb::envoy::extensions::filters::http::lua::v3::Lua;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::RbacPerRoute;
use envoy_types::pb::envoy::extensions::filters::http::stateful_session::v3::StatefulSession;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Packed;
use prost::Message;
use prost::Name;

const CONFIG: &str = "filter_chains[0].filters[0].typed_config";

/// Notes, or faults, of a listener of ours whose connection manager was changed.
fn decoded(change: impl FnOnce(&mut HttpConnectionManager)) -> Result<Vec<String>, Vec<String>> {
    let document = mesh::parse(example()).unwrap_or_else(|faults| panic!("{faults}"));
    let messages = mesh::translate(&document);
    let mut listener = Listener::decode(messages.listeners[0].value.as_slice()).expect("a listener");
    let Some(NetworkConfig::TypedConfig(any)) = &mut listener.filter_chains[0].filters[0].config_type else {
        panic!("{listener:?}")
    };
    let mut manager = HttpConnectionManager::decode(any.value.as_slice()).expect("a connection manager");
    change(&mut manager);
    *any = pack_any(manager);
    let packed = Packed {
        type_url: Listener::type_url(),
        value: listener.encode_to_vec(),
    };
    match xds::decode_one(Kind::Listener, &packed) {
        Ok((_, notes)) => Ok(notes
            .into_iter()
            .map(|note| format!("{}: {}", note.path, note.reason))
            .collect()),
        Err(faults) => Err(faults.0.iter().map(ToString::to_string).collect()),
    }
}

fn filter(config: Any, change: impl FnOnce(&mut HttpFilter)) -> HttpFilter {
    let mut filter = HttpFilter {
        name: "extra".to_owned(),
        config_type: Some(ConfigType::TypedConfig(config)),
        ..HttpFilter::default()
    };
    change(&mut filter);
    filter
}

/// With a filter before the router.
fn with(config: Any, change: impl FnOnce(&mut HttpFilter)) -> Result<Vec<String>, Vec<String>> {
    decoded(|manager| manager.http_filters.insert(0, filter(config, change)))
}

fn note(reason: &str) -> Vec<String> {
    vec![format!("{CONFIG}.http_filters[0].typed_config: {reason}")]
}

fn guards() -> [(&'static str, Any); 6] {
    [
        ("rbac.v3.RBAC", pack_any(Rbac::default())),
        ("jwt_authn.v3.JwtAuthentication", pack_any(JwtAuthentication::default())),
        ("ext_authz.v3.ExtAuthz", pack_any(ExtAuthz::default())),
        ("fault.v3.HTTPFault", pack_any(HttpFault::default())),
        ("local_ratelimit.v3.LocalRateLimit", pack_any(LocalRateLimit::default())),
        (
            "stateful_session.v3.StatefulSession",
            pack_any(StatefulSession::default()),
        ),
    ]
}

#[test]
fn filters_that_requests_must_not_pass_without_are_refused_by_name_even_where_they_are_optional() {
    for (name, config) in guards() {
        let fault = format!(
            "{CONFIG}.http_filters[0].typed_config: the filter \"extra\", envoy.extensions.filters.http.{name}, is not supported, and \
             requests must not pass without it"
        );
        assert_eq!(with(config.clone(), |_| {}), Err(vec![fault.clone()]));
        let optional = with(config, |filter| filter.is_optional = true);
        assert_eq!(optional, Err(vec![fault]));
    }
    let wrapped = Any {
        type_url: "type.googleapis.com/xds.type.v3.TypedStruct".to_owned(),
        value: Vec::new(),
    };
    let found = with(wrapped, |filter| filter.is_optional = true).expect_err("it may be anything");
    assert!(
        found[0].contains("xds.type.v3.TypedStruct, is not supported"),
        "{found:?}"
    );
}

#[test]
fn harmless_filters_are_noted() {
    for config in [
        pack_any(Cors::default()),
        pack_any(Buffer::default()),
        pack_any(GrpcStats::default()),
    ] {
        assert_eq!(
            with(config, |_| {}),
            Ok(note("has no effect: the filter is not supported"))
        );
    }
}

#[test]
fn other_filters_are_noted_where_they_are_optional_and_refused_by_name_elsewhere() {
    let lua = pack_any(Lua::default());
    let optional = with(lua.clone(), |filter| filter.is_optional = true);
    assert_eq!(optional, Ok(note("has no effect: the filter is not supported")));
    let fault = format!(
        "{CONFIG}.http_filters[0].typed_config: the filter \"extra\", envoy.extensions.filters.http.lua.v3.Lua, is not supported"
    );
    assert_eq!(with(lua, |_| {}), Err(vec![fault]));
}

#[test]
fn a_disabled_filter_is_noted_whatever_it_is() {
    for (_, config) in guards() {
        let found = with(config, |filter| filter.disabled = true);
        assert_eq!(found, Ok(note("has no effect: the filter is disabled")));
    }
}

#[test]
fn the_router_ends_the_list_and_is_not_disabled() {
    let found = decoded(|manager| manager.http_filters.push(filter(pack_any(Cors::default()), |_| {})));
    assert_eq!(
        found.expect_err("the router is not the last"),
        [
            format!("{CONFIG}.http_filters[0].typed_config: the router must end the list, and more filters follow"),
            format!(
                "{CONFIG}.http_filters[1].typed_config: the router must end the list, and this is envoy.extensions.filters.http.cors.v3.Cors"
            ),
        ]
    );
    let found = decoded(|manager| manager.http_filters[0].disabled = true);
    let fault = format!("{CONFIG}.http_filters[0].disabled: cannot be true of the last filter");
    assert_eq!(found, Err(vec![fault]));
    let found = decoded(|manager| manager.http_filters.clear());
    let fault = format!("{CONFIG}.http_filters: is empty: the router is missing");
    assert_eq!(found, Err(vec![fault]));
}

/// What one route says to a filter.
fn on_a_route(config: Any) -> Result<Vec<String>, Vec<String>> {
    decoded(|manager| {
        let Some(RouteSpecifier::RouteConfig(routes)) = &mut manager.route_specifier else {
            panic!("{manager:?}")
        };
        let route: &mut Route = &mut routes.virtual_hosts[0].routes[0];
        route.typed_per_filter_config.insert("extra".to_owned(), config);
    })
}

#[test]
fn a_route_cannot_enable_what_requests_must_not_pass_without() {
    let wrapped = |config: Any, is_optional, disabled| {
        pack_any(FilterConfig {
            config: Some(config),
            is_optional,
            disabled,
        })
    };
    let rbac = pack_any(RbacPerRoute::default());
    for config in [
        rbac.clone(),
        wrapped(rbac.clone(), false, false),
        wrapped(rbac.clone(), true, false),
    ] {
        let found = on_a_route(config).expect_err("it is refused");
        assert!(found[0].ends_with("requests must not pass without it"), "{found:?}");
    }
    let off = on_a_route(wrapped(rbac, true, true)).expect("it is not to run");
    assert!(
        off[0].ends_with("typed_per_filter_config[extra]: has no effect: the filter is disabled"),
        "{off:?}"
    );
    for config in [
        pack_any(CorsPolicy::default()),
        pack_any(BufferPerRoute::default()),
        wrapped(pack_any(Lua::default()), true, false),
    ] {
        let noted = on_a_route(config).expect("it is taken");
        assert!(
            noted[0].ends_with("has no effect: the filter is not supported"),
            "{noted:?}"
        );
    }
}
