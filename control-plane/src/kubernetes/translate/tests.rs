//! Services and slices as an API server tells them, and what becomes of them.

use super::*;
use crate::kubernetes::kind::Kind;
use crate::kubernetes::objects::{self, Kept, Object};
use crate::kubernetes::world::Event;
use evenkeel_control_api::mesh::model::Family;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use kube::ResourceExt;
use serde_json::{Value, json};

/// A world out of manifests, each with its kind.
#[derive(Default)]
struct Cluster(World);

impl Cluster {
    fn has(mut self, kind: Kind, manifest: Value) -> Self {
        let mut faults = Vec::new();
        let (key, object): (Key, Option<Object>) = match kind {
            Kind::Service => {
                let service: core::Service = serde_json::from_value(manifest).unwrap();
                (Key::of(&service), Some(objects::service::keep(service, &mut faults)))
            }
            Kind::EndpointSlice => {
                let slice: discovery::EndpointSlice = serde_json::from_value(manifest).unwrap();
                (Key::of(&slice), objects::endpoint_slice::keep(slice, &mut faults))
            }
            Kind::Node => {
                let node: core::Node = serde_json::from_value(manifest).unwrap();
                (Key::new("", &node.name_any()), Some(objects::node::keep(node)))
            }
            Kind::Pod => {
                let pod: core::Pod = serde_json::from_value(manifest).unwrap();
                (Key::of(&pod), Some(objects::pod::keep(pod, &mut faults)))
            }
            _ => panic!("{kind} says nothing about services"),
        };
        let kept = Kept {
            uid: String::new(),
            generation: None,
            object,
            faults,
        };
        self.0.apply(Event::Applied(kind, key, kept));
        self
    }

    fn service(self, spec: Value) -> Self {
        let metadata = json!({"name": "web", "namespace": "shop"});
        let mut service = json!({ "metadata": metadata });
        service["spec"] = spec;
        self.has(Kind::Service, service)
    }

    fn slice(self, name: &str, family: &str, ports: Value, endpoints: Value) -> Self {
        let labels = json!({"kubernetes.io/service-name": "web"});
        let metadata = json!({"name": name, "namespace": "shop", "labels": labels});
        let mut slice = json!({"metadata": metadata, "addressType": family});
        slice["ports"] = ports;
        slice["endpoints"] = endpoints;
        self.has(Kind::EndpointSlice, slice)
    }

    fn served(&self) -> Option<Served> {
        service(&self.0, &Key::new("shop", "web"), "cluster.local").0
    }

    fn faults(&self, kind: Kind, name: &str) -> Vec<String> {
        let key = Key::new("shop", name);
        let faults = self.0.faults(&crate::kubernetes::verdict::Subject { kind, key });
        faults.into_iter().map(|fault| fault.message).collect()
    }
}

fn vip() -> Value {
    json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 80}]})
}

fn port() -> Value {
    json!([{"port": 8080}])
}

fn ready(address: &str) -> Value {
    json!({"addresses": [address], "conditions": {"ready": true}})
}

fn endpoints(service: &model::Service, port: usize) -> Vec<String> {
    let endpoints = service.ports[port].endpoints.known().iter();
    endpoints.map(|endpoint| endpoint.address.to_string()).collect()
}

/// Of the first port, from everywhere.
fn addresses(cluster: &Cluster) -> Vec<String> {
    endpoints(&cluster.served().unwrap().everywhere, 0)
}

