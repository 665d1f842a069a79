//! A proxy's beginning and end, the sudden ones too: killed, and told to end while it starts.

use std::io::Read;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use evenkeel_tests::again;
use evenkeel_tests::binaries;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::http;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::script::read_to_end;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::usage::Waits;
use evenkeel_tests::wait;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// What is waited for happens sooner, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(40);
/// What a start may take of the time that it is given.
const START: Duration = Duration::from_secs(1);
/// The same on a machine that does much else.
const AT_WORST: Duration = Duration::from_secs(20);

/// A drain that is over at once.
const BRIEF: &str = "limits: {drain: {least: 100ms, idle: 100ms, deadline: 500ms}}";
const LONGER_THAN_BRIEF: Duration = Duration::from_secs(1);

/// A replica and its client, both meshed.
struct World {
    client: Pod,
    replica: Replica,
    service: Service,
    meshes: [Mesh; 2],
    cluster: Cluster,
}

// === impl World ===

impl World {
    fn new(family: Family) -> Result<Self> {
        let cluster = Cluster::new()?;
        let (replica, client) = (cluster.replica("r1", 0)?, cluster.pod("client")?);
        let port = Port::http(80, std::slice::from_ref(&replica), family);
        let service = Service::new("web", family.vip(10)).with(port);
        cluster.expose(&service)?;
        let meshes = [
            client.mesh(&Document::of(&[&service]))?.quiet(),
            replica.pod().mesh(&Document::of(&[]).with(BRIEF))?.quiet(),
        ];
        Ok(Self {
            client,
            replica,
            service,
            meshes,
            cluster,
        })
    }

    /// Of the client, the replica and these proxies. One that has just started has waited only since then.
    fn waits(&self, proxies: &[usize]) -> Result<Waits> {
        let others = [std::process::id(), self.replica.process().pid()];
        let proxies = proxies.iter().map(|side| self.meshes[*side].proxy().pid());
        Waits::of(others.into_iter().chain(proxies))
    }

    fn is_served(&self) -> bool {
        http::get(&self.client, self.service.at(80), "/").is_ok_and(|page| page.status == 200)
    }
}

/// How long it was until it served again, and for how much of that those on the way waited for a processor that others had.
fn crashes_and_is_back(world: &mut World, side: usize) -> Result<(Duration, Duration)> {
    ensure!(world.is_served(), "before the crash");
    let mut open = world.client.connect(world.service.at(80))?;
    open.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")?;
    world.meshes[side].proxy().signal(Signal::SIGKILL)?;
    world.meshes[side].proxy().wait(DEADLINE)?;
    // What was in flight is lost, and its client is told: by an answer or by an end, never by silence.
    let story = read_to_end(&mut open)?;
    ensure!(!story.received.starts_with(b"HTTP/1.1 200"), "{story:?}");
    // Nothing goes round the proxy meanwhile.
    ensure!(!world.is_served(), "served without its proxy");
    let (began, before) = (Instant::now(), world.waits(&[1 - side])?);
    world.meshes[side].restart()?;
    ensure!(world.is_served(), "the first request after the start");
    let told = (began.elapsed(), world.waits(&[0, 1])?.since(&before));
    let after = clients::ab(&world.client, world.service.at(80), 20)?;
    ensure!(after.failed == 0, "after it: {after:?}");
    Ok(told)
}

#[test]
fn a_proxy_that_crashed_alone_starts_again_and_its_pod_is_served_at_once() -> Result<()> {
    for family in Family::BOTH {
        let mut world = World::new(family)?;
        for side in 0..2 {
            let is_soon =
                |(took, waited): &(Duration, Duration)| took.saturating_sub(*waited) < START && *took < AT_WORST;
            let crash = || crashes_and_is_back(&mut world, side).with_context(|| format!("{family:?}, side {side}"));
            let (took, waited) = again::until_good(crash, is_soon)?;
            ensure!(
                is_soon(&(took, waited)),
                "{family:?}, side {side}: {took:?}, of which they waited {waited:?}"
            );
        }
        ensure!(world.replica.process().ended()?.is_none(), "the application has run on");
    }
    Ok(())
}

