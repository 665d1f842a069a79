//! What the control plane writes to the API server: conditions, Events, and the Lease that says which replica does.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::binaries;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::helm;
use evenkeel_tests::kubernetes::ApiServer;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::process::Process;
use evenkeel_tests::rbac::Rights;
use evenkeel_tests::wait;
use hyper::StatusCode;
use nix::sys::signal::Signal;
use serde_json::Value;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(30);
const SYSTEM: &str = "evenkeel-system";
const ROUTE: &str = "httproutes";

/// An API server with the Service `shop/web`, and room for replicas of the control plane.
struct Stage {
    cluster: Cluster,
    api: ApiServer,
}

impl Stage {
    fn new() -> Result<Self> {
        let cluster = Cluster::new()?;
        let api = ApiServer::start(&cluster.pod("api")?, Family::V4)?;
        api.put([service("web"), service("web-v2")]);
        Ok(Self { cluster, api })
    }

    /// A replica in a pod of its own, once it knows the cluster; it ends with its pod.
    fn replica(&self, name: &str) -> Result<(Pod, Process)> {
        let pod = self.cluster.pod(name)?;
        let process = self.start(&pod, name)?;
        Ok((pod, process))
    }

    fn start(&self, pod: &Pod, name: &str) -> Result<Process> {
        let kubeconfig = pod.folder()?.join("kubeconfig");
        std::fs::write(&kubeconfig, self.api.kubeconfig(name))?;
        self.api.bind(name, Rights::of(&helm::render(&json!({}))?));
        let mut command = pod.command(binaries::path("evenkeel-control")?);
        command.args(["run", "--plaintext-listen", "127.0.0.1:15010"]);
        command.env("KUBECONFIG", kubeconfig);
        command.env("POD_NAME", name).env("POD_NAMESPACE", SYSTEM);
        let process = pod.spawn(command)?;
        process.wait_for_line("the cluster is known", DEADLINE)?;
        Ok(process)
    }

    fn holder(&self) -> Option<String> {
        let lease = self.api.find("leases", SYSTEM, "evenkeel-control")?;
        lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
    }

    fn held_by(&self, name: &str) -> Result<()> {
        let held = wait::until(DEADLINE, || self.holder().filter(|holder| holder == name));
        held.map(drop)
            .with_context(|| format!("the lease: {:?}", self.holder()))
    }

    /// Waits until a route has this reason at its condition `Accepted`, of ours.
    fn accepted(&self, route: &str, reason: &str) -> Result<Value> {
        self.api.wait_for(ROUTE, "shop", route, |route| {
            said(route, "Accepted")["reason"] == reason
        })
    }

    /// What was sent.
    fn patches(&self, route: &str) -> Vec<Value> {
        let requests = self.api.requests().into_iter();
        let of = requests.filter(|request| request.verb == "patch" && request.name.as_deref() == Some(route));
        of.map(|request| request.body).collect()
    }
}

fn service(name: &str) -> Value {
    object::service("shop", name, &[Family::V4.vip(10)], &[object::port("http", 80, 8080)])
}

fn route(name: &str) -> Value {
    object::http_route(
        "shop",
        name,
        "web",
        &json!([{"backendRefs": [{"name": "web-v2", "port": 80}]}]),
    )
}

/// A condition that we have written.
fn said(route: &Value, condition: &str) -> Value {
    let parents = route["status"]["parents"].as_array().into_iter().flatten();
    let mut ours = parents.filter(|parent| parent["controllerName"] == "evenkeel.io/control");
    let conditions = ours.next().and_then(|parent| parent["conditions"].as_array());
    let mut conditions = conditions.into_iter().flatten();
    conditions
        .find(|it| it["type"] == condition)
        .cloned()
        .unwrap_or_default()
}

#[test]
fn a_route_is_told_what_became_of_it_and_entries_of_others_stay() -> Result<()> {
    let stage = Stage::new()?;
    let other = json!({"parentRef": {"name": "gateway"}, "controllerName": "example.com/other", "conditions": []});
    let mut shared = route("shared");
    shared["status"] = json!({"parents": [other]});
    stage.api.put([shared]);
    let _replica = stage.replica("control-1")?;
    let shared = stage.accepted("shared", "Accepted")?;
    assert_eq!(shared["status"]["parents"][0], other);
    assert_eq!(said(&shared, "ResolvedRefs")["status"], "True");
    assert_eq!(
        said(&shared, "Accepted")["observedGeneration"],
        shared["metadata"]["generation"]
    );

    stage.api.delete("services", "shop", "web");
    let shared = stage.accepted("shared", "NoMatchingParent")?;
    assert_eq!(shared["status"]["parents"][0], other);
    stage.api.edit(ROUTE, "shop", "shared", |route| {
        route["spec"]["parentRefs"] = json!([{"name": "gateway"}]);
    });
    let left = |route: &Value| route["status"]["parents"] == json!([other]);
    stage.api.wait_for(ROUTE, "shop", "shared", left)?;
    Ok(())
}

