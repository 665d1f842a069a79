//! The second part: the mesh comes from a control plane, and a replica is added and removed while clients keep their connections.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::control::ControlPlane;
use evenkeel_tests::counts::Counts;
use evenkeel_tests::counts::shares;
use evenkeel_tests::document::Document;
use evenkeel_tests::load::Load;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::replica::readings;
use evenkeel_tests::replica::served;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::wait;

use crate::interrupt;
use crate::report;

/// Requests a second of each client.
const RATE: u32 = 600;
/// Requests of each client in each step.
const REQUESTS: u64 = 1200;
/// This part is about who takes part. The default looks at latencies, which a busy machine makes uneven; and what is in turn for
/// three clients together is not in turn for each.
const BALANCE: &str = "random";
/// How far a share may be from its part. By chance it strays by 0.013.
const TOLERANCE: f64 = 0.07;
/// A step takes 2 s where the machine has nothing else to do.
const DEADLINE: Duration = Duration::from_mins(3);

/// What the document says of the fourth replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    NotThere,
    Added,
    Removed,
}

/// One client during one step.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) spoken: Spoken,
    pub(crate) step: Step,
    /// Of all four.
    pub(crate) shares: Vec<f64>,
    /// Requests without a good answer, since the step before.
    pub(crate) failures: u64,
    /// Connections that the client had to open, since the step before.
    pub(crate) opened: u64,
}

/// How far a client was when it was looked at.
#[derive(Debug, Clone, Copy)]
struct Mark {
    failures: u64,
    connections: u64,
}

/// The clients, and how far each was at the end of the step before.
struct Clients {
    loads: Vec<Load>,
    marks: Vec<Mark>,
}

// === impl Step ===

impl Step {
    pub(crate) const ALL: [Self; 3] = [Self::NotThere, Self::Added, Self::Removed];

    /// As JSON spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotThere => "three_replicas",
            Self::Added => "fourth_added",
            Self::Removed => "fourth_removed",
        }
    }

    /// As the table spells it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NotThere => "three replicas",
            Self::Added => "a fourth is added",
            Self::Removed => "it is removed",
        }
    }

    /// Replicas that take part.
    fn replicas(self) -> usize {
        match self {
            Self::NotThere | Self::Removed => 3,
            Self::Added => 4,
        }
    }
}

// === impl Followed ===

impl Followed {
    /// Whether it is as it should be: even shares, none for who does not take part, and the client has noticed nothing.
    pub(crate) fn good(&self) -> bool {
        let (taking, others) = self.shares.split_at(self.step.replicas());
        let part = 1.0 / taking.len() as f64;
        let even = taking.iter().all(|share| (share - part).abs() <= TOLERANCE);
        even && others.iter().all(|&share| share == 0.0) && self.failures == 0 && self.opened == 0
    }
}

// === impl Clients ===

impl Clients {
    fn start(cluster: &Cluster, control: &ControlPlane, service: &Service) -> Result<(Self, Mesh)> {
        let pod = cluster.pod("client")?;
        let mesh = pod.mesh(&control.client(""))?.quiet();
        let loads = Spoken::ALL.map(|spoken| Load::start(&pod, service.at(80), spoken, RATE));
        let loads = loads.into_iter().collect::<Result<_>>()?;
        let mut clients = Self {
            loads,
            marks: Vec::new(),
        };
        // All connections are open by then.
        let open = clients.more(REQUESTS / 10);
        clients.marks = clients.look();
        match open {
            Ok(()) => Ok((clients, mesh)),
            Err(error) => Err(clients.stop().err().unwrap_or(error)),
        }
    }

