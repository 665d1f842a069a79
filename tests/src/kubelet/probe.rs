//! A look at a container over the network, from the node, at the pod's address.

use std::net::IpAddr;
use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;

use super::container::Container;
use crate::clients;
use crate::cluster::Family;
use crate::namespace::Namespace;
use crate::pod::Pod;

/// Whether a probe is green, over the first family of the pod. Whatever goes wrong on the way is red.
pub(super) fn look(pod: &Pod, container: &Container, probe: &Value) -> Result<bool> {
    let node = pod.node();
    if probe["httpGet"].is_object() {
        return http(node, pod.ip(Family::V4), container, &probe["httpGet"]);
    }
    if probe["tcpSocket"].is_object() {
        let port = container.port(&probe["tcpSocket"]["port"]).context("a port")?;
        return Ok(node.connect(pod.at(Family::V4, port)).is_ok());
    }
    bail!("a probe of a kind that is not known: {probe}")
}

fn http(node: &Namespace, pod: IpAddr, container: &Container, get: &Value) -> Result<bool> {
    let port = container.port(&get["port"]).context("a port")?;
    let host: IpAddr = match get["host"].as_str() {
        Some(host) => host.parse()?,
        None => pod,
    };
    let scheme = get["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
    let url = format!(
        "{scheme}://{}{}",
        SocketAddr::new(host, port),
        get["path"].as_str().unwrap_or("/")
    );
    let mut arguments = vec![
        "-k".to_owned(),
        "-o".to_owned(),
        "/dev/null".to_owned(),
        "-w".to_owned(),
        "%{http_code}".to_owned(),
    ];
    for header in super::list(&get["httpHeaders"]) {
        let (name, value) = (header["name"].as_str(), header["value"].as_str());
        arguments.push("-H".to_owned());
        arguments.push(format!("{}: {}", name.context("a name")?, value.unwrap_or_default()));
    }
    arguments.push(url);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let Ok(code) = clients::curl(node, &arguments) else {
        return Ok(false);
    };
    Ok((200..400).contains(&code.trim().parse::<u16>()?))
}
