//! Clusters that a mesh document has no word for: carried endpoints, priorities, names, drops, connections that wear out.

use crate::support::Bench;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::nobody;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;
use crate::support::two::Two;
use crate::support::wire::Wire;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Cluster;
use evenkeel_control_api::resource::ClusterLoadAssignment;
use evenkeel_control_api::resource::Resources;
use evenkeel_control_api::resource::cluster::Answers;
use evenkeel_control_api::resource::cluster::Discovery;
use evenkeel_control_api::resource::cluster::Dns;
use evenkeel_control_api::resource::cluster::Host;
use evenkeel_control_api::resource::cluster::LookupFamily;
use evenkeel_control_api::resource::cluster::OriginalDestination;
use evenkeel_control_api::resource::cluster::RESOLVED;
use evenkeel_control_api::resource::cluster::Timing;
use evenkeel_control_api::resource::endpoint::Endpoint;
use evenkeel_control_api::resource::endpoint::Group;
use evenkeel_control_api::resource::endpoint::HealthStatus;
use evenkeel_control_api::resource::endpoint::Place;
use evenkeel_control_api::resource::endpoint::Policy;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn endpoint(address: SocketAddr, priority: u8, health: HealthStatus) -> Endpoint {
    let group = Group {
        priority,
        ..Group::default()
    };
    Endpoint {
        address,
        weight: NonZeroU32::MIN,
        health,
        place: Arc::new(Place {
            group: Arc::new(group),
            ..Place::default()
        }),
    }
}

fn well(address: SocketAddr, priority: u8) -> Endpoint {
    endpoint(address, priority, HealthStatus::Healthy)
}

fn assignment(endpoints: Vec<Endpoint>) -> ClusterLoadAssignment {
    ClusterLoadAssignment {
        endpoints,
        ..ClusterLoadAssignment::empty("web")
    }
}

/// One service whose cluster is changed.
fn resources(protocol: &str, change: impl FnOnce(&mut Cluster)) -> Resources {
    let mut resources = mesh::load(&document(protocol, [])).unwrap().resources;
    let web = resources
        .clusters
        .iter_mut()
        .find(|cluster| matches!(cluster.discovery, Discovery::Eds(_)));
    change(web.unwrap());
    resources
}

/// One service with these endpoints in its cluster.
fn carried(protocol: &str, assignment: ClusterLoadAssignment) -> Resources {
    resources(protocol, |cluster| {
        cluster.discovery = Discovery::Static(Arc::new(assignment));
    })
}

/// A worker with these resources in force.
fn bench(resources: &Resources) -> Bench {
    let bench = Bench::new("");
    bench.enforce(resources);
    bench
}

/// Who answers so many requests over one connection; failures by their status.
async fn answers(bench: &Bench, count: usize) -> Vec<String> {
    let mut client = bench.http1().await;
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(answer(&mut client).await);
    }
    answers
}

async fn answer(client: &mut Wire) -> String {
    client.send(GET).await;
    let answer = client.message().await;
    match answer.status() {
        200 => answer.text().to_owned(),
        status => format!("{status} {}", answer.field("x-evenkeel-reason").unwrap_or_default()),
    }
}

#[test]
fn endpoints_that_the_cluster_carries_are_served() {
    over_both_families(async || {
        let (one, two) = (
            Server::named(Version::One, "one").await,
            Server::named(Version::One, "two").await,
        );
        let both = assignment(vec![well(one.address, 0), well(two.address, 0)]);
        let mut answers = answers(&bench(&carried("http", both)), 4).await;
        answers.sort();
        assert_eq!(answers, ["one", "one", "two", "two"]);
    });
}

#[test]
fn a_priority_takes_over_when_the_one_above_is_said_to_be_ill_or_cannot_be_reached() {
    over_both_families(async || {
        let (one, two, dead) = (
            Server::named(Version::One, "one").await,
            Server::named(Version::One, "two").await,
            nobody(),
        );
        let of = |first, second| bench(&carried("http", assignment(vec![first, second])));
        let healthy = of(well(one.address, 0), well(two.address, 1));
        assert_eq!(answers(&healthy, 20).await, vec!["one"; 20]);
        let ill = of(endpoint(one.address, 0, HealthStatus::Unhealthy), well(two.address, 1));
        assert_eq!(answers(&ill, 20).await, vec!["two"; 20]);
        let unreachable = of(well(dead.address, 0), well(two.address, 1));
        assert_eq!(answers(&unreachable, 20).await, vec!["two"; 20]);
    });
}

#[test]
fn opaque_connections_follow_priorities_too() {
    over_both_families(async || {
        let (echo, dead) = (Server::echoing().await, nobody());
        let endpoints = vec![well(dead.address, 0), well(echo.address, 3)];
        let bench = bench(&carried("tcp", assignment(endpoints)));
        let mut client = bench.http1().await;
        client.send("hello").await;
        client.finish().await;
        assert_eq!(client.rest().await.unwrap(), b"hello");
    });
}

#[test]
fn who_is_said_to_be_ill_is_asked_in_a_panic_only() {
    over_both_families(async || {
        let one = Server::named(Version::One, "one").await;
        let ill = || assignment(vec![endpoint(one.address, 0, HealthStatus::Unhealthy)]);
        let calm = bench(&carried("http", ill()));
        assert_eq!(answers(&calm, 1).await, ["503 no_endpoint"]);
        let panic = resources("http", |cluster| {
            cluster.discovery = Discovery::Static(Arc::new(ill()));
            cluster.spread.panic_below = 50;
        });
        assert_eq!(answers(&bench(&panic), 1).await, ["one"]);
    });
}

