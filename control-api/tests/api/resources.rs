//! What a document becomes.

use crate::example;
use evenkeel_control_api::mesh;
use evenkeel_control_api::mesh::Loaded;
use evenkeel_control_api::mesh::settings::Workers;
use evenkeel_control_api::mesh::settings::{AccessLog, Lines, LogFilter, Otlp};
use evenkeel_control_api::resource::Cluster;
use evenkeel_control_api::resource::Listener;
use evenkeel_control_api::resource::cluster::Algorithm;
use evenkeel_control_api::resource::cluster::Discovery;
use evenkeel_control_api::resource::cluster::OriginalDestination;
use evenkeel_control_api::resource::cluster::UpstreamVersion;
use evenkeel_control_api::resource::listener::ApplicationProtocol;
use evenkeel_control_api::resource::listener::ChainMatch;
use evenkeel_control_api::resource::listener::Direction;
use evenkeel_control_api::resource::listener::FilterChain;
use evenkeel_control_api::resource::listener::ForwardedFor;
use evenkeel_control_api::resource::listener::HttpConnectionManager;
use evenkeel_control_api::resource::listener::Inspect;
use evenkeel_control_api::resource::listener::Inspection;
use evenkeel_control_api::resource::listener::NetworkFilter;
use evenkeel_control_api::resource::listener::RouteSource;
use evenkeel_control_api::resource::listener::TransportProtocol;
use evenkeel_control_api::resource::route::PathMatch;
use evenkeel_control_api::xds;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;
use std::time::Duration;

const HTTP: [ApplicationProtocol; 2] = [ApplicationProtocol::Http1, ApplicationProtocol::Http2];

fn load(text: &str) -> Loaded {
    mesh::load(text).unwrap_or_else(|faults| panic!("{faults}"))
}

fn listener<'a>(loaded: &'a Loaded, name: &str) -> &'a Listener {
    let found = loaded.resources.listeners.iter().find(|listener| listener.name == name);
    found.unwrap_or_else(|| panic!("no listener {name}"))
}

fn cluster<'a>(loaded: &'a Loaded, name: &str) -> &'a Cluster {
    let found = loaded.resources.clusters.iter().find(|cluster| cluster.name == name);
    found.unwrap_or_else(|| panic!("no cluster {name}"))
}

fn http(chain: &FilterChain) -> &HttpConnectionManager {
    match &chain.filter {
        NetworkFilter::Http(manager) => manager,
        NetworkFilter::Tcp(_) => panic!("{} is bytes", chain.name),
    }
}

fn tcp_cluster(chain: &FilterChain) -> &str {
    match &chain.filter {
        NetworkFilter::Tcp(proxy) => &proxy.clusters[0].name,
        NetworkFilter::Http(_) => panic!("{} is HTTP", chain.name),
    }
}

fn inspects(tls: bool, http: bool) -> Inspect {
    let inspection = |runs| {
        if runs {
            Inspection::Except(Vec::new())
        } else {
            Inspection::Never
        }
    };
    Inspect {
        tls: inspection(tls),
        http: inspection(http),
    }
}

#[test]
fn the_example_of_the_documentation_is_valid_and_nothing_in_it_is_without_effect() {
    let document = mesh::parse(example()).unwrap_or_else(|faults| panic!("{faults}"));
    let (resources, notes) = xds::decode(&mesh::translate(&document)).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(notes, []);
    assert_eq!(resources.assignments.len(), 7);
}

#[test]
fn the_limits_that_the_example_writes_out_are_the_defaults() {
    let example = mesh::parse(example()).unwrap_or_else(|faults| panic!("{faults}"));
    let empty = mesh::parse("").unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(example.limits, empty.limits);
    assert_eq!(example.settings().limits, empty.settings().limits);
}

