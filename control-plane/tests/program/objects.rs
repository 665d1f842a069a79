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
