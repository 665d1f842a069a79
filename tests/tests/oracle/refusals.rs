//! What Envoy refuses, we refuse.

use std::net::SocketAddr;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::xds::Verdict;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::world::bootstrap;
use crate::world::envoy;

const CONTROL_PLANE: ([u8; 4], u16) = ([127, 0, 0, 1], 15010);
/// Envoy's own word for a configuration that is fine.
const FINE: &str = "OK";

/// A resource that is wrong in one way, or the good one beside it.
struct Case {
    what: &'static str,
    resource: Value,
}

/// What is wrong, and the resource.
type Wrong = (&'static str, Value);

fn at() -> SocketAddr {
    SocketAddr::new(Family::V4.vip(10), 80)
}

fn with_routes(routes: &Value) -> Value {
    resource::listener("web", at(), &[resource::chain(&resource::http(routes))])
}

fn with_route(route: &Value) -> Value {
    with_routes(&resource::routes(
        "routes",
        &[resource::host("all", &["*"], std::slice::from_ref(route))],
    ))
}

fn with_match(matches: &Value) -> Value {
    with_route(&json!({"match": matches, "route": {"cluster": "good"}}))
}

fn with_action(action: &Value) -> Value {
    with_route(&json!({"match": {"prefix": "/"}, "route": action}))
}

fn with_hosts(hosts: &[Value]) -> Value {
    with_routes(&resource::routes("routes", hosts))
}

fn with_chains(matches: &[Value]) -> Value {
    let chain = |matches: &Value| json!({"filter_chain_match": matches, "filters": [resource::tcp("good")]});
    resource::listener("web", at(), &matches.iter().map(chain).collect::<Vec<_>>())
}

fn with_cluster(members: Value) -> Value {
    resource::with(resource::fixed("bad", [at()]), members)
}

fn with_endpoints(endpoints: &Value) -> Value {
    with_cluster(json!({"load_assignment": {"cluster_name": "bad", "endpoints": endpoints}}))
}

fn good() -> Vec<Case> {
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "good"}});
    [
        ("routes", with_route(&route)),
        ("a chain without a match", with_chains(&[json!({})])),
        ("a cluster", with_cluster(json!({}))),
        (
            "endpoints",
            with_endpoints(&json!([{"lb_endpoints": [resource::endpoint(at())]}])),
        ),
    ]
    .map(|(what, resource)| Case { what, resource })
    .into()
}

fn broken() -> Vec<Case> {
    let all = [
        hosts_and_matches(),
        actions(),
        header_fields(),
        chains_and_filters(),
        clusters(),
    ];
    all.into_iter()
        .flatten()
        .map(|(what, resource)| Case { what, resource })
        .collect()
}

fn hosts_and_matches() -> Vec<Wrong> {
    let empty_host = |name: &str, domains: &[&str]| resource::host(name, domains, &[]);
    vec![
        (
            "a domain twice",
            with_hosts(&[empty_host("a", &["x.test"]), empty_host("b", &["x.test"])]),
        ),
        (
            "two catch-alls",
            with_hosts(&[empty_host("a", &["*"]), empty_host("b", &["*"])]),
        ),
        ("a host without domains", with_hosts(&[empty_host("a", &[])])),
        ("a host without a name", with_hosts(&[empty_host("", &["*"])])),
        ("a match without a path", with_match(&json!({}))),
        (
            "a regex that is none",
            with_match(&json!({"safe_regex": {"regex": "/a(b"}})),
        ),
        ("an empty regex", with_match(&json!({"safe_regex": {"regex": ""}}))),
        (
            "a regex with a back-reference",
            with_match(&json!({"safe_regex": {"regex": "/(a)\\1"}})),
        ),
        (
            "a regex that looks ahead",
            with_match(&json!({"safe_regex": {"regex": "/(?=a)"}})),
        ),
        (
            "a separated prefix with a slash",
            with_match(&json!({"path_separated_prefix": "/a/"})),
        ),
        (
            "a separated prefix with a query",
            with_match(&json!({"path_separated_prefix": "/a?b"})),
        ),
        (
            "a header without a name",
            with_match(&json!({"prefix": "/", "headers": [{"name": "", "present_match": true}]})),
        ),
        (
            "an empty prefix of a header",
            with_match(&json!({"prefix": "/", "headers": [{"name": "a", "string_match": {"prefix": ""}}]})),
        ),
        (
            "a parameter without a name",
            with_match(&json!({"prefix": "/", "query_parameters": [{"name": ""}]})),
        ),
    ]
}

