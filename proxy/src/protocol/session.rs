//! One downstream connection: where it was going, what the configuration says of it, and the worker it belongs to.

use crate::lifecycle::Lifecycle;
use crate::snapshot::{Handling, Target};
use crate::telemetry::access_log::{AccessLog, Entry, Origin};
use crate::telemetry::{self, Book, Protocol, RequestRecord, ServiceSeries, TcpRecord};
use crate::upstream::{Endpoint, Live, Upstreams};
use evenkeel_control_api::resource::listener::Direction;
use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use tokio::time::Instant;

use super::detect::Learnt;

/// What every connection of a worker shares.
pub struct Context {
    /// The way to all endpoints.
    pub upstreams: Rc<Upstreams>,
    /// Where this worker counts.
    pub book: Arc<Book>,
    /// Where this process tells of each request, if it does.
    pub access_log: Option<Arc<AccessLog>>,
    /// Whether to say goodbye.
    pub lifecycle: Arc<Lifecycle>,
    /// Which destinations are spoken to first by their clients.
    pub learnt: RefCell<Learnt>,
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
}

struct View {
    live: Rc<Live>,
    target: Target,
    series: Arc<ServiceSeries>,
}

impl Session {
    /// For a connection to `destination`; `None` when the configuration in force refuses it.
    pub fn open(
        context: &Rc<Context>,
        direction: Direction,
        destination: SocketAddr,
        peer: Option<SocketAddr>,
    ) -> Option<Self> {
        let live = context.upstreams.live();
        let target = find(&live, direction, destination)?;
        let series = series(context, &target);
        let view = RefCell::new(View { live, target, series });
        Some(Self {
            context: Rc::clone(context),
            direction,
            destination,
            peer,
            view,
        })
    }

    /// How connections to this destination are handled, and with which clusters, as of now. A request keeps what it got
    /// here until it ends; the next one sees what came in between.
    pub fn now(&self) -> (Rc<Live>, Arc<Handling>) {
        let live = self.context.upstreams.live();
        let mut view = self.view.borrow_mut();
        if live.generation() != view.live.generation() {
            // A destination that is gone, or is no longer handled as what this connection speaks, goes on as it began.
            if let Some(target) = find(&live, self.direction, self.destination)
                && target.handling.http.is_some() == view.target.handling.http.is_some()
            {
                let series = series(&self.context, &target);
                *view = View { live, target, series };
            }
        }
        (Rc::clone(&view.live), Arc::clone(&view.target.handling))
    }

    /// Who asks; on an in-process stream the pod itself.
    pub fn client_ip(&self) -> IpAddr {
        self.peer.unwrap_or(self.destination).ip()
    }

    /// Lets go of the configuration: this connection asks it nothing any more.
    pub fn release(&self) {
        self.view.borrow_mut().live = Rc::default();
    }

    /// Books a request that began at `started`.
    pub fn request_record(&self, protocol: Protocol, started: Instant) -> RequestRecord {
        let record = RequestRecord::new(Arc::clone(self.view.borrow().series.http(protocol)), started);
        record.logged(self.entry(protocol.label()))
    }

    /// Books an opaque connection.
    pub fn tcp_record(&self) -> TcpRecord {
        let record = TcpRecord::new(Arc::clone(self.view.borrow().series.tcp()));
        record.logged(self.entry("tcp"))
    }

    fn entry(&self, protocol: &'static str) -> Option<Box<Entry>> {
        let log = self.context.access_log.as_ref()?;
        let handling = &self.view.borrow().target.handling;
        let origin = Origin {
            direction: label(handling.direction),
            service: Arc::clone(&handling.service),
            client: self.peer,
            destination: self.destination,
        };
        Some(Entry::new(Arc::clone(log), protocol, origin))
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

fn find(live: &Live, direction: Direction, destination: SocketAddr) -> Option<Target> {
    let snapshot = live.snapshot.as_ref()?;
    match direction {
        Direction::Outbound => snapshot.outbound(destination),
        Direction::Inbound => snapshot.inbound(destination),
    }
}
