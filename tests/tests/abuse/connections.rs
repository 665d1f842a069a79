//! Clients that are too many: for memory, and for the process's file descriptors.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::mesh::PROXY_USER;
use evenkeel_tests::namespace::Namespace;
use evenkeel_tests::usage::Usage;
use evenkeel_tests::wait;
use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;

use crate::frames;
use crate::world::DEADLINE;
use crate::world::World;

/// What each of the idle connections may cost, in bytes.
const IDLE: u64 = 6 << 10;
/// The same of HTTP/2, whose tables and buffers are the `h2` crate's.
const IDLE_HTTP2: u64 = 24 << 10;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OPAQUE: &[u8] = b"\0 no protocol";

fn connections(from: &Namespace, to: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    Ok(from.enter(|| (0..count).map(|_| TcpStream::connect(to)).collect::<Result<_, _>>())??)
}

#[test]
fn five_thousand_idle_connections_cost_a_few_kibibytes_each() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let world = World::new(Family::V4, |port| port)?;
    let mut clients = connections(&world.client, world.web(), 5000)?;
    // Half of them never say a word. The others had an answer, and are kept alive.
    let (speaking, _silent) = clients.split_at_mut(2500);
    for some in speaking.chunks_mut(100) {
        for client in &mut *some {
            client.write_all(REQUEST)?;
        }
        for client in &mut *some {
            client.set_read_timeout(Some(DEADLINE))?;
            let mut answer = [0; 15];
            client.read_exact(&mut answer)?;
            ensure!(answer == *b"HTTP/1.1 200 OK", "{}", String::from_utf8_lossy(&answer));
        }
    }
    let open = |count: f64| {
        world
            .mesh
            .wait_for_metrics(DEADLINE, |page| page.value("evenkeel_connections_open", &[]) >= count)
    };
    open(5000.0)?;
    world.is_served()?;
    world.held_at_most(5000 * IDLE + (8 << 20))
}

#[test]
fn an_idle_connection_costs_a_few_kibibytes_with_its_share_of_what_is_behind_it() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let world = World::new(Family::V6, |port| port)?;
    let listener = world.server.listen(world.own_endpoint())?;
    let opaque = each(&world, |count| exchanged(&world, &listener, count))?;
    let http1 = each(&world, |count| {
        let mut clients = connections(&world.client, world.web(), count)?;
        clients.iter_mut().try_for_each(answered)?;
        Ok(clients)
    })?;
    let http2 = each(&world, |count| {
        let open = |_| frames::Connection::open(&world.client, world.web(), &[]);
        let mut clients: Vec<_> = (0..count).map(open).collect::<Result<_>>()?;
        clients.iter_mut().try_for_each(frames::Connection::exchange)?;
        Ok(clients)
    })?;
    ensure!(
        opaque <= IDLE && http1 <= IDLE && http2 <= IDLE_HTTP2,
        "opaque {opaque}, HTTP/1 {http1}, HTTP/2 {http2}"
    );
    world.witness()
}

/// Bytes that each of the connections holds in the proxy that are opened so many at once. The first of them pay for what all share.
fn each<T>(world: &World, open: impl Fn(usize) -> Result<Vec<T>>) -> Result<u64> {
    let _first = open(500)?;
    let before = Usage::of(world.mesh.proxy())?.resident;
    let held = open(2500)?;
    Ok(Usage::of(world.mesh.proxy())?.resident.saturating_sub(before) / held.len() as u64)
}

/// So many connections over which bytes that are no protocol went there and back: both ends of each. One after the other: the
/// server's end is then that of the client who waits.
fn exchanged(world: &World, listener: &TcpListener, count: usize) -> Result<Vec<(TcpStream, TcpStream)>> {
    let exchange = |_| {
        let mut client = TcpStream::connect(world.own())?;
        client.set_read_timeout(Some(DEADLINE))?;
        client.write_all(OPAQUE)?;
        let (mut server, _) = listener.accept()?;
        server.set_read_timeout(Some(DEADLINE))?;
        let mut heard = [0; OPAQUE.len()];
        server.read_exact(&mut heard)?;
        server.write_all(&heard)?;
        client.read_exact(&mut heard)?;
        ensure!(heard == OPAQUE, "{heard:?}");
        Ok((client, server))
    };
    world.client.enter(|| (0..count).map(exchange).collect())?
}

#[test]
fn without_descriptors_the_proxy_waits_without_spinning_and_goes_on_when_there_are_some() -> Result<()> {
    let world = World::new(Family::V6, |port| port)?;
    let mut kept = world.client.connect(world.web())?;
    kept.set_read_timeout(Some(DEADLINE))?;
    answered(&mut kept)?;
    let pid = world.mesh.proxy().pid().to_string();
    let few = Usage::of(world.mesh.proxy())?.descriptors + 20;
    // A user may limit its own processes; another's only with a capability that a container may not have.
    let mut limit = world.client.command_as(PROXY_USER, "prlimit");
    let limited = limit.args(["--pid", &pid, &format!("--nofile={few}")]).status()?;
    ensure!(limited.success(), "prlimit: {limited}");

    let mut clients = connections(&world.client, world.web(), 100)?;
    world.mesh.proxy().wait_for_line("connections wait", DEADLINE)?;
    // Who is served already is served on, without a new connection.
    answered(&mut kept)?;
    let before = Usage::of(world.mesh.proxy())?.processor;
    // The last in the queue hears nothing for this long; a proxy that spins would have used all of it.
    let watched = Duration::from_secs(1);
    let last = clients.last_mut().expect("there are 100");
    last.write_all(REQUEST)?;
    last.set_read_timeout(Some(watched))?;
    let silence = last.read(&mut [0; 1]);
    let used = Usage::of(world.mesh.proxy())?.processor.saturating_sub(before);
    ensure!(
        silence
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
        "{silence:?}"
    );
    ensure!(used < watched / 5, "used {used:?} of {watched:?}");

    drop(clients);
    wait::until(DEADLINE, || world.witness().ok())?;
    answered(&mut kept)?;
    world.held_at_most(8 << 20)
}

/// One more request on a connection that is kept alive.
fn answered(client: &mut TcpStream) -> Result<()> {
    client.write_all(REQUEST)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nr1\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    ensure!(
        answer.starts_with(b"HTTP/1.1 200 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}