fn actions() -> Vec<Wrong> {
    let weighted = |clusters: Value| with_action(&json!({"weighted_clusters": {"clusters": clusters}}));
    let redirect = |action: Value| with_route(&json!({"match": {"prefix": "/"}, "redirect": action}));
    let direct = |status: u32| with_route(&json!({"match": {"prefix": "/"}, "direct_response": {"status": status}}));
    let long = "a".repeat(5_000);
    let too_long =
        json!({"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": long}}});
    vec![
        (
            "a route without an action",
            with_route(&json!({"match": {"prefix": "/"}})),
        ),
        ("an action without a destination", with_action(&json!({}))),
        ("an empty name of a cluster", with_action(&json!({"cluster": ""}))),
        (
            "an empty name of a header of a cluster",
            with_action(&json!({"cluster_header": ""})),
        ),
        ("no weighted clusters", weighted(json!([]))),
        ("weights of nothing", weighted(json!([{"name": "good", "weight": 0}]))),
        (
            "a negative timeout",
            with_action(&json!({"cluster": "good", "timeout": "-1s"})),
        ),
        (
            "two rewrites of the path",
            with_action(
                &json!({"cluster": "good", "prefix_rewrite": "/a", "regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "b"}}),
            ),
        ),
        (
            "a rewrite by a regex that is none",
            with_action(&json!({"cluster": "good", "regex_rewrite": {"pattern": {"regex": "("}, "substitution": "b"}})),
        ),
        ("an unknown code of a redirect", redirect(json!({"response_code": 99}))),
        (
            "a redirect to a host with a line end",
            redirect(json!({"host_redirect": "a\r\nb"})),
        ),
        ("a status that is none", direct(99)),
        ("a status beyond 599", direct(600)),
        ("a body that is too long", with_route(&too_long)),
    ]
}

fn header_fields() -> Vec<Wrong> {
    let added = |name: &str| {
        let field = json!([{"header": {"key": name, "value": "a"}}]);
        with_route(&json!({"match": {"prefix": "/"}, "route": {"cluster": "good"}, "request_headers_to_add": field}))
    };
    let removed = |name: &str| {
        with_route(
            &json!({"match": {"prefix": "/"}, "route": {"cluster": "good"}, "request_headers_to_remove": [name]}),
        )
    };
    vec![
        ("a pseudo header is added", added(":path")),
        ("the host is added", added("host")),
        ("a field without a name is added", added("")),
        ("a field with a line end is added", added("a\r\nb")),
        ("a pseudo header is removed", removed(":method")),
        ("the host is removed", removed("host")),
    ]
}

fn chains_and_filters() -> Vec<Wrong> {
    vec![
        (
            "two chains that are equal",
            with_chains(&[json!({"destination_port": 80}), json!({"destination_port": 80})]),
        ),
        (
            "two chains that meet",
            with_chains(&[
                json!({"server_names": ["a.test", "b.test"]}),
                json!({"server_names": ["b.test"]}),
            ]),
        ),
        ("a port that is none", with_chains(&[json!({"destination_port": 0})])),
        (
            "a source port that is none",
            with_chains(&[json!({"source_ports": [70_000]})]),
        ),
        (
            "a range that is none",
            with_chains(&[json!({"prefix_ranges": [{"address_prefix": "10.0.0.300", "prefix_len": 8}]})]),
        ),
        (
            "an asterisk inside a server's name",
            with_chains(&[json!({"server_names": ["a.*.test"]})]),
        ),
        ("a manager without routes", manager(json!({"route_config": null}))),
        (
            "a manager without a prefix for statistics",
            manager(json!({"stat_prefix": ""})),
        ),
        ("a proxy of bytes without a cluster", tcp(json!({"cluster": null}))),
        (
            "a proxy of bytes without a prefix for statistics",
            tcp(json!({"stat_prefix": ""})),
        ),
        ("a filter of an unknown type", unknown_filter()),
    ]
}

fn clusters() -> Vec<Wrong> {
    let endpoint =
        |port: u32| json!({"endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": port}}}});
    let weight =
        |weight: u32| json!({"endpoint": resource::endpoint(at())["endpoint"], "load_balancing_weight": weight});
    vec![
        ("a cluster without a name", with_cluster(json!({"name": ""}))),
        (
            "a connect timeout of nothing",
            with_cluster(json!({"connect_timeout": "0s"})),
        ),
        (
            "a policy that only other clusters have",
            with_cluster(json!({"lb_policy": "CLUSTER_PROVIDED"})),
        ),
        (
            "a panic threshold beyond all",
            with_cluster(json!({"common_lb_config": {"healthy_panic_threshold": {"value": 101}}})),
        ),
        (
            "a fixed cluster of names",
            with_endpoints(
                &json!([{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "a.test", "port_value": 80}}}}]}]),
            ),
        ),
        (
            "a priority beyond 128",
            with_endpoints(&json!([{"lb_endpoints": [endpoint(80)], "priority": 129}])),
        ),
        (
            "a port beyond all",
            with_endpoints(&json!([{"lb_endpoints": [endpoint(70_000)]}])),
        ),
        (
            "an endpoint without weight",
            with_endpoints(&json!([{"lb_endpoints": [weight(0)]}])),
        ),
        (
            "an original destination with endpoints",
            with_cluster(json!({"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"})),
        ),
        ("an original destination with a policy", original_destination()),
        ("a name with two addresses", logical()),
    ]
}