#[test]
fn the_empty_document_passes_everything_through() {
    let loaded = load("");
    assert_eq!(loaded.settings.workers, Workers::Count(NonZeroUsize::MIN));
    assert_eq!(loaded.resources.listeners.len(), 2);
    let outbound = listener(&loaded, "outbound");
    assert!(outbound.bind && outbound.hand_off && outbound.chains.is_empty());
    assert_eq!(outbound.addresses, loaded.settings.outbound);
    assert_eq!(outbound.default_chain.as_ref().map(tcp_cluster), Some("passthrough"));
    assert_eq!(
        cluster(&loaded, "passthrough").discovery,
        Discovery::OriginalDestination(OriginalDestination::default())
    );
    let inbound = listener(&loaded, "inbound");
    assert_eq!(
        (inbound.direction, inbound.bind, inbound.hand_off),
        (Direction::Inbound, true, false)
    );
    assert_eq!(inbound.inspect, inspects(true, true));
    assert_eq!(inbound.chains.len(), 1);
    assert_eq!(inbound.default_chain.as_ref().map(tcp_cluster), Some("inbound"));
}

#[test]
fn unknown_destinations_are_refused_by_leaving_the_default_chain_out() {
    let loaded = load("unknown: refuse");
    assert_eq!(listener(&loaded, "outbound").default_chain, None);
}

#[test]
fn a_detected_port_has_a_chain_for_http_and_a_default_for_bytes() {
    let loaded = load(example());
    let web = listener(&loaded, "10.96.0.10:80");
    assert_eq!((web.bind, web.direction), (false, Direction::Outbound));
    assert_eq!(web.inspect, inspects(true, true));
    let [chain] = web.chains.as_slice() else {
        panic!("{:?}", web.chains)
    };
    assert_eq!(
        chain.matches,
        ChainMatch {
            application_protocols: HTTP.to_vec(),
            ..ChainMatch::default()
        }
    );
    let manager = http(chain);
    assert_eq!(manager.stat_prefix, "web.shop.svc.cluster.local:80");
    let RouteSource::Inline(routes) = &manager.routes else {
        panic!("{:?}", manager.routes)
    };
    let route = &routes.virtual_hosts[0].routes[0];
    assert_eq!(route.matches.path, PathMatch::Prefix("/".to_owned()));
    let clusters: Vec<_> = routes.clusters().collect();
    assert_eq!(clusters, ["outbound|80||web.shop.svc.cluster.local"]);
    assert_eq!(web.default_chain.as_ref().map(tcp_cluster), Some(clusters[0]));
    let cluster = cluster(&loaded, clusters[0]);
    assert_eq!(cluster.algorithm, Algorithm::PeakEwma);
    assert_eq!(cluster.http.version, UpstreamVersion::SameAsDownstream);
    assert_eq!(cluster.stat_name, "web.shop.svc.cluster.local:80");
}

#[test]
fn each_vip_has_a_listener_that_is_named_by_its_address_and_equal_but_for_that() {
    let loaded = load(example());
    let (ipv4, ipv6) = (
        listener(&loaded, "10.96.0.10:80"),
        listener(&loaded, "[fd00:96::10]:80"),
    );
    for one in [ipv4, ipv6] {
        let addresses: Vec<_> = one.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, [one.name.as_str()]);
    }
    let renamed = Listener {
        name: ipv4.name.clone(),
        addresses: ipv4.addresses.clone(),
        ..ipv6.clone()
    };
    assert_eq!(&renamed, ipv4);
}

#[test]
fn declared_http_takes_everything_and_keeps_a_way_for_bytes_that_contradict() {
    let loaded = load(example());
    let orders = listener(&loaded, "10.96.0.11:9090");
    assert_eq!(orders.inspect, Inspect::default());
    assert_eq!(orders.chains[0].matches, ChainMatch::default());
    assert_eq!(http(&orders.chains[0]).http2.max_concurrent_streams, 100);
    assert!(orders.default_chain.is_some());
    let cluster = cluster(&loaded, "outbound|9090||orders.shop.svc.cluster.local");
    assert_eq!(cluster.http.version, UpstreamVersion::Http2);
    assert_eq!(cluster.http.http2.max_concurrent_streams, 100);
    assert_eq!(cluster.connect_timeout, Duration::from_millis(500));
    let choices = NonZeroU32::new(3).expect("three");
    assert_eq!(cluster.algorithm, Algorithm::LeastRequest { choices });
}

