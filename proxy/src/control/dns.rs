//! Names of endpoints: resolved when they are due, and told as the assignments that their clusters wait for.
//!
//! The last good addresses of a name stay while it cannot be resolved. A cluster is told of when each of its names has been
//! asked for once, so that a change of its names does not empty it.

mod agenda;

use crate::balance::Dice;
use agenda::{Agenda, pause};
use evenkeel_control_api::resource::cluster::{Answers, Discovery, Dns};
use evenkeel_control_api::resource::{Cluster, ClusterLoadAssignment, Kind, Resource, Update};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::lookup_host;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Lookups under way; each holds a thread while the system's resolver waits.
const AT_ONCE: usize = 16;

/// The answer to one lookup, yet to come.
pub type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
/// Asks for the addresses of a name.
pub type Lookup = Box<dyn Fn(Arc<str>) -> Answer + Send>;

/// The names of all clusters of `STRICT_DNS` and `LOGICAL_DNS`.
pub struct Names {
    lookup: Lookup,
    watched: HashMap<Arc<str>, Watched>,
    agenda: Agenda<Ticket>,
    under_way: JoinSet<(Ticket, io::Result<Vec<IpAddr>>)>,
    untold: Update,
    rounds: u64,
    dice: Dice,
}

/// One name of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    cluster: Arc<str>,
    host: usize,
    /// Of the form of the cluster that it was issued for.
    round: u64,
}

struct Watched {
    dns: Arc<Dns>,
    round: u64,
    hosts: Vec<Host>,
    told: Option<Arc<ClusterLoadAssignment>>,
}

#[derive(Clone, Default)]
struct Host {
    /// The last good ones.
    addresses: Vec<IpAddr>,
    is_known: bool,
    /// In a row.
    failures: u32,
}

impl Names {
    /// Asks the system's resolver, which looks into `/etc/hosts` and knows the search domains of the pod.
    pub fn of_system(dice: Dice) -> Self {
        Self::new(Box::new(|name| Box::pin(system(name))), dice)
    }

    /// Asks `lookup`; `dice` spread refreshes.
    pub fn new(lookup: Lookup, dice: Dice) -> Self {
        Self {
            lookup,
            watched: HashMap::new(),
            agenda: Agenda::default(),
            under_way: JoinSet::new(),
            untold: Update::default(),
            rounds: 0,
            dice,
        }
    }

    /// Notes which clusters there are from now on. To be called with every update that comes into force.
    pub fn watch(&mut self, update: &Update) {
        for (kind, name) in &update.removed {
            if *kind == Kind::Cluster {
                self.forget(name);
            }
        }
        for resource in &update.set {
            if let Resource::Cluster(cluster) = resource {
                match &cluster.discovery {
                    Discovery::Dns(dns) => self.begin(cluster, dns),
                    Discovery::Eds(_) | Discovery::Static(_) | Discovery::OriginalDestination(_) => {
                        self.forget(&cluster.name);
                    }
                }
            }
        }
    }

    /// The next change of addresses. Needs a tokio runtime with time; whoever stops waiting loses nothing.
    pub async fn changed(&mut self) -> Update {
        loop {
            while let Some(answered) = self.under_way.try_join_next() {
                self.settle(answered);
            }
            if !self.untold.is_empty() {
                return std::mem::take(&mut self.untold);
            }
            self.ask();
            let room = self.under_way.len() < AT_ONCE;
            let due = self.agenda.next().filter(|_| room);
            tokio::select! {
                Some(answered) = self.under_way.join_next() => self.settle(answered),
                () = until(due) => {}
            }
        }
    }

    fn begin(&mut self, cluster: &Cluster, dns: &Arc<Dns>) {
        let name: Arc<str> = Arc::from(cluster.name.as_str());
        let before = self.watched.get(&name);
        if before.is_some_and(|before| before.dns == *dns) {
            return;
        }
        self.rounds += 1;
        let known: HashMap<&str, &Host> = before.map(Watched::by_name).unwrap_or_default();
        let hosts = dns.hosts.endpoints.iter().map(|host| {
            let known = known.get(&*host.address.name);
            known.map(|known| Host::clone(known)).unwrap_or_default()
        });
        let watched = Watched {
            dns: Arc::clone(dns),
            round: self.rounds,
            hosts: hosts.collect(),
            told: before.and_then(|before| before.told.clone()),
        };
        for host in 0..watched.hosts.len() {
            let (cluster, round) = (Arc::clone(&name), self.rounds);
            self.agenda.plan(Instant::now(), Ticket { cluster, host, round });
        }
        self.watched.insert(Arc::clone(&name), watched);
        self.tell(&name);
    }