#[test]
fn a_proxy_that_drains_until_it_is_terminated_serves_on_and_says_goodbye_and_ends_only_then() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let (pod, mesh) = (world.replica.pod(), &world.meshes[1]);
        let began = Instant::now();
        let mut command = pod.command(binaries::path("evenkeel-proxy")?);
        command.args(["drain", "--until-terminated"]);
        let asked = pod.spawn(command)?;
        ensure!(asked.wait(DEADLINE)?.success(), "{}", asked.said());
        let page = mesh.telemetry("/ready")?;
        let told = (page.status, page.body.as_str());
        ensure!(told == (503, "draining until terminated\n"), "{told:?}");
        // Longer than a drain of this document would last.
        while began.elapsed() < LONGER_THAN_BRIEF {
            ensure!(world.is_served(), "{family:?}: it takes whoever comes");
        }
        let guest = world.cluster.pod("guest")?;
        let mut client = guest.connect(world.replica.http(family))?;
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")?;
        let answer = read_to_end(&mut client)?;
        ensure!(answer.received.starts_with(b"HTTP/1.1 200"), "{family:?}: {answer:?}");
        let ended = mesh.proxy().ended()?;
        ensure!(ended.is_none(), "{ended:?}: {}", mesh.proxy().said());
        mesh.proxy().signal(Signal::SIGTERM)?;
        let status = mesh.proxy().wait(DEADLINE)?;
        ensure!(status.success(), "{status}: {}", mesh.proxy().said());
    }
    Ok(())
}

#[test]
fn a_drain_ends_at_its_deadline_and_says_what_is_cut_off() -> Result<()> {
    const SETTINGS: &str = "limits: {drain: {least: 100ms, idle: 100ms, deadline: 2s}}\nproxy: {access_log: json}";
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let (replicas, guest) = (cluster.replicas(1)?, cluster.pod("guest")?);
        let mesh = replicas[0].pod().mesh(&Document::of(&[]).with(SETTINGS))?.quiet();
        let mut bytes = guest.connect(replicas[0].banner(family))?;
        bytes.read_exact(&mut [0])?;
        let mut request = guest.connect(replicas[0].http(family))?;
        request.write_all(b"POST /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")?;
        let in_flight = |page: &Metrics| page.value("evenkeel_requests_in_flight", &[]) > 0.5;
        mesh.wait_for_metrics(DEADLINE, in_flight)?;
        let told = Instant::now();
        mesh.proxy().signal(Signal::SIGTERM)?;
        let status = mesh.proxy().wait(DEADLINE)?;
        let (took, said) = (told.elapsed(), mesh.proxy().said());
        ensure!(status.success(), "{status}: {said}");
        let least = Duration::from_secs(2);
        ensure!(least <= took && took < least + AT_WORST, "{family:?}: it took {took:?}");
        ensure!(said.contains("deadline has passed"), "{said}");
        let cut: Vec<_> = said.lines().filter(|line| line.contains("cut off")).collect();
        for what in ["requests=1", "connections=1"] {
            ensure!(cut.iter().any(|line| line.contains(what)), "{what}: {said}");
        }
        let lines: Vec<_> = said
            .lines()
            .filter(|line| line.contains("\"failure\":\"proxy_ended\""))
            .collect();
        for what in ["\"path\":\"/cut\"", "\"protocol\":\"tcp\""] {
            ensure!(lines.iter().any(|line| line.contains(what)), "{what}: {said}");
        }
        // Whoever was held sees an end, and no answer that looks whole.
        let story = read_to_end(&mut request)?;
        ensure!(!story.received.starts_with(b"HTTP/1.1 200"), "{story:?}");
        read_to_end(&mut bytes)?;
        ensure!(replicas[0].process().ended()?.is_none(), "the application runs on");
    }
    Ok(())
}

