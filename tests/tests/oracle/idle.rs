//! How long connections may be idle, and heads may take, where that is configured.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::wait;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::exchange::Connection;
use crate::exchange::Outcome;
use crate::exchange::get;
use crate::world::World;

/// As `docs/envoy.md` has it.
pub(crate) const SILENCE: &str = "Nobody is made to wait for first bytes";

/// What is configured.
const IDLE: &str = "0.7s";
/// Nothing is closed before that, less what clocks are coarse by.
const LEAST: Duration = Duration::from_millis(600);
const DEADLINE: Duration = Duration::from_secs(30);
/// Where a server speaks first.
const GREETER: u16 = 7300;
const GREETING: &str = "hello\r\n";

/// A connection manager with these members besides.
fn manager(routes: &Value, members: Value) -> Value {
    let mut filter = resource::http(routes);
    filter["typed_config"] = resource::with(filter["typed_config"].take(), members);
    filter
}

fn world(family: Family) -> Result<World> {
    World::new(family, |endpoints| {
        let at = |port| SocketAddr::new(endpoints.family().vip(10), port);
        let idle = json!({"common_http_protocol_options": {"idle_timeout": IDLE}});
        let routes = resource::all_to("routes", "a");
        let mut bytes = resource::tcp("bytes-a");
        bytes["typed_config"]["idle_timeout"] = json!(IDLE);
        let explicit = json!({"explicit_http_config": {"http_protocol_options": {}}});
        let upstream = resource::http_options(
            resource::fixed("upstream", [endpoints.http(5)]),
            resource::with(explicit, idle.clone()),
        );
        let inspectors = json!([{"name": "http", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"}}]);
        let greeter = resource::listener("greeter", at(84), &[resource::chain(&resource::tcp("greeter"))]);
        let heads = json!({"request_headers_timeout": IDLE});
        let listener = |name, port, filter| resource::listener(name, at(port), &[resource::chain(filter)]);
        vec![
            upstream,
            resource::fixed("greeter", [SocketAddr::new(endpoints.http(0).ip(), GREETER)]),
            listener("idle", 80, &manager(&routes, idle)),
            listener("heads", 81, &manager(&routes, heads)),
            listener("bytes", 82, &bytes),
            listener("upstream", 83, &resource::http(&resource::all_to("routes", "upstream"))),
            resource::with(greeter, json!({"listener_filters": inspectors})),
        ]
    })
}

/// A connection that was answered is closed after its time, and not before.
fn is_closed_in_time(from: &Pod, to: SocketAddr, request: &[u8]) -> Result<()> {
    let mut connection = Connection::open(from, to)?.context("closed at once")?;
    let before = Instant::now();
    let outcome = connection.ask(request)?;
    ensure!(matches!(outcome, Outcome::Answer(_)), "{outcome:?}");
    connection.ends()?;
    ensure!(before.elapsed() >= LEAST, "after {:?}", before.elapsed());
    Ok(())
}

#[test]
fn connections_that_are_idle_for_as_long_as_is_configured_are_closed() -> Result<()> {
    for family in Family::BOTH {
        let world = world(family)?;
        for pod in [&world.ours, &world.envoy] {
            for (port, what) in [(80, get("web.test", "/", &[])), (82, "x".to_owned())] {
                is_closed_in_time(pod, world.vip(10, port), what.as_bytes())
                    .with_context(|| format!("{}: {port}", pod.name()))?;
            }
            // The client stays, and its endpoint's connection goes.
            let mut connection = Connection::open(pod, world.vip(10, 83))?.context("closed at once")?;
            let before = Instant::now();
            connection.ask(get("web.test", "/", &[]).as_bytes())?;
            wait::until(DEADLINE, || Some(()).filter(|()| world.mirror(5).connections() == 0))?;
            ensure!(before.elapsed() >= LEAST, "after {:?}", before.elapsed());
            let again = connection.ask(get("web.test", "/", &[]).as_bytes())?;
            ensure!(matches!(again, Outcome::Answer(_)), "{}: {again:?}", pod.name());
        }
    }
    Ok(())
}

#[test]
fn a_head_that_takes_too_long_is_answered_alike() -> Result<()> {
    for family in Family::BOTH {
        let world = world(family)?;
        let both = world.ask(world.vip(10, 81), b"GET / HTTP/1.1\r\nHost: a\r\n")?;
        ensure!(
            matches!(&both.ours, Outcome::Answer(answer) if answer.status == 408),
            "{:?}",
            both.ours
        );
        ensure!(both.ours == both.envoy, "{:?}, {:?}", both.ours, both.envoy);
    }
    Ok(())
}

/// An inspector waits for the client, who waits for the server.
#[test]
fn a_server_that_speaks_first_is_heard_behind_an_inspector() -> Result<()> {
    for family in Family::BOTH {
        let world = world(family)?;
        let listener = world.endpoints().listen(GREETER)?;
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // Whoever is gone does not hear it.
                let _ = stream.write_all(GREETING.as_bytes());
            }
        });
        for (pod, heard) in [(&world.ours, GREETING.len()), (&world.envoy, 0)] {
            let mut stream = pod.connect(world.vip(10, 84))?;
            // Longer than the one, and shorter than the 15 s after which Envoy gives up.
            stream.set_read_timeout(Some(if heard > 0 { DEADLINE } else { Duration::from_secs(2) }))?;
            let mut greeting = vec![0; GREETING.len()];
            let read = stream.read_exact(&mut greeting).map_or(0, |()| greeting.len());
            ensure!(read == heard, "{}: {read}", pod.name());
        }
    }
    Ok(())
}
