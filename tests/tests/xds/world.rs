//! Three replicas, and a client pod whose proxy gets everything from a control plane beside it.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::load::Load;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::wait;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use serde_json::Value;

/// Where the control plane listens, in the client's pod: what the proxy itself sends is never redirected.
pub(crate) const CONTROL_PLANE: ([u8; 4], u16) = ([127, 0, 0, 1], 15010);
/// What is waited for happens sooner, also on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);
/// The port of the service that speaks HTTP.
pub(crate) const HTTP: u16 = 80;
/// The port of the service whose server speaks first.
pub(crate) const BANNER: u16 = 9000;
/// Requests a second of what must not fail meanwhile.
const RATE: u32 = 200;

/// The two ways in which a control plane says what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Delta,
    StateOfTheWorld,
}

pub(crate) struct World {
    pub(crate) family: Family,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) client: Pod,
    _cluster: Cluster,
}

// === impl Protocol ===

impl Protocol {
    pub(crate) const BOTH: [Self; 2] = [Self::Delta, Self::StateOfTheWorld];

    /// As the mesh document spells it.
    fn word(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::StateOfTheWorld => "state_of_the_world",
        }
    }

    /// As the server's log spells it.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::StateOfTheWorld => "sotw",
        }
    }

    /// The document of a proxy that asks for everything there is.
    pub(crate) fn document(self) -> Document {
        let (control_plane, word) = (SocketAddr::from(CONTROL_PLANE), self.word());
        Document::under(&format!(
            "{{servers: [\"{control_plane}\"], node: {{id: test}}, protocol: {word}, subscribe: everything}}"
        ))
    }
}

// === impl World ===

impl World {
    /// Without a control plane and without a mesh.
    pub(crate) fn new(family: Family) -> Result<Self> {
        let cluster = Cluster::new()?;
        Ok(Self {
            family,
            replicas: cluster.replicas(3)?,
            client: cluster.pod("client")?,
            _cluster: cluster,
        })
    }

    /// A control plane that knows both services.
    pub(crate) fn server(&self) -> Result<XdsServer> {
        let server = self.empty_server()?;
        server.set(&self.resources())?;
        Ok(server)
    }

    /// A control plane that knows nothing.
    pub(crate) fn empty_server(&self) -> Result<XdsServer> {
        XdsServer::start(&self.client, CONTROL_PLANE.into())
    }

    /// A world, its control plane, and the proxy that has everything from it and serves.
    pub(crate) fn meshed(family: Family, protocol: Protocol) -> Result<(Self, XdsServer, Mesh)> {
        let world = Self::new(family)?;
        let server = world.server()?;
        let mesh = world.client.mesh(&protocol.document())?.quiet();
        wait::until(DEADLINE, || world.answers().ok())?;
        Ok((world, server, mesh))
    }

    /// An address of the services, with a port.
    pub(crate) fn vip(&self, port: u16) -> SocketAddr {
        let ip: IpAddr = self.family.vip(10);
        SocketAddr::new(ip, port)
    }

    /// Everything that there is to begin with.
    pub(crate) fn resources(&self) -> Vec<Value> {
        let [outbound, passthrough] = resource::outbound();
        vec![
            passthrough,
            resource::cluster("web"),
            self.web(&[0, 1, 2]),
            resource::cluster("banner"),
            resource::assignment(
                "banner",
                self.replicas.iter().map(|replica| replica.banner(self.family)),
            ),
            outbound,
            self.web_listener("web"),
            resource::listener("banner", self.vip(BANNER), &[resource::chain(&resource::tcp("banner"))]),
            resource::all_to("web", "web"),
        ]
    }

    /// The listener of the service that speaks HTTP, with these routes.
    pub(crate) fn web_listener(&self, routes: &str) -> Value {
        let chain = resource::chain(&resource::http_by_name(routes));
        resource::listener("web", self.vip(HTTP), &[chain])
    }

    /// The endpoints of that service: these replicas.
    pub(crate) fn web(&self, replicas: &[usize]) -> Value {
        self.endpoints("web", replicas)
    }

    /// The endpoints of any cluster: the HTTP ports of these replicas.
    pub(crate) fn endpoints(&self, cluster: &str, replicas: &[usize]) -> Value {
        let addresses = replicas.iter().map(|&index| self.replicas[index].http(self.family));
        resource::assignment(cluster, addresses)
    }

    /// A client that has been served a while.
    pub(crate) fn load(&self, spoken: Spoken) -> Result<Load> {
        let load = Load::start(&self.client, self.vip(HTTP), spoken, RATE)?;
        goes_on(&load)?;
        Ok(load)
    }

    /// One request on a new connection, and bytes on another.
    pub(crate) fn answers(&self) -> Result<()> {
        self.http_answers()?;
        let banners = clients::banner(&self.client, self.vip(BANNER), 1)?;
        ensure!(banners.failures == 0, "{banners:?}");
        Ok(())
    }

    /// One request on a new connection. Returns the replica's name.
    pub(crate) fn http_answers(&self) -> Result<String> {
        let url = format!("http://{}/", self.vip(HTTP));
        Ok(clients::curl(&self.client, &["--fail", &url])?.trim_end().to_owned())
    }
}

/// Waits until another hundred requests were answered.
pub(crate) fn goes_on(load: &Load) -> Result<()> {
    let enough = load.served() + 100;
    wait::until(DEADLINE, || Some(()).filter(|()| load.served() >= enough))
}

/// Ends it; nothing of it may have failed.
pub(crate) fn nothing_failed(load: Load) -> Result<()> {
    let spoken = load.spoken();
    let outcome = load.stop()?;
    ensure!(outcome.answers.failures == 0, "{spoken:?}: {outcome:?}");
    Ok(())
}
