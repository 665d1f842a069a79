//! The programs of the architecture that this machine is not of, linked as for the images, and run by an emulator. The system calls
//! are this kernel's, all but one: the emulator does not say where a redirected connection was going, so that no request goes
//! through the proxy.

use std::fs;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::binaries;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::http;
use evenkeel_tests::identity::Identity;
use evenkeel_tests::mesh::PROXY_USER;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::wait;

const PROGRAMS: [&str; 3] = ["evenkeel-proxy", "evenkeel-init", "evenkeel-control"];
/// What is emulated is many times slower.
const DEADLINE: Duration = Duration::from_mins(2);
/// Of the control plane.
const RESOURCES: u16 = 15010;
/// Of the proxy.
const TELEMETRY: u16 = 15020;
/// How the application is asked. The last of them has TLS in it, where most of what a machine does by its own instructions is.
const PROBES: &str = "proxy: {app_health: [\
    {path: /app-health/web/readiness, http: {port: 8080}}, \
    {path: /app-health/web/startup, grpc: {port: 8080, service: shop.Orders}}, \
    {path: /app-health/web/liveness, http: {port: 8443, scheme: https}}]}";

/// Runs a program of this machine and its emulated sister, and returns what both said.
fn both(folder: &Path, program: &str, line: &[&str]) -> Result<Output> {
    let run = |path: PathBuf| Command::new(path).args(line).output();
    let (own, other) = (run(binaries::path(program)?)?, run(folder.join(program))?);
    ensure!(own == other, "{program} {line:?}: {other:?} instead of {own:?}");
    Ok(other)
}

fn they_say_what_the_programs_of_this_machine_say(folder: &Path) -> Result<()> {
    for program in PROGRAMS {
        for asked in ["--help", "--version"] {
            ensure!(both(folder, program, &[asked])?.status.success());
        }
    }
    let written = tempfile::tempdir()?;
    let file = |name: &str, text: &str| {
        let path = written.path().join(name);
        fs::write(&path, text)?;
        path.into_os_string().into_string().ok().context("a path in UTF-8")
    };
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mesh-document.md"))?;
    let (_, example) = page.split_once("```yaml\n").context("an example")?;
    let (example, _) = example.split_once("```").context("its end")?;
    let good = file("good.yaml", example)?;
    let bad = file("bad.yaml", &example.replace("vips", "vibs"))?;
    ensure!(both(folder, "evenkeel-proxy", &["validate", &good])?.status.success());
    let refused = both(folder, "evenkeel-proxy", &["validate", &bad])?;
    ensure!(refused.status.code() == Some(1), "{refused:?}");
    ensure!(both(folder, "evenkeel-init", &["print"])?.status.success());

    let spec = "{containers: [{name: web, image: web}]}";
    let pod = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: web, namespace: shop}}, spec: {spec}}}");
    let pod = file("pod.yaml", &pod)?;
    let authority = file("ca.pem", &Identity::of("evenkeel-control")?.authority)?;
    let injected = both(folder, "evenkeel-control", &["inject", "-f", &pod, "--ca", &authority])?;
    ensure!(injected.status.success(), "{injected:?}");
    ensure!(String::from_utf8(injected.stdout)?.contains("evenkeel-init"));
    Ok(())
}

fn the_redirection_is_what_the_program_of_this_machine_expects(folder: &Path, pod: &Pod) -> Result<()> {
    let own = binaries::path("evenkeel-init")?;
    let other = folder.join("evenkeel-init");
    let [own, other] = [&own, &other].map(|path| path.as_os_str());
    for backend in ["nft", "legacy"] {
        let run = |program, verb: &str| pod.exec(&[program, verb.as_ref(), "--backend".as_ref(), backend.as_ref()]);
        run(other, "install")?;
        // It dials, and looks at where it arrives.
        run(own, "verify")?;
        run(other, "cleanup")?;
        let rules = pod.exec(&[&format!("iptables-{backend}-save"), "-t", "nat"])?;
        ensure!(!rules.contains("EVENKEEL"), "{rules}");
    }
    pod.exec(&[other, "install".as_ref()]).map(drop)
}

