//! Objects as a cluster has them, as JSON: what is not said here, a test writes into them.

use std::net::IpAddr;

use serde_json::Value;
use serde_json::json;

/// A namespace with these labels.
pub fn namespace(name: &str, labels: &[(&str, &str)]) -> Value {
    let mut labels: serde_json::Map<_, _> = labels
        .iter()
        .map(|&(key, value)| (key.to_owned(), json!(value)))
        .collect();
    labels.insert("kubernetes.io/metadata.name".to_owned(), json!(name));
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// A node in a zone.
pub fn node(name: &str, zone: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "topology.kubernetes.io/region": "region",
            "topology.kubernetes.io/zone": zone,
        }},
        "spec": {},
    })
}

/// A running pod with one container, labelled `app`, whose port `http` is 8080.
pub fn pod(namespace: &str, name: &str, app: &str, addresses: &[IpAddr]) -> Value {
    let ips: Vec<_> = addresses.iter().map(|ip| json!({"ip": ip.to_string()})).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": app}},
        "spec": {
            "serviceAccountName": "default", "nodeName": "node-a",
            "containers": [{"name": "app", "image": "app", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}],
        },
        "status": {
            "phase": "Running", "podIP": ips.first().map(|ip| ip["ip"].clone()), "podIPs": ips,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// A Service that selects the pods labelled `app` with its name, with these addresses and ports, as [`port`] makes them.
pub fn service(namespace: &str, name: &str, addresses: &[IpAddr], ports: &[Value]) -> Value {
    let ips: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    let families: Vec<_> = addresses
        .iter()
        .map(|ip| if ip.is_ipv4() { "IPv4" } else { "IPv6" })
        .collect();
    let policy = if families.len() > 1 {
        "RequireDualStack"
    } else {
        "SingleStack"
    };
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "type": "ClusterIP", "clusterIP": ips.first(), "clusterIPs": ips, "ipFamilies": families, "ipFamilyPolicy": policy,
            "selector": {"app": name}, "ports": ports, "sessionAffinity": "None",
        },
        "status": {"loadBalancer": {}},
    })
}

/// A port of a Service, in front of this port of its pods.
pub fn port(name: &str, number: u16, target: u16) -> Value {
    json!({"name": name, "port": number, "targetPort": target, "protocol": "TCP"})
}

/// A slice of a Service, with these ports, as [`slice_port`] makes them, and these endpoints, as [`endpoint`] makes them. All
/// are of one family.
pub fn slice(namespace: &str, name: &str, service: &str, ports: &[Value], endpoints: &[Value]) -> Value {
    let first = endpoints.first().and_then(|endpoint| endpoint["addresses"][0].as_str());
    let family = if first.is_some_and(|address| address.contains(':')) {
        "IPv6"
    } else {
        "IPv4"
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": namespace, "name": name, "labels": {
            "kubernetes.io/service-name": service,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }},
        "addressType": family, "ports": ports, "endpoints": endpoints,
    })
}

/// A port of a slice.
pub fn slice_port(name: &str, number: u16) -> Value {
    json!({"name": name, "port": number, "protocol": "TCP"})
}

/// What is so of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It serves.
    Ready,
    /// It does not serve yet, or not any more.
    NotReady,
    /// It is about to end, and serves until then.
    Draining,
    /// It is about to end, and serves no more.
    Ending,
}

/// An endpoint that is the pod of this name.
pub fn endpoint(address: IpAddr, pod: &str, condition: Condition) -> Value {
    let (serving, terminating) = match condition {
        Condition::Ready => (true, false),
        Condition::NotReady => (false, false),
        Condition::Draining => (true, true),
        Condition::Ending => (false, true),
    };
    json!({
        "addresses": [address.to_string()],
        "conditions": {"ready": serving && !terminating, "serving": serving, "terminating": terminating},
        "nodeName": "node-a", "zone": "zone-a",
        "targetRef": {"kind": "Pod", "name": pod},
    })
}

/// An `HTTPRoute` of a Service, with these rules.
pub fn http_route(namespace: &str, name: &str, service: &str, rules: &Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": service}], "rules": rules},
    })
}
