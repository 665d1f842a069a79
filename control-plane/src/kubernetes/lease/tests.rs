//! Two candidates and a Lease on a clock that the test moves.

use super::*;

/// The API server's side: one object, and a version that each write must know.
#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    version: u64,
}

impl Server {
    fn write(&mut self, mut lease: Lease) -> Option<Lease> {
        let known = self
            .lease
            .as_ref()
            .and_then(|lease| lease.metadata.resource_version.clone());
        if lease.metadata.resource_version != known {
            return None;
        }
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        Some(lease)
    }
}

/// One turn against the server, as the driver takes it.
fn turn(candidate: &mut Candidate, server: &mut Server, now: Instant) {
    let wall = Timestamp::UNIX_EPOCH;
    let lease = match candidate.turn(now, wall) {
        Turn::Renew(lease) => lease,
        Turn::Read => match candidate.read(server.lease.clone(), now, wall) {
            Bid::Create(lease) | Bid::Take(lease) => lease,
            Bid::Wait => return,
        },
    };
    match server.write(*lease) {
        Some(lease) => candidate.written(lease, now),
        None => candidate.lost(),
    }
}

fn leads(candidate: &Candidate, now: Instant) -> bool {
    candidate.leads_until().is_some_and(|until| now < until)
}

fn two() -> (Candidate, Candidate, Server, Instant) {
    let candidate = |name: &str| Candidate::new(name.to_owned());
    (candidate("a"), candidate("b"), Server::default(), Instant::now())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn one_leads_and_the_other_waits_while_it_renews() {
    let (mut a, mut b, mut server, start) = two();
    for second in (0..120).step_by(4) {
        let now = start + seconds(second);
        turn(&mut a, &mut server, now);
        turn(&mut b, &mut server, now);
        assert!(leads(&a, now) && !leads(&b, now), "{second}");
    }
    let spec = server.lease.unwrap().spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
    assert_eq!(spec.lease_transitions, Some(1), "renewals begin no term");
}

#[test]
fn who_cannot_renew_ends_before_another_begins() {
    let (mut a, mut b, mut server, start) = two();
    turn(&mut a, &mut server, start);
    let mut led = Vec::new();
    for tenth in 0..300 {
        let now = start + Duration::from_millis(100 * tenth);
        if tenth % 40 == 0 {
            turn(&mut b, &mut server, now);
        }
        assert!(!(leads(&a, now) && leads(&b, now)), "two at {tenth}");
        led.push((leads(&a, now), leads(&b, now)));
    }
    assert!(
        led[99].0 && !led[100].0,
        "it ends after ten seconds, whatever the server does"
    );
    assert!(
        !led[159].1 && led[160].1,
        "the first look after fifteen seconds takes it"
    );
    assert_eq!(server.lease.unwrap().spec.unwrap().lease_transitions, Some(2));
}

#[test]
fn a_lease_counts_from_when_its_change_was_seen_by_our_own_clock() {
    let (mut a, mut b, mut server, start) = two();
    turn(&mut a, &mut server, start);
    // The other begins a day later and sees an old lease for the first time.
    let day = start + seconds(86_400);
    turn(&mut b, &mut server, day);
    assert!(!leads(&b, day));
    turn(&mut b, &mut server, day + seconds(14));
    assert!(!leads(&b, day + seconds(14)));
    turn(&mut b, &mut server, day + seconds(15));
    assert!(leads(&b, day + seconds(15)));
}

#[test]
fn a_write_over_ours_ends_it_at_once() {
    let (mut a, _, mut server, start) = two();
    turn(&mut a, &mut server, start);
    let mut other = server.lease.clone().unwrap();
    other.spec.as_mut().unwrap().holder_identity = Some("thief".to_owned());
    server.write(other).unwrap();
    turn(&mut a, &mut server, start + seconds(4));
    assert!(!leads(&a, start + seconds(4)));
    turn(&mut a, &mut server, start + seconds(8));
    assert!(!leads(&a, start + seconds(8)), "another's lease is respected");
}

#[test]
fn of_two_that_bid_at_once_one_wins() {
    let (mut a, mut b, mut server, start) = two();
    let wall = Timestamp::UNIX_EPOCH;
    let bids = [&mut a, &mut b].map(|candidate| match candidate.read(None, start, wall) {
        Bid::Create(lease) => lease,
        other => panic!("{other:?}"),
    });
    let [first, second] = bids.map(|lease| server.write(*lease));
    a.written(first.unwrap(), start);
    assert!(second.is_none());
    b.lost();
    assert!(leads(&a, start) && !leads(&b, start));
}

#[test]
fn a_released_lease_is_taken_at_the_next_look() {
    let (mut a, mut b, mut server, start) = two();
    turn(&mut a, &mut server, start);
    turn(&mut b, &mut server, start);
    let now = start + seconds(2);
    let released = a.release(now, Timestamp::UNIX_EPOCH).unwrap();
    assert!(server.write(released).is_some());
    assert!(a.leads_until().is_none() && a.release(now, Timestamp::UNIX_EPOCH).is_none());
    turn(&mut b, &mut server, now);
    assert!(leads(&b, now));
}

#[test]
fn a_lease_under_our_own_name_is_ours() {
    let (mut a, _, mut server, start) = two();
    turn(&mut a, &mut server, start);
    let mut again = Candidate::new("a".to_owned());
    turn(&mut again, &mut server, start + seconds(1));
    assert!(leads(&again, start + seconds(1)));
    assert_eq!(server.lease.unwrap().spec.unwrap().lease_transitions, Some(1));
}

#[test]
fn replicas_are_spread_and_never_late() {
    for dice in [0, u64::MAX / 2, u64::MAX] {
        let (well, badly) = (Candidate::pause(Went::Well, dice), Candidate::pause(Went::Badly, dice));
        assert!((seconds(4)..=seconds(5)).contains(&well), "{well:?}");
        assert!((Duration::from_millis(800)..=seconds(1)).contains(&badly), "{badly:?}");
    }
}
