//! What is changed on the way, of requests and of answers.

use super::addition;
use super::ask;
use super::bench;
use super::forward;
use super::get;
use super::host;
use super::manager;
use super::mutations;
use super::reflecting;
use super::route;
use super::services;
use super::text;
use crate::support::ask::PAIRINGS;
use crate::support::document_of;
use crate::support::nobody;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::traces::hearing;
use crate::traces::tracing;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::listener::ForwardedFor;
use evenkeel_control_api::resource::matcher::Substitution;
use evenkeel_control_api::resource::route::AppendAction;
use evenkeel_control_api::resource::route::HeaderMutations;
use evenkeel_control_api::resource::route::HostRewrite;
use evenkeel_control_api::resource::route::PathMatch;
use evenkeel_control_api::resource::route::PathRewrite;

#[test]
fn fields_are_changed_on_both_ways() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = reflecting(endpoint, "a").await;
            let mut resources = services(endpoint.protocol(), &[server.address]);
            route(&mut resources).mutations.request = mutations();
            host(&mut resources).mutations.response = mutations();
            let bench = bench(&resources);
            let fields = [("x-a", "1"), ("x-a", "2"), ("x-b", "old"), ("x-d", "same")];
            let answer = bench.ask(client, ask("GET", "/", &fields)).await;
            let pairing = format!("{client:?} to {endpoint:?}");
            assert_eq!(
                text(&answer),
                "a GET / web.test x-b=new x-c=there x-d=same",
                "{pairing}"
            );
            let headers = answer.headers();
            assert_eq!(
                (&headers["x-from"], &headers["x-b"], &headers["x-c"]),
                (
                    &"a".parse().unwrap(),
                    &"new".parse().unwrap(),
                    &"there".parse().unwrap()
                )
            );
            assert!(!headers.contains_key("x-secret"), "{pairing}");
        }
    });
}

/// What an endpoint gets of a field that a route changes so, of a request that the proxy gives its part in a trace; `ours`: what the
/// proxy has written itself.
#[test]
fn a_field_that_the_proxy_writes_is_there_for_a_route() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            for (name, action, expected) in [
                ("traceparent", AppendAction::AddIfAbsent, &["ours"][..]),
                ("traceparent", AppendAction::OverwriteIfPresent, &["given"]),
                ("traceparent", AppendAction::Overwrite, &["given"]),
                ("traceparent", AppendAction::Append, &["ours", "given"]),
                ("x-forwarded-for", AppendAction::AddIfAbsent, &["ours"]),
                ("b3", AppendAction::AddIfAbsent, &["given"]),
                ("b3", AppendAction::OverwriteIfPresent, &[]),
            ] {
                let (server, heard) = hearing(endpoint).await;
                let mut resources = services(endpoint.protocol(), &[server.address]);
                route(&mut resources).mutations.request = HeaderMutations {
                    remove: Vec::new(),
                    add: vec![addition(name, "given", action)],
                };
                manager(&mut resources).forwarded_for = ForwardedFor::Append;
                let bench = tracing("", "sample: 0%");
                bench.enforce(&resources);
                bench.ask(client, ask("GET", "/", &[])).await;
                let heads = heard.borrow();
                let told = heads[0].get_all(name).iter();
                let told: Vec<_> = told
                    .map(|value| if value == "given" { "given" } else { "ours" })
                    .collect();
                assert_eq!(told, expected, "{client:?} to {endpoint:?}: {action:?} {name}");
            }
        }
    });
}

#[test]
fn from_http1_to_http1_only_the_lines_that_change_differ() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            while let Some(head) = wire.next_head().await {
                let length = head.len();
                wire.send(format!(
                    "HTTP/1.1 200  Fine\r\nX-A: 1\r\nContent-LENGTH:{length}\r\nx-Keep:  a \r\n\r\n{head}"
                ))
                .await;
            }
        })
        .await;
        let mut resources = services("http", &[server.address]);
        route(&mut resources).mutations.request = mutations();
        route(&mut resources).mutations.response = mutations();
        forward(route(&mut resources)).path = Some(PathRewrite::Prefix("/new/".to_owned()));
        let bench = bench(&resources);
        let mut client = bench.http1().await;
        client
            .send(
                "POST /a?b HTTP/1.1\r\nHOST: web.test\r\nX-a: 1\r\nx-B:old\r\nX-D:\tsame\r\nContent-Length: 0\r\n\r\n",
            )
            .await;
        let answer = client.message().await;
        assert_eq!(
            answer.text(),
            "POST /new/a?b HTTP/1.1\r\nHOST: web.test\r\nX-D:\tsame\r\nContent-Length: 0\r\nx-b: new\r\nx-c: there\r\n\r\n"
        );
        let length = answer.text().len();
        assert_eq!(
            answer.head,
            format!("HTTP/1.1 200  Fine\r\nContent-LENGTH:{length}\r\nx-Keep:  a \r\nx-b: new\r\nx-c: there\r\n\r\n")
        );
    });
}

#[test]
fn paths_and_hosts_are_rewritten() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = reflecting(endpoint, "a").await;
            let mut resources = services(endpoint.protocol(), &[server.address]);
            let one = route(&mut resources);
            one.matches.path = PathMatch::Prefix("/old".to_owned());
            let action = forward(one);
            action.path = Some(PathRewrite::Prefix("/new".to_owned()));
            action.host = Some(HostRewrite::Literal("other.test:81".parse().unwrap()));
            action.append_forwarded_host = true;
            let mut second = one.clone();
            second.matches.path = PathMatch::Prefix("/".to_owned());
            let action = forward(&mut second);
            action.path = Some(PathRewrite::Regex(
                Substitution::new("^/(.*?)/(.*)$", r"/\2/\1").unwrap(),
            ));
            action.host = Some(HostRewrite::Field("x-host".parse().unwrap()));
            host(&mut resources).routes.push(second);
            let bench = bench(&resources);
            for (target, named, expected) in [
                (
                    "/old/a?b=/old",
                    "",
                    "a GET /new/a?b=/old other.test:81 x-forwarded-host=web.test",
                ),
                (
                    "/a/b/c",
                    "named.test",
                    "a GET /b/c/a named.test x-forwarded-host=web.test x-host=named.test",
                ),
                ("/a/b/c", "no host", "a GET /b/c/a web.test x-host=no host"),
            ] {
                let fields = if named.is_empty() {
                    vec![]
                } else {
                    vec![("x-host", named)]
                };
                let answer = bench.ask(client, ask("GET", target, &fields)).await;
                assert_eq!(text(&answer), expected, "{client:?} to {endpoint:?}: {target}");
            }
        }
    });
}

#[test]
fn attempts_are_told_where_that_is_asked_for() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let (server, nobody) = (reflecting(endpoint, "a").await, nobody());
            let addresses = [nobody.address, server.address];
            let mut resources = mesh::load(&document_of(endpoint.protocol(), addresses))
                .unwrap()
                .resources;
            host(&mut resources).tells_endpoints_attempts = true;
            host(&mut resources).tells_clients_attempts = true;
            let bench = bench(&resources);
            let mut counts = Vec::new();
            for _ in 0..8 {
                let answer = bench.ask(client, get("/")).await;
                let count = answer.headers()["x-envoy-attempt-count"].to_str().unwrap().to_owned();
                assert_eq!(text(&answer), format!("a GET / web.test x-envoy-attempt-count={count}"));
                counts.push(count);
            }
            assert!(
                counts.iter().all(|count| ["1", "2"].contains(&count.as_str())),
                "{counts:?}"
            );
            assert!(counts.contains(&"2".to_owned()), "{counts:?}");
        }
    });
}
