//! Routes, in every pairing of versions: which cluster, what is changed on the way, what is answered here.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Ask;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::ask::ask_wire;
use crate::support::document_of;
use crate::support::family::Family;
use crate::support::nobody;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::web;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Resources;
use evenkeel_control_api::resource::RouteConfiguration;
use evenkeel_control_api::resource::cluster::Discovery;
use evenkeel_control_api::resource::cluster::OriginalDestination;
use evenkeel_control_api::resource::listener::NetworkFilter;
use evenkeel_control_api::resource::listener::RouteSource;
use evenkeel_control_api::resource::matcher::StringMatch;
use evenkeel_control_api::resource::matcher::Substitution;
use evenkeel_control_api::resource::matcher::TextTest;
use evenkeel_control_api::resource::route::Action;
use evenkeel_control_api::resource::route::AppendAction;
use evenkeel_control_api::resource::route::ClusterName;
use evenkeel_control_api::resource::route::Destination;
use evenkeel_control_api::resource::route::DirectResponse;
use evenkeel_control_api::resource::route::Domain;
use evenkeel_control_api::resource::route::FieldName;
use evenkeel_control_api::resource::route::Forward;
use evenkeel_control_api::resource::route::HeaderAddition;
use evenkeel_control_api::resource::route::HeaderMatch;
use evenkeel_control_api::resource::route::HeaderMutations;
use evenkeel_control_api::resource::route::HostRewrite;
use evenkeel_control_api::resource::route::Mutations;
use evenkeel_control_api::resource::route::PathMatch;
use evenkeel_control_api::resource::route::PathRewrite;
use evenkeel_control_api::resource::route::QueryMatch;
use evenkeel_control_api::resource::route::Redirect;
use evenkeel_control_api::resource::route::RedirectPath;
use evenkeel_control_api::resource::route::Route;
use evenkeel_control_api::resource::route::ValueTest;
use evenkeel_control_api::resource::route::VirtualHost;
use evenkeel_control_api::resource::route::WeightedCluster;
use evenkeel_proxy::telemetry;
use http::Request;
use http::StatusCode;
use std::fmt::Write;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Services `web`, `two`, `three`..., each with one endpoint. Requests to the first are routed as the test says.
fn services(protocol: &str, addresses: &[SocketAddr]) -> Resources {
    let mut text = String::from("services:\n");
    for (number, address) in addresses.iter().enumerate() {
        let vip = Family::current().vip(10 + number as u8);
        write!(
            text,
            "- name: service{number}\n  vips: [\"{vip}\"]\n  ports:\n  - port: 80\n    protocol: {protocol}\n    endpoints: [{{address: \"{address}\"}}]\n",
        )
        .unwrap();
    }
    mesh::load(&text).unwrap().resources
}

fn cluster(number: usize) -> String {
    format!("outbound|80||service{number}")
}

/// The routes of the first service, which are one for everything.
fn routes(resources: &mut Resources) -> &mut RouteConfiguration {
    let listener = resources
        .listeners
        .iter_mut()
        .find(|listener| listener.addresses.contains(&web()));
    let chain = &mut listener.expect("the listener of the first service").chains[0];
    match &mut chain.filter {
        NetworkFilter::Http(manager) => match &mut manager.routes {
            RouteSource::Inline(routes) => routes,
            RouteSource::Named(name) => panic!("{name}"),
        },
        NetworkFilter::Tcp(proxy) => panic!("{proxy:?}"),
    }
}

fn host(resources: &mut Resources) -> &mut VirtualHost {
    &mut routes(resources).virtual_hosts[0]
}

fn route(resources: &mut Resources) -> &mut Route {
    &mut host(resources).routes[0]
}

