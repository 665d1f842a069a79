//! The chart as it is rendered: its Deployment is started as a kubelet starts it, is asked what its probes ask, is reached at the
//! addresses, ports and paths that its Service and its webhook configuration say, and its test passes.

use std::os::unix::process::ExitStatusExt;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::helm;
use evenkeel_tests::http;
use evenkeel_tests::kubelet::Probe;
use evenkeel_tests::kubelet::Running;
use evenkeel_tests::kubernetes::ApiServer;
use evenkeel_tests::kubernetes::chart::NAMESPACE;
use evenkeel_tests::kubernetes::control::ControlPlane;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::wait;
use serde_json::Value;
use serde_json::json;

use crate::world::DEADLINE;
use crate::world::SHOP;
use crate::world::idle;
use crate::world::start_idle;

/// A cluster whose namespace `shop` asks for proxies, and the chart with these values in it.
struct Site {
    api: ApiServer,
    control: ControlPlane,
    cluster: Cluster,
}

// === impl Site ===

impl Site {
    /// Whose control plane is starting.
    fn begin(family: Family, values: &Value, prepare: impl FnOnce(&ApiServer)) -> Result<Self> {
        let cluster = Cluster::new()?;
        let api = ApiServer::start(&cluster.pod("api")?, family)?;
        let shop = object::namespace(SHOP, &[("evenkeel.io/injection", "enabled")]);
        api.put([shop, object::node("node-a", "zone-a")]);
        prepare(&api);
        let control = ControlPlane::begin(&cluster.pod("control")?, &api, values)?;
        Ok(Self { api, control, cluster })
    }

    fn new(family: Family, values: &Value) -> Result<Self> {
        let site = Self::begin(family, values, |_| {})?;
        site.control.await_ready()?;
        site.control.await_trusted(&site.api)?;
        Ok(site)
    }
}

#[test]
fn the_program_is_started_as_the_deployment_says_and_may_do_nothing() -> Result<()> {
    let site = Site::new(Family::V4, &json!({}))?;
    let process = site.control.process()?;
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", process.pid()))?;
    let words: Vec<_> = line.trim_end_matches('\0').split('\0').collect();
    let deployment = site
        .control
        .chart()
        .objects()
        .iter()
        .find(|object| object["kind"] == "Deployment");
    let spec = &deployment.context("a Deployment")?["spec"]["template"]["spec"];
    let arguments = spec["containers"][0]["args"].as_array().context("arguments")?;
    ensure!(
        words[0] == "evenkeel-control" && words[1..] == arguments[..],
        "{words:?}"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let uid = &spec["securityContext"]["runAsUser"];
    for line in [
        &*format!("Uid:\t{uid}\t"),
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        ensure!(status.contains(line), "{line}: {status}");
    }
    Ok(())
}

#[test]
fn it_lives_at_once_and_is_ready_when_it_knows_the_cluster_which_is_what_helms_test_waits_for() -> Result<()> {
    for family in Family::BOTH {
        let site = Site::begin(family, &json!({}), ApiServer::hold)?;
        wait::until(DEADLINE, || {
            site.control.probe(Probe::Liveness).ok().filter(|&green| green)
        })?;
        ensure!(!site.control.probe(Probe::Readiness)?);
        // `helm test`, by the chart's own pod and command.
        let mut objects = site.control.chart().objects().iter();
        let hook = objects.find(|object| object["metadata"]["annotations"]["helm.sh/hook"] == "test");
        let pod = site.cluster.pod("helm-test")?;
        let hosts = site.control.chart().hosts();
        let test = Running::start(&pod, hook.context("a test")?, &site.api, &hosts)?;
        ensure!(!site.control.probe(Probe::Readiness)? && test.process("await")?.ended()?.is_none());
        site.api.release();
        let status = test.process("await")?.wait(DEADLINE)?;
        ensure!(status.success(), "{status}: {}", test.process("await")?.said());
        site.control.await_ready()?;
    }
    Ok(())
}

#[test]
fn a_pod_is_admitted_through_the_service_and_its_proxy_served_there() -> Result<()> {
    for (family, values) in [
        (Family::V4, json!({})),
        (Family::V6, helm::file("values-ha.yaml")?),
        (
            Family::V4,
            json!({"webhook": {"failurePolicy": "Ignore"}, "clusterDomain": "mesh.example"}),
        ),
    ] {
        let site = Site::new(family, &values)?;
        let pod = start_idle(&site.cluster, &site.api, &site.control, "web-0", "node-a")?;
        ensure!(pod.probe("evenkeel-proxy", Probe::Readiness)?);
        let connected =
            |metrics: &evenkeel_tests::metrics::Metrics| metrics.value("evenkeel_control_streams", &[]) >= 1.0;
        site.control.wait_for_metrics(connected)?;
        // Whatever the Service leads to is there.
        let service = site
            .api
            .find("services", NAMESPACE, "evenkeel-control")
            .context("the Service")?;
        for port in service["spec"]["ports"].as_array().context("ports")? {
            let number = u16::try_from(port["port"].as_u64().context("a number")?)?;
            let at = std::net::SocketAddr::new(site.control.chart().vip(), number);
            pod.pod().connect(at).with_context(|| format!("{port}"))?;
            if port["appProtocol"] == "http" {
                ensure!(http::get(pod.pod(), at, "/ready")?.status == 200, "{port}");
            }
        }
        // Nothing of the cluster's own, nor of ours, is ever asked about.
        for excluded in ["kube-system", NAMESPACE] {
            site.api
                .put([object::namespace(excluded, &[("evenkeel.io/injection", "enabled")])]);
            let mut object = idle("web-1", pod.pod());
            object["metadata"]["namespace"] = json!(excluded);
            object["metadata"]["labels"]["evenkeel.io/inject"] = json!("true");
            let admitted = site.api.admit(object)?;
            ensure!(admitted.calls == 0, "{excluded}: {admitted:?}");
        }
    }
    Ok(())
}

#[test]
fn without_the_control_plane_pods_are_made_as_the_failure_policy_says() -> Result<()> {
    for policy in ["Fail", "Ignore"] {
        let site = Site::new(Family::V4, &json!({"webhook": {"failurePolicy": policy}}))?;
        site.control.kill();
        let object = idle("web-0", &site.cluster.pod("web-0")?);
        let admitted = site.api.admit(object.clone());
        match policy {
            "Fail" => ensure!(admitted.is_err(), "{admitted:?}"),
            _ => ensure!(
                admitted.as_ref().is_ok_and(|admitted| admitted.pod == object),
                "{admitted:?}"
            ),
        }
    }
    Ok(())
}

#[test]
fn a_replica_that_is_told_to_end_is_not_ready_and_ends_in_the_time_that_it_has() -> Result<()> {
    let site = Site::new(Family::V4, &json!({}))?;
    let process = site.control.process()?;
    process.signal(nix::sys::signal::Signal::SIGTERM)?;
    wait::until(DEADLINE, || {
        site.control.probe(Probe::Readiness).ok().filter(|&green| !green)
    })?;
    let status = process.wait(DEADLINE)?;
    ensure!(
        status.success() && status.signal().is_none(),
        "{status}: {}",
        process.said()
    );
    Ok(())
}