#[test]
fn a_service_has_its_name_its_addresses_and_its_tcp_ports() {
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": "web"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "db", "port": 5432, "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
    ]);
    let cluster = Cluster::default()
        .service(json!({"clusterIPs": ["10.96.0.1", "fd00::1"], "ports": ports, "sessionAffinity": "ClientIP"}))
        .slice(
            "web-a",
            "IPv4",
            json!([{"name": "http", "port": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "db", "port": 5}]),
            json!([ready("10.1.0.1")]),
        )
        .slice("web-b", "IPv4", json!([{"name": "http", "port": 8081}]), json!([ready("10.1.0.2")]));
    let served = cluster.served().unwrap();
    let web = &served.everywhere;
    assert_eq!(web.name, "web.shop.svc.cluster.local");
    assert_eq!(
        web.vips,
        [
            "10.96.0.1".parse::<std::net::IpAddr>().unwrap(),
            "fd00::1".parse().unwrap()
        ]
    );
    let ports: Vec<_> = web.ports.iter().map(|port| (port.port.get(), port.protocol)).collect();
    assert_eq!(ports, [(80, model::Protocol::Http), (5432, model::Protocol::Http2)]);
    assert!(web.ports.iter().all(|port| port.affinity == Affinity::ClientIp));
    assert_eq!(endpoints(web, 0), ["10.1.0.1:8080", "10.1.0.2:8081"]);
    assert_eq!(endpoints(web, 1), ["10.1.0.1:5"]);
    assert!(served.zones.is_empty());
}

#[test]
fn a_preference_for_the_own_node_is_told_to_have_no_effect() {
    let with = |distribution: &str| {
        let mut spec = vip();
        spec["trafficDistribution"] = distribution.into();
        Cluster::default().service(spec)
    };
    assert_eq!(with("PreferClose").faults(Kind::Service, "web"), Vec::<String>::new());
    let faults = with("PreferSameNode").faults(Kind::Service, "web");
    assert!(faults[0].contains("PreferSameNode is not supported"), "{faults:?}");
    assert!(with("PreferSameNode").served().is_some(), "it is served all the same");
}

#[test]
fn a_time_for_which_a_client_should_stay_is_told_to_have_no_effect() {
    let with = |seconds: u32| {
        let mut spec = vip();
        spec["sessionAffinity"] = "ClientIP".into();
        spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": seconds}});
        Cluster::default().service(spec)
    };
    // The API server writes this one wherever nobody has said another.
    assert_eq!(with(10_800).faults(Kind::Service, "web"), Vec::<String>::new());
    let faults = with(60).faults(Kind::Service, "web");
    assert!(faults[0].contains("timeoutSeconds: 60 has no effect"), "{faults:?}");
    let web = with(60).served().unwrap().everywhere;
    assert_eq!(web.ports[0].affinity, Affinity::ClientIp, "it stays all the same");
}

#[test]
fn the_order_of_slices_and_an_endpoint_that_is_in_two_of_them_make_no_difference() {
    let one = || json!([ready("10.1.0.2"), ready("10.1.0.1")]);
    let moved = || json!([ready("10.1.0.1"), {"addresses": ["10.1.0.2"], "conditions": {"ready": false}}]);
    let (a, b) = (("web-a", one()), ("web-b", moved()));
    for order in [[&a, &b], [&b, &a]] {
        let mut cluster = Cluster::default().service(vip());
        for (name, endpoints) in order {
            cluster = cluster.slice(name, "IPv4", port(), endpoints.clone());
        }
        assert_eq!(addresses(&cluster), ["10.1.0.1:8080", "10.1.0.2:8080"]);
    }
}