fn forward(route: &mut Route) -> &mut Forward {
    match &mut route.action {
        Action::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

fn to(number: usize) -> Destination {
    Destination::One(ClusterName::Literal(cluster(number)))
}

/// A proxy with these resources in force.
fn bench(resources: &Resources) -> Bench {
    let bench = Bench::new("{}\n");
    bench.enforce(resources);
    bench
}

/// A server that answers with what it was asked: the target, the host, and the fields that are a test's.
async fn reflecting(version: Version, name: &'static str) -> Server {
    Server::answering(version, move |ask| {
        let target = ask.uri().path_and_query().map_or("", |target| target.as_str());
        let host = ask.headers().get("host").map_or("", |host| host.to_str().unwrap());
        let mut text = format!("{name} {} {target} {host}", ask.method());
        let mut fields: Vec<_> = ask
            .headers()
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-"))
            .collect();
        fields.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in fields {
            write!(text, " {name}={}", value.to_str().unwrap()).unwrap();
        }
        let mut answer = Answer::new(Content::from(text.as_str()));
        answer.headers_mut().insert("x-from", name.parse().unwrap());
        answer.headers_mut().insert("x-secret", "1".parse().unwrap());
        answer
    })
    .await
}

fn get(target: &str) -> Ask {
    ask("GET", target, &[])
}

fn ask(method: &str, target: &str, fields: &[(&str, &str)]) -> Ask {
    let mut ask = Request::builder()
        .method(method)
        .uri(format!("http://web.test{target}"));
    for (name, value) in fields {
        ask = ask.header(*name, *value);
    }
    ask.body(Content::default()).unwrap()
}

fn text(answer: &Answer) -> &str {
    str::from_utf8(&answer.body().bytes).unwrap()
}

fn addition(name: &str, value: &str, action: AppendAction) -> HeaderAddition {
    HeaderAddition {
        name: name.parse().unwrap(),
        value: value.parse().unwrap(),
        action,
    }
}

fn adding(name: &str, value: &str) -> HeaderMutations {
    HeaderMutations {
        remove: Vec::new(),
        add: vec![addition(name, value, AppendAction::Append)],
    }
}

/// `x-a` goes, `x-b` is another, `x-c` comes.
fn mutations() -> HeaderMutations {
    HeaderMutations {
        remove: vec!["x-a".parse().unwrap(), "x-secret".parse().unwrap()],
        add: vec![
            addition("x-b", "new", AppendAction::Overwrite),
            addition("x-c", "there", AppendAction::Append),
        ],
    }
}

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
fn requests_are_told_apart_by_header_query_and_host() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let servers = [
                reflecting(endpoint, "default").await,
                reflecting(endpoint, "header").await,
                reflecting(endpoint, "query").await,
                reflecting(endpoint, "host").await,
            ];
            let mut resources = services(endpoint.protocol(), &servers.each_ref().map(|server| server.address));
            let default = route(&mut resources).clone();
            let leading = |number, change: &dyn Fn(&mut Route)| {
                let mut route = default.clone();
                forward(&mut route).destination = to(number);
                change(&mut route);
                route
            };
            let one = || StringMatch {
                test: TextTest::Exact("1".to_owned()),
                ignore_case: false,
            };
            let by_header = leading(1, &|route| {
                route.matches.headers = vec![HeaderMatch {
                    name: FieldName::Field("x-a".parse().unwrap()),
                    test: ValueTest::Text(one()),
                    invert: false,
                    missing_is_empty: false,
                }];
            });
            let by_query = leading(2, &|route| {
                route.matches.query = vec![QueryMatch {
                    name: "a".to_owned(),
                    test: Some(one()),
                }];
            });
            host(&mut resources).routes = vec![by_header, by_query, default.clone()];
            let mut other = host(&mut resources).clone();
            other.domains = vec![Domain::Suffix(".other.test".to_owned())];
            other.routes = vec![leading(3, &|_| {})];
            routes(&mut resources).virtual_hosts.push(other);
            let bench = bench(&resources);
            let mut elsewhere = get("/");
            *elsewhere.uri_mut() = "http://a.other.test/".parse().unwrap();
            for (asked, expected) in [
                (get("/"), "default"),
                (ask("GET", "/", &[("x-a", "1")]), "header"),
                (ask("GET", "/?a=1", &[("x-a", "2")]), "query"),
                (get("/?b&a=1"), "query"),
                (elsewhere, "host"),
            ] {
                let answer = bench.ask(client, asked).await;
                assert_eq!(answer.headers()["x-from"], expected, "{client:?} to {endpoint:?}");
            }
        }
    });
}

#[test]
fn clusters_share_requests_by_weight_and_each_has_its_own_fields() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let servers = [reflecting(Version::One, "a").await, reflecting(Version::One, "b").await];
            let mut resources = services("http", &servers.each_ref().map(|server| server.address));
            let weighted = |number, weight, name: &str| WeightedCluster {
                cluster: ClusterName::Literal(cluster(number)),
                weight,
                mutations: Mutations {
                    request: adding("x-share", name),
                    response: HeaderMutations::default(),
                },
                host: Some(format!("{name}.test").parse().unwrap()),
            };
            forward(route(&mut resources)).destination =
                Destination::Weighted(vec![weighted(0, 3, "a"), weighted(1, 1, "b")]);
            let bench = bench(&resources);
            let mut seen = [0; 2];
            for _ in 0..400 {
                let answer = bench.ask(client, get("/")).await;
                let (number, expected) = match answer.headers()["x-from"].to_str().unwrap() {
                    "a" => (0, "a GET / a.test x-share=a"),
                    _ => (1, "b GET / b.test x-share=b"),
                };
                assert_eq!(text(&answer), expected);
                seen[number] += 1;
            }
            // Four standard deviations of a binomial share.
            assert!((265..=335).contains(&seen[0]), "{seen:?}");
        }
    });
}

