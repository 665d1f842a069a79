use super::*;

const EVERYTHING: &str = r#"
images:
  proxy: registry.example/evenkeel-proxy:1
  init: registry.example/evenkeel-init@sha256:abc
  pullPolicy: IfNotPresent
  pullSecrets: [registry.key]
controlPlane:
  address: evenkeel-control.mesh.svc:15012
  audience: mesh
  startup: {wait: 3s, then: not_ready}
proxy:
  logLevel: info,evenkeel_proxy::control=debug
  accessLog: json
  workers: cpu-limit
  shutdownGrace: 1m
  scrapeAnnotations: false
  resources:
    requests: {cpu: 100m, memory: 64Mi}
    limits: {cpu: 2, memory: 1Gi}
  extraEnv:
  - {name: RUST_BACKTRACE, value: 1}
nativeSidecar: never
redirection:
  backend: legacy
  includeInboundPorts: [80, 8000-8999]
  excludeInboundPorts: [22]
  includeOutboundPorts: [443]
  excludeOutboundPorts: [25]
  includeOutboundCidrs: [10.0.0.0/8, "fd00::/8"]
  excludeOutboundCidrs: [10.1.0.0/16]
onDemand: {cidrs: [10.96.0.0/12]}
telemetry:
  tracing: {collector: "http://otel:4317", protocol: grpc, timeout: 5s, sample: 5%, propagation: [b3], attributes: [{name: a, header: x-a}]}
  metrics: {labels: [source_workload], services: 100, idle: "off", push: {collector: "http://otel:4318", protocol: http, timeout: 5s, interval: 10s}}
  accessLog: {collector: "http://otel:4317", protocol: grpc, timeout: 5s}
excludedNamespaces: [kube-system, mesh]
"#;