#[test]
fn declared_tls_is_inspected_and_passed_on() {
    let loaded = load(example());
    let web = listener(&loaded, "10.96.0.10:443");
    assert_eq!(web.inspect, inspects(true, false));
    let matches = ChainMatch {
        transport_protocol: Some(TransportProtocol::Tls),
        ..ChainMatch::default()
    };
    assert_eq!(web.chains[0].matches, matches);
    assert!(tcp_cluster(&web.chains[0]).starts_with("outbound|443|"));
    assert!(web.default_chain.is_some());
}

#[test]
fn declared_tcp_is_one_chain_without_inspection() {
    let loaded = load("services:\n- {name: db, vips: [10.0.0.1], ports: [{port: 1, protocol: tcp, endpoints: []}]}");
    let db = listener(&loaded, "10.0.0.1:1");
    assert_eq!(db.inspect, Inspect::default());
    assert_eq!((db.chains.len(), &db.chains[0].matches), (1, &ChainMatch::default()));
    assert_eq!(tcp_cluster(&db.chains[0]), "outbound|1||db");
    assert_eq!(db.default_chain, None);
}

#[test]
fn a_headless_service_is_a_cluster_and_a_listener_for_each_endpoint() {
    let loaded = load(example());
    let direct = listener(&loaded, "10.244.3.31:3306");
    assert!(direct.chains.iter().all(|chain| chain.name.starts_with("db.")));
    let db = cluster(&loaded, "outbound|3306||db.shop.svc.cluster.local");
    assert_eq!(db.discovery, Discovery::Eds(db.name.clone()));
    let assignment = loaded
        .resources
        .assignments
        .iter()
        .find(|one| one.cluster == db.name)
        .expect("its assignment");
    assert_eq!(assignment.endpoints[0].address.to_string(), "10.244.3.31:3306");
}

#[test]
fn inbound_ports_are_told_by_their_number_and_the_rest_by_the_default() {
    let loaded = load(example());
    let inbound = listener(&loaded, "inbound");
    let port = |number| move |chain: &&FilterChain| chain.matches.destination_port == number;
    let listed: Vec<_> = inbound.chains.iter().filter(port(Some(8080))).collect();
    let [only] = listed.as_slice() else {
        panic!("{listed:?}")
    };
    assert_eq!(http(only).stat_prefix, "inbound:8080");
    assert_eq!(
        (http(only).idle_timeout, http(only).max_header_bytes),
        (None, 128 << 10)
    );
    assert_eq!(cluster(&loaded, "inbound|8080").http.version, UpstreamVersion::Http1);
    let opaque: Vec<_> = inbound.chains.iter().filter(port(Some(6379))).collect();
    assert_eq!(opaque.len(), 1);
    assert_eq!(tcp_cluster(opaque[0]), "inbound|6379");
    let rest: Vec<_> = inbound.chains.iter().filter(port(None)).collect();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].matches.application_protocols, HTTP);
    assert_eq!(http(rest[0]).stat_prefix, "inbound");
}

#[test]
fn a_detected_inbound_port_has_two_chains_of_its_own() {
    let loaded = load("inbound: {ports: [{port: 80}], default: {protocol: tcp}}");
    let inbound = listener(&loaded, "inbound");
    assert_eq!(inbound.inspect, inspects(true, true));
    assert_eq!(inbound.chains.len(), 2);
    assert_eq!(http(&inbound.chains[0]).stat_prefix, "inbound:80");
    assert_eq!(tcp_cluster(&inbound.chains[1]), "inbound|80");
    assert_eq!(inbound.default_chain.as_ref().map(tcp_cluster), Some("inbound"));
}

#[test]
fn an_inbound_side_of_bytes_only_is_not_inspected() {
    let loaded = load("inbound: {default: {protocol: tcp}}");
    let inbound = listener(&loaded, "inbound");
    assert_eq!((&inbound.inspect, inbound.chains.len()), (&Inspect::default(), 0));
}

