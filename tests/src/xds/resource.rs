//! Envoy's resources as JSON, as its documentation writes them: what a test serves, to us and to others.

use std::net::SocketAddr;

use serde_json::Value;
use serde_json::json;

/// Where the proxy takes over what the application sends.
const OUTBOUND: u16 = 15001;

const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const ASSIGNMENT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// From the stream that this came on.
fn ads() -> Value {
    json!({"ads": {}, "resource_api_version": "V3"})
}

/// An address with a port.
pub fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

/// An object with these members in place of its own.
#[must_use]
pub fn with(mut object: Value, members: Value) -> Value {
    if let (Some(object), Value::Object(members)) = (object.as_object_mut(), members) {
        object.extend(members);
    }
    object
}

/// The listener that takes connections over, of both families, and the one cluster that it needs: what no other listener
/// is for goes where it was going.
pub fn outbound() -> [Value; 2] {
    let listener = json!({
        "@type": LISTENER,
        "name": "outbound",
        "traffic_direction": "OUTBOUND",
        "address": address(([127, 0, 0, 1], OUTBOUND).into()),
        "additional_addresses": [{"address": address(SocketAddr::new([0, 0, 0, 0, 0, 0, 0, 1].into(), OUTBOUND))}],
        "use_original_dst": true,
        "default_filter_chain": {"name": "passthrough", "filters": [tcp("passthrough")]},
    });
    let cluster = json!({
        "@type": CLUSTER,
        "name": "passthrough",
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "2s",
    });
    [listener, cluster]
}

/// The listener of connections to one address, which has no socket of its own: the one that takes over hands them to it.
pub fn listener(name: &str, at: SocketAddr, filter_chains: &[Value]) -> Value {
    json!({
        "@type": LISTENER,
        "name": name,
        "traffic_direction": "OUTBOUND",
        "address": address(at),
        "bind_to_port": false,
        "filter_chains": filter_chains,
    })
}

/// A chain of one filter that takes everything.
pub fn chain(filter: &Value) -> Value {
    json!({"filters": [filter]})
}

/// A connection manager with these routes in it.
pub fn http(route_config: &Value) -> Value {
    manager(json!({"route_config": without_type(route_config)}))
}

/// A connection manager whose routes come by RDS.
pub fn http_by_name(routes: &str) -> Value {
    manager(json!({"rds": {"config_source": ads(), "route_config_name": routes}}))
}

fn manager(routes: Value) -> Value {
    let members = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }],
        "generate_request_id": false,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    });
    json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": with(members, routes)})
}

/// Bytes to a cluster.
pub fn tcp(cluster: &str) -> Value {
    json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": cluster,
            "cluster": cluster,
        },
    })
}

/// A configuration of routes.
pub fn routes(name: &str, virtual_hosts: &[Value]) -> Value {
    json!({"@type": ROUTES, "name": name, "virtual_hosts": virtual_hosts})
}

/// A virtual host.
pub fn host(name: &str, domains: &[&str], routes: &[Value]) -> Value {
    json!({"name": name, "domains": domains, "routes": routes})
}

/// Routes that send every request to one cluster.
pub fn all_to(name: &str, cluster: &str) -> Value {
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}});
    routes(name, &[host("all", &["*"], &[route])])
}

/// A cluster whose endpoints come by EDS; requests go out as they came in.
pub fn cluster(name: &str) -> Value {
    as_it_came(json!({
        "@type": CLUSTER,
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ads()},
        "connect_timeout": "2s",
        "lb_policy": "ROUND_ROBIN",
    }))
}

/// A cluster to which requests go out as they came in, in HTTP/1 or HTTP/2.
#[must_use]
pub fn as_it_came(cluster: Value) -> Value {
    http_options(
        cluster,
        json!({"use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}}}),
    )
}

/// A cluster with these `HttpProtocolOptions`.
#[must_use]
pub fn http_options(cluster: Value, members: Value) -> Value {
    let options = json!({"@type": format!("type.googleapis.com/{HTTP_OPTIONS}")});
    with(
        cluster,
        json!({"typed_extension_protocol_options": {HTTP_OPTIONS: with(options, members)}}),
    )
}

/// A cluster with its endpoints in it, and nothing else.
pub fn fixed(name: &str, endpoints: impl IntoIterator<Item = SocketAddr>) -> Value {
    json!({
        "@type": CLUSTER,
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "lb_policy": "ROUND_ROBIN",
        "load_assignment": without_type(&assignment(name, endpoints)),
    })
}

/// The endpoints of a cluster.
pub fn assignment(cluster: &str, endpoints: impl IntoIterator<Item = SocketAddr>) -> Value {
    let endpoints: Vec<Value> = endpoints.into_iter().map(endpoint).collect();
    json!({"@type": ASSIGNMENT, "cluster_name": cluster, "endpoints": [{"lb_endpoints": endpoints}]})
}

/// An endpoint.
pub fn endpoint(at: SocketAddr) -> Value {
    json!({"endpoint": {"address": address(at)}})
}

/// A message that stands where its type is known.
pub fn without_type(message: &Value) -> Value {
    let mut message = message.clone();
    if let Some(members) = message.as_object_mut() {
        members.remove("@type");
    }
    message
}
