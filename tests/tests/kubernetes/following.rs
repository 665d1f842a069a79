//! Pods come and go, and requests follow.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;

use crate::asker::Asker;
use crate::world::World;

/// How often the endpoints change.
const ROUNDS: usize = 20;
/// From an event of the API server to requests of all proxies.
const PROMISED: Duration = Duration::from_millis(200);
/// What may happen once, on a machine that has much else to do.
const AT_WORST: Duration = Duration::from_secs(5);

#[test]
fn requests_of_three_proxies_follow_within_200_ms_when_pods_come_and_go() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let askers = world.clients.iter().map(|client| Asker::connect(client, world.at(10)));
        let mut askers: Vec<_> = askers.collect::<Result<_>>()?;
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let now = round % 3;
            let begun = Instant::now();
            world.api.put([world.slice("web", "web-1", &[now])]);
            let replica = format!("r{}", now + 1);
            let followed: Vec<Result<Duration>> = thread::scope(|scope| {
                let follow = |asker| {
                    let replica = &replica;
                    scope.spawn(move || Asker::until(asker, replica, begun))
                };
                let threads: Vec<_> = askers.iter_mut().map(follow).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().expect("no panic"))
                    .collect()
            });
            let slowest: Result<Vec<_>> = followed.into_iter().collect();
            times.extend(slowest?.into_iter().max());
        }
        times.sort();
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        report(family, median, worst);
        ensure!(median <= PROMISED && worst <= AT_WORST, "{times:?}");
    }
    Ok(())
}

#[allow(clippy::print_stderr)] // figures for whoever looks; a debug build's are no promise
fn report(family: Family, median: Duration, worst: Duration) {
    eprintln!("{family:?}: from an event to the requests of three proxies: median {median:?}, worst {worst:?}");
}

#[test]
fn a_pod_that_comes_is_used_and_one_that_goes_is_not_and_no_request_fails() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let loads = world.loads()?;
        for replicas in [&[0][..], &[0, 1], &[1, 2], &[2], &[0, 1, 2]] {
            world.api.put([world.slice("web", "web-1", replicas)]);
            for client in 0..world.clients.len() {
                world.settles(client, 10, replicas)?;
            }
        }
        crate::world::nothing_failed(loads)?;
    }
    Ok(())
}
