//! The rights that the chart gives the control plane: it needs each of them. That none is missing is seen to by every test here:
//! the API server serves the control plane as far as the chart's roles go, and what goes beyond fails the test.

use std::collections::BTreeSet;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubernetes::ApiServer;
use evenkeel_tests::kubernetes::chart::NAMESPACE;
use evenkeel_tests::kubernetes::control::ControlPlane;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::rbac::Grant;
use evenkeel_tests::rbac::Rights;
use evenkeel_tests::wait;
use k8s_openapi::ByteString;
use serde_json::Value;
use serde_json::json;

use crate::world::DEADLINE;
use crate::world::SHOP;
use crate::world::start_idle;

/// The Secret that the control plane makes.
const OWN: &str = "evenkeel-control-tls";
/// One that somebody else writes.
const GIVEN: &str = "from-vault";
const WEBHOOKS: &str = "evenkeel-injector";

/// A cluster with something to tell of each kind that is told of: a route of each kind, a policy, and a Service that is wrong.
fn cluster(api: &ApiServer) {
    let mut wrong = object::service(SHOP, "wrong", &[Family::V4.vip(11)], &[object::port("http", 80, 8080)]);
    wrong["metadata"]["annotations"] = json!({"evenkeel.io/protocol": "80=htp"});
    let parent = json!([{"group": "", "kind": "Service", "name": "web"}]);
    let route = |version: &str, kind: &str| {
        json!({
            "apiVersion": format!("gateway.networking.k8s.io/{version}"), "kind": kind,
            "metadata": {"namespace": SHOP, "name": "route"},
            "spec": {"parentRefs": parent, "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
        })
    };
    api.put([
        object::namespace(SHOP, &[("evenkeel.io/injection", "enabled")]),
        object::node("node-a", "zone-a"),
        object::service(SHOP, "web", &[Family::V4.vip(10)], &[object::port("http", 80, 8080)]),
        wrong,
        route("v1", "HTTPRoute"),
        route("v1", "GRPCRoute"),
        route("v1", "TLSRoute"),
        route("v1alpha2", "TCPRoute"),
        json!({
            "apiVersion": "evenkeel.io/v1alpha1", "kind": "TrafficPolicy",
            "metadata": {"namespace": SHOP, "name": "policy"}, "spec": {"targetRefs": parent},
        }),
    ]);
}

/// Waits until everything was asked for that the control plane may ask for.
fn everything_is_used(api: &ApiServer, control: &ControlPlane) -> Result<()> {
    let rights = Rights::of(control.chart().objects());
    let unused = || {
        let requests = api.requests();
        let made = requests.iter().filter(|request| control.made(request));
        let used: BTreeSet<&Grant> = made.flat_map(|request| rights.serving(request)).collect();
        let unused = rights.grants().iter().filter(|grant| !used.contains(grant));
        unused.map(Grant::to_string).collect::<Vec<_>>()
    };
    let all = wait::until(DEADLINE, || unused().is_empty().then_some(()));
    all.with_context(|| format!("never used: {:#?}", unused()))
}

/// The Secret with the certificate; the authority in it is in PEM.
fn certificate(api: &ApiServer, name: &str) -> Result<(Value, String)> {
    let secret = api.wait_for("secrets", NAMESPACE, name, |secret| {
        secret["data"]["ca.crt"].is_string()
    })?;
    let authority: ByteString = serde_json::from_value(secret["data"]["ca.crt"].clone())?;
    Ok((secret, String::from_utf8(authority.0)?))
}

#[test]
fn the_control_plane_needs_every_right_that_the_chart_gives_it() -> Result<()> {
    let nodes = Cluster::new()?;
    let api = ApiServer::start(&nodes.pod("api")?, Family::V4)?;
    cluster(&api);
    let control = ControlPlane::start(&nodes.pod("control")?, &api)?;
    control.await_trusted(&api)?;
    let _pod = start_idle(&nodes, &api, &control, "client", "node-a")?;
    // A certificate that cannot be used any more is made anew.
    let (secret, _) = certificate(&api, OWN)?;
    api.edit("secrets", NAMESPACE, OWN, |secret| {
        secret["data"]["tls.crt"] = json!("");
    });
    let is_new = |now: &Value| now["data"]["tls.crt"] != "" && now["data"]["tls.crt"] != secret["data"]["tls.crt"];
    api.wait_for("secrets", NAMESPACE, OWN, is_new)?;
    everything_is_used(&api, &control)
}

#[test]
fn with_a_certificate_of_somebody_else_it_needs_every_right_as_well() -> Result<()> {
    // What a control plane makes for itself is as good as anybody's.
    let nodes = Cluster::new()?;
    let api = ApiServer::start(&nodes.pod("api")?, Family::V4)?;
    let maker = ControlPlane::start(&nodes.pod("maker")?, &api)?;
    let (mut secret, authority) = certificate(&api, OWN)?;
    drop(maker);
    if let Some(data) = secret["data"].as_object_mut() {
        data.remove("ca.key");
    }
    let given = json!({"mode": "secret", "secretName": GIVEN, "caBundle": authority});
    for (name, certificates) in [(GIVEN, given), (OWN, json!({"mode": "certManager"}))] {
        let nodes = Cluster::new()?;
        let api = ApiServer::start(&nodes.pod("api")?, Family::V4)?;
        cluster(&api);
        secret["metadata"] = json!({"namespace": NAMESPACE, "name": name});
        api.put([secret.clone()]);
        let control = ControlPlane::begin(&nodes.pod("control")?, &api, &json!({"certificates": certificates}))?;
        control.await_ready()?;
        if name == OWN {
            // As cert-manager does, which the annotation asks for it.
            let bundle = secret["data"]["ca.crt"].clone();
            api.edit("mutatingwebhookconfigurations", "", WEBHOOKS, |configuration| {
                let webhooks = configuration["webhooks"].as_array_mut().into_iter().flatten();
                webhooks.for_each(|webhook| webhook["clientConfig"]["caBundle"] = bundle.clone());
            });
        }
        let _pod = start_idle(&nodes, &api, &control, "client", "node-a")?;
        everything_is_used(&api, &control)?;
        let secrets = api
            .requests()
            .into_iter()
            .filter(|request| request.resource == "secrets");
        let verbs: BTreeSet<_> = secrets.map(|request| request.verb).collect();
        ensure!(verbs == BTreeSet::from(["list", "watch"]), "{verbs:?}");
    }
    Ok(())
}
