//! What a soak found, and whether it is good.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::soak::rude;
use crate::soak::traffic::Tally;
use crate::soak::traffic::Traffic;
use crate::usage::Usage;

/// Sockets that may be more than before: an idle HTTP/2 connection to the application is kept for each worker.
const SOCKETS: usize = 2;

/// Descriptors that may be more than before: those sockets, and both ends of the eight pipes that are kept for `splice`.
const DESCRIPTORS: usize = SOCKETS + 16;

/// Bytes that may be resident more than before. What the allocator keeps of the busiest moment is not given back at once; a
/// leak of 100 bytes for each connection or request is more than this within ten minutes.
const RESIDENT: u64 = 6 << 20;

/// The only reason that the soak gives: its clients go away on purpose.
const EXPLAINED: &str = "downstream_gone";

/// One proxy before and after, at rest.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// After every kind of traffic has been seen once.
    pub before: Usage,
    /// After the soak.
    pub after: Usage,
}

/// The end of a soak.
#[derive(Debug, Clone)]
pub struct Report {
    /// What the clients saw.
    pub tallies: Vec<(Traffic, Tally)>,
    /// How often the endpoints changed.
    pub changes: u32,
    /// The client's proxy, and the replica's.
    pub sides: Vec<Side>,
    /// What the proxies say went wrong, by reason.
    pub reasons: BTreeMap<String, u64>,
    /// How they found out what is spoken.
    pub verdicts: BTreeMap<String, u64>,
}

// === impl Side ===

impl Side {
    fn descriptors_return(&self) -> bool {
        self.after.sockets <= self.before.sockets + SOCKETS
            && self.after.descriptors <= self.before.descriptors + DESCRIPTORS
    }

    fn memory_returns(&self) -> bool {
        self.after.resident <= self.before.resident + RESIDENT
    }
}

// === impl Report ===

impl Report {
    /// Everything that is wrong; nothing when the soak is passed.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (traffic, tally) in &self.tallies {
            if tally.errors > 0 || tally.served == 0 {
                let (label, first) = (
                    traffic.label(),
                    tally.first_error.as_deref().unwrap_or("none was served"),
                );
                faults.push(format!("{label}: {} errors; the first: {first}", tally.errors));
            }
        }
        for (reason, count) in self.reasons.iter().filter(|(reason, _)| *reason != EXPLAINED) {
            faults.push(format!("the proxies booked {count} times {reason}"));
        }
        let counted = |verdict: &str| self.verdicts.get(verdict).copied().unwrap_or(0);
        let (opaque, explained) = (counted("opaque"), self.explained_opaque());
        if opaque > explained {
            faults.push(format!(
                "{opaque} connections were taken for opaque, instead of {explained} at most"
            ));
        }
        if counted("mismatch") > 0 {
            faults.push(format!("the proxies found a mismatch: {:?}", self.verdicts));
        }
        for (side, name) in self.sides.iter().zip(NAMES) {
            if !side.descriptors_return() {
                faults.push(format!("{name}: descriptors do not return: {side:?}"));
            }
            if !side.memory_returns() {
                faults.push(format!("{name}: memory does not return: {side:?}"));
            }
        }
        faults
    }

    /// Connections whose first bytes are of no protocol: those that rude clients have opened, in the round before the soak too.
    fn explained_opaque(&self) -> u64 {
        let rude = self.tallies.iter().find(|(traffic, _)| *traffic == Traffic::Aborts);
        let rounds = rude.map_or(0, |(_, tally)| tally.served / rude::CONNECTIONS + tally.errors);
        (rounds + 1) * rude::OPAQUE * NAMES.len() as u64
    }

    /// For a reader.
    pub fn table(&self) -> String {
        let mut table = format!("{:<24}{:>12}{:>20}\n", "", "served", "unexplained errors");
        for (traffic, tally) in &self.tallies {
            let _ = writeln!(table, "{:<24}{:>12}{:>20}", traffic.label(), tally.served, tally.errors);
        }
        let _ = writeln!(table, "{:<24}{:>12}", "changes of endpoints", self.changes);
        table.push('\n');
        row(
            &mut table,
            "",
            ["before", "after", "most", "may grow by"].map(str::to_owned),
        );
        for (side, name) in self.sides.iter().zip(NAMES) {
            let (before, after) = (side.before, side.after);
            let count = |look: fn(&Usage) -> usize, growth: usize| {
                [
                    look(&before).to_string(),
                    look(&after).to_string(),
                    String::new(),
                    growth.to_string(),
                ]
            };
            let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
            let memory = [before.resident, after.resident, after.peak, RESIDENT].map(mib);
            row(
                &mut table,
                &format!("{name}, sockets"),
                count(|usage| usage.sockets, SOCKETS),
            );
            row(
                &mut table,
                &format!("{name}, descriptors"),
                count(|usage| usage.descriptors, DESCRIPTORS),
            );
            row(&mut table, &format!("{name}, memory"), memory);
        }
        table
    }
}

fn row(table: &mut String, label: &str, [before, after, most, growth]: [String; 4]) {
    let _ = writeln!(table, "{label:<24}{before:>12}{after:>12}{most:>12}{growth:>20}");
}

const NAMES: [&str; 2] = ["outbound", "inbound"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(tally: Tally, reason: &str, grown: (usize, u64)) -> Report {
        let before = Usage {
            descriptors: 40,
            sockets: 20,
            resident: 9 << 20,
            peak: 12 << 20,
            processor: Duration::ZERO,
        };
        let after = Usage {
            descriptors: before.descriptors + grown.0,
            sockets: before.sockets + grown.0.min(SOCKETS),
            resident: before.resident + grown.1,
            ..before
        };
        Report {
            tallies: vec![(Traffic::Http1, tally)],
            changes: 1,
            sides: vec![Side { before, after }],
            reasons: BTreeMap::from([(reason.to_owned(), 3)]),
            verdicts: BTreeMap::from([("http1".to_owned(), 5), ("opaque".to_owned(), 4)]),
        }
    }

    fn verdict(verdict: &str, count: u64) -> Report {
        let mut report = report(Tally::of(5), EXPLAINED, (0, 0));
        report.verdicts.insert(verdict.to_owned(), count);
        report
    }

    #[test]
    fn what_went_as_it_should_has_no_fault() {
        assert_eq!(
            report(Tally::of(5), EXPLAINED, (DESCRIPTORS, RESIDENT)).faults(),
            [""; 0]
        );
    }

    #[test]
    fn everything_else_is_named() {
        for (report, word) in [
            (report(Tally::default(), EXPLAINED, (0, 0)), "none was served"),
            (
                report(
                    Tally {
                        served: 1,
                        errors: 1,
                        first_error: Some("reset".to_owned()),
                    },
                    EXPLAINED,
                    (0, 0),
                ),
                "reset",
            ),
            (report(Tally::of(5), "connect_failed", (0, 0)), "connect_failed"),
            (verdict("opaque", 5), "opaque"),
            (verdict("mismatch", 1), "mismatch"),
            (report(Tally::of(5), EXPLAINED, (DESCRIPTORS + 1, 0)), "descriptors"),
            (report(Tally::of(5), EXPLAINED, (0, RESIDENT + 1)), "memory"),
        ] {
            let faults = report.faults();
            assert!(faults.len() == 1 && faults[0].contains(word), "{word}: {faults:?}");
        }
    }
}
