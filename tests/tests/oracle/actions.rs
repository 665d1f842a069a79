//! What a route does with a request: where it goes, what is changed of it and of its answer, and how long it may take.

use std::net::SocketAddr;

use anyhow::Result;
use evenkeel_tests::again;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::exchange::get;
use crate::exchange::request;
use crate::mirror::DELAY;
use crate::world::World;

/// Nobody listens at this port of the endpoints.
const NOBODY: u16 = 1;

/// A route of everything that begins with this path.
fn route(prefix: &str, members: Value) -> Value {
    resource::with(json!({"match": {"prefix": prefix}}), members)
}

fn forward(prefix: &str, action: Value) -> Value {
    route(
        prefix,
        json!({"route": resource::with(json!({"cluster": "a"}), action)}),
    )
}

fn redirect(prefix: &str, action: &Value) -> Value {
    route(prefix, json!({"redirect": action}))
}

fn header(name: &str, value: &str, action: &str) -> Value {
    json!({"header": {"key": name, "value": value}, "append_action": action})
}

fn world(family: Family, routes: &Value) -> Result<World> {
    World::new(family, |endpoints| {
        let at = SocketAddr::new(endpoints.family().vip(10), 80);
        let dead = SocketAddr::new(endpoints.http(0).ip(), NOBODY);
        vec![
            resource::fixed("dead", [dead]),
            resource::fixed("empty", []),
            resource::listener("web", at, &[resource::chain(&resource::http(routes))]),
        ]
    })
}

fn one_host(routes: &[Value]) -> Value {
    let routes = resource::routes("routes", &[resource::host("all", &["*"], routes)]);
    // As in routes that come by RDS: a cluster may come later.
    resource::with(routes, json!({"validate_clusters": false}))
}

#[test]
fn redirects_and_direct_responses() -> Result<()> {
    let regex = json!({"pattern": {"regex": "^/regex/([^/]+)/(.*)$"}, "substitution": "/\\2/\\1"});
    let routes = [
        redirect("/https", &json!({"https_redirect": true})),
        redirect("/scheme", &json!({"scheme_redirect": "ftp"})),
        redirect("/host", &json!({"host_redirect": "new.test"})),
        redirect("/port", &json!({"port_redirect": 8443})),
        redirect(
            "/all",
            &json!({"https_redirect": true, "host_redirect": "new.test", "port_redirect": 444, "path_redirect": "/new"}),
        ),
        redirect("/path", &json!({"path_redirect": "/new"})),
        redirect("/query", &json!({"path_redirect": "/new?a=b"})),
        redirect("/prefix", &json!({"prefix_rewrite": "/new"})),
        redirect("/regex", &json!({"regex_rewrite": regex})),
        redirect("/strip", &json!({"host_redirect": "new.test", "strip_query": true})),
        redirect("/302", &json!({"path_redirect": "/new", "response_code": "FOUND"})),
        redirect("/303", &json!({"path_redirect": "/new", "response_code": "SEE_OTHER"})),
        redirect(
            "/307",
            &json!({"path_redirect": "/new", "response_code": "TEMPORARY_REDIRECT"}),
        ),
        redirect(
            "/308",
            &json!({"path_redirect": "/new", "response_code": "PERMANENT_REDIRECT"}),
        ),
        route("/direct/404", json!({"direct_response": {"status": 404}})),
        route(
            "/direct/503",
            json!({"direct_response": {"status": 503, "body": {"inline_string": "busy"}}}),
        ),
        route(
            "/direct/bytes",
            json!({"direct_response": {"status": 202, "body": {"inline_bytes": "AQID"}}}),
        ),
        route(
            "/direct",
            json!({"direct_response": {"status": 200}, "response_headers_to_add": [header("x-a", "b", "APPEND_IF_EXISTS_OR_ADD")]}),
        ),
    ];
    let paths = [
        "/https",
        "/https?a=b",
        "/scheme",
        "/host",
        "/host/a?b",
        "/port",
        "/all?a",
        "/path",
        "/path?a=b",
        "/path/x?a=b",
        "/query",
        "/query?c=d",
        "/prefix",
        "/prefix/a",
        "/prefixed?a=b",
        "/regex/a/b",
        "/regex/a/b?c",
        "/regex/a",
        "/strip?a=b",
        "/strip/c?a=b",
        "/302",
        "/303",
        "/307",
        "/308",
        "/direct/404",
        "/direct/503",
        "/direct/bytes",
        "/direct",
        "/nothing",
    ];
    let mut requests = Vec::new();
    for host in ["web.test", "web.test:80", "web.test:8080", "[fd00::1]:80", "[fd00::1]"] {
        requests.extend(paths.iter().map(|path| get(host, path, &[])));
    }
    requests.push(request("POST", "web.test", "/path", &["content-length: 0"]));
    requests.push(request("HEAD", "web.test", "/direct/404", &[]));
    for family in Family::BOTH {
        let world = world(family, &one_host(&routes))?;
        world.agree(world.vip(10, 80), &requests)?;
    }
    Ok(())
}

