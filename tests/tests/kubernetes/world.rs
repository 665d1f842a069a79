//! A cluster with an API server, the chart's control plane, three replicas behind a Service, and three clients that were
//! injected: each has a proxy that asks the control plane over TLS, with its pod's token.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::answers::Answers;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubelet::Running;
use evenkeel_tests::kubernetes::ApiServer;
use evenkeel_tests::kubernetes::Installed;
use evenkeel_tests::kubernetes::control::ControlPlane;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::kubernetes::object::Condition;
use evenkeel_tests::load::Load;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::wait;
use serde_json::Value;
use serde_json::json;

/// What is waited for happens sooner, also on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);
/// The namespace of everything.
pub(crate) const SHOP: &str = "shop";
/// The port of every Service.
pub(crate) const PORT: u16 = 80;
/// Requests a second of what must not fail meanwhile.
const RATE: u32 = 100;

pub(crate) struct World {
    pub(crate) family: Family,
    pub(crate) api: ApiServer,
    pub(crate) control: ControlPlane,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) clients: Vec<Pod>,
    pub(crate) proxies: Vec<Running>,
    pub(crate) cluster: Cluster,
}

// === impl World ===

impl World {
    /// With the Service `web` in front of all replicas, which every client reaches.
    pub(crate) fn new(family: Family) -> Result<Self> {
        let world = Self::with_clients(family, 3)?;
        for client in 0..world.clients.len() {
            wait::until(DEADLINE, || world.answer(client, 10).ok())?;
        }
        Ok(world)
    }

    /// As [`World::new`], with so many clients, whose proxies are ready.
    pub(crate) fn with_clients(family: Family, count: usize) -> Result<Self> {
        Self::begin(family, count, Installed::Yes)
    }

    /// With one client, in a cluster that has never heard of the Gateway API, nor of our own kinds.
    pub(crate) fn without_gateway_api() -> Result<Self> {
        Self::begin(Family::V4, 1, Installed::No)
    }

    fn begin(family: Family, count: usize, routes: Installed) -> Result<Self> {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(3)?;
        let api = ApiServer::start(&cluster.pod("api")?, family)?;
        for group in ["gateway.networking.k8s.io", "evenkeel.io"] {
            api.install(group, routes);
        }
        let shop = object::namespace(SHOP, &[("evenkeel.io/injection", "enabled")]);
        api.put([shop, object::node("node-a", "zone-a")]);
        let control = ControlPlane::start(&cluster.pod("control")?, &api)?;
        let mut world = Self {
            family,
            api,
            control,
            replicas,
            clients: Vec::new(),
            proxies: Vec::new(),
            cluster,
        };
        world
            .api
            .put([world.service("web", 10), world.slice("web", "web-1", &[0, 1, 2])]);
        world.control.await_trusted(&world.api)?;
        for number in 1..=count {
            world.join(&format!("client-{number}"), "node-a")?;
        }
        Ok(world)
    }

    /// Another client, on this node.
    pub(crate) fn join(&mut self, name: &str, node: &str) -> Result<()> {
        let running = start_idle(&self.cluster, &self.api, &self.control, name, node)?;
        self.clients.push(running.pod().clone());
        self.proxies.push(running);
        Ok(())
    }

    /// A Service whose address has this number.
    pub(crate) fn service(&self, name: &str, number: u8) -> Value {
        object::service(
            SHOP,
            name,
            &[self.family.vip(number)],
            &[object::port("http", PORT, 8080)],
        )
    }

    /// The address of such a Service.
    pub(crate) fn at(&self, number: u8) -> SocketAddr {
        SocketAddr::new(self.family.vip(number), PORT)
    }

    /// A slice of a Service, with these replicas, which all serve.
    pub(crate) fn slice(&self, service: &str, name: &str, replicas: &[usize]) -> Value {
        let replicas: Vec<_> = replicas.iter().map(|&index| (index, Condition::Ready)).collect();
        self.slice_of(service, name, &replicas)
    }

