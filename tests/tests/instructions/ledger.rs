//! The figures that are kept in the repository, and how measured ones compare with them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;

/// What a figure may differ by, in percent, before it is told: what the same program differs by from run to run is far less.
const TOLERANCE: f64 = 5.0;

/// Instructions per request, by the name of the workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    instructions: BTreeMap<String, u64>,
}

/// What is recorded and what was measured, by name; either may be missing.
#[derive(Debug)]
pub(crate) struct Comparison {
    rows: BTreeMap<String, (Option<u64>, Option<u64>)>,
}

// === impl Ledger ===

impl Ledger {
    /// The one in the repository.
    pub(crate) fn recorded() -> Result<Self> {
        let path = path();
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let instructions = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Self { instructions })
    }

    /// Makes this the one in the repository.
    pub(crate) fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.instructions)? + "\n";
        std::fs::write(path(), text).with_context(|| path().display().to_string())
    }

    /// Adds a figure.
    pub(crate) fn enter(&mut self, name: &str, instructions: u64) {
        self.instructions.insert(name.to_owned(), instructions);
    }

    /// How much more the second costs than the first, in percent.
    pub(crate) fn rise(&self, from: &str, to: &str) -> Result<f64> {
        let figure = |name: &str| self.instructions.get(name).copied().with_context(|| name.to_owned());
        Ok(percent(figure(from)?, figure(to)?))
    }

    /// This one as what is recorded, the other as what was measured.
    pub(crate) fn compared_with(&self, measured: &Self) -> Comparison {
        let names = self.instructions.keys().chain(measured.instructions.keys());
        let row = |name: &String| {
            let figures = (
                self.instructions.get(name).copied(),
                measured.instructions.get(name).copied(),
            );
            (name.clone(), figures)
        };
        Comparison {
            rows: names.map(row).collect(),
        }
    }
}

// === impl Comparison ===

impl Comparison {
    /// A line for each workload: recorded, measured, the difference.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<16} {:>9} {:>9}\n", "instructions of", "recorded", "measured");
        for (name, &(recorded, measured)) in &self.rows {
            let figure = |figure: Option<u64>| figure.map_or_else(|| "none".to_owned(), |figure| figure.to_string());
            let _ = write!(table, "{name:<16} {:>9} {:>9}", figure(recorded), figure(measured));
            let _ = match recorded
                .zip(measured)
                .map(|(recorded, measured)| percent(recorded, measured))
            {
                Some(rise) if rise < -TOLERANCE => writeln!(table, " {rise:+7.1} %  lower: record it"),
                Some(rise) => writeln!(table, " {rise:+7.1} %"),
                None => writeln!(table, "  tests/scripts/instructions --record"),
            };
        }
        table
    }

    /// The workloads that cost more than they may, and those of which one of the two is not known.
    pub(crate) fn rises(&self) -> Vec<&str> {
        let exceeds = |figures: (Option<u64>, Option<u64>)| match figures {
            (Some(recorded), Some(measured)) => percent(recorded, measured) > TOLERANCE,
            (None, _) | (_, None) => true,
        };
        let rows = self.rows.iter().filter(|&(_, &figures)| exceeds(figures));
        rows.map(|(name, _)| name.as_str()).collect()
    }
}

fn percent(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / from as f64 * 100.0
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(figures: &[(&str, u64)]) -> Ledger {
        let mut ledger = Ledger::default();
        for &(name, instructions) in figures {
            ledger.enter(name, instructions);
        }
        ledger
    }

    #[test]
    fn a_rise_over_five_percent_fails_and_a_fall_is_told() {
        let recorded = ledger(&[("conn", 1000), ("grpc", 1000), ("h1", 1000), ("h2", 1000)]);
        let measured = ledger(&[("conn", 1051), ("grpc", 1050), ("h1", 949), ("h2", 950)]);
        let comparison = recorded.compared_with(&measured);
        assert_eq!(comparison.rises(), ["conn"]);
        let lower: Vec<_> = comparison
            .table()
            .lines()
            .map(|line| line.ends_with("record it"))
            .collect();
        assert_eq!(lower, [false, false, false, true, false]);
    }

    #[test]
    fn a_workload_without_a_figure_fails() {
        let (one, none) = (ledger(&[("h1", 1000)]), Ledger::default());
        assert_eq!(one.compared_with(&none).rises(), ["h1"]);
        assert_eq!(none.compared_with(&one).rises(), ["h1"]);
    }
}