#[test]
fn endpoints_get_requests_by_their_conditions() {
    let leaving =
        json!({"addresses": ["10.1.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}});
    let broken =
        json!({"addresses": ["10.1.0.3"], "conditions": {"ready": false, "serving": false, "terminating": true}});
    let starting = json!({"addresses": ["10.1.0.4"], "conditions": {"ready": false, "serving": false}});
    let unknown = json!({"addresses": ["10.1.0.5"]});
    for (endpoints, publishes, expected) in [
        (
            json!([ready("10.1.0.1"), leaving, starting]),
            false,
            vec!["10.1.0.1:8080"],
        ),
        (json!([leaving, broken, starting]), false, vec!["10.1.0.2:8080"]),
        (json!([broken, starting]), false, vec![]),
        (json!([unknown, leaving]), false, vec!["10.1.0.5:8080"]),
        (
            json!([starting, ready("10.1.0.1")]),
            true,
            vec!["10.1.0.1:8080", "10.1.0.4:8080"],
        ),
        (json!([]), false, vec![]),
    ] {
        let mut spec = vip();
        spec["publishNotReadyAddresses"] = publishes.into();
        let cluster = Cluster::default()
            .service(spec)
            .slice("web-a", "IPv4", port(), endpoints);
        assert_eq!(addresses(&cluster), expected);
    }
}

/// Of the first port, for those who dial the second family's VIP.
fn apart(service: &model::Service) -> Option<(Family, Vec<String>)> {
    let apart = service.ports[0].apart.as_ref()?;
    let addresses = apart.endpoints.iter().map(|endpoint| endpoint.address.to_string());
    Some((apart.family, addresses.collect()))
}

/// A Service at these addresses, with these endpoints.
fn of_families(vips: &Value, four: Value, six: Value) -> Cluster {
    Cluster::default()
        .service(json!({"clusterIPs": vips, "ports": [{"port": 80}]}))
        .slice("web-4", "IPv4", port(), four)
        .slice("web-6", "IPv6", port(), six)
}

#[test]
fn whoever_dials_a_family_is_served_by_endpoints_of_that() {
    let (four, six) = (["10.1.0.1:8080"], ["[fd01::1]:8080", "[fd01::2]:8080"]);
    for (vips, expected, second) in [
        (json!(["10.96.0.1", "fd00::1"]), &four[..], Some((Family::V6, &six[..]))),
        (json!(["fd00::1", "10.96.0.1"]), &six[..], Some((Family::V4, &four[..]))),
        (json!(["fd00::1"]), &six[..], None),
        (json!(["10.96.0.1", "10.96.0.2"]), &four[..], None),
    ] {
        let cluster = of_families(
            &vips,
            json!([ready("10.1.0.1")]),
            json!([ready("fd01::1"), ready("fd01::2")]),
        );
        assert_eq!(addresses(&cluster), expected);
        let second = second.map(|(family, addresses)| (family, addresses.iter().map(ToString::to_string).collect()));
        assert_eq!(apart(&cluster.served().unwrap().everywhere), second);
    }
}

#[test]
fn a_family_without_endpoints_that_serve_has_those_of_the_other() {
    let unready = |address: &str| json!({"addresses": [address], "conditions": {"ready": false}});
    let leaving = |address: &str| json!({"addresses": [address], "conditions": {"ready": false, "serving": true, "terminating": true}});
    let both = || json!(["10.96.0.1", "fd00::1"]);
    let none: Vec<String> = Vec::new();
    for six in [json!([]), json!([unready("fd01::1")]), json!([leaving("fd01::1")])] {
        let web = of_families(&both(), json!([ready("10.1.0.1")]), six)
            .served()
            .unwrap()
            .everywhere;
        assert_eq!(endpoints(&web, 0), ["10.1.0.1:8080"]);
        assert_eq!(apart(&web), Some((Family::V6, vec!["10.1.0.1:8080".to_owned()])));
    }
    let web = of_families(&both(), json!([]), json!([ready("fd01::1")]))
        .served()
        .unwrap()
        .everywhere;
    assert_eq!(endpoints(&web, 0), ["[fd01::1]:8080"]);
    let web = of_families(&both(), json!([]), json!([unready("fd01::1")]))
        .served()
        .unwrap()
        .everywhere;
    assert_eq!(apart(&web), Some((Family::V6, none)));
}

#[test]
fn hints_hold_for_each_family() {
    let hinted = |address: &str, zone: &str| json!({"addresses": [address], "hints": {"forZones": [{"name": zone}]}});
    let cluster = of_families(
        &json!(["10.96.0.1", "fd00::1"]),
        json!([hinted("10.1.0.1", "a"), hinted("10.1.0.2", "b")]),
        json!([hinted("fd01::1", "a"), hinted("fd01::2", "b")]),
    );
    let served = cluster.served().unwrap();
    assert_eq!(endpoints(&served.zones["b"], 0), ["10.1.0.2:8080"]);
    assert_eq!(
        apart(&served.zones["b"]),
        Some((Family::V6, vec!["[fd01::2]:8080".to_owned()]))
    );
    assert_eq!(apart(&served.everywhere).unwrap().1.len(), 2);
}

#[test]
fn a_headless_service_has_no_vip_and_every_address_of_its_endpoints() {
    let pod = |address: &str| json!({"addresses": [address], "targetRef": {"kind": "Pod", "name": "db-0"}});
    let cluster = Cluster::default()
        .service(json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 80}]}))
        .slice("web-4", "IPv4", port(), json!([pod("10.1.0.1")]))
        .slice("web-6", "IPv6", port(), json!([pod("fd01::1")]));
    assert!(cluster.served().unwrap().everywhere.vips.is_empty());
    assert_eq!(addresses(&cluster), ["10.1.0.1:8080", "[fd01::1]:8080"]);
}

