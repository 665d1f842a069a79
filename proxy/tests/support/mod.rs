//! A proxy without a process: one worker's context on a local runtime, with loopback sockets on both sides.

pub(crate) mod ask;
pub(crate) mod family;
pub(crate) mod frames;
pub(crate) mod server;
pub(crate) mod two;
pub(crate) mod wire;

use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Resources;
use evenkeel_control_api::resource::listener::Direction;
use evenkeel_proxy::balance::Dice;
use evenkeel_proxy::failure::Reason;
use evenkeel_proxy::flow;
use evenkeel_proxy::lifecycle::Lifecycle;
use evenkeel_proxy::net::scratch;
use evenkeel_proxy::net::stream::Stream;
use evenkeel_proxy::protocol::Bounds;
use evenkeel_proxy::protocol::Context;
use evenkeel_proxy::protocol::detect::Learnt;
use evenkeel_proxy::snapshot::compile;
use evenkeel_proxy::telemetry::Book;
use evenkeel_proxy::telemetry::access_log::AccessLog;
use evenkeel_proxy::telemetry::tap::Tap;
use evenkeel_proxy::telemetry::tap::WorkerTap;
use evenkeel_proxy::telemetry::trace::Tracer;
use evenkeel_proxy::upstream::Parts;
use evenkeel_proxy::upstream::Upstreams;
use evenkeel_proxy::upstream::own::Own;
use evenkeel_proxy::upstream::shared::Registry;
use family::Family;
use family::anywhere;
use server::Server;
use std::cell::Cell;
use std::cell::RefCell;
use std::fmt::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::runtime::LocalOptions;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio::time::timeout;
use two::Two;
use wire::Wire;

/// The last part of the service's address.
const WEB: u8 = 10;
/// What no test may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where clients think that the service is.
pub(crate) fn web() -> SocketAddr {
    SocketAddr::new(Family::current().vip(WEB), 80)
}

/// Runs a test over IPv4 and over IPv6.
pub(crate) fn over_both_families(test: impl AsyncFn()) {
    family::over_both(|| run(test()));
}

/// Runs a test as a worker runs: on one thread, on a runtime of its own. It fails at its deadline.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        timeout(DEADLINE, test)
            .await
            .expect("the test ends before its deadline");
    });
}

/// Lets every task do what it can with the bytes that have been sent so far. A byte of ours that has made its way over
/// loopback shows that the runtime has seen every event before it; a few in a row let one thing lead to the next.
pub(crate) async fn settle() {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    for _ in 0..5 {
        near.write_all(b"x").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

/// A mesh document with one service at [`web`].
pub(crate) fn document<'a>(protocol: &str, servers: impl IntoIterator<Item = &'a Server>) -> String {
    let addresses = servers.into_iter().map(|server| server.address);
    document_of(protocol, addresses)
}

/// The same for endpoints that need not exist.
pub(crate) fn document_of(protocol: &str, addresses: impl IntoIterator<Item = SocketAddr>) -> String {
    let mut text = format!(
        "services:\n- name: web.test\n  vips: [\"{}\"]\n  ports:\n  - port: 80\n    protocol: {protocol}\n    balance: {{algorithm: round_robin}}\n    endpoints:\n",
        web().ip()
    );
    for address in addresses {
        writeln!(text, "    - {{address: \"{address}\"}}").unwrap();
    }
    text
}

/// An address where nobody listens, and that nobody else gets.
pub(crate) struct Nobody {
    pub(crate) address: SocketAddr,
    _bound: TcpSocket,
}

pub(crate) fn nobody() -> Nobody {
    let bound = match Family::current() {
        Family::V4 => TcpSocket::new_v4(),
        Family::V6 => TcpSocket::new_v6(),
    };
    let bound = bound.unwrap();
    bound.bind(anywhere()).unwrap();
    Nobody {
        address: bound.local_addr().unwrap(),
        _bound: bound,
    }
}

/// An address that swallows whatever is sent to it: its queue is full, so that the kernel drops the next SYN.
pub(crate) struct Silent {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

pub(crate) async fn silent() -> Silent {
    let socket = match Family::current() {
        Family::V4 => TcpSocket::new_v4(),
        Family::V6 => TcpSocket::new_v6(),
    };
    let socket = socket.unwrap();
    socket.bind(anywhere()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 10, "the queue is never full");
    }
    Silent {
        address,
        _listener: listener,
        _queued: queued,
    }
}

/// One worker.
pub(crate) struct Bench {
    pub(crate) context: Rc<Context>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) tap: Arc<Tap>,
    generation: Cell<u64>,
}