#[test]
fn localities_group_endpoints_without_losing_any() {
    let loaded = load(
        "services:
- name: web
  ports:
  - port: 80
    endpoints:
    - {address: \"10.0.0.1:1\", locality: {zone: a}}
    - {address: \"10.0.0.2:1\", locality: {zone: b}}
    - {address: \"10.0.0.3:1\", locality: {zone: a}}
",
    );
    let endpoints = &loaded.resources.assignments[0].endpoints;
    let found: Vec<_> = endpoints
        .iter()
        .map(|one| (one.address.ip().to_string(), one.place.group.locality.zone.as_str()))
        .collect();
    let expected = [("10.0.0.1", "a"), ("10.0.0.3", "a"), ("10.0.0.2", "b")].map(|(ip, zone)| (ip.to_owned(), zone));
    assert_eq!(found, expected);
}

#[test]
fn forwarded_for_is_appended_on_the_inbound_ports_that_ask_and_nowhere_else() {
    let managers = |text: &str, name: &str| -> Vec<(Option<u16>, ForwardedFor)> {
        let loaded = load(text);
        let found = listener(&loaded, name).chains.iter();
        let found = found.filter(|chain| matches!(chain.filter, NetworkFilter::Http(_)));
        found
            .map(|chain| (chain.matches.destination_port, http(chain).forwarded_for))
            .collect()
    };
    let (off, append) = (ForwardedFor::Off, ForwardedFor::Append);
    let ports = "inbound: {ports: [{port: 80, forwarded_for: append}, {port: 81}]}\n";
    assert_eq!(
        managers(ports, "inbound"),
        [(Some(80), append), (Some(81), off), (None, off)]
    );
    let default = "inbound: {ports: [{port: 80}], default: {forwarded_for: append}}\n";
    assert_eq!(managers(default, "inbound"), [(Some(80), off), (None, append)]);
    let service = "services: [{name: web, vips: [10.96.0.1], ports: [{port: 80, endpoints: []}]}]\n";
    assert_eq!(managers(&format!("{service}{default}"), "10.96.0.1:80"), [(None, off)]);
}

#[test]
fn the_access_log_is_off_unless_a_format_is_named() {
    for (word, expected) in [
        ("off", None),
        ("text", Some(AccessLog::all(Lines::Text))),
        ("json", Some(AccessLog::all(Lines::Json))),
    ] {
        let loaded = load(&format!("proxy: {{access_log: {word}}}\n"));
        assert_eq!(loaded.settings.access_log, expected);
    }
    assert_eq!(load("").settings.access_log, None);
}

#[test]
fn a_filter_of_the_access_log_is_read() {
    let filter = |text: &str| {
        let loaded = load(&format!("proxy: {{access_log: {{format: text, filter: {text}}}}}\n"));
        loaded.settings.access_log.unwrap().filter
    };
    let read = filter("{status: [404, 5xx], duration: 100ms, failed: true, sample: 1.5%}");
    assert!(read.status[0].has(404) && read.status[1].has(503) && read.status.len() == 2);
    assert_eq!((read.duration, read.failed), (Duration::from_millis(100), true));
    assert_eq!(read.sample, Some(15_000));
    assert_eq!(filter("{sample: 100%}"), LogFilter::default());
    assert!(filter("{status: 500+}").status[0].has(600));
}

#[test]
fn the_access_log_goes_to_a_collector_that_is_named_as_that_of_spans_is() {
    let otlp = |text: &str| {
        let loaded = load(&format!("proxy: {{access_log: {{format: json{text}}}}}\n"));
        loaded.settings.access_log.unwrap().otlp
    };
    let read = otlp(", otlp: {collector: \"http://otel:4318\", protocol: http, timeout: 2s, service: shop}").unwrap();
    assert_eq!(read.collector.uri, "http://otel:4318");
    assert_eq!(
        (read.collector.protocol, read.collector.timeout),
        (Otlp::Http, Duration::from_secs(2))
    );
    assert_eq!(read.service.as_deref(), Some("shop"));
    let read = otlp(", otlp: {collector: \"http://otel:4317\"}").unwrap();
    assert_eq!((read.collector.protocol, read.service), (Otlp::Grpc, None));
    assert_eq!(otlp(""), None);
}
