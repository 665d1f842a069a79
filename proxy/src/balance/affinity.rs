//! The same endpoint for the same client, as long as it is usable, for its part of the clients.
//!
//! Rendezvous (highest random weight: Thaler and Ravishankar 1996; with weights: Schindelhauer and Schomaker 2005): each
//! endpoint throws a die that its address and the client's decide, and the best throw has the client. An endpoint that goes
//! takes only its own clients along, to what was second best for each of them; one that comes takes its part from all. All
//! proxies and all workers decide alike, without knowing of each other. Nothing is built or remembered; a pick costs a look
//! at each member.

use super::Dice;
use super::Member;
use super::sample::Wheel;
use std::net::IpAddr;
use std::net::SocketAddr;

/// What requests have in common that are to get the same endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

/// An endpoint, as all proxies call it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Name(u64);

impl Key {
    /// Of requests of one client.
    pub fn of_client(ip: IpAddr) -> Self {
        Self(of_ip(ip))
    }

    /// For what is drawn before an endpoint is: priorities and localities, which a client keeps as well.
    pub(super) fn dice(self) -> Dice {
        Dice::seeded(self.0)
    }
}

impl From<SocketAddr> for Name {
    fn from(address: SocketAddr) -> Self {
        Self(mix(of_ip(address.ip()) ^ u64::from(address.port())))
    }
}

/// The member with the best throw among the usable ones.
pub(super) fn pick(wheel: &Wheel, members: &[Member], key: Key, usable: impl Fn(usize) -> bool) -> Option<usize> {
    let throws = members
        .iter()
        .enumerate()
        .filter(|(index, _)| usable(*index))
        .map(|(index, member)| (index, member, mix(key.0 ^ member.name.0.rotate_left(32))));
    if wheel.is_even() {
        return throws.max_by_key(|(_, _, throw)| *throw).map(|(index, _, _)| index);
    }
    // With weights: the shortest wait of those who come by chance, each as often as its weight says.
    let waits = throws.map(|(index, member, throw)| {
        let unit = ((throw >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        (index, -unit.ln() / f64::from(member.weight.get()))
    });
    waits
        .min_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(index, _)| index)
}

fn of_ip(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => mix(u64::from(ip.to_bits())),
        IpAddr::V6(ip) => mix(mix((ip.to_bits() >> 64) as u64) ^ ip.to_bits() as u64),
    }
}

/// The finalizer of `SplitMix64`: every bit of the answer depends on every bit of the question. What it answers must stay,
/// or clients move when proxies are replaced by newer ones.
fn mix(question: u64) -> u64 {
    let mut mixed = question.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::net::Ipv6Addr;
    use std::num::NonZeroU32;
    use std::sync::Arc;

    const CLIENTS: u32 = 20_000;

    fn member(number: usize, weight: u32) -> Member {
        let address = SocketAddr::from(([10, 244, 0, number as u8], 8080));
        Member {
            weight: NonZeroU32::new(weight).unwrap(),
            load: Arc::default(),
            name: address.into(),
        }
    }

    fn members(weights: &[u32]) -> Vec<Member> {
        weights
            .iter()
            .enumerate()
            .map(|(number, weight)| member(number, *weight))
            .collect()
    }

    fn clients() -> impl Iterator<Item = Key> {
        (0..CLIENTS).map(|number| Key::of_client(Ipv4Addr::from_bits(0x0af4_0000 + number).into()))
    }

    fn placed(members: &[Member], usable: impl Fn(usize) -> bool) -> Vec<Name> {
        let wheel = Wheel::new(members);
        let place = |key| members[pick(&wheel, members, key, &usable).unwrap()].name;
        clients().map(place).collect()
    }

    fn shares(members: &[Member], placed: &[Name]) -> Vec<f64> {
        let share = |member: &Member| {
            let count = placed.iter().filter(|name| **name == member.name).count();
            count as f64 / placed.len() as f64
        };
        members.iter().map(share).collect()
    }

    #[test]
    fn clients_are_shared_out_by_weight() {
        for (weights, ideals) in [
            (&[1, 1, 1, 1][..], &[0.25; 4][..]),
            (&[1, 3, 6], &[0.1, 0.3, 0.6]),
            (&[100, 1], &[100.0 / 101.0, 1.0 / 101.0]),
        ] {
            let members = members(weights);
            let shares = shares(&members, &placed(&members, |_| true));
            for (share, ideal) in shares.iter().zip(ideals) {
                assert!((share - ideal).abs() < 0.015, "{weights:?}: {shares:?}");
            }
        }
    }

    #[test]
    fn an_endpoint_that_goes_takes_only_its_own_clients_along_and_shares_them_out() {
        for weights in [&[1; 10][..], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] {
            let all = members(weights);
            let before = placed(&all, |_| true);
            let mut left = all.clone();
            let gone = left.remove(4).name;
            let after = placed(&left, |_| true);
            let moved = before.iter().zip(&after).filter(|(before, _)| **before == gone);
            let inherited: Vec<_> = moved.map(|(_, after)| *after).collect();
            let stayed = before.iter().zip(&after).filter(|(before, _)| **before != gone);
            assert!(stayed.clone().all(|(before, after)| before == after), "{weights:?}");
            let heirs = shares(&left, &inherited);
            assert!(heirs.iter().all(|share| *share > 0.0), "{weights:?}: {heirs:?}");
            assert_eq!(placed(&all, |index| index != 4), after, "left out is as good as gone");
            // The other way round: who comes takes its part, and nobody else moves.
            let came = placed(&all, |_| true);
            assert!(
                after
                    .iter()
                    .zip(&came)
                    .all(|(after, came)| after == came || *came == gone)
            );
        }
    }

    #[test]
    fn a_heavier_endpoint_only_wins_clients() {
        let (light, heavy) = (members(&[1, 1, 1]), members(&[1, 2, 1]));
        let (before, after) = (placed(&light, |_| true), placed(&heavy, |_| true));
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| before == after || *after == heavy[1].name)
        );
    }

    #[test]
    fn the_order_of_the_endpoints_says_nothing() {
        let (mut forwards, mut wheel_of) = (members(&[1, 3, 6, 6]), Vec::new());
        let before = placed(&forwards, |_| true);
        forwards.reverse();
        wheel_of.append(&mut forwards);
        assert_eq!(placed(&wheel_of, |_| true), before);
    }

    #[test]
    fn the_next_version_of_the_proxy_sends_clients_where_this_one_does() {
        let members = members(&[1, 1, 1, 1, 1]);
        let wheel = Wheel::new(&members);
        let places: Vec<_> = clients()
            .take(16)
            .map(|key| pick(&wheel, &members, key, |_| true).unwrap())
            .collect();
        assert_eq!(places, [4, 4, 1, 1, 1, 4, 0, 4, 0, 2, 1, 3, 1, 0, 1, 2]);
    }

    #[test]
    fn a_client_is_the_same_in_either_way_to_write_its_address() {
        let v4 = Ipv4Addr::new(10, 244, 1, 7);
        assert_eq!(Key::of_client(v4.into()), Key::of_client(v4.to_ipv6_mapped().into()));
        let v6 = |last| Key::of_client(Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, last).into());
        assert_ne!(v6(1), v6(2));
    }

    #[test]
    fn nobody_is_picked_where_nobody_is_usable() {
        let members = members(&[1, 2]);
        let key = Key::of_client(Ipv4Addr::LOCALHOST.into());
        assert_eq!(pick(&Wheel::new(&members), &members, key, |_| false), None);
    }
}
