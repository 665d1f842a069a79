//! Workers: one thread, one single-threaded runtime, nothing shared on the request path.
//!
//! The first worker accepts. A new connection goes to the worker that has the fewest, because few long-lived connections
//! must not all land on one; for itself the first worker keeps the socket, to another it hands it over.

mod cpu_limit;
mod dealing;
mod sources;

pub use cpu_limit::cpu_limit;

use crate::balance::Dice;
use crate::control::Usage;
use crate::control::asking::Asking;
use crate::flow;
use crate::lifecycle::{Lifecycle, Phase};
use crate::net::backlog;
use crate::net::scratch;
use crate::protocol::detect::Learnt;
use crate::protocol::{Bounds, Context};
use crate::snapshot::Snapshot;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::tap::{Tap, WorkerTap};
use crate::telemetry::trace::Tracer;
use crate::telemetry::{Book, Roster, cut_off_the_rest};
use crate::upstream::own::Own;
use crate::upstream::shared::Registry;
use crate::upstream::{Parts, Upstreams};
use dealing::Hand;
use evenkeel_control_api::mesh::settings::{OnDemand, ProcessLimits};
use evenkeel_control_api::resource::listener::Direction;
use nix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// What all workers are made of.
#[derive(Debug)]
pub struct Common {
    /// Endpoints, as all workers see them.
    pub registry: Arc<Registry>,
    /// The pod's addresses and our ports.
    pub own: Arc<Own>,
    /// The phase of the process.
    pub lifecycle: Arc<Lifecycle>,
    /// Where requests are told of, if they are.
    pub access_log: Option<Arc<AccessLog>>,
    /// Who decides about traces and takes spans, if there are any.
    pub tracer: Option<Arc<Tracer>>,
    /// Which services are counted each for itself.
    pub roster: Arc<Roster>,
    /// Who listens to requests.
    pub tap: Arc<Tap>,
    /// The zero of coarse time.
    pub epoch: Instant,
    /// Of the process.
    pub limits: ProcessLimits,
    /// How destinations are asked for, and who asks for all workers; `None`: everything is known.
    pub on_demand: Option<(OnDemand, mpsc::UnboundedSender<Usage>)>,
}

/// An order to a worker.
enum Order {
    /// Serve this connection.
    Serve(TcpStream, flow::Origin, dealing::Card),
    /// Use this configuration, and say when it is in force.
    Apply(Arc<Snapshot>, oneshot::Sender<()>),
}