#[test]
fn a_cluster_that_is_not_there_is_answered_as_the_route_says() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let server = reflecting(Version::One, "a").await;
            let mut resources = services("http", &[server.address]);
            forward(route(&mut resources)).destination = to(7);
            for (status, code) in [(StatusCode::SERVICE_UNAVAILABLE, 503), (StatusCode::NOT_FOUND, 404)] {
                forward(route(&mut resources)).not_found = status;
                let answer = bench(&resources).ask(client, get("/")).await;
                assert_eq!(answer.status(), code, "{client:?}");
                assert_eq!(answer.headers()["x-evenkeel-reason"], "no_cluster", "{client:?}");
            }
        }
    });
}

#[test]
fn a_request_may_name_its_cluster() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let servers = [reflecting(Version::One, "a").await, reflecting(Version::One, "b").await];
            let mut resources = services("http", &servers.each_ref().map(|server| server.address));
            let field = FieldName::Field("x-cluster".parse().unwrap());
            forward(route(&mut resources)).destination = Destination::One(ClusterName::Field(field));
            let bench = bench(&resources);
            let named = bench.ask(client, ask("GET", "/", &[("x-cluster", &cluster(1))])).await;
            assert_eq!(named.headers()["x-from"], "b");
            for unknown in [ask("GET", "/", &[("x-cluster", "nowhere")]), get("/")] {
                assert_eq!(
                    bench.ask(client, unknown).await.headers()["x-evenkeel-reason"],
                    "no_cluster"
                );
            }
        }
    });
}

#[test]
fn a_request_may_name_its_endpoint_where_its_cluster_says_so() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let servers = [reflecting(endpoint, "a").await, reflecting(endpoint, "b").await];
            let mut resources = services(endpoint.protocol(), &[servers[0].address]);
            for cluster in &mut resources.clusters {
                cluster.discovery = Discovery::OriginalDestination(OriginalDestination {
                    header: Some("x-where".to_owned()),
                    port: None,
                });
            }
            let bench = bench(&resources);
            for server in &servers {
                let there = server.address.to_string();
                let answer = bench.ask(client, ask("GET", "/", &[("x-where", &there)])).await;
                assert!(
                    text(&answer).ends_with(&there),
                    "{client:?} to {endpoint:?}: {}",
                    text(&answer)
                );
                assert_eq!(server.accepted(), 1);
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

fn responding(status: StatusCode, body: &'static str) -> Action {
    Action::Respond(DirectResponse {
        status,
        body: body.into(),
    })
}

fn redirecting() -> Action {
    Action::Redirect(Redirect {
        scheme: Some("https".to_owned()),
        host: Some("other.test".to_owned()),
        port: None,
        path: RedirectPath::Prefix("/new".to_owned()),
        strip_query: false,
        status: StatusCode::PERMANENT_REDIRECT,
    })
}

#[test]
fn redirects_and_direct_responses_are_no_failures() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let server = reflecting(Version::One, "a").await;
            let mut resources = services("http", &[server.address]);
            let mut second = route(&mut resources).clone();
            second.action = responding(StatusCode::IM_A_TEAPOT, "short and stout");
            let first = route(&mut resources);
            first.matches.path = PathMatch::Prefix("/old".to_owned());
            first.action = redirecting();
            host(&mut resources).routes.push(second);
            host(&mut resources).mutations.response = adding("x-mesh", "1");
            let bench = bench(&resources);

            let answer = bench.ask(client, get("/old/a?b")).await;
            assert_eq!(answer.status(), 308, "{client:?}");
            assert_eq!(answer.headers()["location"], "https://other.test/new/a?b");
            assert_eq!(
                (text(&answer), &answer.headers()["content-length"]),
                ("", &"0".parse().unwrap())
            );

            let answer = bench.ask(client, get("/")).await;
            assert_eq!(
                (answer.status().as_u16(), text(&answer)),
                (418, "short and stout"),
                "{client:?}"
            );
            assert_eq!(answer.headers()["content-type"], "text/plain");
            assert_eq!(answer.headers()["x-mesh"], "1");
            assert!(!answer.headers().contains_key("x-evenkeel-reason"));

            let answer = bench.ask(client, ask("HEAD", "/", &[])).await;
            assert_eq!((answer.status().as_u16(), text(&answer)), (418, ""));
            assert_eq!(answer.headers()["content-length"], "15");
            assert_eq!(server.accepted(), 0);
        }
    });
}

#[test]
fn an_answer_without_content_has_no_length() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let mut resources = services("http", &[nobody().address]);
            route(&mut resources).action = responding(StatusCode::NO_CONTENT, "");
            let answer = bench(&resources).ask(client, get("/")).await;
            assert_eq!(answer.status(), 204);
            assert!(!answer.headers().contains_key("content-length"), "{client:?}");
        }
    });
}

