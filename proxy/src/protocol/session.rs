//! One downstream connection: where it was going, what the configuration says of it, and the worker it belongs to.

use crate::balance::Key;
use crate::control::asking::Asking;
use crate::lifecycle::Lifecycle;
use crate::snapshot::{Handling, Opening, Seen, Target};
use crate::telemetry::access_log::{Entry, Origin, WorkerLog};
use crate::telemetry::tap::WorkerTap;
use crate::telemetry::trace::WorkerTracer;
use crate::telemetry::{self, Book, Destination, Protocol, RequestRecord, ServiceSeries, TcpRecord};
use crate::upstream::{Endpoint, Live, Upstreams};
use evenkeel_control_api::resource::HashKey;
use evenkeel_control_api::resource::listener::Direction;
use std::cell::{OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;
use tokio::time::Instant;

use super::Bounds;
use super::detect::Learnt;

/// What shares of the access log are shares of.
const MILLION: NonZeroU64 = NonZeroU64::new(1_000_000).expect("it is not zero");

/// What every connection of a worker shares.
pub struct Context {
    /// The way to all endpoints.
    pub upstreams: Rc<Upstreams>,
    /// Where this worker counts.
    pub book: Arc<Book>,
    /// Where this process tells of each request, if it does.
    pub access_log: Option<Rc<WorkerLog>>,
    /// Who decides about traces and takes spans, if there are any.
    pub tracer: Option<Rc<WorkerTracer>>,
    /// Who listens to each request.
    pub tap: WorkerTap,
    /// Who asks for destinations on demand; `None`: everything is known.
    pub asking: Option<Rc<Asking>>,
    /// Whether to say goodbye.
    pub lifecycle: Arc<Lifecycle>,
    /// Which destinations are spoken to first by their clients.
    pub learnt: RefCell<Learnt>,
    /// What clients may ask for.
    pub bounds: Bounds,
}

/// One downstream connection.
pub struct Session {
    /// Its worker.
    pub context: Rc<Context>,
    /// Which side of the application.
    pub direction: Direction,
    /// Where the client thinks it is connected to.
    pub destination: SocketAddr,
    /// Who connected; nothing for an in-process stream.
    pub peer: Option<SocketAddr>,
    view: RefCell<View>,
    /// What the connection began with, where chains are chosen by it.
    opening: OnceCell<Opening>,
}

/// As of a generation; without the configuration itself, which an idle connection would keep from being freed.
struct View {
    generation: u64,
    target: Target,
    series: Arc<ServiceSeries>,
    /// Once somebody tells of it.
    origin: Option<Rc<Origin>>,
    /// Once something went to who is counted apart.
    destined: Option<Box<Destined>>,
}

/// The series of those that this connection's requests have gone to: a few workloads in a few zones. To ask for them takes a lock.
#[derive(Default)]
struct Destined(Vec<(Arc<Destination>, Arc<ServiceSeries>)>);

impl Session {
    /// For a connection to `destination`; `None` when the configuration in force refuses it.
    pub fn open(
        context: &Rc<Context>,
        direction: Direction,
        destination: SocketAddr,
        peer: Option<SocketAddr>,
    ) -> Option<Self> {
        let live = context.upstreams.live();
        let target = find(&live, direction, destination, peer)?;
        let series = series(context, &target);
        let view = RefCell::new(View {
            generation: live.generation(),
            target,
            series,
            origin: None,
            destined: None,
        });
        Some(Self {
            context: Rc::clone(context),
            direction,
            destination,
            peer,
            view,
            opening: OnceCell::new(),
        })
    }

    /// Chooses between the chains of the listener by what the connection begins with; `None`: it is refused.
    pub fn narrow(&self, opening: Opening) -> Option<Arc<Handling>> {
        let (_, handling) = self.now();
        let opening = self.opening.get_or_init(|| opening);
        let handling = handling.narrowed(&self.seen(opening))?;
        let mut view = self.view.borrow_mut();
        view.target.handling = Arc::clone(&handling);
        view.series = series(&self.context, &view.target);
        (view.origin, view.destined) = (None, None);
        Some(handling)
    }

    fn seen(&self, opening: &Opening) -> Seen {
        Seen {
            destination: self.destination,
            source: self.peer,
            opening: opening.clone(),
        }
    }

    /// How connections to this destination are handled, and with which clusters, as of now. A request keeps what it got
    /// here until it ends; the next one sees what came in between.
    pub fn now(&self) -> (Rc<Live>, Arc<Handling>) {
        let live = self.context.upstreams.live();
        let mut view = self.view.borrow_mut();
        if live.generation() != view.generation {
            view.generation = live.generation();
            // A destination that is gone, or is no longer handled as what this connection speaks, goes on as it began, as
            // long as its clusters are there: they keep their places.
            if let Some(target) = self.find(&live)
                && target.handling.http.is_some() == view.target.handling.http.is_some()
            {
                let series = series(&self.context, &target);
                if !Arc::ptr_eq(&view.series, &series) {
                    (view.series, view.destined) = (series, None);
                }
                view.target = target;
                view.origin = None;
            }
        }
        (live, Arc::clone(&view.target.handling))
    }

    fn find(&self, live: &Live) -> Option<Target> {
        let mut target = find(live, self.direction, self.destination, self.peer)?;
        if let Some(opening) = self.opening.get() {
            target.handling = target.handling.narrowed(&self.seen(opening))?;
        }
        Some(target)
    }

    /// Who asks; on an in-process stream the pod itself.
    pub fn client_ip(&self) -> IpAddr {
        self.peer.unwrap_or(self.destination).ip()
    }

    /// What this connection has in common with others that are to get the same endpoint.
    pub fn key(&self, hash: HashKey) -> Key {
        match hash {
            HashKey::SourceIp => Key::of_client(self.client_ip()),
        }
    }

    /// Books a request that began at `started`.
    pub fn request_record(&self, protocol: Protocol, started: Instant) -> RequestRecord {
        let record = RequestRecord::new(&self.view.borrow().series, protocol, started);
        record.logged(self.entry(protocol.label()))
    }

    /// Books an opaque connection.
    pub fn tcp_record(&self) -> TcpRecord {
        let record = TcpRecord::new(&self.view.borrow().series);
        record.logged(self.entry("tcp"))
    }

    fn entry(&self, protocol: &'static str) -> Option<Box<Entry>> {
        let log = self.context.access_log.as_ref();
        let taps = self.context.tap.listening();
        if log.is_none() && taps.is_none() {
            return None;
        }
        let drawn = |log: &&Rc<WorkerLog>| {
            let share = log.share().map(u64::from);
            share.is_none_or(|share| self.context.upstreams.dice().below(MILLION) < share)
        };
        let log = log.filter(drawn).map(Rc::clone);
        if log.is_none() && taps.is_none() {
            return None;
        }
        Some(Entry::new(log, taps, protocol, self.origin()))
    }

    /// The series of what goes to this endpoint, where labels tell whose it is.
    pub fn destined(&self, endpoint: &Endpoint) -> Option<Arc<ServiceSeries>> {
        let destination = endpoint.destination();
        let destination = destination.as_ref()?;
        let mut view = self.view.borrow_mut();
        let View { target, destined, .. } = &mut *view;
        let Destined(known) = &mut **destined.get_or_insert_default();
        let found = known.iter().find(|(known, _)| Arc::ptr_eq(known, destination));
        if let Some((_, series)) = found {
            return Some(Arc::clone(series));
        }
        let (direction, service) = (label(target.handling.direction), &target.handling.service);
        let series = self.context.book.destined(direction, service, destination);
        known.push((Arc::clone(destination), Arc::clone(&series)));
        Some(series)
    }

    /// Where this connection came from, and where to.
    pub fn origin(&self) -> Rc<Origin> {
        let mut view = self.view.borrow_mut();
        let View { target, origin, .. } = &mut *view;
        Rc::clone(origin.get_or_insert_with(|| {
            let (direction, service) = (label(target.handling.direction), &target.handling.service);
            Rc::new(Origin::new(direction, Arc::clone(service), self.peer, self.destination))
        }))
    }

    /// Tells the balancer how long an endpoint took to answer.
    pub fn observe(&self, endpoint: &Endpoint, started: Instant, now: Instant) {
        endpoint.shared.backoff.succeeded();
        endpoint
            .shared
            .load
            .observe(self.context.upstreams.millis(now), now - started);
    }

    /// The one endpoint that this connection has to reach, where balancing has no say.
    pub fn pinned(&self) -> Option<SocketAddr> {
        self.view.borrow().target.pinned
    }
}

fn series(context: &Context, target: &Target) -> Arc<ServiceSeries> {
    let direction = label(target.handling.direction);
    context.book.service(direction, &target.handling.service)
}

fn label(direction: Direction) -> telemetry::Direction {
    match direction {
        Direction::Inbound => telemetry::Direction::Inbound,
        Direction::Outbound => telemetry::Direction::Outbound,
    }
}

fn find(live: &Live, direction: Direction, destination: SocketAddr, source: Option<SocketAddr>) -> Option<Target> {
    let snapshot = live.snapshot.as_ref()?;
    match direction {
        Direction::Outbound => snapshot.outbound(destination, source),
        Direction::Inbound => snapshot.inbound(destination, source),
    }
}