    /// Waits until each client has so many more answers.
    fn more(&self, requests: u64) -> Result<()> {
        let enough: Vec<_> = self.loads.iter().map(|load| load.served() + requests).collect();
        let there = || {
            self.loads
                .iter()
                .zip(&enough)
                .all(|(load, &enough)| load.served() >= enough)
        };
        wait::until(DEADLINE, || (there() || interrupt::check().is_err()).then_some(()))
            .with_context(|| format!("{:?}", self.loads.iter().map(Load::outcome).collect::<Vec<_>>()))?;
        interrupt::check()
    }

    fn look(&self) -> Vec<Mark> {
        let mark = |load: &Load| {
            let outcome = load.outcome();
            Mark {
                failures: outcome.answers.failures,
                connections: outcome.connections,
            }
        };
        self.loads.iter().map(mark).collect()
    }

    /// Who serves them from now on, for a while; what failed is told since the last time.
    fn step(&mut self, step: Step, replicas: &[Replica]) -> Result<Vec<Followed>> {
        report::note(&format!("  {}", step.label()));
        // What was on its way when the change came is not counted.
        self.more(REQUESTS / 20)?;
        let before = readings(replicas)?;
        self.more(REQUESTS)?;
        let (earlier, now) = (std::mem::take(&mut self.marks), self.look());
        let marks = earlier.into_iter().zip(&now);
        let followed = self.loads.iter().zip(marks).map(|(load, (earlier, now))| {
            Ok(Followed {
                spoken: load.spoken(),
                step,
                shares: shares(&served(replicas, &before, |counts| count(load.spoken(), counts))?),
                failures: now.failures - earlier.failures,
                opened: now.connections - earlier.connections,
            })
        });
        let followed = followed.collect();
        self.marks = now;
        followed
    }

    /// A client that goes on holds its pod. Says why the first request of each failed, if one did.
    fn stop(self) -> Result<()> {
        for load in self.loads {
            let spoken = load.spoken();
            if let Some(reason) = load.stop()?.answers.first_failure {
                report::note(&format!("demo: {spoken:?}: {reason}"));
            }
        }
        Ok(())
    }
}

/// The whole part; the service's replicas are three, and the fourth is made here.
pub(crate) fn follow(cluster: &Cluster, service: &Service, replicas: &[Replica]) -> Result<Vec<Followed>> {
    let mut replicas = replicas.to_vec();
    replicas.push(cluster.replica("r4", 0)?);
    let document = |step: Step| {
        let port = Port::http(80, &replicas[..step.replicas()], Family::V4).balance(BALANCE);
        Document::of(&[&Service::new(service.name(), service.vip()).with(port)])
    };
    let control = ControlPlane::start(&cluster.pod("control")?, Family::V4, &document(Step::NotThere))?;
    let (mut clients, mesh) = Clients::start(cluster, &control, service)?;
    let mut change = |step: Step| {
        if step != Step::NotThere {
            mesh.applied(|| control.publish(&document(step)))?;
        }
        clients.step(step, &replicas)
    };
    let steps: Result<Vec<_>> = Step::ALL.into_iter().map(&mut change).collect();
    clients.stop()?;
    Ok(steps?.concat())
}

fn count(spoken: Spoken, counts: Counts) -> u64 {
    match spoken {
        Spoken::Http1 => counts.http1,
        Spoken::Http2 => counts.http2,
        Spoken::Grpc => counts.grpc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_is_removed_takes_nothing() {
        let followed = |step, shares: [f64; 4], failures| Followed {
            spoken: Spoken::Http1,
            step,
            shares: shares.to_vec(),
            failures,
            opened: 0,
        };
        assert!(followed(Step::Added, [0.25, 0.28, 0.22, 0.25], 0).good());
        assert!(!followed(Step::Added, [0.34, 0.33, 0.33, 0.0], 0).good());
        assert!(followed(Step::Removed, [0.34, 0.33, 0.33, 0.0], 0).good());
        assert!(!followed(Step::Removed, [0.34, 0.33, 0.32, 0.01], 0).good());
        assert!(!followed(Step::Removed, [0.34, 0.33, 0.33, 0.0], 1).good());
    }
}