#[test]
fn a_control_plane_may_drop_what_is_too_much() {
    over_both_families(async || {
        let one = Server::named(Version::One, "one").await;
        let dropping = |dropped_per_million| ClusterLoadAssignment {
            policy: Policy {
                dropped_per_million,
                ..Policy::default()
            },
            ..assignment(vec![well(one.address, 0)])
        };
        let all = bench(&carried("http", dropping(1_000_000)));
        assert_eq!(answers(&all, 3).await, vec!["503 overloaded"; 3]);
        assert_eq!(one.accepted(), 0);
        let half = answers(&bench(&carried("http", dropping(500_000))), 400).await;
        let served = half.iter().filter(|answer| *answer == "one").count();
        assert!((140..260).contains(&served), "{served} of 400");

        let opaque = bench(&carried("tcp", dropping(1_000_000)));
        assert!(opaque.http1().await.rest().await.is_err(), "reset");
    });
}

#[test]
fn names_are_served_by_the_addresses_that_they_were_resolved_to() {
    over_both_families(async || {
        let one = Server::named(Version::One, "one").await;
        let host = Host {
            name: Arc::from("one.test"),
            port: one.address.port(),
        };
        let hosts = ClusterLoadAssignment {
            cluster: "web".to_owned(),
            endpoints: vec![Endpoint {
                address: host,
                weight: NonZeroU32::MIN,
                health: HealthStatus::Healthy,
                place: Arc::default(),
            }],
            policy: Policy::default(),
        };
        let dns = Arc::new(Dns {
            assignment: format!("{RESOLVED}web"),
            answers: Answers::Every,
            family: LookupFamily::All,
            timing: Timing {
                refresh: Duration::from_secs(5),
                jitter: Duration::ZERO,
                failure: None,
            },
            hosts,
        });
        let mut resources = resources("http", |cluster| cluster.discovery = Discovery::Dns(Arc::clone(&dns)));
        let bench = bench(&resources);
        assert_eq!(answers(&bench, 1).await, ["503 no_endpoint"], "not resolved yet");
        let ips: [IpAddr; 1] = [one.address.ip()];
        resources.assignments.push(dns.resolved([ips.as_slice()]));
        bench.enforce(&resources);
        assert_eq!(answers(&bench, 2).await, ["one", "one"]);
    });
}

#[test]
fn an_original_destination_may_have_another_port() {
    over_both_families(async || {
        let (one, dead) = (Server::named(Version::One, "one").await, nobody());
        let mut resources = mesh::load("").unwrap().resources;
        for cluster in &mut resources.clusters {
            cluster.discovery = Discovery::OriginalDestination(OriginalDestination {
                header: None,
                port: NonZeroU16::new(one.address.port()),
            });
        }
        let bench = bench(&resources);
        let mut client = Wire::new(bench.connect_to(dead.address).await);
        assert_eq!(answer(&mut client).await, "one");
    });
}

#[test]
fn a_request_may_name_its_destination_where_the_configuration_says_by_which_field() {
    over_both_families(async || {
        for version in [Version::One, Version::Two] {
            let (one, other) = (
                Server::named(Version::One, "one").await,
                Server::named(Version::One, "other").await,
            );
            for (header, expected) in [(Some("x-where"), "one"), (None, "other")] {
                let mut resources = resources("http", |cluster| {
                    cluster.discovery = Discovery::OriginalDestination(OriginalDestination {
                        header: header.map(str::to_owned),
                        port: None,
                    });
                });
                for listener in resources.listeners.iter_mut().filter(|listener| !listener.bind) {
                    listener.addresses = vec![other.address];
                }
                let stream = bench(&resources).connect_to(other.address).await;
                let said = if version == Version::One {
                    let mut client = Wire::new(stream);
                    let get = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Where: {}\r\n\r\n", one.address);
                    client.send(get).await;
                    client.message().await.text().to_owned()
                } else {
                    let mut get = two::get("/");
                    let value = one.address.to_string().parse().unwrap();
                    get.headers_mut().insert("x-where", value);
                    let (response, _) = Two::new(stream).await.open(get, true).await;
                    let answer = two::whole(response.await.unwrap()).await.unwrap();
                    String::from_utf8(answer.into_body().bytes.to_vec()).unwrap()
                };
                assert_eq!(said, expected, "{version:?}, {header:?}");
            }
        }
    });
}

#[test]
fn a_connection_carries_so_many_requests_and_no_more() {
    over_both_families(async || {
        for (version, protocol) in [(Version::One, "http"), (Version::Two, "http2")] {
            let server = Server::named(version, "one").await;
            let worn = resources(protocol, |cluster| {
                cluster.discovery = Discovery::Static(Arc::new(assignment(vec![well(server.address, 0)])));
                cluster.http.max_requests = NonZeroU32::new(3);
            });
            assert_eq!(answers(&bench(&worn), 9).await, vec!["one"; 9], "{protocol}");
            assert_eq!(server.accepted(), 3, "{protocol}");
        }
    });
}

#[test]
fn a_change_of_endpoints_ends_the_use_of_connections_where_that_is_asked_for() {
    over_both_families(async || {
        for (closes, expected) in [(false, 1), (true, 2)] {
            let (one, dead) = (Server::named(Version::One, "one").await, nobody());
            let with = |endpoints| {
                resources("http", |cluster| {
                    cluster.discovery = Discovery::Static(Arc::new(assignment(endpoints)));
                    cluster.spread.close_on_change = closes;
                })
            };
            let bench = bench(&with(vec![well(one.address, 0)]));
            assert_eq!(answers(&bench, 2).await, ["one", "one"]);
            bench.enforce(&with(vec![well(one.address, 0), well(dead.address, 1)]));
            assert_eq!(answers(&bench, 2).await, ["one", "one"]);
            assert_eq!(one.accepted(), expected);
        }
    });
}
