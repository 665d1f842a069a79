//! Objects of a small cluster.

use serde_json::{Value, json};

pub(crate) fn namespace(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

pub(crate) fn node(name: &str, zone: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}}})
}

pub(crate) fn pod(name: &str, node: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": name}, "spec": {"nodeName": node, "containers": []}})
}

pub(crate) fn service(name: &str, vip: &str) -> Value {
    let spec = json!({"clusterIP": vip, "clusterIPs": [vip], "ports": [{"name": "http", "port": 80}]});
    json!({"metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1}, "spec": spec})
}

pub(crate) fn slice(name: &str, service: &str, addresses: &[String]) -> Value {
    let labels = json!({"kubernetes.io/service-name": service});
    let endpoint = |address: &String| json!({"addresses": [address], "conditions": {"ready": true}, "nodeName": "n1"});
    let endpoints: Vec<Value> = addresses.iter().map(endpoint).collect();
    json!({
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": endpoints,
    })
}

/// The control plane's.
pub(crate) fn own_pod() -> Value {
    let name = "evenkeel-control-0";
    json!({"metadata": {"name": name, "namespace": "evenkeel-system", "uid": name}, "spec": {"containers": []}})
}

pub(crate) fn grant(namespace: &str) -> Value {
    let from = json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "other"});
    json!({
        "metadata": {"name": "grant", "namespace": namespace},
        "spec": {"from": [from], "to": [{"group": "", "kind": "Service"}]},
    })
}

pub(crate) fn tls_route(service: &str) -> Value {
    let service = json!({"group": "", "kind": "Service", "name": service, "port": 80});
    json!({
        "metadata": {"name": "route", "namespace": "shop", "uid": "route", "generation": 1},
        "spec": {"parentRefs": [service], "hostnames": ["web.example"], "rules": [{"backendRefs": [service]}]},
    })
}