fn faults(text: &str) -> Vec<String> {
    Settings::parse(text)
        .unwrap_err()
        .0
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn nothing_at_all_is_every_default() {
    for text in ["{}", "images: {}\nproxy:\n", "# only a remark\n{}"] {
        assert_eq!(Settings::parse(text).unwrap(), Settings::default(), "{text:?}");
    }
}

#[test]
fn every_key_is_read() {
    let settings = Settings::parse(EVERYTHING).unwrap();
    assert_eq!(settings.images.init, "registry.example/evenkeel-init@sha256:abc");
    assert_eq!(settings.images.pull_secrets, ["registry.key"]);
    assert_eq!(settings.control_plane.startup_wait, Duration::from_secs(3));
    assert_eq!(settings.control_plane.startup_then, StartupThen::NotReady);
    assert_eq!(settings.proxy.workers, Workers::CpuLimit);
    assert!(!settings.proxy.scrape_annotations);
    assert_eq!(settings.proxy.extra_env["RUST_BACKTRACE"], "1");
    assert_eq!(settings.proxy.resources.limits["cpu"], Quantity("2".to_owned()));
    assert_eq!(settings.redirection.include_inbound_ports, ["80", "8000-8999"]);
    assert_eq!(settings.redirection.backend, Backend::Legacy);
    assert_eq!(settings.on_demand, ["10.96.0.0/12"]);
    assert_eq!(settings.telemetry.tracing.unwrap()["sample"], "5%");
    assert_eq!(settings.telemetry.metrics.unwrap()["labels"][0], "source_workload");
    assert_eq!(settings.telemetry.access_log.unwrap()["timeout"], "5s");
    assert!(settings.excluded_namespaces.contains("mesh"));
}

#[test]
fn the_same_in_json_is_the_same() {
    let value: serde_json::Value = serde_saphyr::from_str(EVERYTHING).unwrap();
    let json = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(Settings::parse(&json), Settings::parse(EVERYTHING));
}

#[test]
fn all_faults_are_told_at_once_each_with_its_path() {
    let text = r#"
images: {proxi: a, init: "two words"}
controlPlane: {address: here, startup: {then: panic}}
proxy:
  logLevel: loud
  accessLog: false
  scrapeAnnotations: "no"
  resources: {requests: {cpu: 2}, limits: {cpu: 1}}
  extraEnv: [{name: POD_NAME, value: x}, {name: A, value: 1}, {name: A, value: 2}, {name: 1A, value: 2}, {name: B}]
redirection: {excludeOutboundCidrs: [10.1.2.3/8], includeInboundPorts: [90-80]}
onDemand: {cidrs: [everywhere]}
excludedNamespaces: [Kube_System]
"#;
    let found = faults(text);
    let places = [
        "images.proxi: unknown key; did you mean \"proxy\"?",
        "images.init: ",
        "controlPlane.startup.then: \"panic\" is not one of passthrough, not_ready",
        "controlPlane.address: ",
        "proxy.logLevel: ",
        "proxy.accessLog: expected text; put it in quotes",
        "proxy.scrapeAnnotations: expected true or false",
        "proxy.resources: the request of cpu, 2, is above its limit, 1",
        "proxy.extraEnv[0].name: POD_NAME is set by the injector",
        "proxy.extraEnv[2]: is here twice",
        "proxy.extraEnv[3].name: ",
        "proxy.extraEnv[4].value: is missing",
        "redirection.includeInboundPorts[0]: the range runs backwards; write 80-90",
        "redirection.excludeOutboundCidrs[0]: bits are set beyond the prefix; write 10.0.0.0/8",
        "onDemand.cidrs[0]: ",
        "excludedNamespaces[0]: ",
    ];
    for place in places {
        assert!(
            found.iter().any(|fault| fault.starts_with(place)),
            "{place}: {found:#?}"
        );
    }
    assert_eq!(found.len(), places.len(), "{found:#?}");
}

#[test]
fn what_is_told_of_requests_is_read_as_the_mesh_document_reads_it() {
    let text = r#"
telemetry:
  tracing: {collector: "https://otel:4317", sample: all}
  metrics: {labels: [pod], push: {interval: 1s}}
  accessLog: {collector: "http://otel:4317/logs"}
"#;
    let found = faults(text);
    let places = [
        "telemetry.tracing.collector: TLS to a collector is not supported",
        "telemetry.tracing.sample: ",
        "telemetry.metrics.labels[0]: expected one of",
        "telemetry.metrics.push: the key \"collector\" is missing",
        "telemetry.accessLog.collector: has a path, which gRPC chooses itself",
        "telemetry: accessLog needs proxy.accessLog: text or json",
    ];
    for place in places {
        assert!(
            found.iter().any(|fault| fault.starts_with(place)),
            "{place}: {found:#?}"
        );
    }
    assert_eq!(found.len(), places.len(), "{found:#?}");
    // Each pod has its own.
    let own = "proxy: {accessLog: json}\ntelemetry: {tracing: {service: a}, metrics: {workload: b, zone: c, push: {service: d}}, accessLog: {service: e}}";
    let unknown = faults(own);
    assert!(
        unknown.len() == 5 && unknown.iter().all(|fault| fault.contains("unknown key")),
        "{unknown:#?}"
    );
}

#[test]
fn what_is_not_yaml_or_says_a_thing_twice_is_refused() {
    for text in ["a: [1", "nativeSidecar: auto\nnativeSidecar: never\n", "- a", "text"] {
        assert_eq!(faults(text).len(), 1, "{text:?}");
    }
}

#[test]
fn the_page_has_every_key_with_its_default() {
    let page = include_str!("../../../../docs/kubernetes.md");
    let (_, section) = page.split_once("### Settings").unwrap();
    let (_, text) = section.split_once("```yaml\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let mut defaults = Settings::default();
    defaults.images.pull_policy = Some(PullPolicy::IfNotPresent);
    assert_eq!(Settings::parse(text).unwrap(), defaults);
}
