//! The soak: every kind of traffic at once through a meshed pod and into another, while the endpoints change every second. It
//! ends with what was served, what failed without a reason, and whether the proxies are as they were before.
//!
//! ```text
//!   client pod, proxy with two workers                    r1, proxy with two workers
//!   each kind of traffic on a thread of its own   --->    r2, r3, bare
//! ```

mod report;
mod rude;
mod slow;
mod traffic;
mod world;

use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;

pub use crate::soak::report::Report;
pub use crate::soak::report::Side;
pub use crate::soak::traffic::Tally;
pub use crate::soak::traffic::Traffic;
use crate::soak::world::World;

/// Between two changes of the endpoints.
const CHANGE: Duration = Duration::from_secs(1);

/// Between the end of a round and the next of the same traffic. Without it, a client's port numbers run out: each
/// connection that it closes holds one for a minute (`TIME_WAIT`).
const PACE: Duration = Duration::from_millis(150);

/// Soaks for `time`. The error is of the harness; what is wrong with the proxies is in the report.
pub fn run(time: Duration) -> Result<Report> {
    let world = World::new()?;
    // What is allocated once (threads, pipes, series) is there before the first look.
    for traffic in Traffic::ALL {
        traffic.round(&world, 0)?;
    }
    let before = world.at_rest()?;
    let (tallies, changes) = soak(&world, time)?;
    let after = world.at_rest()?;
    let sides = before
        .into_iter()
        .zip(after)
        .map(|(before, after)| Side { before, after });
    Ok(Report {
        tallies,
        changes,
        sides: sides.collect(),
        reasons: world.reasons()?,
        verdicts: world.verdicts()?,
    })
}

/// All traffic at once; the tallies, and how often the endpoints changed.
fn soak(world: &World, time: Duration) -> Result<(Vec<(Traffic, Tally)>, u32)> {
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        let mut stops = Vec::new();
        let threads: Vec<_> = Traffic::ALL
            .into_iter()
            .map(|traffic| {
                let (stop, stopped) = channel();
                stops.push(stop);
                (traffic, scope.spawn(move || rounds(traffic, world, &stopped)))
            })
            .collect();
        let (_never, rhythm) = channel();
        let mut changes = 0;
        while Instant::now() < end {
            world.change(changes)?;
            changes += 1;
            goes_on(&rhythm, CHANGE.min(end.saturating_duration_since(Instant::now())));
        }
        drop(stops);
        let joined = threads.into_iter().map(|(traffic, thread)| match thread.join() {
            Ok(tally) => (traffic, tally),
            Err(panic) => std::panic::resume_unwind(panic),
        });
        Ok((joined.collect(), changes))
    })
}

/// One kind of traffic, round after round, until the other end of `stopped` is dropped.
fn rounds(traffic: Traffic, world: &World, stopped: &Receiver<()>) -> Tally {
    let (mut tally, mut round) = (Tally::default(), 0);
    while goes_on(stopped, PACE) {
        match traffic.round(world, round) {
            Ok(done) => tally.add(done),
            Err(error) => tally.fail(&error),
        }
        round += 1;
    }
    tally
}

/// Lets `pace` pass, unless the other end is dropped before: then it is over.
fn goes_on(stopped: &Receiver<()>, pace: Duration) -> bool {
    stopped.recv_timeout(pace) == Err(RecvTimeoutError::Timeout)
}