#[test]
fn rewrites_and_destinations() -> Result<()> {
    let regex = |pattern: &str, with: &str| json!({"pattern": {"regex": pattern}, "substitution": with});
    let routes = [
        forward("/cut", json!({"prefix_rewrite": "/"})),
        forward("/long/", json!({"prefix_rewrite": "/"})),
        forward("/swap", json!({"prefix_rewrite": "/other"})),
        forward(
            "/regex",
            json!({"regex_rewrite": regex("^/regex/([^/]+)/([^/]+)$", "/\\2/\\1")}),
        ),
        forward("/each", json!({"regex_rewrite": regex("x", "yy")})),
        forward("/host/literal", json!({"host_rewrite_literal": "new.test"})),
        forward("/host/header", json!({"host_rewrite_header": "x-new-host"})),
        forward(
            "/host/path",
            json!({"host_rewrite_path_regex": regex("^/host/path/([^/]+)/.*$", "\\1.test")}),
        ),
        forward(
            "/host/append",
            json!({"host_rewrite_literal": "new.test", "append_x_forwarded_host": true}),
        ),
        route("/by-header", json!({"route": {"cluster_header": "x-cluster"}})),
        forward("/unknown", json!({"cluster": "unknown"})),
        forward(
            "/unknown-404",
            json!({"cluster": "unknown", "cluster_not_found_response_code": "NOT_FOUND"}),
        ),
        forward("/empty", json!({"cluster": "empty"})),
        forward("/dead", json!({"cluster": "dead"})),
        forward("/", json!({})),
    ];
    let paths = [
        "/",
        "/a/b?c=d",
        "/cut",
        "/cut/",
        "/cut/a",
        "/cutting",
        "/cut?a=b",
        "/long/a",
        "/long/",
        "/swap",
        "/swap/a?b=c",
        "/swapped",
        "/regex/a/b",
        "/regex/a/b?c=d",
        "/regex/a",
        "/each/xaxx?x=x",
        "/host/literal",
        "/host/header",
        "/host/path/a/b",
        "/host/append",
        "/by-header",
        "/unknown",
        "/unknown-404",
        "/empty",
        "/dead",
        "/a#b",
        "/a//b",
        "/a/./b",
        "/a/../b",
        "/%61",
        "/a%2Fb",
        "/a;b",
        "/?",
        "/a?",
    ];
    let mut requests: Vec<_> = paths.iter().map(|path| get("web.test", path, &[])).collect();
    requests.extend([
        get("web.test", "/host/header", &["x-new-host: third.test"]),
        get("web.test", "/by-header", &["x-cluster: b"]),
        get("web.test", "/by-header", &["x-cluster: unknown"]),
        get("web.test:8080", "/", &[]),
        request("DELETE", "web.test", "/", &[]),
        request("POST", "web.test", "/cut/a", &["content-length: 3"]) + "abc",
        request("HEAD", "web.test", "/empty", &[]),
    ]);
    for family in Family::BOTH {
        let world = world(family, &one_host(&routes))?;
        world.agree(world.vip(10, 80), &requests)?;
    }
    Ok(())
}

/// Fields at every level: the configuration, its host, its route, and the cluster that weight chose.
fn fields() -> Value {
    let at = |level: &str| {
        json!({
            "request_headers_to_add": [
                header("x-append", level, "APPEND_IF_EXISTS_OR_ADD"),
                header("x-absent", level, "ADD_IF_ABSENT"),
                header("x-over", level, "OVERWRITE_IF_EXISTS_OR_ADD"),
                header("x-only-over", level, "OVERWRITE_IF_EXISTS"),
                header(&format!("x-{level}"), "100%%", "APPEND_IF_EXISTS_OR_ADD"),
            ],
            "request_headers_to_remove": [format!("x-remove-{level}")],
            "response_headers_to_add": [
                header("x-append", level, "APPEND_IF_EXISTS_OR_ADD"),
                header("x-one", level, "OVERWRITE_IF_EXISTS"),
                header("x-absent", level, "ADD_IF_ABSENT"),
                header("x-two", level, "APPEND_IF_EXISTS_OR_ADD"),
            ],
            "response_headers_to_remove": [format!("x-mirror-{level}")],
        })
    };
    let weighted = resource::with(json!({"name": "a", "weight": 1}), at("weighted"));
    let weighted = json!({"route": {"weighted_clusters": {"clusters": [weighted]}}});
    let empty = json!([
        {"header": {"key": "x-empty", "value": ""}},
        {"header": {"key": "x-kept", "value": ""}, "keep_empty_value": true},
    ]);
    let removing = json!({"route": {"cluster": "a"}, "response_headers_to_remove": ["x-one", "X-Two"], "request_headers_to_remove": ["x-a", "user-agent"]});
    let routes = [
        route("/weighted", resource::with(at("route"), weighted)),
        route(
            "/empty",
            json!({"route": {"cluster": "a"}, "request_headers_to_add": empty, "response_headers_to_add": empty}),
        ),
        route("/removing", removing),
        route("/", resource::with(at("route"), json!({"route": {"cluster": "a"}}))),
    ];
    let host = resource::with(resource::host("all", &["*"], &routes), at("host"));
    let routes = resource::with(resource::routes("routes", &[host]), at("config"));
    resource::with(routes, json!({"validate_clusters": false}))
}

