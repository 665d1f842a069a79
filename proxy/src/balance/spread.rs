//! Among which of a cluster's endpoints an algorithm chooses: priorities, degraded endpoints, localities, a panic.
//!
//! ```text
//! die -> priority, and healthy or degraded -> die -> locality -> algorithm -> endpoint
//! ```
//!
//! Shares follow what the control plane says of health, and are made once for each configuration. Back-off after failures
//! to connect does not move them: it lasts for moments, and a share that followed it would send traffic to another zone
//! and back for one lost connection. It only rules endpoints out; where none of those that were drawn may be used, those
//! of the other priorities are asked in their order, so that no request fails while any endpoint is left.

use super::locality::{Draw, effective_weight};
use super::priority::{Census, Share, Tally, Terms, shares};
use super::{Algorithm, Balancer, Dice, Key, Member, Millis};
use std::collections::BTreeMap;

/// What the control plane says of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes its share.
    Healthy,
    /// It takes what the healthy ones cannot.
    Degraded,
    /// It is chosen in a panic only.
    Unhealthy,
}

/// Where an endpoint stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// 0 is the highest.
    pub priority: u8,
    /// What is said of it.
    pub health: Health,
    /// A number for its locality.
    pub locality: u32,
    /// The locality's share against the others of its priority.
    pub locality_weight: u32,
}

/// What a cluster says of how traffic is spread.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// For how many percent of its endpoints a priority or a locality counts that has so many well.
    pub overprovisioning: u32,
    /// A priority is as well as the weights of its endpoints say, not their number.
    pub by_weight: bool,
    /// With fewer percent well a priority is in a panic; 0: never.
    pub panic_below: u8,
    /// A locality is chosen by its weight before an endpoint in it.
    pub by_locality: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            overprovisioning: 140,
            by_weight: false,
            panic_below: 0,
            by_locality: false,
        }
    }
}

/// Chooses among the endpoints of one cluster, for one worker.
#[derive(Debug)]
pub struct Spread {
    shape: Shape,
    /// Whether keys mean anything to the algorithm.
    hashes: bool,
}

#[derive(Debug)]
enum Shape {
    /// Everybody is alike: nothing is asked before the algorithm.
    Flat(Balancer),
    Leveled(Leveled),
}

/// Those of each priority: first the healthy ones, in the order of priorities, then the degraded ones.
#[derive(Debug)]
struct Leveled {
    draw: Draw,
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    draw: Draw,
    parts: Vec<Part>,
}

/// Those of one locality, or all.
#[derive(Debug)]
struct Part {
    balancer: Balancer,
    /// The place in the cluster of each of the balancer's members.
    places: Vec<usize>,
}

impl Spread {
    /// Compiles shares and weights. `members` are those of the cluster in its order.
    pub fn new(algorithm: Algorithm, rules: Rules, members: Vec<(Member, Standing)>, dice: &mut Dice) -> Self {
        let hashes = algorithm == Algorithm::Hashed;
        let first = members.first().map(|(_, standing)| standing.priority);
        let is_flat = !rules.by_locality
            && members
                .iter()
                .all(|(_, standing)| standing.health == Health::Healthy && Some(standing.priority) == first);
        if is_flat {
            let members = members.into_iter().map(|(member, _)| member).collect();
            let shape = Shape::Flat(Balancer::new(algorithm, members, dice));
            return Self { shape, hashes };
        }
        let mut builder = Builder {
            algorithm,
            rules,
            members: &members,
            dice,
        };
        let shape = Shape::Leveled(builder.leveled());
        Self { shape, hashes }
    }

    /// The place in the cluster of the endpoint that gets the next request, or `None` where none is usable.
    ///
    /// `usable(place)` is false for endpoints that are backing off, or were tried already by this request. What has the
    /// same `key` gets the same endpoint, where the algorithm is one that hashes.
    pub fn pick(
        &mut self,
        now: Millis,
        key: Option<Key>,
        dice: &mut Dice,
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let key = key.filter(|_| self.hashes);
        match &mut self.shape {
            Shape::Flat(balancer) => balancer.pick(now, key, dice, usable),
            Shape::Leveled(Leveled { draw, levels }) => {
                let mut own = key.map(Key::dice);
                let dice = own.as_mut().unwrap_or(dice);
                let drawn = draw.pick(dice);
                let others = (0..levels.len()).filter(|level| *level != drawn);
                let mut order = std::iter::once(drawn).chain(others);
                order.find_map(|level| levels.get_mut(level)?.pick(now, key, dice, &usable))
            }
        }
    }

