//! Assignments.

use super::assignment;
use super::assignment_of;
use super::at;
use super::group;
use super::number;
use super::one;
use super::refused;
use super::seconds;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment as ProtoAssignment;
use envoy_types::pb::envoy::config::endpoint::v3::LbEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LocalityLbEndpoints;
use envoy_types::pb::envoy::config::endpoint::v3::cluster_load_assignment;
use envoy_types::pb::envoy::config::endpoint::v3::cluster_load_assignment::policy::DropOverload;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::Value;
use envoy_types::pb::google::protobuf::value;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::resource::endpoint::HealthStatus;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// `workload` of somebody.
fn metadata(whose: &str, workload: value::Kind) -> core::Metadata {
    let value = Value { kind: Some(workload) };
    let fields = HashMap::from([("workload".to_owned(), value)]);
    core::Metadata {
        filter_metadata: HashMap::from([(whose.to_owned(), Struct { fields })]),
        ..core::Metadata::default()
    }
}

#[test]
fn an_endpoint_is_of_the_workload_that_our_own_metadata_name() {
    let of = |address: &str, workload: value::Kind| LbEndpoint {
        metadata: Some(metadata("evenkeel", workload)),
        ..one(address)
    };
    let text = |text: &str| value::Kind::StringValue(text.to_owned());
    let endpoints = vec![
        of("10.0.0.1", text("web")),
        of("10.0.0.2", text("web")),
        one("10.0.0.3"),
        of("10.0.0.4", value::Kind::NumberValue(1.0)),
        of("10.0.0.5", text(&"x".repeat(254))),
    ];
    let (assignment, notes) = assignment_of(&assignment(vec![group("a", endpoints)]));
    let places: Vec<_> = assignment.endpoints.iter().map(|one| &one.place).collect();
    let workloads: Vec<_> = places.iter().map(|place| &*place.workload).collect();
    assert_eq!(workloads, ["web", "web", "", "", ""]);
    assert!(Arc::ptr_eq(places[0], places[1]) && Arc::ptr_eq(&places[0].group, &places[2].group));
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes
            .iter()
            .all(|note| note.contains("metadata.filter_metadata.evenkeel.workload")),
        "{notes:?}"
    );
}

#[test]
fn endpoints_have_health_priorities_and_weighted_localities() {
    let with_health = |address: &str, health: core::HealthStatus| LbEndpoint {
        health_status: health as i32,
        metadata: Some(metadata("envoy.lb", value::Kind::StringValue("blue".to_owned()))),
        ..one(address)
    };
    let far = LocalityLbEndpoints {
        priority: 2,
        load_balancing_weight: Some(number(9)),
        ..group("b", vec![with_health("10.0.0.4", core::HealthStatus::Draining)])
    };
    let near = vec![
        one("10.0.0.1"),
        with_health("10.0.0.2", core::HealthStatus::Degraded),
        with_health("10.0.0.3", core::HealthStatus::Timeout),
    ];
    let (assignment, notes) = assignment_of(&assignment(vec![group("a", near), far]));
    let found: Vec<_> = assignment
        .endpoints
        .iter()
        .map(|one| {
            let group = &one.place.group;
            (one.health, group.priority, group.locality.zone.as_str(), group.weight)
        })
        .collect();
    let nine = NonZeroU32::new(9);
    let expected = [
        (HealthStatus::Healthy, 0, "a", None),
        (HealthStatus::Degraded, 0, "a", None),
        (HealthStatus::Unhealthy, 0, "a", None),
        (HealthStatus::Unhealthy, 2, "b", nine),
    ];
    assert_eq!(found, expected);
    assert!(Arc::ptr_eq(
        &assignment.endpoints[0].place.group,
        &assignment.endpoints[2].place.group
    ));
    assert_eq!(notes.len(), 3, "metadata is noted: {notes:?}");
}

#[test]
fn endpoints_may_be_named_elsewhere() {
    let by_name = |name: &str| LbEndpoint {
        host_identifier: Some(HostIdentifier::EndpointName(name.to_owned())),
        ..LbEndpoint::default()
    };
    let with = |name: &str| ProtoAssignment {
        named_endpoints: HashMap::from([("one".to_owned(), at("10.0.0.1", 80))]),
        ..assignment(vec![group("a", vec![by_name(name)])])
    };
    assert_eq!(
        assignment_of(&with("one")).0.endpoints[0].address.to_string(),
        "10.0.0.1:80"
    );
    refused(
        Kind::Assignment,
        &with("two"),
        "endpoints[0].lb_endpoints[0].endpoint_name: \"two\" is not among the named endpoints",
    );
}

#[test]
fn overloads_are_dropped_by_parts_of_a_million() {
    let drop = |numerator, denominator| DropOverload {
        category: "storm".to_owned(),
        drop_percentage: Some(FractionalPercent { numerator, denominator }),
    };
    let with = |drop_overloads| ProtoAssignment {
        policy: Some(cluster_load_assignment::Policy {
            drop_overloads,
            overprovisioning_factor: Some(number(200)),
            weighted_priority_health: true,
            endpoint_stale_after: Some(seconds(9)),
        }),
        ..assignment(Vec::new())
    };
    for (numerator, denominator, expected) in [(25, 0, 250_000), (5, 1, 500), (7, 2, 7), (100, 0, 1_000_000)] {
        let (assignment, notes) = assignment_of(&with(vec![drop(numerator, denominator)]));
        assert_eq!(assignment.policy.dropped_per_million, expected);
        assert_eq!(assignment.policy.overprovisioning.get(), 200);
        assert!(assignment.policy.weighted_priority_health);
        assert_eq!(notes, ["policy.endpoint_stale_after"]);
    }
    let refusals = [
        (
            vec![drop(101, 0)],
            "policy.drop_overloads[0].drop_percentage: is more than all",
        ),
        (
            vec![drop(1, 0), drop(1, 0)],
            "policy.drop_overloads: can have one category only",
        ),
    ];
    for (drops, expected) in refusals {
        refused(Kind::Assignment, &with(drops), expected);
    }
}

#[test]
fn weights_and_priorities_have_bounds() {
    let heavy = |address: &str| LbEndpoint {
        load_balancing_weight: Some(number(u32::MAX)),
        ..one(address)
    };
    let apart = assignment(vec![
        group("a", vec![heavy("10.0.0.1")]),
        group("b", vec![heavy("10.0.0.2")]),
    ]);
    assignment_of(&apart);
    let together = assignment(vec![group("a", vec![heavy("10.0.0.1"), heavy("10.0.0.2")])]);
    let sum = "endpoints: the weights add up to 8589934590, more than 4294967295";
    refused(Kind::Assignment, &together, sum);
    let mut localities = apart;
    for group in &mut localities.endpoints {
        group.load_balancing_weight = Some(number(u32::MAX));
    }
    refused(Kind::Assignment, &localities, sum);
    let far = LocalityLbEndpoints {
        priority: 129,
        ..group("a", vec![one("10.0.0.1")])
    };
    refused(
        Kind::Assignment,
        &assignment(vec![far]),
        "endpoints[0].priority: must be from 0 to 128",
    );
    let twice = assignment(vec![
        group("a", vec![one("10.0.0.1")]),
        group("b", vec![one("10.0.0.1")]),
    ]);
    refused(
        Kind::Assignment,
        &twice,
        "endpoints: the address 10.0.0.1:80 is there twice",
    );
}
