//! Routes that a mesh document says, from the text to the server that a request comes to.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Ask;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::family::Family;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::web;
use crate::support::wire::Wire;
use http::Request;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

/// A server that answers with its name, the target and the host that it was asked for, and the fields that are a test's.
async fn reflecting(name: &'static str) -> Server {
    Server::answering(Version::One, move |ask| {
        let target = ask.uri().path_and_query().map_or("", |target| target.as_str());
        let host = ask.headers().get("host").map_or("", |host| host.to_str().unwrap());
        let mut text = format!("{name} {target} {host}");
        for (field, value) in ask.headers() {
            if field.as_str().starts_with("x-") {
                write!(text, " {field}={}", value.to_str().unwrap()).unwrap();
            }
        }
        let mut answer = Answer::new(Content::from(text.as_str()));
        answer.headers_mut().insert("x-from", name.parse().unwrap());
        answer
    })
    .await
}

/// A mesh of `web`, `one` and `two`, where `web` has these rules (YAML, indented by two) of this kind.
fn mesh(protocol: &str, kind: &str, servers: &[&Server; 3], rules: &str) -> Bench {
    let mut text = String::from("services:\n");
    for (number, (name, server)) in ["one", "two", "web"]
        .into_iter()
        .zip([servers[1], servers[2], servers[0]])
        .enumerate()
    {
        let vip = if name == "web" {
            web().ip()
        } else {
            Family::current().vip(20 + number as u8)
        };
        write!(
            text,
            "- name: {name}\n  vips: [\"{vip}\"]\n  ports:\n  - port: 80\n    protocol: {protocol}\n    endpoints: [{{address: \"{}\"}}]\n",
            server.address
        )
        .unwrap();
    }
    writeln!(text, "    routes:\n      {kind}:").unwrap();
    for line in rules.lines() {
        writeln!(text, "    {line}").unwrap();
    }
    Bench::new(&text)
}

fn ask(method: &str, host: &str, target: &str, fields: &[(&str, &str)]) -> Ask {
    let mut ask = Request::builder().method(method).uri(format!("http://{host}{target}"));
    for (name, value) in fields {
        ask = ask.header(*name, *value);
    }
    ask.body(Content::default()).unwrap()
}

fn text(answer: &Answer) -> &str {
    str::from_utf8(&answer.body().bytes).unwrap()
}

/// The services of most rules.
async fn three() -> [Server; 3] {
    [
        reflecting("web").await,
        reflecting("one").await,
        reflecting("two").await,
    ]
}

/// The status, and who answered.
fn from(answer: &Answer) -> String {
    let name = answer
        .headers()
        .get("x-from")
        .map_or("proxy", |name| name.to_str().unwrap());
    format!("{} {name}", answer.status().as_u16())
}

