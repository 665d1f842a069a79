//! Who has an address when several ask for it: the least of them, whatever the order in which they came.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

/// Claims of `C` on addresses.
#[derive(Debug)]
pub(super) struct Claims<C>(HashMap<SocketAddr, Held<C>>);

/// Nearly every address is claimed once.
#[derive(Debug)]
enum Held<C> {
    One(C),
    Many(BTreeSet<C>),
}

impl<C> Default for Claims<C> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<C: Ord + Clone> Claims<C> {
    /// `claimant` asks for `address`. Returns who has it now.
    pub(super) fn claim(&mut self, address: SocketAddr, claimant: C) -> C {
        let held = self.0.entry(address).or_insert_with(|| Held::One(claimant.clone()));
        match held {
            Held::One(first) if *first == claimant => return claimant,
            Held::One(first) => *held = Held::Many(BTreeSet::from([first.clone(), claimant])),
            Held::Many(all) => drop(all.insert(claimant)),
        }
        held.winner().clone()
    }

    /// `claimant` asks for it no more. Returns who has it now.
    pub(super) fn withdraw(&mut self, address: SocketAddr, claimant: &C) -> Option<C> {
        let held = self.0.get_mut(&address)?;
        match held {
            Held::One(only) if only != claimant => {}
            Held::One(_) => {
                self.0.remove(&address);
                return None;
            }
            Held::Many(all) => {
                all.remove(claimant);
                if all.len() == 1
                    && let Some(last) = all.pop_first()
                {
                    *held = Held::One(last);
                }
            }
        }
        Some(held.winner().clone())
    }
}

impl<C: Ord> Held<C> {
    fn winner(&self) -> &C {
        match self {
            Self::One(only) => only,
            Self::Many(all) => all.first().expect("a set of claims has at least two"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_has_it_in_whatever_order_they_came() {
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        for order in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
            let mut claims = Claims::default();
            for name in order {
                claims.claim(address, name);
            }
            assert_eq!(claims.claim(address, "b"), "a");
            assert_eq!(claims.withdraw(address, &"a"), Some("b"));
            assert_eq!(claims.withdraw(address, &"a"), Some("b"), "what was withdrawn is gone");
            assert_eq!(claims.withdraw(address, &"b"), Some("c"));
            assert_eq!(claims.withdraw(address, &"c"), None);
            assert_eq!(claims.withdraw(address, &"c"), None);
        }
    }
}