/// All workers of the process.
#[derive(Debug)]
pub struct Workers {
    orders: Vec<mpsc::UnboundedSender<Order>>,
    books: Vec<Arc<Book>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` workers; the first accepts on `listeners`, once there is a configuration.
    pub fn start(count: usize, common: &Arc<Common>, listeners: Vec<(TcpListener, Direction)>) -> io::Result<Self> {
        let mut workers = Self {
            orders: Vec::new(),
            books: Vec::new(),
            threads: Vec::new(),
        };
        let mut inboxes = Vec::new();
        let mut hands = Vec::new();
        for number in 0..count {
            let (sender, inbox) = mpsc::unbounded_channel();
            hands.push(Hand {
                orders: sender.clone(),
                open: Arc::new(AtomicUsize::new(0)),
            });
            workers.orders.push(sender);
            workers.books.push(Book::with(number, Arc::clone(&common.roster)));
            inboxes.push(inbox);
        }
        let mut listeners = Some((listeners, hands));
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let (book, common) = (Arc::clone(&workers.books[number]), Arc::clone(common));
            let listening = listeners.take();
            let bounds = Bounds::new(&common.limits, count);
            let thread = std::thread::Builder::new().name(format!("worker-{number}"));
            workers
                .threads
                .push(thread.spawn(move || run(&common, book, bounds, inbox, listening))?);
        }
        Ok(workers)
    }

    /// Gives every worker a new configuration, and waits until it is in force in all of them. The first comes last: it
    /// accepts, and must not deal to a worker that has no configuration yet.
    ///
    /// # Errors
    /// A worker has ended, or could not start; what it logged says why.
    pub async fn apply(&self, snapshot: &Arc<Snapshot>) -> Result<(), Ended> {
        for orders in self.orders.iter().rev() {
            let (done, answer) = oneshot::channel();
            orders
                .send(Order::Apply(Arc::clone(snapshot), done))
                .map_err(|_| Ended)?;
            answer.await.map_err(|_| Ended)?;
        }
        Ok(())
    }

    /// What they count.
    pub fn books(&self) -> &[Arc<Book>] {
        &self.books
    }

    /// Requests and opaque connections under way.
    pub fn in_flight(&self) -> i64 {
        self.books.iter().map(|book| book.in_flight()).sum()
    }

    /// Waits for the threads, which end when the process quits.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker has panicked");
            }
        }
    }
}

/// A worker is not there any more.
#[derive(Debug, thiserror::Error)]
#[error("a worker has ended")]
pub struct Ended;

type Listening = (Vec<(TcpListener, Direction)>, Vec<Hand>);

/// A worker's thread.
fn run(
    common: &Common,
    book: Arc<Book>,
    bounds: Bounds,
    inbox: mpsc::UnboundedReceiver<Order>,
    listening: Option<Listening>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => {
            book.runs_on(runtime.metrics());
            runtime.block_on(work(common, book, bounds, inbox, listening));
            cut_off_the_rest();
        }
        Err(error) => tracing::error!(%error, "a worker cannot start: the system has no epoll or no descriptors left"),
    }
}

async fn work(
    common: &Common,
    book: Arc<Book>,
    bounds: Bounds,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    mut listening: Option<Listening>,
) {
    backlog::limit(bounds.buffered_bytes);
    scratch::limit(bounds.connection_buffer);
    let context = context(common, book, bounds);
    flow::serve_ourselves(&context);
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut aside = None;
    loop {
        tokio::select! {
            order = next(&mut aside, &mut inbox) => match order {
                Some(Order::Serve(socket, origin, card)) => serve(&context, socket, origin, card),
                Some(Order::Apply(snapshot, done)) => {
                    apply(&context, snapshot, &mut inbox, &mut aside).await;
                    // Not before there is a configuration: until then clients wait in the backlog instead of failing.
                    if let Some((listeners, hands)) = listening.take()
                        && let Err(error) = dealing::start(&context, &common.limits, listeners, hands)
                    {
                        tracing::error!(%error, "a listener cannot be registered");
                        return;
                    }
                    let _ = done.send(());
                }
                None => return,
            },
            now = sweep.tick() => {
                context.upstreams.sweep(now);
                if let Some(asking) = &context.asking {
                    asking.sweep(now);
                }
                backlog::review();
                context.book.buffered_bytes.set(backlog::held() as i64);
            }
            () = common.lifecycle.reached(Phase::Quitting) => return,
        }
    }
}

fn context(common: &Common, book: Arc<Book>, bounds: Bounds) -> Rc<Context> {
    let upstreams = Upstreams::new(Parts {
        registry: Arc::clone(&common.registry),
        own: Arc::clone(&common.own),
        book: Arc::clone(&book),
        epoch: common.epoch,
        dice: Dice::seeded(seed()),
        limits: common.limits.clone(),
    });
    let logged = common.access_log.as_ref().and_then(|log| log.wanted().cloned());
    Rc::new(Context {
        upstreams: Rc::new(upstreams),
        book,
        access_log: common.access_log.as_ref().map(AccessLog::worker),
        tracer: common.tracer.as_ref().map(Tracer::worker),
        tap: WorkerTap::new(Arc::clone(&common.tap), logged.unwrap_or_default()),
        asking: common
            .on_demand
            .clone()
            .map(|(settings, orders)| Rc::new(Asking::new(settings, orders))),
        lifecycle: Arc::clone(&common.lifecycle),
        learnt: RefCell::new(Learnt::new(common.limits.speculative)),
        bounds,
    })
}

/// From the process's hash keys, which the system seeds: sidecars that start together must not choose alike.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// The order that was put aside, or the next one.
async fn next(aside: &mut Option<Order>, inbox: &mut mpsc::UnboundedReceiver<Order>) -> Option<Order> {
    match aside.take() {
        Some(order) => Some(order),
        None => inbox.recv().await,
    }
}

/// Puts a configuration in force. Others get their turn meanwhile, connections that are dealt to this worker included; the next
/// configuration, which does not come before this one is said to be in force, is put `aside`.
async fn apply(
    context: &Rc<Context>,
    snapshot: Arc<Snapshot>,
    inbox: &mut mpsc::UnboundedReceiver<Order>,
    aside: &mut Option<Order>,
) {
    let generation = snapshot.generation;
    let mut began = processor_time();
    let mut pause = async || {
        context.book.applied(processor_time().saturating_sub(began));
        tokio::task::yield_now().await;
        while aside.is_none()
            && let Ok(order) = inbox.try_recv()
        {
            match order {
                Order::Serve(socket, origin, card) => serve(context, socket, origin, card),
                Order::Apply(..) => *aside = Some(order),
            }
        }
        began = processor_time();
    };
    let replaced = context.upstreams.apply(snapshot, &mut pause).await;
    // Those who count and those who wait.
    context.book.generation.set(generation as i64);
    if let Some(asking) = &context.asking {
        asking.news();
    }
    replaced.release(&mut pause).await;
    context.book.applied(processor_time().saturating_sub(began));
}

/// Of this thread; nothing where the kernel does not count it.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn serve(context: &Rc<Context>, socket: TcpStream, origin: flow::Origin, card: dealing::Card) {
    match tokio::net::TcpStream::from_std(socket) {
        Ok(socket) => dealing::serve(context, socket, origin, card),
        Err(error) => tracing::warn!(%error, "a connection cannot be registered: the system has no memory for it"),
    }
}
