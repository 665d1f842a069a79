//! The chart, installed in a cluster: what of it the API server stores, and its Deployment's pods, as the controllers of a cluster
//! make them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use serde_json::Value;
use serde_json::json;

use super::api::ApiServer;
use super::kind::Kind;
use super::object;
use super::object::Condition;
use super::selector::Selector;
use crate::cluster::Family;
use crate::helm;
use crate::pod::Pod;
use crate::rbac::Rights;
use crate::service;
use crate::vip;

/// The namespace of the control plane.
pub const NAMESPACE: &str = helm::NAMESPACE;
/// What the Deployment, the Service and the account are called.
const NAME: &str = "evenkeel-control";
/// Which address the Service gets.
const VIP: u8 = 250;
/// The volume in which a pod finds how to ask the API server.
const CREDENTIALS: &str = "kube-api-access";

/// An installation.
#[derive(Debug, Clone)]
pub struct Chart {
    objects: Vec<Value>,
    family: Family,
}

// === impl Chart ===

impl Chart {
    /// Installs it with these values, unless it is installed already.
    pub fn install(api: &ApiServer, values: &Value) -> Result<Self> {
        let family = if api.at().is_ipv4() { Family::V4 } else { Family::V6 };
        let chart = Self {
            objects: helm::render(values)?,
            family,
        };
        if api.find("deployments", NAMESPACE, NAME).is_none() {
            // A test of the chart is no part of it.
            let is_stored = |object: &&Value| Kind::of(object).is_some() && object["kind"] != "Pod";
            let mut stored: Vec<_> = chart.objects.iter().filter(is_stored).cloned().collect();
            for service in stored.iter_mut().filter(|object| object["kind"] == "Service") {
                chart.address(service);
            }
            let authority = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"namespace": NAMESPACE, "name": "kube-root-ca.crt"}, "data": {"ca.crt": api.authority()},
            });
            stored.extend([object::namespace(NAMESPACE, &[]), authority]);
            api.put(stored);
        }
        let account = chart.find("Deployment")?["spec"]["template"]["spec"]["serviceAccountName"].clone();
        let account = account.as_str().context("an account")?;
        let user = format!("system:serviceaccount:{NAMESPACE}:{account}");
        api.bind(&user, Rights::of(&chart.objects));
        Ok(chart)
    }

    /// Gives the Service an address, as the API server does.
    fn address(&self, service: &mut Value) {
        let ip = self.vip().to_string();
        service["spec"]["clusterIPs"] = json!([ip]);
        service["spec"]["ipFamilies"] = json!([if self.vip().is_ipv4() { "IPv4" } else { "IPv6" }]);
        service["spec"]["clusterIP"] = json!(ip);
    }

    /// The address of the Service.
    pub fn vip(&self) -> IpAddr {
        self.family.vip(VIP)
    }

    /// What the names are that pods know it by.
    pub fn hosts(&self) -> BTreeMap<String, IpAddr> {
        BTreeMap::from([(format!("{NAME}.{NAMESPACE}.svc"), self.vip())])
    }

    /// All objects, as they were rendered.
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// The object of this kind that is called as the control plane is.
    fn find(&self, kind: &str) -> Result<&Value> {
        let mut objects = self.objects.iter();
        let found = objects.find(|object| object["kind"] == kind && object["metadata"]["name"] == NAME);
        found.with_context(|| format!("no {kind} {NAME}"))
    }

    /// Stores a pod of the Deployment, which is this namespace: a controller makes it, admission gives it its account's token, a
    /// scheduler its node, and every proxy of Services leads there from now on.
    pub fn pod(&self, api: &ApiServer, pod: &Pod) -> Result<Value> {
        let template = &self.find("Deployment")?["spec"]["template"];
        let ips = Family::BOTH.map(|family| pod.ip(family));
        let mut object = object::pod(NAMESPACE, pod.name(), NAME, &ips);
        let name = object["metadata"]["name"].take();
        object["metadata"] = template["metadata"].clone();
        object["metadata"]["name"] = name;
        object["metadata"]["namespace"] = json!(NAMESPACE);
        object["spec"] = template["spec"].clone();
        object["spec"]["nodeName"] = json!("node-a");
        if template["spec"]["automountServiceAccountToken"] == true {
            mount_credentials(&mut object["spec"])?;
        }
        api.put([object]);
        self.expose(api, pod)?;
        api.find("pods", NAMESPACE, pod.name()).context("it was stored")
    }

    /// What becomes of the Service: a slice with its endpoints, and addresses that the node translates.
    pub(super) fn expose(&self, api: &ApiServer, pod: &Pod) -> Result<()> {
        let service = self.find("Service")?;
        let selector = Selector::of_labels(&json!({"matchLabels": service["spec"]["selector"]}));
        let pods = api.all("pods");
        let behind = pods.iter().filter(|pod| selector.fits(pod));
        let behind: Vec<_> = behind.map(|pod| Ok((pod, self.ip(pod)?))).collect::<Result<_>>()?;
        let mut exposed = service::Service::new(NAME, self.vip());
        let mut ports = Vec::new();
        for port in service["spec"]["ports"].as_array().context("ports")? {
            let target = container_port(behind.first().context("a pod")?.0, &port["targetPort"])?;
            ports.push(object::slice_port(port["name"].as_str().context("a name")?, target));
            let endpoints = behind.iter().map(|(_, ip)| SocketAddr::new(*ip, target));
            let number = u16::try_from(port["port"].as_u64().context("a number")?)?;
            exposed = exposed.with(service::Port::new(number, endpoints));
        }
        let endpoints = behind.iter().map(|(pod, ip)| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            object::endpoint(*ip, name, Condition::Ready)
        });
        let endpoints: Vec<_> = endpoints.collect();
        api.put([object::slice(NAMESPACE, "evenkeel-control-1", NAME, &ports, &endpoints)]);
        vip::install(pod.node(), &exposed)
    }

    /// The address of a pod, of the Service's family.
    fn ip(&self, pod: &Value) -> Result<IpAddr> {
        let ips = pod["status"]["podIPs"].as_array().into_iter().flatten();
        let mut ips = ips.filter_map(|ip| ip["ip"].as_str()?.parse::<IpAddr>().ok());
        ips.find(|ip| ip.is_ipv4() == self.vip().is_ipv4())
            .context("an address")
    }
}

// === helpers ===

/// The number of a port that is named.
pub(super) fn container_port(pod: &Value, name: &Value) -> Result<u16> {
    let ports = pod["spec"]["containers"][0]["ports"].as_array().into_iter().flatten();
    let mut ports = ports.filter(|port| port["name"] == *name);
    let number = ports.next().and_then(|port| port["containerPort"].as_u64());
    Ok(u16::try_from(number.with_context(|| format!("no port {name}"))?)?)
}

/// What the `ServiceAccount` admission plugin does.
fn mount_credentials(spec: &mut Value) -> Result<()> {
    let volume = json!({"name": CREDENTIALS, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]}});
    let mount = json!({
        "name": CREDENTIALS, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true,
    });
    spec["volumes"].as_array_mut().context("volumes")?.push(volume);
    for container in spec["containers"].as_array_mut().context("containers")? {
        let mounts = container["volumeMounts"].as_array_mut().context("mounts")?;
        mounts.push(mount.clone());
    }
    Ok(())
}