impl Bench {
    /// A worker with this mesh document in force.
    pub(crate) fn new(document: &str) -> Self {
        Self::logging(document, None)
    }

    /// The same with an access log.
    pub(crate) fn logging(document: &str, access_log: Option<&Arc<AccessLog>>) -> Self {
        Self::observed(document, access_log, None)
    }

    /// The same with spans.
    pub(crate) fn observed(document: &str, access_log: Option<&Arc<AccessLog>>, tracer: Option<&Arc<Tracer>>) -> Self {
        let book = Book::new(0);
        let limits = mesh::load(document).unwrap().settings.limits;
        let speculative = limits.speculative;
        let bounds = Bounds::new(&limits, 1);
        scratch::limit(limits.connection_buffer);
        let registry = Arc::new(Registry::default());
        let upstreams = Upstreams::new(Parts {
            registry: Arc::clone(&registry),
            own: Arc::new(Own::default()),
            book: Arc::clone(&book),
            epoch: Instant::now(),
            dice: Dice::seeded(7),
            limits,
        });
        let tap = Arc::new(Tap::default());
        let logged = access_log.and_then(|log| log.wanted().cloned()).unwrap_or_default();
        let context = Context {
            upstreams: Rc::new(upstreams),
            book,
            access_log: access_log.map(AccessLog::worker),
            tracer: tracer.map(Tracer::worker),
            tap: WorkerTap::new(Arc::clone(&tap), logged),
            asking: None,
            lifecycle: Arc::new(Lifecycle::default()),
            learnt: RefCell::new(Learnt::new(speculative)),
            bounds,
        };
        let bench = Self {
            context: Rc::new(context),
            registry,
            tap,
            generation: Cell::new(0),
        };
        bench.apply(document);
        bench
    }

    /// The whole proxy for one upstream server.
    pub(crate) fn before(protocol: &str, server: &Server) -> Self {
        Self::new(&document(protocol, [server]))
    }

    /// Puts another mesh document in force.
    pub(crate) fn apply(&self, document: &str) {
        self.enforce(&mesh::load(document).unwrap().resources);
    }

    /// The same for what a mesh document has no word for.
    pub(crate) fn enforce(&self, resources: &Resources) {
        self.generation.set(self.generation.get() + 1);
        let snapshot = compile(resources.clone(), self.generation.get());
        let upstreams = &self.context.upstreams;
        let applied = pin!(async {
            upstreams
                .apply(Arc::new(snapshot), async || ())
                .await
                .release(async || ())
                .await;
        });
        assert!(
            applied
                .poll(&mut task::Context::from_waker(task::Waker::noop()))
                .is_ready()
        );
    }

    /// A client's connection that was on its way to [`web`].
    pub(crate) async fn connect(&self) -> TcpStream {
        self.connect_to(web()).await
    }

    /// A client's connection that was on its way to `destination`.
    pub(crate) async fn connect_to(&self, destination: SocketAddr) -> TcpStream {
        self.carried_to(destination).await.0
    }

    /// A client's connection that was on its way to [`web`], and how the proxy ends it.
    pub(crate) async fn carried(&self) -> (TcpStream, JoinHandle<Result<(), Reason>>) {
        self.carried_to(web()).await
    }

    async fn carried_to(&self, destination: SocketAddr) -> (TcpStream, JoinHandle<Result<(), Reason>>) {
        let listener = TcpListener::bind(anywhere()).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        accepted.set_nodelay(true).unwrap();
        let context = Rc::clone(&self.context);
        let end = tokio::task::spawn_local(async move {
            let stream = Stream::Tcp(accepted);
            flow::carry(context, Direction::Outbound, stream, destination, Some(peer)).await
        });
        (client, end)
    }

    /// A client that speaks HTTP/1, or anything.
    pub(crate) async fn http1(&self) -> Wire {
        Wire::new(self.connect().await)
    }

    /// A client that speaks HTTP/2.
    pub(crate) async fn http2(&self) -> Two {
        Two::new(self.connect().await).await
    }
}
