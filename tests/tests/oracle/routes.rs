//! Which virtual host and which route a request falls to.

use std::net::SocketAddr;

use anyhow::Result;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::exchange::get;
use crate::exchange::request;
use crate::world::World;

/// A route that answers with its own name.
fn named(name: &str, matches: &Value) -> Value {
    json!({"match": matches, "direct_response": {"status": 200, "body": {"inline_string": name}}})
}

/// A virtual host that answers with its own name.
fn host(name: &str, domains: &[&str]) -> Value {
    resource::host(name, domains, &[named(name, &json!({"prefix": "/"}))])
}

/// A world with one listener that has these virtual hosts.
fn world(family: Family, routes: &Value) -> Result<World> {
    World::new(family, |endpoints| {
        let at = SocketAddr::new(endpoints.family().vip(10), 80);
        vec![resource::listener(
            "web",
            at,
            &[resource::chain(&resource::http(routes))],
        )]
    })
}

#[test]
fn a_virtual_host_is_found_by_the_most_specific_domain() -> Result<()> {
    let hosts = [
        host("exact", &["web.test", "other.test:8080"]),
        host("suffix", &["*.test"]),
        host("longer suffix", &["*.a.test"]),
        host("dash", &["*-x.test"]),
        host("prefix", &["web.*"]),
        host("longer prefix", &["web.b.*"]),
        host("any", &["*"]),
    ];
    let authorities = [
        "web.test",
        "WEB.Test",
        "web.test:80",
        "other.test:8080",
        "other.test",
        "x.test",
        ".test",
        "test",
        "x.a.test",
        "x.y.a.test",
        "a.test",
        "y-x.test",
        "-x.test",
        "web.example",
        "web.",
        "web.b.example",
        "web.b.",
        "nothing.example",
        "web",
        "10.0.0.1",
        "10.0.0.1:80",
        "[fd00::1]",
        "[fd00::1]:80",
        "web.test.",
        "X.A.TEST",
        "WEB.B.Example",
    ];
    let requests: Vec<_> = authorities.iter().map(|authority| get(authority, "/", &[])).collect();
    for family in Family::BOTH {
        let world = world(family, &resource::routes("hosts", &hosts))?;
        world.agree(world.vip(10, 80), &requests)?;
    }
    let ignoring = resource::with(
        resource::routes("hosts", &hosts),
        json!({"ignore_port_in_host_matching": true}),
    );
    let world = world(Family::V4, &ignoring)?;
    world.agree(world.vip(10, 80), &requests)
}

#[test]
fn without_a_host_that_fits_there_is_no_route() -> Result<()> {
    let only = resource::routes("hosts", &[host("exact", &["web.test"])]);
    let world = world(Family::V4, &only)?;
    world.agree(
        world.vip(10, 80),
        &["web.test", "other.test"].map(|authority| get(authority, "/", &[])),
    )
}

