//! What injected pods live through: probes of every kind, a job that completes, a token that is renewed, a webhook that comes
//! after ours.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubelet::Probe;
use evenkeel_tests::kubelet::Running;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::wait;
use serde_json::Value;
use serde_json::json;

use crate::injection::NATIVE;
use crate::injection::ORDINARY;
use crate::injection::TELEMETRY;
use crate::injection::Town;
use crate::injection::written;
use crate::world::DEADLINE;
use crate::world::SHOP;

/// What the application's health service knows.
const ORDERS: &str = "shop.Orders";

/// As `written`, with an application that speaks HTTPS and has gRPC's health service, and probes that ask these.
fn probed(name: &str, pod: &Pod, service: &str) -> Value {
    let mut object = written(name, pod);
    let container = &mut object["spec"]["containers"][0];
    if let Some(command) = container["command"].as_array_mut() {
        command.extend(["--https", "8443", "--health", ORDERS].map(Value::from));
    }
    container["startupProbe"] = json!({"grpc": {"port": 8080}});
    container["readinessProbe"] = json!({"grpc": {"port": 8080, "service": service}});
    container["livenessProbe"] = json!({"httpGet": {"path": "/", "port": 8443, "scheme": "HTTPS"}});
    object
}

/// The container of this name.
fn container<'a>(object: &'a Value, name: &str) -> Result<&'a Value> {
    let mut containers = object["spec"]["containers"].as_array().into_iter().flatten();
    let found = containers.find(|container| container["name"] == name);
    found.with_context(|| format!("no container {name}: {object:#}"))
}

/// Where a kubelet finds the answer to a probe that was rewritten.
fn is_rewritten(object: &Value, name: &str, probe: &str, kind: &str) -> Result<()> {
    let probe = &container(object, name)?[probe];
    let get = &probe["httpGet"];
    let is_plain = get["scheme"].is_null() || get["scheme"] == "HTTP";
    let path = format!("/app-health/{name}/{kind}");
    ensure!(
        probe["grpc"].is_null() && get["port"] == TELEMETRY && get["path"] == path && is_plain,
        "{probe}"
    );
    Ok(())
}

fn becomes(running: &Running, probe: Probe, green: bool) -> Result<()> {
    let found = wait::until(DEADLINE, || {
        running.probe("app", probe).ok().filter(|&found| found == green)
    });
    found.map(drop).with_context(|| format!("{probe:?} never {green}"))
}

#[test]
fn probes_by_grpc_and_by_https_are_asked_of_the_application_itself() -> Result<()> {
    for (family, version) in [(Family::V4, NATIVE), (Family::V6, ORDINARY)] {
        let town = Town::new(family, &json!({}), version)?;
        let pod = town.cluster.pod("web-0")?;
        let object = town.stored(probed("web-0", &pod, ORDERS))?;
        for (probe, kind) in [
            ("startupProbe", "startup"),
            ("readinessProbe", "readiness"),
            ("livenessProbe", "liveness"),
        ] {
            is_rewritten(&object, "app", probe, kind)?;
        }
        let web = town.start(&(pod, object))?;
        let all = [Probe::Startup, Probe::Readiness, Probe::Liveness];
        all.into_iter().try_for_each(|probe| becomes(&web, probe, true))?;
        web.process("app")?.kill();
        all.into_iter().try_for_each(|probe| becomes(&web, probe, false))?;

        // A service that the application does not know is not well, whatever the application is.
        let pod = town.cluster.pod("web-1")?;
        let object = town.stored(probed("web-1", &pod, "shop.Unknown"))?;
        let web = town.start(&(pod, object))?;
        becomes(&web, Probe::Startup, true)?;
        becomes(&web, Probe::Readiness, false)?;
    }
    Ok(())
}

/// A pod of a job that asks the Service `web`, in an init container and in its container.
fn job(town: &Town, name: &str, pod: &Pod) -> Value {
    let ips = Family::BOTH.map(|family| pod.ip(family));
    let mut object = object::pod(SHOP, name, name, &ips);
    object["spec"]["restartPolicy"] = json!("Never");
    let ask = json!([
        "curl",
        "-sS",
        "--noproxy",
        "*",
        "--max-time",
        "20",
        "--fail",
        town.url()
    ]);
    object["spec"]["containers"][0]["command"] = ask.clone();
    object["spec"]["initContainers"] = json!([{"name": "before", "image": "app", "command": ask}]);
    object
}

