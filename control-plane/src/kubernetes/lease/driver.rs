//! The election, with an API server.

use super::{Bid, Candidate, NAME, Turn, Went};
use crate::outage::Outage;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// For one request: two fit between a renewal and the deadline.
const ANSWER: Duration = Duration::from_secs(3);
const SLOW: &str = "no answer in time";

/// Whether this replica leads.
#[derive(Clone, Debug)]
pub struct Election(watch::Receiver<Option<Instant>>);

impl Election {
    /// Whether we lead at this moment: to be asked before every write.
    pub fn leads(&self) -> bool {
        leads(*self.0.borrow())
    }

    /// Waits until we lead; for ever where the election has ended.
    pub async fn led(&mut self) {
        if self.0.wait_for(|until| leads(*until)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until we do not lead.
    pub async fn lost(&mut self) {
        loop {
            let until = *self.0.borrow_and_update();
            let Some(until) = until.filter(|until| leads(Some(*until))) else {
                return;
            };
            tokio::select! {
                () = sleep_until(until) => {}
                changed = self.0.changed() => if changed.is_err() {
                    return;
                }
            }
        }
    }
}

fn leads(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() < until)
}

/// An election, and what takes part in it for us until `end`: then the lease is released.
pub fn elect(
    leases: Api<Lease>,
    identity: String,
    end: impl Future<Output = ()> + Send,
) -> (Election, impl Future<Output = ()> + Send) {
    let (told, election) = watch::channel(None);
    (Election(election), run(leases, Candidate::new(identity), told, end))
}

async fn run(
    leases: Api<Lease>,
    mut candidate: Candidate,
    told: watch::Sender<Option<Instant>>,
    end: impl Future<Output = ()> + Send,
) {
    tokio::pin!(end);
    let mut away = Outage::default();
    loop {
        let led = leads(*told.borrow());
        let turned = tokio::select! {
            turned = turn(&leases, &mut candidate) => turned,
            () = &mut end => break,
        };
        let went = went(turned, &mut away);
        let until = candidate.leads_until();
        told.send_replace(until);
        match (led, leads(until)) {
            (false, true) => tracing::info!("this replica leads"),
            (true, false) => tracing::warn!("this replica leads no longer"),
            _ => {}
        }
        let dice = RandomState::new().hash_one(Instant::now());
        tokio::select! {
            () = sleep(Candidate::pause(went, dice)) => {}
            () = &mut end => break,
        }
    }
    told.send_replace(None);
    if let Some(lease) = candidate.release(Instant::now(), Timestamp::now()) {
        let released = timeout(ANSWER, leases.replace(NAME, &PostParams::default(), &lease)).await;
        tracing::debug!(?released, "the lease is released");
    }
}

/// Says what is news of it.
fn went(turned: Result<(), String>, away: &mut Outage) -> Went {
    match turned {
        Ok(()) => {
            if let Some(since) = away.ends() {
                let outage = since.elapsed();
                tracing::info!(?outage, "the lease can be read and written again");
            }
            Went::Well
        }
        Err(error) => {
            if away.begins() {
                tracing::warn!(error, "the lease cannot be read or written; tried again until it can");
            }
            Went::Badly
        }
    }
}

/// `Err`: why the API server could not be asked.
async fn turn(leases: &Api<Lease>, candidate: &mut Candidate) -> Result<(), String> {
    let asked = Instant::now();
    let written = match candidate.turn(asked, Timestamp::now()) {
        Turn::Renew(lease) => timeout(ANSWER, leases.replace(NAME, &PostParams::default(), &lease)).await,
        Turn::Read => {
            let found = match timeout(ANSWER, leases.get_opt(NAME)).await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err(SLOW.to_owned()),
            };
            // What is written holds from before it was asked for.
            match candidate.read(found, asked, Timestamp::now()) {
                Bid::Create(lease) => timeout(ANSWER, leases.create(&PostParams::default(), &lease)).await,
                Bid::Take(lease) => timeout(ANSWER, leases.replace(NAME, &PostParams::default(), &lease)).await,
                Bid::Wait => return Ok(()),
            }
        }
    };
    match written {
        Ok(Ok(lease)) => {
            candidate.written(lease, asked);
            Ok(())
        }
        Ok(Err(kube::Error::Api(status))) if [404, 409].contains(&status.code) => {
            candidate.lost();
            Ok(())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(SLOW.to_owned()),
    }
}
