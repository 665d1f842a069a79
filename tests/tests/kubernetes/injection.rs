//! What the injector makes of pods is started as a kubelet starts it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::mpsc::TryRecvError;
use std::sync::mpsc::channel;
use std::thread;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::http;
use evenkeel_tests::kubelet::Probe;
use evenkeel_tests::kubelet::Running;
use evenkeel_tests::kubernetes::ApiServer;
use evenkeel_tests::kubernetes::control::ControlPlane;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::kubernetes::object::Condition;
use evenkeel_tests::load::Load;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;
use serde_json::json;

use crate::world::DEADLINE;
use crate::world::PORT;
use crate::world::SHOP;
use crate::world::goes_on;
use crate::world::nothing_failed;

/// Where the proxy tells how it is.
pub(crate) const TELEMETRY: u16 = 15020;
/// A namespace whose pods are not injected by themselves.
const PLAIN: &str = "plain";
/// The port of the application.
const APP: u16 = 8080;
/// Native sidecars are known since 1.29.
pub(crate) const NATIVE: u32 = 32;
/// The last that does not know them.
pub(crate) const ORDINARY: u32 = 28;

/// A cluster in which pods are injected.
pub(crate) struct Town {
    pub(crate) cluster: Cluster,
    family: Family,
    pub(crate) api: ApiServer,
    pub(crate) control: ControlPlane,
}

// === impl Town ===

impl Town {
    /// With these values of the chart, in this version of Kubernetes.
    pub(crate) fn new(family: Family, values: &Value, version: u32) -> Result<Self> {
        let cluster = Cluster::new()?;
        let api = ApiServer::start(&cluster.pod("api")?, family)?;
        api.set_version(version);
        let shop = object::namespace(SHOP, &[("evenkeel.io/injection", "enabled")]);
        let plain = object::namespace(PLAIN, &[]);
        api.put([shop, plain, object::node("node-a", "zone-a")]);
        let control = ControlPlane::begin(&cluster.pod("control")?, &api, values)?;
        control.await_ready()?;
        control.await_trusted(&api)?;
        Ok(Self {
            cluster,
            family,
            api,
            control,
        })
    }

    /// A pod of this name, as it was admitted and stored.
    pub(crate) fn created(&self, name: &str) -> Result<(Pod, Value)> {
        let pod = self.cluster.pod(name)?;
        let object = self.stored(written(name, &pod))?;
        Ok((pod, object))
    }

    /// A pod comes in and is stored.
    pub(crate) fn stored(&self, object: Value) -> Result<Value> {
        let admitted = self.api.admit(object)?;
        ensure!(admitted.calls == 1 && admitted.warnings.is_empty(), "{admitted:?}");
        let name = admitted.pod["metadata"]["name"].as_str().context("a name")?.to_owned();
        self.api.put([admitted.pod]);
        self.api.find("pods", SHOP, &name).context("it is there")
    }

    /// Where the Service `web` is asked.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", SocketAddr::new(self.family.vip(10), PORT))
    }

    /// Starts a pod that was created.
    pub(crate) fn start(&self, (pod, object): &(Pod, Value)) -> Result<Running> {
        let running = Running::start(pod, object, &self.api, &self.control.chart().hosts())?;
        running.process("app")?.wait_for_line("is ready", DEADLINE)?;
        Ok(running)
    }

    /// A pod in front of which the Service `web` is, and another that is answered by it.
    pub(crate) fn started(&self) -> Result<(Running, Running)> {
        let web = self.start(&self.created("web-0")?)?;
        let client = self.start(&self.created("client")?)?;
        self.expose(&[("web-0", &web)]);
        wait::until(DEADLINE, || self.answer(&client).ok().filter(|name| name == "web-0"))?;
        Ok((web, client))
    }

    /// The Service `web` in front of these pods.
    pub(crate) fn expose(&self, pods: &[(&str, &Running)]) {
        let endpoints = pods
            .iter()
            .map(|(name, running)| object::endpoint(running.pod().ip(self.family), name, Condition::Ready));
        let endpoints: Vec<_> = endpoints.collect();
        self.api.put([
            object::service(SHOP, "web", &[self.family.vip(10)], &[object::port("http", PORT, APP)]),
            object::slice(SHOP, "web-1", "web", &[object::slice_port("http", APP)], &endpoints),
        ]);
    }

    /// The endpoints that a pod's proxy knows.
    fn endpoints_of(&self, pod: &Running) -> Result<Vec<String>> {
        let page = http::get(self.cluster.node(), pod.pod().at(self.family, TELEMETRY), "/metrics")?;
        let metrics = Metrics::parse(&page.body)?;
        let weights = metrics.series("evenkeel_endpoint_weight", &[]);
        Ok(weights.map(|sample| sample.labels["endpoint"].clone()).collect())
    }

    /// One request from inside a pod to the Service.
    pub(crate) fn answer(&self, from: &Running) -> Result<String> {
        Ok(clients::curl(from.pod(), &["--fail", &self.url()])?
            .trim_end()
            .to_owned())
    }
}