fn manager(members: Value) -> Value {
    let mut listener = with_routes(&resource::all_to("routes", "good"));
    change(&mut listener, members);
    listener
}

fn tcp(members: Value) -> Value {
    let mut listener = resource::listener("web", at(), &[resource::chain(&resource::tcp("good"))]);
    change(&mut listener, members);
    listener
}

/// Of the only filter; `null` takes a member away.
fn change(listener: &mut Value, members: Value) {
    let config = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    *config = resource::with(config.take(), members);
    if let Some(config) = config.as_object_mut() {
        config.retain(|_, value| !value.is_null());
    }
}

fn unknown_filter() -> Value {
    let config = json!({"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"});
    let filter = json!({"name": "nobody.knows", "typed_config": config});
    resource::listener("web", at(), &[resource::chain(&filter)])
}

fn original_destination() -> Value {
    let mut cluster = with_cluster(json!({"type": "ORIGINAL_DST", "lb_policy": "ROUND_ROBIN"}));
    if let Some(cluster) = cluster.as_object_mut() {
        cluster.remove("load_assignment");
    }
    cluster
}

fn logical() -> Value {
    let name = |name: &str| json!({"endpoint": {"address": {"socket_address": {"address": name, "port_value": 80}}}});
    let two = json!({"cluster_name": "bad", "endpoints": [{"lb_endpoints": [name("a.test"), name("b.test")]}]});
    with_cluster(json!({"type": "LOGICAL_DNS", "load_assignment": two}))
}

#[test]
fn what_envoy_refuses_is_refused() -> Result<()> {
    let cluster = Cluster::new()?;
    let pod = cluster.pod("ours")?;
    let server = XdsServer::start(&pod, CONTROL_PLANE.into())?;
    server.set(&[resource::outbound().to_vec(), vec![resource::fixed("good", [at()])]].concat())?;
    let section = format!(
        "{{servers: [\"{}\"], subscribe: everything}}",
        SocketAddr::from(CONTROL_PLANE)
    );
    let _mesh = pod.mesh(&Document::under(&section))?.quiet();

    let mut wrong = Vec::new();
    let cases = good()
        .into_iter()
        .map(|case| (case, true))
        .chain(broken().into_iter().map(|case| (case, false)));
    for (Case { what, resource }, fine) in cases {
        let envoys = envoys_word(&pod, &resource)?;
        let ours = our_word(&server, &resource)?;
        if (envoys == FINE) != fine || (ours == FINE) != fine {
            wrong.push(format!("{what}:\n  ours:  {ours}\n  Envoy: {envoys}"));
        }
    }
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// Of a bootstrap with this resource and what it needs.
fn envoys_word(pod: &Pod, resource: &Value) -> Result<String> {
    let file = pod.folder()?.join("broken.json");
    let resources = [resource::fixed("good", [at()]), resource.clone()];
    std::fs::write(&file, bootstrap(&resources).to_string())?;
    let mut command = pod.command(envoy()?);
    command
        .args(["--mode", "validate", "--log-level", "critical", "-c"])
        .arg(&file);
    let output = command.output()?;
    if output.status.success() {
        return Ok(FINE.to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Of the resource alone, as a control plane sends it. What is taken is taken back, for the next one.
fn our_word(server: &XdsServer, resource: &Value) -> Result<String> {
    let nonces = server.set(std::slice::from_ref(resource))?;
    ensure!(!nonces.is_empty(), "nothing was sent");
    let mut word = FINE.to_owned();
    for nonce in nonces {
        if let Verdict::Refused(reason) = server.verdict(&nonce)? {
            word = reason;
        }
    }
    let kind = if resource["@type"]
        .as_str()
        .is_some_and(|name| name.ends_with("Listener"))
    {
        "Listener"
    } else {
        "Cluster"
    };
    server.remove(kind, &[resource["name"].as_str().unwrap_or_default()])?;
    Ok(word)
}
