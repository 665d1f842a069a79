//! Objects that are wrong: they are told of, and hurt nobody else's.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::wait;
use serde_json::Value;
use serde_json::json;

use crate::routes::condition;
use crate::world::DEADLINE;
use crate::world::PORT;
use crate::world::SHOP;
use crate::world::World;
use crate::world::nothing_failed;

/// The note of an Event about this object.
fn told(world: &World, kind: &str, name: &str) -> Result<String> {
    let found = wait::until(DEADLINE, || {
        let events = world.api.all("events");
        let about = |event: &&Value| event["regarding"]["kind"] == kind && event["regarding"]["name"] == name;
        events.iter().find(about)?["note"].as_str().map(str::to_owned)
    });
    found.with_context(|| format!("no Event about {kind} {name}: {:#?}", world.api.all("events")))
}

fn counted(world: &World, kind: &str) -> Result<()> {
    let refused = |metrics: &evenkeel_tests::metrics::Metrics| {
        metrics.value("evenkeel_control_refused_objects", &[("kind", kind)]) >= 1.0
    };
    world.control.wait_for_metrics(refused).map(drop)
}

/// Waits until the control plane's page has this object, with its reason.
fn is_on_the_page(world: &World, kind: &str, name: &str, reason: &str) -> Result<Value> {
    let found = wait::until(DEADLINE, || {
        let mut refused = world.control.refused().ok()?.into_iter();
        refused.find(|refused| refused["kind"] == kind && refused["name"] == name)
    });
    let found = found.with_context(|| format!("no {kind} {name}: {:#?}", world.control.refused()))?;
    ensure!(found["namespace"] == SHOP && found["reason"] == reason, "{found}");
    let since = found["since"].as_str().unwrap_or_default();
    ensure!(since.ends_with('Z') && found["message"] != "", "{found}");
    Ok(found)
}

/// Whether the status says that it is not taken, and why.
fn is_refused(object: &Value, list: &str) -> bool {
    let accepted = condition(object, list, "Accepted");
    accepted.is_some_and(|accepted| accepted["status"] == "False" && accepted["message"] != "")
}

/// Another service comes, changes, and is reached all the while.
fn others_go_on(world: &World) -> Result<()> {
    world
        .api
        .put([world.service("other", 30), world.slice("other", "other-1", &[0])]);
    world.settles(0, 30, &[0])?;
    world.api.put([world.slice("other", "other-1", &[1])]);
    world.settles(0, 30, &[1])
}

#[test]
fn a_service_with_a_wrong_annotation_is_told_of_and_served() -> Result<()> {
    let world = World::with_clients(Family::V4, 1)?;
    world.settles(0, 10, &[0, 1, 2])?;
    let loads = world.loads()?;
    let mut service = world.service("web", 10);
    service["metadata"]["annotations"] = json!({"evenkeel.io/protocol": "80=htp"});
    world.api.put([service]);
    let note = told(&world, "Service", "web")?;
    ensure!(note.contains("evenkeel.io/protocol") && note.contains("htp"), "{note}");
    let found = is_on_the_page(&world, "Service", "web", "Invalid")?;
    ensure!(found["message"] == note && found["about"].is_null(), "{found}");
    counted(&world, "Service")?;
    others_go_on(&world)?;
    // It is mended, and counts no more.
    let mut service = world.service("web", 10);
    service["metadata"]["annotations"] = json!({});
    world.api.put([service]);
    world
        .control
        .wait_for_metrics(|metrics| metrics.value("evenkeel_control_refused_objects", &[("kind", "Service")]) == 0.0)?;
    ensure!(world.control.refused()?.is_empty());
    nothing_failed(loads)
}