#[test]
fn a_job_asks_through_the_mesh_and_completes_and_its_proxy_ends_after_it() -> Result<()> {
    for family in Family::BOTH {
        let town = Town::new(family, &json!({}), NATIVE)?;
        let web = town.start(&town.created("web-0")?)?;
        town.expose(&[("web-0", &web)]);
        wait::until(DEADLINE, || town.answer(&web).ok())?;
        let pod = town.cluster.pod("job")?;
        let object = town.stored(job(&town, "job", &pod))?;
        let hosts = town.control.chart().hosts();
        let job = Running::start(&pod, &object, &town.api, &hosts)?;
        job.complete(DEADLINE)?;
        for container in ["app", "evenkeel-proxy"] {
            let process = job.process(container)?;
            let status = process.wait(DEADLINE)?;
            ensure!(status.success(), "{container}: {status}: {}", process.said());
        }
        // Nothing but a proxy knows the Service's address here.
        ensure!(job.process("app")?.said().trim_end() == "web-0");
    }
    Ok(())
}

#[test]
fn a_job_gets_no_proxy_where_that_would_keep_it_from_completing_and_its_user_is_told() -> Result<()> {
    let town = Town::new(Family::V4, &json!({}), ORDINARY)?;
    let object = job(&town, "job", &town.cluster.pod("job")?);
    let admitted = town.api.admit(object.clone())?;
    ensure!(admitted.pod == object, "{}", admitted.pod);
    let warned = admitted.warnings.iter().any(|warning| warning.contains("completing"));
    ensure!(warned, "{:?}", admitted.warnings);
    Ok(())
}

#[test]
fn a_token_that_was_renewed_is_what_the_next_connection_shows() -> Result<()> {
    let town = Town::new(Family::V4, &json!({}), NATIVE)?;
    let (_web, client) = town.started()?;
    let old = std::fs::read_to_string(client.token_file())?;
    client.renew_tokens(&town.api)?;
    let new = std::fs::read_to_string(client.token_file())?;
    ensure!(new != old);
    town.api.revoke(&old);
    let before = town.api.requests().len();
    town.control.kill();
    town.control.restart()?;
    town.control.await_ready()?;
    // It learns what is new, so it was let in.
    town.expose(&[("client", &client)]);
    wait::until(DEADLINE, || town.answer(&client).ok().filter(|name| name == "client"))?;
    let requests = town.api.requests().split_off(before);
    let reviews = requests.iter().filter(|request| request.resource == "tokenreviews");
    let shown: Vec<_> = reviews.map(|review| &review.body["spec"]["token"]).collect();
    ensure!(
        shown.contains(&&json!(new)) && !shown.contains(&&json!(old)),
        "{shown:?}"
    );
    Ok(())
}

#[test]
fn a_container_that_another_webhook_adds_is_seen_when_ours_is_called_again() -> Result<()> {
    let town = Town::new(Family::V4, &json!({}), NATIVE)?;
    let first = town.api.admit(written("web-0", &town.cluster.pod("web-0")?))?.pod;
    let mut other = first.clone();
    let added = json!({
        "name": "added", "image": "app", "ports": [{"name": "health", "containerPort": 9200}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "health"}},
    });
    other["spec"]["containers"]
        .as_array_mut()
        .context("containers")?
        .push(added);
    let second = town.api.admit(other)?.pod;
    is_rewritten(&second, "added", "readinessProbe", "readiness")?;
    is_rewritten(&second, "app", "readinessProbe", "readiness")?;
    // Nothing is there twice, and what was there is as it was.
    for list in ["initContainers", "volumes"] {
        let count = |pod: &Value| pod["spec"][list].as_array().map(Vec::len);
        ensure!(count(&second) == count(&first), "{list}: {second:#}");
    }
    ensure!(container(&second, "app")? == container(&first, "app")?);
    ensure!(second["metadata"] == first["metadata"]);
    // Its own work is nothing new.
    ensure!(town.api.admit(second.clone())?.pod == second);
    Ok(())
}