#[test]
fn an_external_name_is_an_endpoint_by_name() {
    let cluster = Cluster::default()
        .service(json!({"type": "ExternalName", "externalName": "db.example.com.", "ports": [{"port": 80}]}));
    let served = cluster.served().unwrap().everywhere;
    let named = NamedEndpoint {
        name: "db.example.com".to_owned(),
        port: 80.try_into().unwrap(),
    };
    assert_eq!(served.ports[0].endpoints, Endpoints::Named(named));
    assert!(served.vips.is_empty());
}

#[test]
fn what_has_no_address_or_is_left_to_the_cluster_is_not_served() {
    for spec in [
        json!({"ports": [{"port": 80}]}),
        json!({"clusterIP": "", "ports": [{"port": 80}]}),
        json!({"type": "ExternalName"}),
    ] {
        let cluster = Cluster::default().service(spec);
        assert_eq!(cluster.served(), None);
        assert_eq!(cluster.faults(Kind::Service, "web"), Vec::<String>::new());
    }
    let mut local = vip();
    local["internalTrafficPolicy"] = "Local".into();
    let cluster = Cluster::default().service(local);
    assert_eq!(cluster.served(), None);
    assert!(cluster.faults(Kind::Service, "web")[0].contains("internalTrafficPolicy: Local is not supported"));
    assert_eq!(
        Cluster::default().slice("web-a", "IPv4", port(), json!([])).served(),
        None
    );
}

