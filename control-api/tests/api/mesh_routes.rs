//! What a mesh document says of routes, affinity, headless services and names that are resolved, and what becomes of it.

use crate::example;
use evenkeel_control_api::mesh;
use evenkeel_control_api::mesh::FIELDS;
use evenkeel_control_api::mesh::Reader;
use evenkeel_control_api::mesh::model::Backend;
use evenkeel_control_api::mesh::model::HttpAction;
use evenkeel_control_api::mesh::model::HttpForward;
use evenkeel_control_api::mesh::model::HttpMatch;
use evenkeel_control_api::mesh::model::HttpRule;
use evenkeel_control_api::mesh::model::Pod;
use evenkeel_control_api::mesh::model::ServicePort;
use evenkeel_control_api::resource::HashKey;
use evenkeel_control_api::resource::Resources;
use evenkeel_control_api::resource::RouteConfiguration;
use evenkeel_control_api::resource::cluster::Algorithm;
use evenkeel_control_api::resource::cluster::Answers;
use evenkeel_control_api::resource::cluster::Cluster;
use evenkeel_control_api::resource::cluster::Discovery;
use evenkeel_control_api::resource::cluster::LookupFamily;
use evenkeel_control_api::resource::listener::Listener;
use evenkeel_control_api::resource::listener::NetworkFilter;
use evenkeel_control_api::resource::listener::RouteSource;
use evenkeel_control_api::resource::listener::TcpProxy;
use evenkeel_control_api::resource::route::Action;
use evenkeel_control_api::resource::route::Destination;
use evenkeel_control_api::resource::route::Forward;
use evenkeel_control_api::resource::route::Fraction;
use evenkeel_control_api::resource::route::PathMatch;
use evenkeel_control_api::xds;
use std::num::NonZeroU16;
use std::time::Duration;

/// Two services to route to, and this port of a third.
pub(crate) fn with(port: &str) -> String {
    format!(
        "services:
- {{name: v1, vips: [10.96.0.1], ports: [{{port: 80, endpoints: []}}]}}
- {{name: v2, vips: [10.96.0.2], ports: [{{port: 80, endpoints: []}}]}}
- name: web
  vips: [10.96.0.3]
  ports:
{port}"
    )
}

fn resources(text: &str) -> Resources {
    let document = mesh::parse(text).unwrap_or_else(|faults| panic!("{faults}"));
    let (resources, notes) = xds::decode(&mesh::translate(&document)).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(notes, []);
    resources
}

fn listener<'a>(resources: &'a Resources, name: &str) -> &'a Listener {
    let found = resources.listeners.iter().find(|listener| listener.name == name);
    found.unwrap_or_else(|| panic!("no listener {name}"))
}

fn cluster<'a>(resources: &'a Resources, name: &str) -> &'a Cluster {
    let found = resources.clusters.iter().find(|cluster| cluster.name == name);
    found.unwrap_or_else(|| panic!("no cluster {name}"))
}

fn routes(listener: &Listener) -> &RouteConfiguration {
    match &listener.chains[0].filter {
        NetworkFilter::Http(manager) => match &manager.routes {
            RouteSource::Inline(routes) => routes,
            RouteSource::Named(name) => panic!("{name}"),
        },
        NetworkFilter::Tcp(proxy) => panic!("{proxy:?}"),
    }
}

fn tcp(filter: &NetworkFilter) -> &TcpProxy {
    match filter {
        NetworkFilter::Tcp(proxy) => proxy,
        NetworkFilter::Http(manager) => panic!("{manager:?}"),
    }
}