    /// The place in the cluster of each endpoint that may ever be picked.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let (flat, levels) = match &self.shape {
            Shape::Flat(balancer) => (balancer.members().len(), &[][..]),
            Shape::Leveled(Leveled { levels, .. }) => (0, levels.as_slice()),
        };
        let parts = levels.iter().flat_map(|level| &level.parts);
        (0..flat).chain(parts.flat_map(|part| part.places.iter().copied()))
    }
}

impl Level {
    fn pick(
        &mut self,
        now: Millis,
        key: Option<Key>,
        dice: &mut Dice,
        usable: &impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let drawn = self.draw.pick(dice);
        let others = (0..self.parts.len()).filter(|part| *part != drawn);
        let mut order = std::iter::once(drawn).chain(others);
        order.find_map(|part| {
            let Part { balancer, places } = self.parts.get_mut(part)?;
            let picked = balancer.pick(now, key, dice, |index| usable(places[index]))?;
            Some(places[picked])
        })
    }
}

/// What levels are built from.
struct Builder<'a> {
    algorithm: Algorithm,
    rules: Rules,
    members: &'a [(Member, Standing)],
    dice: &'a mut Dice,
}

impl Builder<'_> {
    fn leveled(&mut self) -> Leveled {
        let mut priorities: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        for (place, (_, standing)) in self.members.iter().enumerate() {
            priorities.entry(standing.priority).or_default().push(place);
        }
        let priorities: Vec<_> = priorities.into_values().collect();
        let census: Vec<_> = priorities.iter().map(|places| self.census(places)).collect();
        let terms = Terms {
            overprovisioning: self.rules.overprovisioning,
            panic_below: self.rules.panic_below,
            by_weight: self.rules.by_weight,
        };
        let shares = shares(&census, terms);
        let both = || priorities.iter().zip(&shares);
        let mut levels: Vec<_> = both()
            .map(|(places, share)| {
                if share.is_panic {
                    (share.healthy + share.degraded, self.whole(places.clone()))
                } else {
                    (share.healthy, self.level(places, Health::Healthy))
                }
            })
            .collect();
        let degraded = both().filter(|(_, share)| !share.is_panic);
        levels.extend(
            degraded.map(|(places, share): (_, &Share)| (share.degraded, self.level(places, Health::Degraded))),
        );
        levels.retain(|(_, level)| !level.parts.is_empty());
        Leveled {
            draw: Draw::new(levels.iter().map(|(share, _)| u64::from(*share))),
            levels: levels.into_iter().map(|(_, level)| level).collect(),
        }
    }

    fn census(&self, places: &[usize]) -> Census {
        let mut census = Census::default();
        for (member, standing) in places.iter().map(|place| &self.members[*place]) {
            add(&mut census.number, standing.health, 1);
            add(&mut census.weight, standing.health, u64::from(member.weight.get()));
        }
        census
    }

    /// Those of one priority that are of this health, by locality if localities are weighted.
    fn level(&mut self, places: &[usize], health: Health) -> Level {
        let fits = |place: &usize| self.members[*place].1.health == health;
        if !self.rules.by_locality {
            return self.whole(places.iter().copied().filter(fits).collect());
        }
        let mut localities: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for place in places {
            localities
                .entry(self.members[*place].1.locality)
                .or_default()
                .push(*place);
        }
        let weighted = localities.into_values().filter_map(|all| {
            let weight = all.first().map(|place| self.members[*place].1.locality_weight)?;
            let well: Vec<_> = all.iter().copied().filter(fits).collect();
            let (count, all) = (well.len() as u64, all.len() as u64);
            let weight = effective_weight(weight, count, all, self.rules.overprovisioning);
            (weight > 0).then_some((weight, well))
        });
        let weighted: Vec<_> = weighted.collect();
        if weighted.is_empty() {
            // No locality has a weight: they are all one.
            return self.whole(places.iter().copied().filter(fits).collect());
        }
        Level {
            draw: Draw::new(weighted.iter().map(|(weight, _)| *weight)),
            parts: weighted.into_iter().map(|(_, well)| self.part(well)).collect(),
        }
    }

    fn whole(&mut self, places: Vec<usize>) -> Level {
        let parts = if places.is_empty() {
            Vec::new()
        } else {
            vec![self.part(places)]
        };
        let draw = Draw::new([]);
        Level { draw, parts }
    }

    fn part(&mut self, places: Vec<usize>) -> Part {
        let members = places.iter().map(|place| self.members[*place].0.clone()).collect();
        Part {
            balancer: Balancer::new(self.algorithm, members, self.dice),
            places,
        }
    }
}

fn add(tally: &mut Tally, health: Health, amount: u64) {
    tally.all += amount;
    match health {
        Health::Healthy => tally.healthy += amount,
        Health::Degraded => tally.degraded += amount,
        Health::Unhealthy => {}
    }
}

#[cfg(test)]
mod tests;
