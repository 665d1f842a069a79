//! Pods come and go, and requests follow.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::again;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::usage::Waits;

use crate::asker::Asker;
use crate::world::World;

/// How often the endpoints change.
const ROUNDS: usize = 20;
/// From an event of the API server to requests of all proxies.
const PROMISED: Duration = Duration::from_millis(200);
/// Changes that may take longer: a machine that itself stands still for a moment tells nobody.
const EXCEPT: usize = 1;
/// What may happen once, on a machine that has much else to do.
const AT_WORST: Duration = Duration::from_secs(5);

/// One change, as one client saw it.
#[derive(Debug)]
struct Followed {
    took: Duration,
    /// Of that, what those on the way waited for a processor that others had: promised is what we do, not what they do.
    waited: Duration,
}

// === impl Followed ===

impl Followed {
    fn ours(&self) -> Duration {
        self.took.saturating_sub(self.waited)
    }
}

/// Changes the endpoints, and waits until the requests of all clients have followed; what the slowest saw.
fn follow(world: &World, askers: &mut [Asker], now: usize) -> Result<Followed> {
    let everybody = || -> Result<Waits> {
        let replicas = world.replicas.iter().map(|replica| replica.process().pid());
        // The API server and the clients are threads of this process.
        let others = [std::process::id(), world.control.process()?.pid()];
        Waits::of(others.into_iter().chain(replicas))
    };
    let proxy = |client: usize| Waits::of([world.proxies[client].process("evenkeel-proxy")?.pid()]);
    let before = everybody()?;
    let before_of_proxies: Vec<_> = (0..askers.len()).map(proxy).collect::<Result<_>>()?;
    let replica = format!("r{}", now + 1);
    let begun = Instant::now();
    world.api.put([world.slice("web", "web-1", &[now])]);
    let took: Vec<Result<Duration>> = thread::scope(|scope| {
        let follow = |asker| {
            let replica = &replica;
            scope.spawn(move || Asker::until(asker, replica, begun))
        };
        let threads: Vec<_> = askers.iter_mut().map(follow).collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        ended.collect()
    });
    let shared = everybody()?.since(&before);
    let each = took.into_iter().enumerate().map(|(client, took)| {
        let waited = shared + proxy(client)?.since(&before_of_proxies[client]);
        Ok(Followed { took: took?, waited })
    });
    let each: Vec<_> = each.collect::<Result<_>>()?;
    each.into_iter().max_by_key(Followed::ours).context("there are clients")
}

#[test]
fn requests_of_three_proxies_follow_within_200_ms_when_pods_come_and_go() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let askers = world.clients.iter().map(|client| Asker::connect(client, world.at(10)));
        let mut askers: Vec<_> = askers.collect::<Result<_>>()?;
        let measure = || -> Result<Vec<Followed>> {
            let all = (0..ROUNDS).map(|round| follow(&world, &mut askers, round % 3));
            let mut all: Vec<_> = all.collect::<Result<_>>()?;
            all.sort_by_key(Followed::ours);
            report(family, &all);
            Ok(all)
        };
        let all = again::until_good(measure, |all| is_soon(all))?;
        ensure!(is_soon(&all), "{all:?}");
    }
    Ok(())
}

fn is_soon(all: &[Followed]) -> bool {
    let slow = all.iter().filter(|followed| followed.ours() > PROMISED).count();
    slow <= EXCEPT && all.iter().all(|followed| followed.ours() <= AT_WORST)
}

#[allow(clippy::print_stderr)] // figures for whoever looks; a debug build's are no promise
fn report(family: Family, all: &[Followed]) {
    let (half, last) = (&all[all.len() / 2], &all[all.len() - 1]);
    eprintln!(
        "{family:?}: from an event to the requests of three proxies: half within {:?}, all within {:?}, which waited {:?} and {:?} besides",
        half.ours(),
        last.ours(),
        half.waited.min(half.took),
        last.waited.min(last.took)
    );
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
