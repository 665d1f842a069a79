//! Which cluster a request goes to.

use super::adding;
use super::ask;
use super::bench;
use super::cluster;
use super::forward;
use super::get;
use super::host;
use super::reflecting;
use super::route;
use super::routes;
use super::services;
use super::text;
use super::to;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::over_both_families;
use evenkeel_control_api::resource::cluster::Discovery;
use evenkeel_control_api::resource::cluster::OriginalDestination;
use evenkeel_control_api::resource::matcher::StringMatch;
use evenkeel_control_api::resource::matcher::TextTest;
use evenkeel_control_api::resource::route::ClusterName;
use evenkeel_control_api::resource::route::Destination;
use evenkeel_control_api::resource::route::Domain;
use evenkeel_control_api::resource::route::FieldName;
use evenkeel_control_api::resource::route::HeaderMatch;
use evenkeel_control_api::resource::route::HeaderMutations;
use evenkeel_control_api::resource::route::Mutations;
use evenkeel_control_api::resource::route::QueryMatch;
use evenkeel_control_api::resource::route::Route;
use evenkeel_control_api::resource::route::ValueTest;
use evenkeel_control_api::resource::route::WeightedCluster;
use http::StatusCode;

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
