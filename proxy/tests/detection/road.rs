//! The two ways on which the proxy's both sides can be connected to a test: without a socket, where the clock may stand
//! still and every order of events is the test's own; and over loopback.

use std::rc::Rc;
use std::sync::Arc;

use evenkeel_control_api::resource::listener::Direction;
use evenkeel_proxy::flow;
use evenkeel_proxy::net::local::Local;
use evenkeel_proxy::net::stream::Stream;
use evenkeel_proxy::protocol::detect::Learnt;
use evenkeel_proxy::telemetry;
use tokio::runtime::Builder;
use tokio::runtime::LocalOptions;
use tokio::task::spawn_local;

use crate::client::Client;
use crate::server::Servers;
use crate::support::Bench;
use crate::support::document;
use crate::support::document_of;
use crate::support::family;
use crate::support::family::Family;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::web;

/// More turns than any chain of tasks in a test has links.
const TURNS: usize = 12;
const BUFFER: usize = 64 * 1024;

/// A proxy before two endpoints.
pub(crate) struct Road {
    pub(crate) bench: Bench,
    /// Where there are sockets: what listens.
    listening: Vec<Server>,
}

impl Road {
    /// Without a socket.
    pub(crate) fn in_process(servers: &Rc<Servers>) -> Self {
        let addresses = [0, 1].map(|endpoint| (Family::current().loopback(), 7000 + endpoint).into());
        let bench = Bench::new(&document_of("auto", addresses));
        let servers = Rc::clone(servers);
        bench.context.upstreams.serve_local(Box::new(move |address, stream| {
            let servers = Rc::clone(&servers);
            let endpoint = usize::from(address.port() - 7000);
            spawn_local(async move { servers.serve(stream, endpoint).await });
        }));
        Self {
            bench,
            listening: Vec::new(),
        }
    }

    /// With sockets on both sides.
    pub(crate) async fn over_loopback(servers: &Rc<Servers>) -> Self {
        let mut listening = Vec::new();
        for endpoint in 0..2 {
            let servers = Rc::clone(servers);
            let serve = async move |stream, _| servers.serve(Stream::Tcp(stream), endpoint).await;
            listening.push(Server::raw(serve).await);
        }
        Self {
            bench: Bench::new(&document("auto", &listening)),
            listening,
        }
    }

    /// A client's connection to [`web`]; `early` is there before the proxy looks, where that is in our hands.
    pub(crate) async fn connect(&self, early: &[u8]) -> Client {
        if !self.is_timeless() {
            let mut client = Client::new(Stream::Tcp(self.bench.connect().await));
            client.send(early).await;
            return client;
        }
        let (near, far) = Local::pair(BUFFER);
        let mut client = Client::new(Stream::Local(near));
        client.send(early).await;
        let context = Rc::clone(&self.bench.context);
        spawn_local(flow::carry(
            context,
            Direction::Outbound,
            Stream::Local(far),
            web(),
            None,
        ));
        client
    }

    /// Nothing happens on the way, so that a clock that stands still shows every wait for anything but the other end.
    pub(crate) fn is_timeless(&self) -> bool {
        self.listening.is_empty()
    }

    /// Lets everybody do what they can do without the passing of time.
    pub(crate) async fn settle(&self) {
        if self.is_timeless() {
            breathe().await;
            breathe().await;
        } else {
            settle().await;
        }
    }
}

/// Everything that was learnt of destinations is gone.
pub(crate) fn forget(bench: &Bench) {
    *bench.context.learnt.borrow_mut() = Learnt::new(64);
}

/// Connections by how their protocol became known.
pub(crate) fn detections(bench: &Bench, verdict: &str) -> usize {
    counter(bench, "detections", verdict)
}

/// Connections that were opened ahead, by what became of them.
pub(crate) fn speculations(bench: &Bench, result: &str) -> usize {
    counter(bench, "speculative_connections", result)
}

fn counter(bench: &Bench, name: &str, result: &str) -> usize {
    let page = telemetry::render(&[Arc::clone(&bench.context.book)], [], telemetry::Form::Prometheus);
    let series = format!("evenkeel_{name}_total{{result=\"{result}\"}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&series));
    value
        .and_then(|value| value.parse().ok())
        .expect("a series of this result")
}

/// Lets every other task have its turn, and what follows from it.
pub(crate) async fn breathe() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// Runs a test over both families on a clock that moves only when everybody waits for it. Its deadlines are its own.
pub(crate) fn run_on_a_paused_clock(test: impl AsyncFn()) {
    family::over_both(|| run(true, test()));
}

/// Runs a test over both families that may take as long as it was asked to.
pub(crate) fn run_without_a_deadline(test: impl AsyncFn()) {
    family::over_both(|| run(false, test()));
}

fn run(paused: bool, test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(paused)
        .build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(test);
}