/// A pod in which the `replica` program runs, with probes of its own, as its user wrote it.
pub(crate) fn written(name: &str, pod: &Pod) -> Value {
    let ips = Family::BOTH.map(|family| pod.ip(family));
    let mut object = object::pod(SHOP, name, "web", &ips);
    let run = [
        "replica",
        "--name",
        name,
        "--http",
        "8080",
        "--banner",
        "9000",
        "--control",
        "9100",
    ];
    object["spec"]["containers"][0]["command"] = json!(run);
    object["spec"]["containers"][0]["readinessProbe"] = json!({"httpGet": {"path": "/", "port": "http"}});
    object["spec"]["containers"][0]["livenessProbe"] = json!({"tcpSocket": {"port": "http"}});
    object
}

fn startup(then: &str) -> Value {
    json!({"injection": {"startup": {"wait": "500ms", "then": then}}})
}

#[test]
fn a_pod_whose_control_plane_is_away_passes_everything_through_where_that_is_configured() -> Result<()> {
    for (family, version) in [(Family::V4, NATIVE), (Family::V6, ORDINARY)] {
        let town = Town::new(family, &startup("passthrough"), version)?;
        let replica = town.cluster.replica("r1", 0)?;
        let created = town.created("web-0")?;
        town.control.kill();
        let running = town.start(&created)?;
        let url = format!("http://{}/", replica.http(family));
        ensure!(clients::curl(running.pod(), &["--fail", &url])?.trim_end() == "r1");
        // And from outside, to the application behind the proxy.
        let url = format!("http://{}/", running.pod().at(family, APP));
        ensure!(clients::curl(replica.pod(), &["--fail", &url])?.trim_end() == "web-0");
    }
    Ok(())
}