#[test]
fn a_client_of_grpc_gets_a_status_of_its_own_kind() {
    over_both_families(async || {
        let mut resources = services("grpc", &[nobody().address]);
        route(&mut resources).action = responding(StatusCode::FORBIDDEN, "50% no");
        let bench = bench(&resources);
        let mut client = bench.http2().await;
        let (response, _) = client.open(two::call("/a.B/C"), true).await;
        let answer = two::whole(response.await.unwrap()).await.unwrap();
        let headers = answer.headers();
        assert_eq!(
            (answer.status().as_u16(), &headers["grpc-status"]),
            (200, &"7".parse().unwrap())
        );
        assert_eq!(headers["grpc-message"], "50%25 no");
        assert_eq!(
            headers.get_all("content-type").iter().collect::<Vec<_>>(),
            ["application/grpc"]
        );
    });
}

#[test]
fn a_body_behind_what_is_answered_here_does_not_break_the_connection() {
    over_both_families(async || {
        for action in [redirecting(), responding(StatusCode::OK, "hello")] {
            let mut resources = services("http", &[nobody().address]);
            route(&mut resources).action = action;
            let bench = bench(&resources);

            let mut client = bench.http1().await;
            for _ in 0..3 {
                client
                    .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
                    .await;
                assert!(client.message().await.field("connection").is_none(), "it is all here");
            }
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
                .await;
            let answer = client.message().await;
            assert_eq!(
                answer.field("connection"),
                Some("close"),
                "what comes next could be either"
            );
            client.send("hello").await;
            assert_eq!(client.rest().await.unwrap(), b"", "no reset takes the answer away");

            let mut client = bench.http2().await;
            let (response, mut send) = client.open(two::request("POST", "/"), false).await;
            response.await.unwrap();
            // The stream is over for the server, and its client may not know that yet.
            let _ = send.send_data("hello".into(), true);
            client.get("/").await.unwrap();
        }
    });
}

#[test]
fn an_answer_of_the_configuration_is_counted_as_such() {
    over_both_families(async || {
        for (client, protocol) in [(Version::One, "http1"), (Version::Two, "http2")] {
            let mut resources = services("http", &[nobody().address]);
            route(&mut resources).action = redirecting();
            let bench = bench(&resources);
            bench.ask(client, get("/a")).await;
            settle().await;
            let page = telemetry::render(&[Arc::clone(&bench.context.book)], [], telemetry::Form::Prometheus);
            let labels = format!("{{direction=\"outbound\",service=\"service0:80\",protocol=\"{protocol}\"");
            assert!(
                page.contains(&format!("evenkeel_configured_answers_total{labels}}} 1\n")),
                "{page}"
            );
            assert!(
                page.contains(&format!("evenkeel_requests_total{labels},status=\"308\"}} 1\n")),
                "{page}"
            );
            assert!(!page.contains("evenkeel_request_failures_total{"), "{page}");
        }
    });
}

#[test]
fn an_endpoint_that_takes_too_long_is_given_up() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = match endpoint {
                Version::One => {
                    Server::h1(async |mut wire, _| {
                        wire.head().await;
                        pending::<()>().await;
                    })
                    .await
                }
                Version::Two => Server::h2(async |_, _respond, _| pending().await).await,
            };
            let short = Some(Duration::from_millis(50));
            for which in 0..3 {
                let mut resources = services(endpoint.protocol(), &[server.address]);
                let timeouts = &mut forward(route(&mut resources)).timeouts;
                *[&mut timeouts.answer, &mut timeouts.stream, &mut timeouts.idle][which] = short;
                let answer = bench(&resources).ask(client, get("/")).await;
                assert_eq!(answer.status(), 504, "{client:?} to {endpoint:?}: {which}");
                assert_eq!(answer.headers()["x-evenkeel-reason"], "request_timeout");
            }
        }
    });
}

#[test]
fn a_connection_goes_on_after_whatever_became_of_its_requests() {
    over_both_families(async || {
        let server = reflecting(Version::One, "a").await;
        let mut resources = services("http", &[server.address]);
        let mut forwarded = route(&mut resources).clone();
        forwarded.matches.path = PathMatch::Exact("/there".to_owned());
        host(&mut resources).routes.insert(0, forwarded);
        let last = &mut host(&mut resources).routes[1];
        last.action = responding(StatusCode::OK, "here");
        let bench = bench(&resources);
        let mut client = bench.http1().await;
        for target in ["/there", "/", "/there", "/", "/"] {
            let answer = ask_wire(&mut client, &get(target)).await;
            let here = target == "/";
            assert_eq!(text(&answer), if here { "here" } else { "a GET /there web.test" });
        }
        assert_eq!(server.accepted(), 1);
    });
}