    fn forget(&mut self, cluster: &str) {
        if let Some(Watched { dns, .. }) = self.watched.remove(cluster) {
            self.untold.set.retain(|resource| resource.name() != dns.assignment);
            let gone = (Kind::Assignment, Arc::from(dns.assignment.as_str()));
            self.untold.removed.push(gone);
        }
    }

    /// Begins the lookups that are due.
    fn ask(&mut self) {
        while self.under_way.len() < AT_ONCE
            && let Some(ticket) = self.agenda.take(Instant::now())
        {
            let Some(watched) = self.watched.get(&ticket.cluster) else {
                continue;
            };
            let Some(host) = watched.dns.hosts.endpoints.get(ticket.host) else {
                continue;
            };
            if watched.round == ticket.round {
                let answer = (self.lookup)(Arc::clone(&host.address.name));
                self.under_way.spawn(async move { (ticket, answer.await) });
            }
        }
    }

    fn settle(&mut self, answered: Result<(Ticket, io::Result<Vec<IpAddr>>), JoinError>) {
        // Only the end of the process ends a lookup before its answer.
        let Ok((ticket, answer)) = answered else { return };
        let Some(watched) = self.watched.get_mut(&ticket.cluster) else {
            return;
        };
        if watched.round != ticket.round {
            return;
        }
        let failures = watched.note(&ticket, answer);
        let pause = pause(&watched.dns.timing, failures, &mut self.dice);
        let cluster = Arc::clone(&ticket.cluster);
        self.agenda.plan(Instant::now() + pause, ticket);
        self.tell(&cluster);
    }

    /// Tells of a cluster whose endpoints are not those that were told last.
    fn tell(&mut self, cluster: &str) {
        let Some(watched) = self.watched.get_mut(cluster) else {
            return;
        };
        if !watched.hosts.iter().all(|host| host.is_known) {
            return;
        }
        let answers = watched.hosts.iter().map(|host| host.addresses.as_slice());
        let resolved = watched.dns.resolved(answers);
        if watched.told.as_deref() != Some(&resolved) {
            let resolved = Arc::new(resolved);
            watched.told = Some(Arc::clone(&resolved));
            self.untold.set.push(Resource::Assignment(resolved));
        }
    }
}

impl Watched {
    fn by_name(&self) -> HashMap<&str, &Host> {
        let names = self.dns.hosts.endpoints.iter().map(|host| &*host.address.name);
        names.zip(&self.hosts).collect()
    }

    /// Keeps an answer. Returns how many in a row failed.
    fn note(&mut self, ticket: &Ticket, answer: io::Result<Vec<IpAddr>>) -> u32 {
        let Ticket { cluster, host, .. } = ticket;
        let (Some(known), Some(asked)) = (self.hosts.get_mut(*host), self.dns.hosts.endpoints.get(*host)) else {
            return 0;
        };
        let (name, family) = (&asked.address.name, self.dns.family);
        known.is_known = true;
        match answer.map(|addresses| family.choose(addresses)) {
            Ok(mut addresses) if !addresses.is_empty() => {
                if known.failures > 0 {
                    tracing::info!(%cluster, %name, "a name can be resolved again");
                }
                known.failures = 0;
                if self.dns.answers == Answers::Every {
                    // In another order they are no others.
                    addresses.sort_unstable();
                }
                known.addresses = addresses;
            }
            failed => {
                if known.failures == 0 {
                    let error = failed.err().map(|error| error.to_string());
                    let error = error
                        .as_deref()
                        .unwrap_or("it has no address of the family that is asked for");
                    let kept = known.addresses.len();
                    tracing::warn!(%cluster, %name, %error, kept, "a name cannot be resolved; its last addresses stay");
                }
                known.failures = known.failures.saturating_add(1);
            }
        }
        known.failures
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn system(name: Arc<str>) -> io::Result<Vec<IpAddr>> {
    let found = lookup_host((&*name, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests;