#[test]
fn objects_that_cannot_be_read_are_told_of_and_the_others_are_served() -> Result<()> {
    let world = World::with_clients(Family::V4, 1)?;
    world.settles(0, 10, &[0, 1, 2])?;
    let loads = world.loads()?;
    let mut service = world.service("broken", 31);
    service["spec"]["ports"][0]["port"] = json!("eighty");
    let mut addresses = world.service("nowhere", 32);
    addresses["spec"]["clusterIPs"] = json!(["10.96.0.999"]);
    let tomorrow = json!([{"filters": [{"type": "OfTomorrow"}], "backendRefs": [{"name": "web", "port": PORT}]}]);
    world.api.put([
        service,
        addresses,
        object::http_route(SHOP, "tomorrow", "web", &tomorrow),
    ]);
    told(&world, "Service", "broken")?;
    told(&world, "Service", "nowhere")?;
    world
        .api
        .wait_for("httproutes", SHOP, "tomorrow", |route| is_refused(route, "parents"))?;
    counted(&world, "HTTPRoute")?;
    is_on_the_page(&world, "Service", "broken", "Invalid")?;
    is_on_the_page(&world, "Service", "nowhere", "Invalid")?;
    let route = is_on_the_page(&world, "HTTPRoute", "tomorrow", "UnsupportedValue")?;
    ensure!(
        route["about"]["name"] == "web" && route["service"] == "shop/web",
        "{route}"
    );
    others_go_on(&world)?;
    // Nor do they hurt when everything is listed anew.
    world.api.unseen([world.slice("web", "web-1", &[2])], &[]);
    world.settles(0, 10, &[2])?;
    world.control.kill();
    world.control.restart()?;
    world.control.await_ready()?;
    world.api.put([world.slice("web", "web-1", &[1])]);
    world.settles(0, 10, &[1])?;
    nothing_failed(loads)
}

#[test]
fn a_running_pod_and_a_slice_that_are_wrong_are_told_of_and_the_others_are_served() -> Result<()> {
    let world = World::with_clients(Family::V4, 1)?;
    world.settles(0, 10, &[0, 1, 2])?;
    let loads = world.loads()?;
    let mut pod = object::pod(SHOP, "odd", "odd", &[world.replicas[0].http(world.family).ip()]);
    pod["metadata"]["annotations"] = json!({"evenkeel.io/protocol": "8080=htp"});
    let mut slice = world.slice("web", "web-names", &[]);
    slice["addressType"] = json!("FQDN");
    slice["endpoints"] = json!([{"addresses": ["web.example.com"], "conditions": {"ready": true}}]);
    world.api.put([pod, slice]);
    for (kind, name, part) in [("Pod", "odd", "htp"), ("EndpointSlice", "web-names", "FQDN")] {
        let note = told(&world, kind, name)?;
        ensure!(note.contains(part), "{note}");
        let found = is_on_the_page(&world, kind, name, "Invalid")?;
        ensure!(found["message"] == note, "{found}");
        counted(&world, kind)?;
    }
    // The Service of that slice goes on with its others.
    world.api.put([world.slice("web", "web-1", &[1])]);
    world.settles(0, 10, &[1])?;
    others_go_on(&world)?;
    nothing_failed(loads)
}

#[test]
fn a_policy_that_cannot_be_kept_is_told_of_in_its_status() -> Result<()> {
    let world = World::with_clients(Family::V4, 1)?;
    world.settles(0, 10, &[0, 1, 2])?;
    let loads = world.loads()?;
    let policy = |name: &str, target: &str, spec: Value| {
        let mut policy = json!({
            "apiVersion": "evenkeel.io/v1alpha1", "kind": "TrafficPolicy",
            "metadata": {"namespace": SHOP, "name": name}, "spec": spec,
        });
        policy["spec"]["targetRefs"] = json!([{"group": "", "kind": "Service", "name": target}]);
        policy
    };
    world
        .api
        .put([policy("good", "web", json!({"balancer": {"algorithm": "round_robin"}}))]);
    let good = world.api.wait_for("trafficpolicies", SHOP, "good", |policy| {
        condition(policy, "ancestors", "Accepted").is_some()
    })?;
    ensure!(
        condition(&good, "ancestors", "Accepted").is_some_and(|found| found["status"] == "True"),
        "{good}"
    );
    world
        .api
        .put([policy("wrong", "web", json!({"balancer": {"algorithm": "fastest"}}))]);
    world.api.wait_for("trafficpolicies", SHOP, "wrong", |policy| {
        is_refused(policy, "ancestors")
    })?;
    counted(&world, "TrafficPolicy")?;
    is_on_the_page(&world, "TrafficPolicy", "wrong", "UnsupportedValue")?;
    world.settles(0, 10, &[0, 1, 2])?;
    others_go_on(&world)?;
    nothing_failed(loads)
}
