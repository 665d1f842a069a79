//! The harness's kubelet: what a spec says is what the processes get.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubelet::Probe;
use evenkeel_tests::kubelet::Running;
use evenkeel_tests::kubernetes::ApiServer;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::wait;
use serde_json::Value;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(40);

fn spec() -> Value {
    let replica = "replica --name $(POD) --http 8080 --banner 9000 --control 9100";
    let restricted = json!({
        "runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true, "readOnlyRootFilesystem": true,
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
    });
    let look = "test \"$(cat /var/run/secrets/t/token)\" != '' && test \"$POD\" = web-0 && ! touch /etc/x 2>/dev/null && echo good > /dev/shm/found";
    json!({
        "initContainers": [{"name": "look", "command": ["sh", "-c", look], "securityContext": restricted,
            "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/t"}],
        }, {
            "name": "proxy", "restartPolicy": "Always", "command": ["evenkeel-proxy", "run"],
            "env": [{"name": "EVENKEEL_CONFIG_INLINE", "value": "services: []"}], "securityContext": restricted,
            "startupProbe": {"httpGet": {"port": 15020, "path": "/ready"}},
        }],
        "containers": [{
            "name": "app", "command": ["sh", "-c"], "args": [replica], "ports": [{"name": "http", "containerPort": 8080}],
            "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "readinessProbe": {"httpGet": {"port": "http"}}, "livenessProbe": {"tcpSocket": {"port": 9999}},
        }],
        "volumes": [{"name": "token", "projected": {"defaultMode": 0o644, "sources": [
            {"serviceAccountToken": {"audience": "evenkeel", "path": "token"}},
        ]}}],
    })
}

#[test]
fn containers_start_in_their_order_with_what_their_spec_says_and_no_more() -> Result<()> {
    let cluster = Cluster::new()?;
    let api = ApiServer::start(&cluster.pod("api")?, Family::V4)?;
    let pod = cluster.pod("web-0")?;
    let mut object = object::pod("shop", "web-0", "web", &Family::BOTH.map(|family| pod.ip(family)));
    object["spec"] = spec();
    api.put([object]);
    let object = api.find("pods", "shop", "web-0").context("it is there")?;
    let running = Running::start(&pod, &object, &api, &BTreeMap::new())?;
    running.process("app")?.wait_for_line("web-0 is ready", DEADLINE)?;
    wait::until(DEADLINE, || {
        running.probe("app", Probe::Readiness).ok().filter(|&green| green)
    })?;
    ensure!(!running.probe("app", Probe::Liveness)?, "nothing listens there");
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.process("proxy")?.pid()))?;
    for line in ["Uid:\t1000\t", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
        ensure!(status.contains(line), "{line}: {status}");
    }
    Ok(())
}
