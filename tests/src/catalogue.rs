//! The catalogue of metrics, as `docs/metrics.md` has it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

use crate::metrics::Metrics;
use crate::metrics::Sample;

/// The metrics of one program.
#[derive(Debug, Default)]
pub struct Catalogue {
    metrics: BTreeMap<String, Metric>,
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    kind: String,
    help: String,
    /// Each with its values; `None`: they come from the configuration.
    labels: BTreeMap<String, Option<BTreeSet<String>>>,
}

// === impl Catalogue ===

impl Catalogue {
    /// Of the proxy.
    pub fn of_the_proxy() -> Result<Self> {
        Self::section("\n## The proxy\n")
    }

    /// Of the control plane.
    pub fn of_the_control_plane() -> Result<Self> {
        Self::section("\n## The control plane\n")
    }

    fn section(heading: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        let page = std::fs::read_to_string(path)?;
        let (_, section) = page.split_once(heading).with_context(|| heading.to_owned())?;
        let section = section.split("\n## ").next().unwrap_or_default();
        let mut catalogue = Self::default();
        let rows = || section.lines().filter_map(cells);
        for row in rows() {
            if let [name, kind, labels, help] = row[..] {
                catalogue.add(name, kind, labels, help)?;
            }
        }
        for row in rows() {
            if let [label, of, values] = row[..] {
                catalogue.describe(label, of, values)?;
            }
        }
        Ok(catalogue)
    }

    fn add(&mut self, name: &str, kind: &str, labels: &str, help: &str) -> Result<()> {
        let metric = Metric {
            kind: kind.to_owned(),
            help: help.to_owned(),
            labels: quoted(labels).map(|label| (label.to_owned(), None)).collect(),
        };
        let name = quoted(name).next().context("a metric without a name")?;
        ensure!(self.metrics.insert(name.to_owned(), metric).is_none(), "{name} twice");
        Ok(())
    }

    /// What a label says, of all metrics that have it or of those that are named.
    fn describe(&mut self, label: &str, of: &str, values: &str) -> Result<()> {
        let label = quoted(label).next().context("a label without a name")?;
        let values = (!values.starts_with("configured: ")).then(|| quoted(values).map(str::to_owned).collect());
        let named: Vec<_> = quoted(of).collect();
        let mut described = 0;
        for (name, metric) in &mut self.metrics {
            if (of == "all" || named.contains(&name.as_str()))
                && let Some(place) = metric.labels.get_mut(label)
            {
                place.clone_from(&values);
                described += 1;
            }
        }
        ensure!(
            described > 0 && (of == "all" || described == named.len()),
            "the label {label} of {of}"
        );
        Ok(())
    }

    /// The metric that this is a sample of.
    pub fn metric(&self, sample: &str) -> Option<(&str, &Metric)> {
        let parent = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| sample.strip_suffix(suffix))
            .and_then(|name| self.metrics.get_key_value(name))
            .filter(|(_, metric)| ["histogram", "summary"].contains(&metric.kind.as_str()));
        let (name, metric) = self.metrics.get_key_value(sample).or(parent)?;
        Some((name, metric))
    }

    /// What scrapes have that the catalogue does not, and what it has that none of them does.
    pub fn differences(&self, scrapes: &[Metrics]) -> Vec<String> {
        let mut differences = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for scrape in scrapes {
            for (name, family) in scrape.families() {
                let said = (family.kind.as_deref(), family.help.as_deref());
                match self.metrics.get(name) {
                    None => differences.push(format!("{name} is exposed and not in the catalogue")),
                    Some(metric) if said != (Some(&metric.kind), Some(&metric.help)) => {
                        differences.push(format!("{name} is {said:?}, and {metric:?} in the catalogue"));
                    }
                    Some(_) => {}
                }
            }
            for sample in scrape.samples() {
                if let Some((name, metric)) = self.metric(&sample.name) {
                    seen.insert(name);
                    differences.extend(metric.misfit(sample));
                }
            }
        }
        let never = self.metrics.keys().filter(|name| !seen.contains(name.as_str()));
        differences.extend(never.map(|name| format!("{name} is in the catalogue and never exposed")));
        differences
    }

    /// Listed values that none of these scrapes has.
    pub fn unseen_values(&self, scrapes: &[Metrics]) -> Vec<String> {
        let mut unseen = BTreeSet::new();
        for (name, metric) in &self.metrics {
            for (label, values) in &metric.labels {
                unseen.extend(
                    values
                        .iter()
                        .flatten()
                        .map(|value| (name.as_str(), label.as_str(), value.as_str())),
                );
            }
        }
        for sample in scrapes.iter().flat_map(Metrics::samples) {
            if let Some((name, _)) = self.metric(&sample.name) {
                for (label, value) in &sample.labels {
                    unseen.remove(&(name, label.as_str(), value.as_str()));
                }
            }
        }
        let words = |(name, label, value)| format!("{name}{{{label}=\"{value}\"}} is never exposed");
        unseen.into_iter().map(words).collect()
    }
}

// === impl Metric ===

impl Metric {
    /// Whether it has this label.
    pub fn has_label(&self, label: &str) -> bool {
        self.labels.contains_key(label)
    }

    /// Whether the label may say this.
    pub fn may_say(&self, label: &str, value: &str) -> bool {
        let values = self.labels.get(label);
        values.is_some_and(|values| values.as_ref().is_none_or(|values| values.contains(value)))
    }

    /// What is wrong with a sample of it.
    fn misfit(&self, sample: &Sample) -> Option<String> {
        let whole = sample.name.ends_with("_sum") || sample.name.ends_with("_count");
        let expected = self.labels.keys().filter(|label| !(whole && *label == "le"));
        if !expected.eq(sample.labels.keys()) {
            return Some(format!("{sample:?} has other labels than {:?}", self.labels.keys()));
        }
        let strange = sample.labels.iter().find(|(label, value)| !self.may_say(label, value));
        strange.map(|(label, value)| format!("{}: {label} is not to be {value:?}", sample.name))
    }
}

/// The cells of a table's row that begins with code; no heading does.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix("| ")?.strip_suffix('|')?;
    row.starts_with('`').then(|| row.split('|').map(str::trim).collect())
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