/// What a control plane serves: a Service in front of this endpoint.
fn mesh(family: Family, endpoint: SocketAddr) -> String {
    let vip = family.vip(10);
    format!(
        "services: [{{name: web, vips: ['{vip}'], ports: [{{port: 80, endpoints: [{{address: '{endpoint}'}}]}}]}}]\n"
    )
}

fn a_proxy_has_its_mesh_from_a_control_plane_and_asks_an_application(folder: &Path, family: Family) -> Result<()> {
    let cluster = Cluster::new()?;
    let (web, control) = (cluster.pod("web")?, cluster.pod("control")?);
    let mut application = web.command(binaries::path("replica")?);
    application.args(["--name", "web", "--https", "8443", "--health", "shop.Orders"]);
    web.spawn(application)?.wait_for_line("is ready", DEADLINE)?;
    the_redirection_is_what_the_program_of_this_machine_expects(folder, &web)?;

    let (served, resources) = (control.folder()?.join("mesh.yaml"), control.at(family, RESOURCES));
    fs::write(&served, mesh(family, web.at(family, 8080)))?;
    let mut serve = control.command(folder.join("evenkeel-control"));
    serve.args([
        "serve",
        "--plaintext-beyond-loopback",
        "--listen",
        &resources.to_string(),
    ]);
    serve.arg("--mesh").arg(&served);
    control.spawn(serve)?.wait_for_line("serving", DEADLINE)?;

    let own = web.folder()?.join("mesh.yaml");
    let document = Document::under(&format!("{{servers: ['{resources}'], subscribe: everything}}")).with(PROBES);
    fs::write(&own, document.text())?;
    let mut run = web.command_as(PROXY_USER, folder.join("evenkeel-proxy"));
    run.args(["run", "--config"]).arg(&own);
    let proxy = web.spawn(run)?;
    proxy.wait_for_line("ready", DEADLINE)?;
    let told = |endpoint: SocketAddr| {
        let endpoint = endpoint.to_string();
        wait::until(DEADLINE, || {
            let page = http::get(cluster.node(), web.at(family, TELEMETRY), "/metrics").ok()?;
            let metrics = Metrics::parse(&page.body).ok()?;
            (metrics.value("evenkeel_endpoint_healthy", &[("endpoint", &endpoint)]) > 0.5).then_some(())
        })
        .with_context(|| format!("{endpoint}: {}", proxy.said()))
    };
    told(web.at(family, 8080))?;
    fs::write(&served, mesh(family, web.at(family, 8081)))?;
    told(web.at(family, 8081))?;

    for kind in ["readiness", "startup", "liveness"] {
        let path = format!("/app-health/web/{kind}");
        let mut last = None;
        let up = wait::until(DEADLINE, || {
            last = http::get(cluster.node(), web.at(family, TELEMETRY), &path).ok();
            last.as_ref().filter(|page| page.status == 200).map(drop)
        });
        up.with_context(|| format!("{kind}: {last:?}"))?;
    }
    web.exec(&[folder.join("evenkeel-proxy").as_os_str(), "drain".as_ref()])?;
    let ended = proxy.wait(DEADLINE)?;
    ensure!(ended.success(), "{ended}: {}", proxy.said());
    Ok(())
}

#[test]
#[ignore = "it links everything once more: minutes"]
fn the_programs_of_the_other_architecture_do_what_those_of_this_one_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // The proxy's user comes in, too.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/other-architecture");
    let linked = Command::new(script).arg(folder.path()).status()?;
    ensure!(linked.success(), "{linked}");
    they_say_what_the_programs_of_this_machine_say(folder.path())?;
    for family in Family::BOTH {
        a_proxy_has_its_mesh_from_a_control_plane_and_asks_an_application(folder.path(), family)?;
    }
    Ok(())
}