fn forward(action: &Action) -> &Forward {
    match action {
        Action::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

/// The clusters of a TCP proxy with their weights.
fn shares(proxy: &TcpProxy) -> Vec<(&str, u32)> {
    let clusters = proxy.clusters.iter();
    clusters.map(|one| (one.name.as_str(), one.weight.get())).collect()
}

#[test]
fn rules_stand_in_the_order_of_the_gateway_api_under_every_hostname_that_they_cover() {
    let text = with(
        "  - port: 80
    protocol: http
    endpoints: []
    routes:
      http:
      - {name: any, backends: [{service: v1, port: 80}]}
      - {name: prefix, matches: [{path: {prefix: /a}}, {path: {prefix: /a/b}}], backends: [{service: v1, port: 80}]}
      - {name: wild, hostnames: [\"*.example.com\"], backends: [{service: v1, port: 80}]}
      - {name: named, hostnames: [web.example.com], matches: [{path: {prefix: /n}}], backends: [{service: v1, port: 80}]}
      - {name: exact, matches: [{path: {exact: /a}}], backends: [{service: v1, port: 80}]}
      - {name: second, matches: [{path: {prefix: /a/}}], backends: [{service: v1, port: 80}]}
",
    );
    let resources = resources(&text);
    let found = routes(listener(&resources, "10.96.0.3:80"));
    let hosts = found.virtual_hosts.iter().map(|host| {
        let names: Vec<&str> = host.routes.iter().map(|route| route.name.as_str()).collect();
        format!("{}: {}", host.domains[0], names.join(" "))
    });
    assert_eq!(
        hosts.collect::<Vec<_>>(),
        [
            "*: exact prefix prefix second any",
            "web.example.com: named wild exact prefix prefix second any",
            "*.example.com: wild exact prefix prefix second any",
        ]
    );
    let longest = &found.virtual_hosts[0].routes[1];
    assert_eq!(longest.matches.path, PathMatch::Segments("/a/b".to_owned()));
}

#[test]
fn a_share_of_what_is_missing_is_answered_with_500_and_without_any_share_everything() {
    let text = with(
        "  - port: 80
    protocol: http
    endpoints: []
    routes:
      http:
      - {matches: [{path: {exact: /some}}], backends: [{service: v1, port: 80, weight: 3}, {missing: true, weight: 1}]}
      - {matches: [{path: {exact: /all}}], backends: [{missing: true}]}
      - {matches: [{path: {exact: /zero}}], backends: [{service: v1, port: 80, weight: 0}]}
      - {matches: [{path: {exact: /none}}], backends: []}
",
    );
    let resources = resources(&text);
    let found = &routes(listener(&resources, "10.96.0.3:80")).virtual_hosts[0].routes;
    let of = |path: &str| {
        let path = PathMatch::Exact(path.to_owned());
        let routes: Vec<_> = found.iter().filter(|route| route.matches.path == path).collect();
        routes
    };
    let answer = |action: &Action| match action {
        Action::Respond(response) => response.status.as_u16(),
        other => panic!("{other:?}"),
    };
    let [missing, present] = of("/some")[..] else {
        panic!("{found:?}")
    };
    let quarter = Fraction {
        numerator: 250_000,
        denominator: 1_000_000,
    };
    assert_eq!(
        (missing.matches.fraction, answer(&missing.action)),
        (Some(quarter), 500)
    );
    assert!(present.matches.fraction.is_none());
    assert!(matches!(&forward(&present.action).destination, Destination::One(_)));
    for path in ["/all", "/zero", "/none"] {
        let [only] = of(path)[..] else { panic!("{found:?}") };
        assert_eq!((only.matches.fraction, answer(&only.action)), (None, 500), "{path}");
    }
}

#[test]
fn of_two_timeouts_the_shorter_counts_and_without_one_there_is_none() {
    let text = with(
        "  - port: 80
    endpoints: []
    routes:
      http:
      - {matches: [{path: {exact: /a}}], backends: [{service: v1, port: 80}], timeouts: {request: 3s, backend_request: 1s}}
      - {matches: [{path: {exact: /b}}], backends: [{service: v1, port: 80}], timeouts: {request: 3s}}
      - {matches: [{path: {exact: /c}}], backends: [{service: v1, port: 80}]}
",
    );
    let resources = resources(&text);
    let found = &routes(listener(&resources, "10.96.0.3:80")).virtual_hosts[0].routes;
    let times = found.iter().map(|route| forward(&route.action).timeouts.answer);
    let seconds = |count| Some(Duration::from_secs(count));
    assert_eq!(times.collect::<Vec<_>>(), [seconds(1), seconds(3), None]);
}

#[test]
fn tls_goes_by_the_name_that_is_asked_for_and_what_is_left_is_closed() {
    let text = with(
        "  - port: 443
    protocol: tls
    endpoints: []
    routes:
      tls:
      - {name: one, hostnames: [a.example.com, \"*.b.example.com\"], backends: [{service: v1, port: 80, weight: 2}, {missing: true}]}
      - {name: rest, backends: [{service: v2, port: 80}]}
",
    );
    let resources = resources(&text);
    let listener = listener(&resources, "10.96.0.3:443");
    assert!(listener.default_chain.is_none());
    let [one, rest] = listener.chains.as_slice() else {
        panic!("{listener:?}")
    };
    assert_eq!(
        (one.matches.server_names.len(), rest.matches.server_names.len()),
        (2, 0)
    );
    assert!(one.matches.transport_protocol.is_some() && rest.matches.transport_protocol.is_some());
    assert_eq!(
        shares(tcp(&one.filter)),
        [("outbound|80||v1", 2), ("outbound|443|missing|web", 1)]
    );
    assert_eq!(shares(tcp(&rest.filter)), [("outbound|80||v2", 1)]);
    let missing = cluster(&resources, "outbound|443|missing|web");
    assert!(matches!(&missing.discovery, Discovery::Static(assignment) if assignment.endpoints.is_empty()));
}

#[test]
fn tcp_goes_by_weight_and_is_not_inspected() {
    let text = with(
        "  - {port: 80, protocol: tcp, endpoints: [], routes: {tcp: [{service: v1, port: 80, weight: 3}, {service: web, port: 80}]}}
  - {port: 81, protocol: tcp, endpoints: [], routes: {tcp: []}}
",
    );
    let resources = resources(&text);
    let listener_of = |name| listener(&resources, name);
    let weighted = listener_of("10.96.0.3:80");
    assert_eq!(weighted.inspect, listener_of("outbound").inspect);
    let proxy = tcp(&weighted.chains[0].filter);
    assert_eq!(shares(proxy), [("outbound|80||v1", 3), ("outbound|80||web", 1)]);
    let nowhere = tcp(&listener_of("10.96.0.3:81").chains[0].filter);
    assert_eq!(shares(nowhere), [("outbound|81|missing|web", 1)]);
}

#[test]
fn affinity_is_a_hash_of_the_client_and_older_readers_get_what_they_know() {
    let text = with(
        "  - {port: 80, affinity: client_ip, balance: {algorithm: random}, endpoints: []}
  - {port: 81, endpoints: [], routes: {http: [{backends: [{service: web, port: 80}]}]}}
  - {port: 82, endpoints: [], routes: {tcp: [{service: web, port: 80}]}}
",
    );
    let document = mesh::parse(&text).unwrap_or_else(|faults| panic!("{faults}"));
    for (reader, algorithm, hash) in [
        (Reader::Evenkeel(FIELDS), Algorithm::Hashed, Some(HashKey::SourceIp)),
        (Reader::Other, Algorithm::Hashed, Some(HashKey::SourceIp)),
        (Reader::Evenkeel(1), Algorithm::Random, None),
    ] {
        let messages = mesh::translate_for(&document, reader);
        let (resources, _) = xds::decode(&messages).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(
            cluster(&resources, "outbound|80||web").algorithm,
            algorithm,
            "{reader:?}"
        );
        let sticky = listener(&resources, "10.96.0.3:80");
        let rest = sticky.default_chain.as_ref().map(|chain| tcp(&chain.filter).hash);
        assert_eq!(rest, Some(hash), "{reader:?}");
        for name in ["10.96.0.3:80", "10.96.0.3:81"] {
            let action = &routes(listener(&resources, name)).virtual_hosts[0].routes[0].action;
            assert_eq!(forward(action).hash, hash, "{reader:?} {name}");
        }
        let weighted = tcp(&listener(&resources, "10.96.0.3:82").chains[0].filter);
        assert_eq!(weighted.hash, hash, "{reader:?}");
        // Who asks for no affinity has none, whoever reads it.
        assert_eq!(cluster(&resources, "outbound|81||web").algorithm, Algorithm::PeakEwma);
    }
}

#[test]
fn each_endpoint_of_a_headless_service_has_a_listener_that_leads_to_itself() {
    let resources = resources(
        "services:
- name: db
  ports:
  - {port: 3306, protocol: tcp, endpoints: [{address: \"10.1.0.1:3306\"}, {address: \"[fd00::1]:3306\"}]}
  - {port: 3307, endpoints: [{address: \"10.1.0.1:3306\"}, {address: \"10.1.0.2:80\"}]}
- name: also-db
  ports: [{port: 1, protocol: http, endpoints: [{address: \"10.1.0.1:3306\"}]}]
- name: vip
  vips: [10.1.0.2]
  ports: [{port: 80, protocol: http, endpoints: []}]
",
    );
    let to = |name: &str| {
        let listener = listener(&resources, name);
        assert!(!listener.bind, "{name}");
        match &listener.chains[0].filter {
            NetworkFilter::Tcp(proxy) => (proxy.stat_prefix.clone(), proxy.clusters[0].name.clone()),
            NetworkFilter::Http(manager) => (manager.stat_prefix.clone(), String::new()),
        }
    };
    let direct = ("db:3306".to_owned(), "outbound|3306|direct|db".to_owned());
    assert_eq!(to("[fd00::1]:3306"), direct);
    assert_eq!(
        to("10.1.0.1:3306"),
        ("also-db:1".to_owned(), String::new()),
        "the first name"
    );
    assert_eq!(to("10.1.0.2:80"), ("vip:80".to_owned(), String::new()), "a VIP");
    let direct = cluster(&resources, &direct.1);
    assert!(matches!(direct.discovery, Discovery::OriginalDestination(_)));
    assert_eq!(direct.stat_name, "db:3306");
    // It is a backend for others, too.
    assert!(matches!(
        &cluster(&resources, "outbound|3306||db").discovery,
        Discovery::Eds(_)
    ));
    let unused = resources
        .clusters
        .iter()
        .filter(|cluster| cluster.name == "outbound|3307|direct|db");
    assert_eq!(unused.count(), 0, "both of its addresses are somebody else's");
}

/// There is one for each endpoint, and a `StatefulSet` may have thousands.
#[test]
fn the_listener_of_an_endpoint_is_small() {
    for (protocol, most) in [("auto", 1_536), ("http", 1_536), ("tcp", 512)] {
        let text = format!(
            "services: [{{name: db.shop.svc.cluster.local, ports: [{{port: 80, protocol: {protocol}, endpoints: [{{address: \"10.1.0.1:80\"}}]}}]}}]\n"
        );
        let document = mesh::parse(&text).unwrap_or_else(|faults| panic!("{faults}"));
        let messages = mesh::translate_service(&document.services[0], Reader::Evenkeel(FIELDS));
        let bytes = messages.listeners[0].value.len();
        assert!(bytes <= most, "{protocol}: {bytes} bytes");
    }
}

#[test]
fn the_endpoints_of_a_service_can_be_translated_alone() {
    let document = mesh::parse(example()).unwrap_or_else(|faults| panic!("{faults}"));
    let reader = Reader::Evenkeel(FIELDS);
    for service in &document.services {
        let alone = mesh::translate_assignments(service, reader);
        assert_eq!(alone, mesh::translate_service(service, reader).assignments);
    }
}

#[test]
fn an_endpoint_with_a_name_is_resolved_by_the_proxy() {
    let resources =
        resources("services: [{name: away, ports: [{port: 443, dns: {name: Shop.example.com., port: 8443}}]}]\n");
    let Discovery::Dns(dns) = &cluster(&resources, "outbound|443||away").discovery else {
        panic!("{resources:?}")
    };
    assert_eq!((dns.answers, dns.family), (Answers::First, LookupFamily::V4Preferred));
    assert_eq!(dns.hosts.endpoints[0].address.to_string(), "shop.example.com:8443");
    assert_eq!((resources.assignments.len(), resources.listeners.len()), (0, 2));
}

pub(crate) fn port() -> ServicePort {
    ServicePort::new(NonZeroU16::MIN)
}

pub(crate) fn rule(matches: HttpMatch) -> HttpRule {
    let forward = HttpForward {
        backends: vec![Backend::port("v1", NonZeroU16::MIN)],
        ..HttpForward::default()
    };
    HttpRule {
        matches: vec![matches],
        ..HttpRule::new(HttpAction::Forward(forward))
    }
}

#[test]
fn one_service_is_translated_as_in_the_mesh_that_it_is_of() {
    let text = with(
        "  - {port: 80, affinity: client_ip, endpoints: [{address: \"10.1.0.1:80\"}], routes: {http: [{backends: [{service: v1, port: 80}]}]}}
",
    );
    let document = mesh::parse(&text).unwrap_or_else(|faults| panic!("{faults}"));
    for reader in [Reader::Evenkeel(1), Reader::Evenkeel(FIELDS), Reader::Other] {
        let whole = mesh::translate_for(&document, reader);
        let mut parts = xds::Messages::default();
        for service in &document.services {
            parts.extend(mesh::translate_service(service, reader));
        }
        parts.extend(mesh::translate_pod(&document.pod(), reader));
        assert_eq!(parts, whole, "{reader:?}");
    }
}

#[test]
fn a_pod_without_a_document_has_what_the_empty_document_has() {
    let empty = mesh::parse("").unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(Pod::default(), empty.pod());
    let reader = Reader::Evenkeel(FIELDS);
    assert_eq!(mesh::translate_pod(&Pod::default(), reader), mesh::translate(&empty));
}