#[test]
fn a_proxy_that_is_told_to_end_while_it_starts_ends() -> Result<()> {
    let cluster = Cluster::new()?;
    let pod = cluster.pod("alone")?;
    let document = pod.folder()?.join("mesh.yaml");
    std::fs::write(&document, "limits: {drain: {least: 0s, idle: 0s}}\nservices: []\n")?;
    // Wherever it is by then: from before the program's first instruction to after it is ready.
    for milliseconds in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 100, 200] {
        let mut command = pod.command(binaries::path("evenkeel-proxy")?);
        command.args(["run", "--config"]).arg(&document);
        let began = Instant::now();
        let proxy = pod.spawn(command)?;
        wait::until(DEADLINE, || {
            Some(()).filter(|()| began.elapsed() >= Duration::from_millis(milliseconds))
        })?;
        proxy.signal(Signal::SIGTERM)?;
        let status = proxy
            .wait(DEADLINE)
            .with_context(|| format!("after {milliseconds} ms"))?;
        let ended = status.success() || status.signal() == Some(Signal::SIGTERM as i32);
        ensure!(ended, "after {milliseconds} ms: {status}: {}", proxy.said());
    }
    Ok(())
}

#[test]
fn a_proxy_that_is_process_1_of_its_container_ends_when_it_is_told_to_in_its_first_milliseconds() -> Result<()> {
    let cluster = Cluster::new()?;
    let pod = cluster.pod("alone")?;
    for milliseconds in [0, 0, 0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
        let mut command = pod.command("unshare");
        command.args(["--pid", "--fork", "--kill-child"]);
        command.arg(binaries::path("evenkeel-proxy")?).arg("run");
        command.env("EVENKEEL_CONFIG_INLINE", "{limits: {drain: {least: 0s, idle: 0s}}}");
        let container = pod.spawn(command)?;
        let first = first_process_that_holds_term(container.pid())?;
        let began = Instant::now();
        wait::until(DEADLINE, || {
            Some(()).filter(|()| began.elapsed() >= Duration::from_millis(milliseconds))
        })?;
        kill(first, Signal::SIGTERM)?;
        let status = container
            .wait(DEADLINE)
            .with_context(|| format!("after {milliseconds} ms"))?;
        ensure!(
            status.success(),
            "after {milliseconds} ms: {status}: {}",
            container.said()
        );
    }
    Ok(())
}

/// The child of `parent`, as soon as the kernel would not drop a TERM to it any more. Looked for without a pause: its
/// first milliseconds are what matters.
fn first_process_that_holds_term(parent: u32) -> Result<Pid> {
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        let Some(child) = children.split_whitespace().next() else {
            continue;
        };
        let status = std::fs::read_to_string(format!("/proc/{child}/status"))?;
        let named = status.lines().any(|line| line == "Name:\tevenkeel-proxy");
        let mut masks = status
            .lines()
            .filter_map(|line| line.strip_prefix("SigBlk:").or(line.strip_prefix("SigCgt:")));
        let term = 1 << (Signal::SIGTERM as u32 - 1);
        if named && masks.any(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & term != 0)) {
            return Ok(Pid::from_raw(child.parse()?));
        }
    }
    bail!("no process holds TERM")
}

#[test]
fn the_limit_of_descriptors_is_raised_as_far_as_it_may_be() -> Result<()> {
    let cluster = Cluster::new()?;
    let mesh = cluster.pod("alone")?.mesh(&Document::of(&[]))?.quiet();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", mesh.proxy().pid()))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut words = line.context("a line about files")?.split_whitespace();
    let (soft, hard) = (words.next(), words.next());
    ensure!(soft.is_some() && soft == hard, "{soft:?} of {hard:?}");
    Ok(())
}