/// In this order: the first that fits is taken.
fn routes() -> Vec<Value> {
    let header = |test: Value| json!({"prefix": "/header", "headers": [resource::with(json!({"name": "x-a"}), test)]});
    let text = |test: Value| header(json!({"string_match": test}));
    let query =
        |test: Value| json!({"prefix": "/query", "query_parameters": [resource::with(json!({"name": "q"}), test)]});
    [
        ("exact", json!({"path": "/exact"})),
        ("exact, any case", json!({"path": "/Any", "case_sensitive": false})),
        ("segments", json!({"path_separated_prefix": "/seg"})),
        ("regex", json!({"safe_regex": {"regex": "/r(\\d+|x)"}})),
        ("regex, alternatives", json!({"safe_regex": {"regex": "/one|/two/.*"}})),
        ("prefix, any case", json!({"prefix": "/Pre", "case_sensitive": false})),
        ("header exact", text(json!({"exact": "one"}))),
        ("header prefix", text(json!({"prefix": "pre"}))),
        ("header suffix", text(json!({"suffix": "suf"}))),
        ("header contains", text(json!({"contains": "mid", "ignore_case": true}))),
        ("header regex", text(json!({"safe_regex": {"regex": "[0-9]{3}"}}))),
        (
            "header range",
            header(json!({"range_match": {"start": "-5", "end": "50"}})),
        ),
        ("header absent", header(json!({"present_match": false}))),
        (
            "header not",
            header(json!({"string_match": {"exact": "no"}, "invert_match": true})),
        ),
        ("header present", header(json!({"present_match": true}))),
        (
            "header missing is empty",
            json!({"prefix": "/missing", "headers": [
            {"name": "x-b", "string_match": {"exact": ""}, "treat_missing_header_as_empty": true}]}),
        ),
        (
            "header missing, inverted",
            json!({"prefix": "/missing", "headers": [
            {"name": "x-c", "string_match": {"exact": "c"}, "invert_match": true}]}),
        ),
        (
            "method",
            json!({"prefix": "/method", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]}),
        ),
        (
            "authority",
            json!({"prefix": "/authority", "headers": [{"name": ":authority", "string_match": {"prefix": "special"}}]}),
        ),
        (
            "path header",
            json!({"prefix": "/path", "headers": [{"name": ":path", "string_match": {"suffix": "?x"}}]}),
        ),
        ("query exact", query(json!({"string_match": {"exact": "one"}}))),
        ("query prefix", query(json!({"string_match": {"prefix": "pre"}}))),
        ("query present", query(json!({"present_match": true}))),
        ("not grpc", json!({"prefix": "/grpc", "grpc": {}})),
        (
            "never",
            json!({"prefix": "/some", "runtime_fraction": {"default_value": {"numerator": 0}}}),
        ),
        (
            "always",
            json!({"prefix": "/some", "runtime_fraction": {"default_value": {"numerator": 100}}}),
        ),
        ("rest", json!({"prefix": "/"})),
    ]
    .iter()
    .map(|(name, matches)| named(name, matches))
    .collect()
}

fn requests() -> Vec<String> {
    let paths = [
        "/",
        "/exact",
        "/exact/",
        "/exactly",
        "/exact?a=b",
        "/EXACT",
        "/any",
        "/ANY",
        "/any/",
        "/seg",
        "/seg/",
        "/seg/a",
        "/segment",
        "/seg?a",
        "/r1",
        "/r123",
        "/r1x",
        "/rx",
        "/r",
        "/r1?a=b",
        "/one",
        "/one/",
        "/two/",
        "/two/a/b",
        "/pre",
        "/PREfix",
        "/prE/a",
        "/some",
        "/missing",
        "/path",
        "/path?x",
        "/path?y",
        "/query",
        "/query?q",
        "/query?q=",
        "/query?q=one",
        "/query?q=one&q=two",
        "/query?q=two&q=one",
        "/query?p=one",
        "/query?a=b&q=prefix",
        "/query?q=%6fne",
        "/query?Q=one",
        "/query?qq=one",
        "/grpc",
        "/header",
    ];
    let values = [
        "one", "One", "prefix", "asuf", "aMIDb", "123", "1234", "-5", "50", "49", "07", "no", "yes", "",
    ];
    let mut requests: Vec<_> = paths.iter().map(|path| get("web.test", path, &[])).collect();
    requests.extend(
        values
            .iter()
            .map(|value| get("web.test", "/header", &[&format!("X-A: {value}")])),
    );
    requests.extend([
        get("web.test", "/missing", &["x-b: b"]),
        get("web.test", "/missing", &["x-b: b", "x-c: c"]),
        get("web.test", "/grpc", &["content-type: application/grpcweb"]),
        request("POST", "web.test", "/method", &["content-length: 0"]),
        request("PUT", "web.test", "/method", &["content-length: 0"]),
        request("POST", "special.test", "/authority", &["content-length: 0"]),
        get("special.test", "/authority", &[]),
        get("web.test", "http://special.test/authority", &[]),
    ]);
    requests
}

#[test]
fn the_first_route_that_fits_is_taken() -> Result<()> {
    for family in Family::BOTH {
        let routes = resource::routes("routes", &[resource::host("all", &["*"], &routes())]);
        let world = world(family, &routes)?;
        world.agree(world.vip(10, 80), &requests())?;
    }
    Ok(())
}