#[test]
fn nothing_is_written_that_is_there_already() -> Result<()> {
    let stage = Stage::new()?;
    stage.api.put([route("first")]);
    let pod = stage.cluster.pod("control-1")?;
    let first = stage.start(&pod, "control-1")?;
    let told = stage.accepted("first", "Accepted")?;
    assert_eq!(stage.patches("first").len(), 1);
    first.signal(Signal::SIGKILL)?;
    first.wait(DEADLINE)?;
    // The same pod begins anew: it leads at once, and looks at everything.
    let _again = stage.start(&pod, "control-1")?;
    stage.api.put([route("second")]);
    stage.accepted("second", "Accepted")?;
    assert_eq!(stage.patches("first").len(), 1);
    assert_eq!(stage.api.find(ROUTE, "shop", "first"), Some(told));
    Ok(())
}

#[test]
fn a_write_that_fails_is_tried_again_and_holds_nobody_up() -> Result<()> {
    let stage = Stage::new()?;
    let _replica = stage.replica("control-1")?;
    stage.held_by("control-1")?;
    stage.api.refuse("patch", "httproutes/status", StatusCode::CONFLICT);
    stage
        .api
        .put([route("first"), policy("slow", &json!({"retryBudget": {"percent": 20}}))]);
    let policy = stage.api.wait_for("trafficpolicies", "shop", "slow", |policy| {
        policy["status"]["ancestors"][0]["conditions"][0]["reason"] == "UnsupportedValue"
    })?;
    let ancestor = &policy["status"]["ancestors"][0];
    assert_eq!(
        ancestor["conditions"][0]["message"],
        "spec.retryBudget: is not supported yet"
    );
    assert_eq!(ancestor["ancestorRef"]["name"], "web");
    let tried = wait::until(DEADLINE, || {
        Some(stage.patches("first").len()).filter(|count| *count >= 2)
    });
    tried.context("a conflict is tried again at once")?;
    let first = stage.api.find(ROUTE, "shop", "first").context("it is there")?;
    assert_eq!(first["status"], Value::Null);
    // What others write between our look and our write is a conflict, too: each write says what it has seen.
    for patch in stage.patches("first") {
        assert_eq!(
            patch["metadata"]["resourceVersion"],
            first["metadata"]["resourceVersion"]
        );
    }
    stage.api.allow();
    stage.accepted("first", "Accepted")?;
    Ok(())
}

#[test]
fn one_replica_writes_and_another_goes_on_when_it_ends() -> Result<()> {
    let stage = Stage::new()?;
    let (_pod, first) = stage.replica("control-1")?;
    stage.held_by("control-1")?;
    let _second = stage.replica("control-2")?;
    stage.api.put([route("first")]);
    stage.accepted("first", "Accepted")?;
    let writers = |stage: &Stage| {
        let requests = stage.api.requests().into_iter();
        let patches = requests.filter(|request| request.verb == "patch");
        patches.filter_map(|request| request.who).collect::<Vec<_>>()
    };
    assert_eq!(writers(&stage), ["control-1"]);
    first.signal(Signal::SIGTERM)?;
    stage.held_by("control-2")?;
    stage.api.put([route("second")]);
    stage.accepted("second", "Accepted")?;
    assert_eq!(writers(&stage), ["control-1", "control-2"]);
    Ok(())
}

#[test]
fn a_service_that_cannot_be_understood_gets_one_event() -> Result<()> {
    let stage = Stage::new()?;
    let mut odd = service("odd");
    odd["metadata"]["annotations"] = json!({"evenkeel.io/protocol": "smoke-signals"});
    stage.api.put([odd]);
    let _replica = stage.replica("control-1")?;
    let events = || {
        let events = stage.api.all("events").into_iter();
        let about = events.filter(|event| event["regarding"]["name"] == "odd");
        Some(about.collect::<Vec<_>>()).filter(|events| !events.is_empty())
    };
    let event = wait::until(DEADLINE, events).context("an Event")?.remove(0);
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["regarding"]["kind"], "Service");
    assert_eq!(event["metadata"]["namespace"], "shop");
    let note = event["note"].as_str().unwrap_or_default();
    assert!(
        note.starts_with("metadata.annotations[evenkeel.io/protocol]: "),
        "{note}"
    );
    // Something else that is written later shows that nothing more came of it.
    stage.api.edit("services", "shop", "odd", |service| {
        service["metadata"]["labels"] = json!({"a": "b"});
    });
    stage.api.put([route("first")]);
    stage.accepted("first", "Accepted")?;
    assert_eq!(events().map(|events| events.len()), Some(1));
    Ok(())
}

fn policy(name: &str, spec: &Value) -> Value {
    let mut policy = json!({
        "apiVersion": "evenkeel.io/v1alpha1", "kind": "TrafficPolicy",
        "metadata": {"namespace": "shop", "name": name},
        "spec": spec,
    });
    policy["spec"]["targetRefs"] = json!([{"group": "", "kind": "Service", "name": "web"}]);
    policy
}
