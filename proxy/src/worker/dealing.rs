//! Accepting connections and dealing them out: to the worker that has the fewest, and to nobody beyond the limits.

use super::Order;
use super::sources::{Seat, Sources};
use crate::failure::Reason;
use crate::flow::{self, Origin};
use crate::net::listen::Acceptor;
use crate::net::stream::Stream;
use crate::protocol::Context;
use crate::telemetry::{self, ConnectionRecord};
use evenkeel_control_api::mesh::settings::ProcessLimits;
use evenkeel_control_api::resource::listener::Direction;
use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// One worker, as the dealer sees it.
#[derive(Clone)]
pub(super) struct Hand {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    /// Its open connections.
    pub(super) open: Arc<AtomicUsize>,
}

/// A connection's place in its worker's count, and in that of its source, until it is dropped.
pub(super) struct Card {
    open: Arc<AtomicUsize>,
    _seat: Option<Seat>,
}

impl Drop for Card {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Deals to all workers; runs on the first.
struct Dealer {
    context: Rc<Context>,
    hands: Vec<Hand>,
    most: usize,
    /// Of inbound connections: what the application dials comes from the application.
    sources: Option<RefCell<Sources>>,
}

/// Accepts on every listener, on tasks of the calling worker, which is the first.
pub(super) fn start(
    context: &Rc<Context>,
    limits: &ProcessLimits,
    listeners: Vec<(TcpListener, Direction)>,
    hands: Vec<Hand>,
) -> io::Result<()> {
    let dealer = Rc::new(Dealer {
        context: Rc::clone(context),
        hands,
        most: limits.connections,
        sources: limits
            .connections_per_source
            .map(|most| RefCell::new(Sources::new(most))),
    });
    for (listener, direction) in listeners {
        let acceptor = Acceptor::new(listener)?;
        tokio::task::spawn_local(accept(Rc::clone(&dealer), acceptor, direction));
    }
    Ok(())
}

async fn accept(dealer: Rc<Dealer>, mut acceptor: Acceptor, direction: Direction) {
    let listening = acceptor.local_addr().map_or(0, |address| address.port());
    loop {
        match acceptor.accept().await {
            Ok((socket, peer)) => dealer.deal(
                socket,
                Origin {
                    direction,
                    peer,
                    listening,
                },
            ),
            Err(error) => {
                dealer.context.book.accept_errors.increment();
                tracing::warn!(%error, "connections wait: none can be accepted for a moment");
            }
        }
    }
}

impl Dealer {
    fn deal(&self, socket: TcpStream, origin: Origin) {
        let counts = self.hands.iter().map(|hand| hand.open.load(Ordering::Relaxed));
        if counts.clone().sum::<usize>() >= self.most {
            return self.refuse(socket, origin.direction, Reason::Overloaded);
        }
        let seat = match (&self.sources, origin.direction) {
            (Some(sources), Direction::Inbound) => match sources.borrow_mut().seat(origin.peer.ip()) {
                None => return self.refuse(socket, origin.direction, Reason::TooManyConnections),
                seat => seat,
            },
            _ => None,
        };
        let Some((number, _)) = counts.enumerate().min_by_key(|(_, open)| *open) else {
            return;
        };
        let hand = &self.hands[number];
        hand.open.fetch_add(1, Ordering::Relaxed);
        let card = Card {
            open: Arc::clone(&hand.open),
            _seat: seat,
        };
        if number == 0 {
            return serve(&self.context, socket, origin, card);
        }
        match socket.into_std() {
            // A worker that has ended drops the connection, as the end of the process would.
            Ok(socket) => drop(hand.orders.send(Order::Serve(socket, origin, card))),
            Err(error) => tracing::warn!(%error, "a connection cannot be handed over"),
        }
    }

    fn refuse(&self, socket: TcpStream, direction: Direction, reason: Reason) {
        let label = match direction {
            Direction::Inbound => telemetry::Direction::Inbound,
            Direction::Outbound => telemetry::Direction::Outbound,
        };
        ConnectionRecord::new(Arc::clone(&self.context.book), label).set_failure(reason);
        Stream::Tcp(socket).reset();
    }
}

/// Serves a connection on a task of the calling worker.
pub(super) fn serve(context: &Rc<Context>, socket: TcpStream, origin: Origin, card: Card) {
    let context = Rc::clone(context);
    // Boxed, for the runtime moves a task about eight times.
    tokio::task::spawn_local(Box::pin(async move {
        flow::accepted(context, socket, origin).await;
        drop(card);
    }));
}