#[test]
fn the_most_specific_rule_decides_whatever_its_place() {
    over_both_families(async || {
        let servers = three().await;
        let servers = servers.each_ref();
        let rules = "
  - {matches: [{path: {prefix: /a}}], backends: [{service: one, port: 80}]}
  - {matches: [{path: {prefix: /a/b}, method: POST}], backends: [{service: web, port: 80}]}
  - {matches: [{path: {exact: /a/b}}, {path: {prefix: /a}, headers: [{name: X-Canary, exact: \"yes\"}]}], backends: [{service: two, port: 80}]}
  - {matches: [{path: {regex: \"/[0-9]+\"}, query: [{name: v, regex: \"1|2\"}]}], backends: [{service: two, port: 80}]}
  - {hostnames: [\"*.shop.test\"], matches: [{path: {prefix: /shop}}], backends: [{service: two, port: 80}]}
  - {hostnames: [a.shop.test], matches: [{path: {exact: /shop}}], backends: [{service: web, port: 80}]}
";
        let bench = mesh("http", "http", &servers, rules);
        for (request, expected) in [
            (ask("GET", "web.test", "/a", &[]), "200 one"),
            (ask("GET", "web.test", "/a/c?x", &[]), "200 one"),
            (ask("GET", "web.test", "/a/b", &[]), "200 two"),
            (ask("POST", "web.test", "/a/b/c", &[]), "200 web"),
            (ask("GET", "web.test", "/a/c", &[("x-canary", "yes")]), "200 two"),
            (ask("GET", "web.test", "/a/c", &[("x-canary", "no")]), "200 one"),
            (ask("GET", "web.test", "/17?v=2", &[]), "200 two"),
            (ask("GET", "web.test", "/17?v=3", &[]), "404 proxy"),
            (ask("GET", "web.test", "/ab", &[]), "404 proxy"),
            (ask("GET", "a.shop.test:80", "/shop", &[]), "200 web"),
            (ask("GET", "a.shop.test", "/shop/cart", &[]), "200 two"),
            (ask("GET", "b.shop.test", "/shop", &[]), "200 two"),
            (ask("GET", "b.shop.test", "/a", &[]), "200 one"),
            (ask("GET", "shop.test", "/shop", &[]), "404 proxy"),
        ] {
            for version in [Version::One, Version::Two] {
                let answer = bench.ask(version, request.clone()).await;
                let (uri, headers) = (request.uri(), request.headers());
                assert_eq!(
                    from(&answer),
                    expected,
                    "{version:?} {} {uri} {headers:?}",
                    request.method()
                );
            }
        }
    });
}

#[test]
fn weights_are_shares_and_what_is_missing_has_its_own() {
    over_both_families(async || {
        let servers = three().await;
        let servers = servers.each_ref();
        let rules = "
  - matches: [{path: {prefix: /shared}}]
    backends: [{service: one, port: 80, weight: 6}, {service: two, port: 80, weight: 2}, {service: web, port: 80, weight: 0}, {missing: true, weight: 2}]
  - matches: [{path: {prefix: /missing}}]
    backends: [{missing: true}]
  - matches: [{path: {prefix: /weightless}}]
    backends: [{service: one, port: 80, weight: 0}]
";
        let bench = mesh("http", "http", &servers, rules);
        let mut counts = BTreeMap::new();
        let mut client = bench.http1().await;
        for _ in 0..2_000 {
            client.send("GET /shared HTTP/1.1\r\nHost: web.test\r\n\r\n").await;
            let message = client.message().await;
            *counts
                .entry(message.text().split(' ').next().unwrap().to_owned())
                .or_insert(0) += 1;
        }
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["", "one", "two"]);
        // Five standard deviations of the widest share.
        for (name, expected) in [("one", 1_200), ("two", 400), ("", 400)] {
            let found: i32 = counts[name];
            assert!((found - expected).abs() < 110, "{counts:?}");
        }
        for target in ["/missing", "/weightless"] {
            let answer = bench.ask(Version::One, ask("GET", "web.test", target, &[])).await;
            assert_eq!(from(&answer), "500 proxy", "{target}");
        }
    });
}

#[test]
fn requests_and_answers_are_changed_and_clients_sent_elsewhere() {
    over_both_families(async || {
        let servers = three().await;
        let servers = servers.each_ref();
        let rules = "
  - matches: [{path: {prefix: /api}}]
    request_headers: {set: [{name: x-a, value: \"100%\"}], add: [{name: x-b, value: \"2\"}], remove: [x-c]}
    response_headers: {set: [{name: x-from, value: changed}]}
    rewrite: {host: one.internal, path: {prefix: /}}
    backends: [{service: one, port: 80, request_headers: {set: [{name: x-d, value: \"4\"}]}}]
  - matches: [{path: {prefix: /full}}]
    rewrite: {path: {full: /other}}
    backends: [{service: two, port: 80}]
  - matches: [{path: {prefix: /old}}]
    redirect: {scheme: https, path: {prefix: /new}, status: 301}
  - matches: [{path: {exact: /elsewhere}}]
    redirect: {host: a.test, port: 8080}
";
        let bench = mesh("http", "http", &servers, rules);
        let fields = [("x-a", "1"), ("x-b", "1"), ("x-c", "1")];
        for (target, rewritten) in [("/api", "/"), ("/api/", "/"), ("/api/a/b?c", "/a/b?c")] {
            let answer = bench.ask(Version::One, ask("GET", "web.test", target, &fields)).await;
            let expected = format!("one {rewritten} one.internal x-b=1 x-a=100% x-b=2 x-d=4");
            let sorted = |text: &str| {
                let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
                words.sort();
                words
            };
            assert_eq!(sorted(text(&answer)), sorted(&expected), "{target}");
            assert_eq!(from(&answer), "200 changed", "{target}");
        }
        let answer = bench
            .ask(Version::Two, ask("GET", "web.test", "/full/a?b=c", &[]))
            .await;
        assert_eq!(text(&answer), "two /other?b=c web.test");
        for (target, location, status) in [
            ("/old/a?b", "https://web.test/new/a?b", 301),
            ("/elsewhere", "http://a.test:8080/elsewhere", 302),
        ] {
            let answer = bench.ask(Version::One, ask("GET", "web.test", target, &[])).await;
            assert_eq!(
                (&answer.headers()["location"], answer.status().as_u16()),
                (&location.parse().unwrap(), status)
            );
        }
    });
}

#[test]
fn a_method_of_grpc_is_found_and_one_without_a_rule_is_unimplemented() {
    over_both_families(async || {
        let server = Server::answering(Version::Two, |_| {
            let mut content = Content::default();
            content.trailers.insert("grpc-status", "0".parse().unwrap());
            let mut answer = Answer::new(content);
            answer
                .headers_mut()
                .insert("content-type", "application/grpc".parse().unwrap());
            answer
        })
        .await;
        let rules = "
  - {matches: [{grpc: {service: {exact: shop.Orders}, method: {regex: \"Get.*\"}}}], backends: [{service: one, port: 80}]}
  - {matches: [{grpc: {service: {exact: shop.Gone}}}], backends: [{missing: true}]}
";
        let bench = mesh("grpc", "http", &[&server, &server, &server], rules);
        let status = async |path: &str| {
            let fields = [("content-type", "application/grpc"), ("te", "trailers")];
            let answer = bench.ask(Version::Two, ask("POST", "web.test", path, &fields)).await;
            let trailer = answer
                .body()
                .trailers
                .get("grpc-status")
                .or(answer.headers().get("grpc-status"));
            trailer.unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(status("/shop.Orders/GetOne").await, "0");
        assert_eq!(status("/shop.Orders/Put").await, "12");
        assert_eq!(status("/shop.Gone/Put").await, "14");
    });
}

/// A server that says who it is to whoever connects.
async fn telling(name: &'static str) -> Server {
    Server::h1(async move |mut wire, _| wire.send(name).await).await
}

#[test]
fn connections_go_by_weight_to_what_is_there() {
    over_both_families(async || {
        let servers = [&telling("web").await, &telling("one").await, &telling("two").await];
        let rules = "
  - {service: two, port: 80, weight: 1}
  - {service: one, port: 80, weight: 0}
";
        let bench = mesh("tcp", "tcp", &servers, rules);
        for _ in 0..5 {
            let mut client = Wire::new(bench.connect().await);
            client.until("two").await;
        }
    });
}

#[test]
fn who_goes_straight_to_an_endpoint_is_not_routed() {
    over_both_families(async || {
        let servers = three().await;
        let servers = servers.each_ref();
        let rules = "
  - {matches: [{path: {exact: /two}}], backends: [{service: two, port: 80}]}
";
        let bench = mesh("http", "http", &servers, rules);
        for (server, name) in [(servers[0], "web"), (servers[2], "two")] {
            let mut client = Wire::new(bench.connect_to(server.address).await);
            client.send("GET /other HTTP/1.1\r\nHost: web.test\r\n\r\n").await;
            assert_eq!(client.message().await.text(), format!("{name} /other web.test"));
        }
    });
}

#[test]
fn an_endpoint_of_a_headless_service_is_reached_by_its_own_address() {
    over_both_families(async || {
        let (one, two) = (reflecting("one").await, reflecting("two").await);
        let endpoint = |address: SocketAddr| format!("{{address: \"{address}\"}}");
        let bench = Bench::new(&format!(
            "unknown: refuse\nservices: [{{name: db, ports: [{{port: 80, protocol: http, endpoints: [{}, {}]}}]}}]\n",
            endpoint(one.address),
            endpoint(two.address)
        ));
        for (server, name) in [(&one, "one"), (&two, "two")] {
            for _ in 0..3 {
                let mut client = Wire::new(bench.connect_to(server.address).await);
                client.send("GET / HTTP/1.1\r\nHost: db-0.db\r\n\r\n").await;
                assert_eq!(client.message().await.text(), format!("{name} / db-0.db"));
            }
        }
    });
}