#[test]
fn header_fields_are_changed_at_every_level_in_the_same_order() -> Result<()> {
    let requests: Vec<_> = ["/", "/weighted", "/empty", "/removing"]
        .iter()
        .flat_map(|path| {
            let many = [
                "x-append: 0",
                "X-Absent: 0",
                "x-over: 0",
                "x-over: 1",
                "x-only-over: 0",
                "x-a: a",
                "User-Agent: test",
            ];
            let removed = [
                "x-remove-config: 0",
                "x-remove-host: 0",
                "x-remove-route: 0",
                "x-remove-weighted: 0",
            ];
            [
                get("web.test", path, &[]),
                get("web.test", path, &many),
                get("web.test", path, &removed),
            ]
        })
        .collect();
    let world = world(Family::V4, &fields())?;
    world.agree(world.vip(10, 80), &requests)
}

#[test]
fn the_most_specific_level_has_the_last_word_where_that_is_said() -> Result<()> {
    let world = world(
        Family::V4,
        &resource::with(fields(), json!({"most_specific_header_mutations_wins": true})),
    )?;
    world.agree(
        world.vip(10, 80),
        &["/", "/empty", "/removing"].map(|path| get("web.test", path, &["x-over: 0", "x-append: 0"])),
    )
}

#[test]
fn a_request_that_takes_longer_than_its_route_allows_is_given_up() -> Result<()> {
    let routes = [
        forward("/short", json!({"timeout": "0.3s"})),
        forward("/idle", json!({"timeout": "0s", "idle_timeout": "0.3s"})),
        forward(
            "/stream",
            json!({"timeout": "0s", "max_stream_duration": {"max_stream_duration": "0.3s"}}),
        ),
        forward("/none", json!({"timeout": "0s"})),
    ];
    let asked = |paths: &[&str], delays: &[u32]| -> Vec<String> {
        let all = paths
            .iter()
            .flat_map(|path| delays.iter().map(move |delay| (path, delay)));
        all.map(|(path, delay)| get("web.test", path, &[&format!("{DELAY}: {delay}")]))
            .collect()
    };
    let world = world(Family::V4, &one_host(&routes))?;
    let agree = |paths: &[&str]| {
        world.agree_in(
            &[Spoken::Http1, Spoken::Http2],
            world.vip(10, 80),
            &asked(paths, &[0, 1500]),
        )
    };
    agree(&["/none"])?;
    // A machine that stands still for a third of a second makes one of the two give up.
    again::until_good(|| Ok(agree(&["/short", "/idle", "/stream"])), Result::is_ok)??;
    // The status of a call that took too long is another one, on purpose.
    world.agree_in(
        &[Spoken::Grpc],
        world.vip(10, 80),
        &asked(&["/short", "/idle", "/none"], &[0]),
    )?;
    world.agree_in(
        &[Spoken::Grpc],
        world.vip(10, 80),
        &asked(&["/stream", "/none"], &[1500]),
    )
}

#[test]
fn a_call_is_given_up_when_its_client_says_so_where_the_route_listens_to_that() -> Result<()> {
    let listening = |most: &str| json!({"timeout": "0s", "max_stream_duration": {"grpc_timeout_header_max": most}});
    let routes = [
        forward("/listens", listening("0s")),
        forward("/bounds", listening("0.3s")),
        forward("/deaf", json!({"timeout": "0s"})),
    ];
    let world = world(Family::V4, &one_host(&routes))?;
    let mut requests = Vec::new();
    for (path, timeout, delay) in [
        ("/listens", "200m", 1500),
        ("/listens", "20000m", 600),
        ("/bounds", "20000m", 1500),
        ("/deaf", "200m", 600),
    ] {
        let fields = [format!("grpc-timeout: {timeout}"), format!("{DELAY}: {delay}")];
        requests.push(get("web.test", path, &fields.each_ref().map(String::as_str)));
    }
    world.agree_in(&[Spoken::Grpc], world.vip(10, 80), &requests)
}