    /// A slice of a Service, with these replicas, of each of which this is so.
    pub(crate) fn slice_of(&self, service: &str, name: &str, replicas: &[(usize, Condition)]) -> Value {
        let endpoints = replicas.iter().map(|&(index, condition)| {
            let address = self.replicas[index].http(self.family);
            object::endpoint(address.ip(), &format!("r{}", index + 1), condition)
        });
        let endpoints: Vec<_> = endpoints.collect();
        let mut slice = object::slice(SHOP, name, service, &[object::slice_port("http", 8080)], &endpoints);
        // One without endpoints does not tell by them.
        slice["addressType"] = if self.family == Family::V6 { "IPv6" } else { "IPv4" }.into();
        slice
    }

    /// One request of a client on a new connection to the Service with this number. Returns the replica's name.
    pub(crate) fn answer(&self, client: usize, number: u8) -> Result<String> {
        let url = format!("http://{}/", self.at(number));
        Ok(clients::curl(&self.clients[client], &["--fail", &url])?
            .trim_end()
            .to_owned())
    }

    /// Waits until a client's requests to the Service with this number come to exactly these replicas.
    pub(crate) fn settles(&self, client: usize, number: u8, replicas: &[usize]) -> Result<()> {
        let expected: Vec<_> = replicas.iter().map(|index| format!("r{}", index + 1)).collect();
        let mut last = Vec::new();
        let settled = wait::until(DEADLINE, || {
            // By chance one that is still known gets none of so many in less than one of two hundred looks.
            let answers: Result<Vec<_>> = (0..8 * replicas.len().max(1))
                .map(|_| self.answer(client, number))
                .collect();
            let mut found = answers.ok()?;
            found.sort();
            found.dedup();
            last.clone_from(&found);
            (found == expected).then_some(())
        });
        ensure!(
            settled.is_ok(),
            "{last:?} instead of {expected:?}: {}",
            self.control.said()
        );
        Ok(())
    }

    /// Every client asks the Service `web` all the time.
    pub(crate) fn loads(&self) -> Result<Vec<Load>> {
        let start = |client| Load::start(client, self.at(10), Spoken::Http1, RATE);
        let loads: Vec<_> = self.clients.iter().map(start).collect::<Result<_>>()?;
        loads.iter().try_for_each(goes_on)?;
        Ok(loads)
    }
}

/// Waits until these answer and nobody else, and nothing fails.
pub(crate) fn answered_by(expected: &[&str], mut ask: impl FnMut() -> Result<Answers>) -> Result<()> {
    let mut last = None;
    let found = wait::until(DEADLINE, || {
        let answers = ask().ok()?;
        let all = answers.failures == 0 && answers.by_replica.keys().eq(expected);
        last = Some(answers);
        all.then_some(())
    });
    found.with_context(|| format!("{last:?} instead of {expected:?}"))
}

/// A pod of this name that does nothing by itself.
pub(crate) fn idle(name: &str, pod: &Pod) -> Value {
    let ips = Family::BOTH.map(|family| pod.ip(family));
    let mut object = object::pod(SHOP, name, "client", &ips);
    object["spec"]["containers"][0]["command"] = json!(["tail", "-f", "/dev/null"]);
    object
}

/// Such a pod comes in, which gives it a proxy, and is started on this node.
pub(crate) fn start_idle(
    cluster: &Cluster,
    api: &ApiServer,
    control: &ControlPlane,
    name: &str,
    node: &str,
) -> Result<Running> {
    let pod = cluster.pod(name)?;
    let mut object = idle(name, &pod);
    object["spec"]["nodeName"] = json!(node);
    let admitted = api.admit(object)?;
    ensure!(admitted.calls == 1, "{admitted:?}");
    api.put([admitted.pod]);
    let object = api.find("pods", SHOP, name).context("it was stored")?;
    Running::start(&pod, &object, api, &control.chart().hosts())
}

/// Waits until another fifty requests were answered.
pub(crate) fn goes_on(load: &Load) -> Result<()> {
    let enough = load.served() + 50;
    wait::until(DEADLINE, || Some(()).filter(|()| load.served() >= enough))
}

/// Ends them; nothing of them may have failed.
pub(crate) fn nothing_failed(loads: Vec<Load>) -> Result<()> {
    for load in loads {
        let outcome = load.stop()?;
        ensure!(outcome.answers.failures == 0, "{outcome:?}");
    }
    Ok(())
}