#[test]
fn a_pod_waits_for_its_control_plane_where_that_is_configured() -> Result<()> {
    for (family, version) in [(Family::V4, NATIVE), (Family::V6, ORDINARY)] {
        let town = Town::new(family, &startup("not_ready"), version)?;
        let created = town.created("web-0")?;
        town.control.kill();
        let telemetry = created.0.at(family, TELEMETRY);
        let (starting, started) = channel();
        thread::scope(|scope| {
            let (town, created) = (&town, &created);
            // The containers die with the thread that started them.
            let pod = scope.spawn(move || {
                let running = town.start(created)?;
                let ready = running.probe("evenkeel-proxy", Probe::Readiness);
                // Nobody listens any more where the test has failed.
                let _ = starting.send(());
                ready
            });
            let refused = || {
                http::get(town.cluster.node(), telemetry, "/ready")
                    .ok()
                    .filter(|page| page.status == 503)
            };
            wait::until(DEADLINE, refused).context("it is not ready")?;
            ensure!(started.try_recv() == Err(TryRecvError::Empty), "the application waits");
            town.control.restart()?;
            ensure!(pod.join().expect("no panic")?, "it is ready");
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn injected_pods_reach_each_other_one_that_ends_costs_no_request_and_probes_see_the_application() -> Result<()> {
    for (family, version) in [(Family::V4, NATIVE), (Family::V6, ORDINARY)] {
        let town = Town::new(family, &json!({}), version)?;
        let (web, client) = town.started()?;
        // A pod that asks its own Service is answered by itself.
        wait::until(DEADLINE, || town.answer(&web).ok().filter(|name| name == "web-0"))?;

        let leaving = town.start(&town.created("web-1")?)?;
        town.expose(&[("web-0", &web), ("web-1", &leaving)]);
        wait::until(DEADLINE, || town.answer(&client).ok().filter(|name| name == "web-1"))?;
        let load = Load::start(client.pod(), SocketAddr::new(family.vip(10), PORT), Spoken::Http1, 100)?;
        goes_on(&load)?;
        town.expose(&[("web-0", &web)]);
        // The application is told to end when its pod is, and this one ends at once: without a mesh, too, it would be gone before
        // everybody has heard of it.
        let left = leaving.pod().at(family, APP).to_string();
        wait::until(DEADLINE, || {
            town.endpoints_of(&client).ok().filter(|known| !known.contains(&left))
        })?;
        leaving.end(DEADLINE)?;
        goes_on(&load)?;
        nothing_failed(vec![load])?;

        for probe in [Probe::Readiness, Probe::Liveness] {
            wait::until(DEADLINE, || web.probe("app", probe).ok().filter(|&green| green))?;
        }
        web.process("app")?.signal(Signal::SIGKILL)?;
        for probe in [Probe::Readiness, Probe::Liveness] {
            wait::until(DEADLINE, || web.probe("app", probe).ok().filter(|&green| !green))?;
        }
        ensure!(
            web.probe("evenkeel-proxy", Probe::Readiness)?,
            "the proxy itself is well"
        );
    }
    Ok(())
}

#[test]
fn only_pods_that_are_to_be_injected_are_changed_and_only_once() -> Result<()> {
    let town = Town::new(Family::V4, &json!({}), NATIVE)?;
    let pod = town.cluster.pod("web-0")?;
    let written = written("web-0", &pod);
    let labelled = |namespace: &str, label: Option<&str>| {
        let mut object = written.clone();
        object["metadata"]["namespace"] = json!(namespace);
        if let Some(label) = label {
            object["metadata"]["labels"]["evenkeel.io/inject"] = json!(label);
        }
        object
    };
    for (namespace, label, injected) in [
        (SHOP, None, true),
        (SHOP, Some("false"), false),
        (PLAIN, None, false),
        (PLAIN, Some("true"), true),
    ] {
        let object = labelled(namespace, label);
        let admitted = town.api.admit(object.clone())?;
        ensure!(
            (admitted.pod != object) == injected,
            "{namespace} {label:?}: {}",
            admitted.pod
        );
        // Asked again, it changes nothing.
        ensure!(
            town.api.admit(admitted.pod.clone())?.pod == admitted.pod,
            "{namespace} {label:?}"
        );
    }
    let mut wrong = labelled(SHOP, None);
    wrong["metadata"]["annotations"] = json!({"evenkeel.io/workers": "many"});
    let refused = town.api.admit(wrong).err().context("it is refused")?.to_string();
    ensure!(refused.contains("evenkeel.io/workers"), "{refused}");
    Ok(())
}

#[test]
fn a_token_of_another_pod_is_refused_and_costs_no_request() -> Result<()> {
    let town = Town::new(Family::V4, &json!({}), NATIVE)?;
    let (web, client) = town.started()?;

    let own = std::fs::read(client.token_file())?;
    for token in [std::fs::read(web.token_file())?, b"made up".to_vec()] {
        std::fs::write(client.token_file(), &token)?;
        town.control.kill();
        town.control.restart()?;
        town.control.await_ready()?;
        town.control
            .wait_for_metrics(|metrics| metrics.value("evenkeel_control_denials_total", &[]) > 0.0)?;
        ensure!(town.answer(&client)? == "web-0", "what is known holds");
    }
    std::fs::write(client.token_file(), own)?;
    // It learns what is new, so it was let in.
    town.expose(&[("client", &client)]);
    wait::until(DEADLINE, || town.answer(&client).ok().filter(|name| name == "client"))?;
    Ok(())
}

#[test]
fn metrics_of_a_pod_say_the_zone_that_it_is_labelled_with() -> Result<()> {
    let labels = ["source_zone", "destination_zone"];
    let values = json!({"injection": {"telemetry": {"metrics": {"labels": labels}}}});
    for (family, version) in [(Family::V4, NATIVE), (Family::V6, ORDINARY)] {
        let town = Town::new(family, &values, version)?;
        let web = town.start(&town.created("web-0")?)?;
        town.expose(&[("web-0", &web)]);
        let (pod, mut object) = town.created("client")?;
        // As the API server does when the pod gets its node; `web-0` is of a cluster that does not.
        object["metadata"]["labels"]["topology.kubernetes.io/zone"] = "zone-a".into();
        let client = town.start(&(pod, object))?;
        wait::until(DEADLINE, || town.answer(&client).ok().filter(|name| name == "web-0"))?;
        for (running, label, zone) in [(&client, labels[0], "zone-a"), (&web, labels[1], "unknown")] {
            let said = wait::until(DEADLINE, || {
                let page = http::get(town.cluster.node(), running.pod().at(family, TELEMETRY), "/metrics").ok()?;
                let page = Metrics::parse(&page.body).ok()?;
                let ours = page.series("evenkeel_requests_total", &[("status", "200")]);
                let said: BTreeSet<_> = ours.map(|sample| sample.labels[label].clone()).collect();
                (!said.is_empty()).then_some(said)
            })?;
            ensure!(said.iter().eq([zone]), "{said:?}");
        }
    }
    Ok(())
}