#[test]
fn a_zone_is_the_endpoints_own_or_that_of_its_node() {
    let cluster = Cluster::default()
        .service(vip())
        .has(Kind::Node, json!({"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "b"}}}))
        .slice(
            "web-a",
            "IPv4",
            port(),
            json!([{"addresses": ["10.1.0.1"], "zone": "a", "nodeName": "n1"}, {"addresses": ["10.1.0.2"], "nodeName": "n1"}, ready("10.1.0.3")]),
        );
    let served = cluster.served().unwrap().everywhere;
    let zones: Vec<_> = served.ports[0]
        .endpoints
        .known()
        .iter()
        .map(|endpoint| endpoint.locality.zone.as_str())
        .collect();
    assert_eq!(zones, ["a", "b", ""]);
}

#[test]
fn an_endpoint_is_of_the_workload_of_its_pod_whichever_was_seen_first() {
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-v2-7c9d", "uid": "1", "controller": true});
    let labels = json!({"pod-template-hash": "7c9d"});
    let metadata = json!({"name": "web-v2-7c9d-x", "namespace": "shop", "labels": labels, "ownerReferences": [owner]});
    let pod = json!({"metadata": metadata, "spec": {"containers": []}});
    let of = |pod: &str| json!({"kind": "Pod", "name": pod, "namespace": "shop"});
    let endpoints = json!([{"addresses": ["10.1.0.1"], "targetRef": of("web-v2-7c9d-x")}, {"addresses": ["10.1.0.2"], "targetRef": of("unseen")}, ready("10.1.0.3")]);
    let cluster = Cluster::default().service(vip()).has(Kind::Pod, pod.clone());
    let before = cluster.slice("web-a", "IPv4", port(), endpoints.clone());
    let after = Cluster::default()
        .service(vip())
        .slice("web-a", "IPv4", port(), endpoints)
        .has(Kind::Pod, pod);
    for cluster in [before, after] {
        let served = cluster.served().unwrap().everywhere;
        let endpoints = served.ports[0].endpoints.known();
        let workloads: Vec<_> = endpoints.iter().map(|endpoint| endpoint.workload.as_deref()).collect();
        assert_eq!(workloads, [Some("web-v2"), None, None]);
    }
}

#[test]
fn hints_hold_where_every_endpoint_has_them() {
    let hinted = |address: &str, zones: &[&str]| {
        let zones: Vec<_> = zones.iter().map(|zone| json!({"name": zone})).collect();
        json!({"addresses": [address], "hints": {"forZones": zones}})
    };
    let both = json!([hinted("10.1.0.1", &["a"]), hinted("10.1.0.2", &["a", "b"])]);
    let cluster = Cluster::default().service(vip()).slice("web-a", "IPv4", port(), both);
    let served = cluster.served().unwrap();
    assert_eq!(endpoints(&served.everywhere, 0), ["10.1.0.1:8080", "10.1.0.2:8080"]);
    assert_eq!(endpoints(&served.zones["a"], 0), ["10.1.0.1:8080", "10.1.0.2:8080"]);
    assert_eq!(endpoints(&served.zones["b"], 0), ["10.1.0.2:8080"]);
    let of_nodes = |address: &str| json!({"addresses": [address], "hints": {"forNodes": [{"name": "node-a"}]}});
    for unhinted in [
        json!([hinted("10.1.0.1", &["a"]), ready("10.1.0.2")]),
        json!([hinted("10.1.0.1", &["a"]), of_nodes("10.1.0.2")]),
        json!([of_nodes("10.1.0.1"), of_nodes("10.1.0.2")]),
    ] {
        let cluster = Cluster::default()
            .service(vip())
            .slice("web-a", "IPv4", port(), unhinted);
        assert_eq!(addresses(&cluster), ["10.1.0.1:8080", "10.1.0.2:8080"]);
        assert!(cluster.served().unwrap().zones.is_empty());
    }
}

#[test]
fn a_fault_costs_what_it_is_in() {
    let cluster = Cluster::default()
        .service(json!({"clusterIPs": ["10.96.0.1", "here"], "ports": [{"port": 80}, {"name": "b", "port": 0}, {"name": "c", "port": 80}]}))
        .slice(
            "web-a",
            "IPv4",
            port(),
            json!([ready("10.1.0.1"), ready("10.1.0.999"), ready("fd00::1"), ready("127.0.0.1"), {"addresses": []}]),
        )
        .slice("web-b", "FQDN", port(), json!([ready("a.example.com")]));
    assert_eq!(addresses(&cluster), ["10.1.0.1:8080"]);
    assert_eq!(
        cluster.faults(Kind::Service, "web"),
        [
            "spec.ports[1].port: 0 is no port",
            "spec.ports[2].port: 80 is there twice",
            "spec.clusterIPs: here is no IP address",
        ]
    );
    assert_eq!(
        cluster.faults(Kind::EndpointSlice, "web-a"),
        [
            "endpoints[1].addresses[0]: 10.1.0.999 is no IP address",
            "endpoints[2].addresses[0]: fd00::1 is not of the slice's addressType",
            "endpoints[3].addresses[0]: 127.0.0.1 is no address of an endpoint",
            "endpoints[4].addresses: there is none",
        ]
    );
    assert_eq!(
        cluster.faults(Kind::EndpointSlice, "web-b"),
        ["addressType: FQDN is not supported, IPv4 and IPv6 are"]
    );
}
