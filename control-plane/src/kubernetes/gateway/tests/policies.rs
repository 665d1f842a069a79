//! Which policy is in force where.

use super::*;
use evenkeel_control_api::mesh::model::TrafficLimits;
use evenkeel_control_api::resource::cluster::Algorithm;
use std::time::Duration;

fn policy(name: &str, year: u32, target: &str, rest: &str) -> String {
    format!(
        "kind: TrafficPolicy\nmetadata: {{name: {name}, namespace: shop, creationTimestamp: '{year}-01-01T00:00:00Z'}}\nspec:\n  targetRefs: [{{{target}}}]\n  {rest}\n"
    )
}

fn in_force(policies: &[String]) -> (Vec<Algorithm>, Vec<String>) {
    let (service, found) = attached(&world(&policies.join("---\n")), &web());
    (service.ports.iter().map(|port| port.algorithm).collect(), said(&found))
}

#[test]
fn a_policy_says_how_a_service_is_balanced_and_its_limits() {
    let rest = "limits: {connectTimeout: 500ms, downstreamIdle: 'off', headerBytes: 131072, keepalive: {idle: 20s}, http2: {streamWindow: 65535}}";
    let yaml = policy("p", 2020, "name: web", rest);
    let (service, found) = attached(&world(&yaml), &web());
    assert_eq!(said(&found), ["p Accepted=True/Accepted"]);
    let mut limits = TrafficLimits {
        connect_timeout: Duration::from_millis(500),
        downstream_idle: None,
        header_bytes: 128 << 10,
        ..TrafficLimits::default()
    };
    limits.tcp.keepalive_idle = Duration::from_secs(20);
    limits.http2.stream_window = 65_535;
    assert_eq!(service.ports[0].limits, limits);
    assert_eq!(service.ports[1].limits, limits);
    let choices = 5.try_into().unwrap();
    for (balancer, algorithm) in [
        ("{}", Algorithm::PeakEwma),
        ("{algorithm: peak_ewma}", Algorithm::PeakEwma),
        ("{algorithm: round_robin}", Algorithm::RoundRobin),
        ("{algorithm: random}", Algorithm::Random),
        (
            "{algorithm: least_request, choices: 5}",
            Algorithm::LeastRequest { choices },
        ),
    ] {
        let (algorithms, _) = in_force(&[policy("p", 2020, "name: web", &format!("balancer: {balancer}"))]);
        assert_eq!(algorithms, [algorithm; 2], "{balancer}");
    }
}

#[test]
fn the_oldest_is_in_force_and_the_other_says_so() {
    let (algorithms, said) = in_force(&[
        policy("a", 2021, "name: web", "balancer: {algorithm: random}"),
        policy("b", 2020, "name: web", "balancer: {algorithm: round_robin}"),
    ]);
    assert_eq!(algorithms, [Algorithm::RoundRobin; 2]);
    let conflict = "a Accepted=False/Conflicted: the older policy shop/b is for the same target";
    assert_eq!(said, ["b Accepted=True/Accepted", conflict]);
}

#[test]
fn a_policy_for_a_port_goes_before_one_for_the_service_whatever_their_age() {
    for (whole, port) in [(2020, 2021), (2021, 2020)] {
        let (algorithms, said) = in_force(&[
            policy("a", whole, "name: web", "balancer: {algorithm: random}"),
            policy(
                "b",
                port,
                "name: web, sectionName: admin",
                "balancer: {algorithm: round_robin}",
            ),
        ]);
        assert_eq!(algorithms, [Algorithm::Random, Algorithm::RoundRobin]);
        assert!(
            said.iter().all(|line| line.ends_with("Accepted=True/Accepted")),
            "{said:?}"
        );
    }
}

#[test]
fn nothing_of_a_policy_that_cannot_be_done_is_used() {
    for (rest, fault) in [
        ("retryBudget: {percent: 20}", "spec.retryBudget: is not supported yet"),
        (
            "outlierDetection: {consecutiveFailures: 5}",
            "spec.outlierDetection: is not supported yet",
        ),
        (
            "balancer: {algorithm: random, choices: 3}",
            "spec.balancer.choices: belongs to the algorithm least_request only",
        ),
        (
            "balancer: {algorithm: least_request, choices: 1}",
            "spec.balancer.choices: 1 is not in 2 to 100",
        ),
        ("balancer: {algorithm: maglev}", "spec: unknown variant `maglev`"),
        ("magic: 1", "spec: unknown field `magic`"),
        (
            "limits: {connectTimeout: 0s}",
            "spec.limits.connectTimeout: 0s is not in 1ms to 2073600s",
        ),
        (
            "limits: {connectTimeout: soon}",
            "spec.limits.connectTimeout: \"soon\" is no duration such as 500ms, 4s or 1h30m",
        ),
        (
            "limits: {headerBytes: 1025}",
            "spec.limits.headerBytes: must be a whole number of KiB",
        ),
        (
            "limits: {headerBytes: 1023}",
            "spec.limits.headerBytes: 1023 is not in 1024 to 8388608",
        ),
        (
            "limits: {keepalive: {idle: 1500ms}}",
            "spec.limits.keepalive.idle: must be a whole number of seconds",
        ),
        (
            "limits: {http2: {streamWindow: 1}}",
            "spec.limits.http2.streamWindow: 1 is not in 65535 to 2147483647",
        ),
        (
            "limits: {requestsPerConnection: 0}",
            "spec.limits.requestsPerConnection: 0 is not in 1 to 4294967295",
        ),
    ] {
        let (algorithms, said) = in_force(&[
            policy("bad", 2020, "name: web", rest),
            policy("good", 2021, "name: web", "balancer: {algorithm: random}"),
        ]);
        let start = format!("bad Accepted=False/UnsupportedValue: {fault}");
        assert!(said[0].starts_with(&start), "{}", said[0]);
        assert_eq!(said[1], "good Accepted=True/Accepted", "it stands in nobody's way");
        assert_eq!(algorithms, [Algorithm::Random; 2]);
    }
}

#[test]
fn a_target_that_is_not_there_is_named() {
    for (service, target, fault) in [
        (
            "web",
            "name: web, sectionName: grpc",
            "TargetNotFound: the Service shop/web has no such TCP port",
        ),
        ("gone", "name: gone", "TargetNotFound: there is no Service shop/gone"),
        (
            "outside",
            "name: outside",
            "UnsupportedValue: the Service shop/outside is an ExternalName",
        ),
    ] {
        let yaml = policy("p", 2020, target, "balancer: {algorithm: random}");
        let (_, found) = attached(&world(&yaml), &Key::new("shop", service));
        assert_eq!(said(&found), [format!("p Accepted=False/{fault}")]);
    }
}
