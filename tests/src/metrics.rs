//! Prometheus text, read strictly: what a scraper would refuse is an error here too.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;

/// One scrape.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    families: BTreeMap<String, Family>,
    samples: Vec<Sample>,
}

/// What `# HELP` and `# TYPE` say of a metric.
#[derive(Debug, Clone, Default)]
pub struct Family {
    /// What it is.
    pub help: Option<String>,
    /// `counter`, `gauge`, `histogram` or `summary`.
    pub kind: Option<String>,
}

/// One line: a name, labels, a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name, with `_bucket`, `_sum` or `_count` where it has one.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

// === impl Metrics ===

impl Metrics {
    /// Reads a page. Refused: a malformed line, a sample without HELP and TYPE before it, a series that occurs twice, a
    /// counter that does not end in `_total`.
    pub fn parse(page: &str) -> Result<Self> {
        ensure!(page.is_empty() || page.ends_with('\n'), "the page ends inside a line");
        let (mut metrics, mut seen) = (Self::default(), BTreeSet::new());
        for (index, line) in page.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            metrics
                .line(line, &mut seen)
                .with_context(|| format!("line {}: {line}", index + 1))?;
        }
        Ok(metrics)
    }

    /// The sum of all series of that name that carry these labels; 0 when there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).map(|sample| sample.value).sum()
    }

    /// The series of that name that carry these labels.
    pub fn series(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        let carries = move |sample: &Sample| {
            labels
                .iter()
                .all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        self.samples
            .iter()
            .filter(move |sample| sample.name == name && carries(sample))
    }

    /// Every metric by its name, also those without samples.
    pub fn families(&self) -> &BTreeMap<String, Family> {
        &self.families
    }

    /// Every sample, in the order of the page.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn line(&mut self, line: &str, seen: &mut BTreeSet<String>) -> Result<()> {
        if let Some(comment) = line.strip_prefix("# ") {
            return self.comment(comment);
        }
        let sample = sample(line)?;
        let family = self.family(&sample.name).context("no HELP and TYPE before it")?;
        ensure!(
            family.help.is_some() && family.kind.is_some(),
            "HELP or TYPE is missing"
        );
        let counter = family.kind.as_deref() == Some("counter");
        ensure!(
            !counter || sample.name.ends_with("_total"),
            "a counter's name ends in _total"
        );
        ensure!(
            seen.insert(format!("{}{:?}", sample.name, sample.labels)),
            "the series occurs twice"
        );
        self.samples.push(sample);
        Ok(())
    }

    fn comment(&mut self, comment: &str) -> Result<()> {
        let mut words = comment.splitn(3, ' ');
        let (keyword, name, text) = (words.next(), words.next(), words.next());
        let (Some(name), Some(text)) = (name, text) else {
            return Ok(());
        };
        let family = self.families.entry(name.to_owned()).or_default();
        let place = match keyword {
            Some("HELP") => &mut family.help,
            Some("TYPE") => &mut family.kind,
            _ => return Ok(()),
        };
        ensure!(place.replace(text.to_owned()).is_none(), "said twice");
        Ok(())
    }

    /// A histogram's series carry suffixes that its HELP does not.
    fn family(&self, name: &str) -> Option<&Family> {
        let parent = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        self.families.get(name).or_else(|| self.families.get(parent?))
    }
}

fn sample(line: &str) -> Result<Sample> {
    let end = line.find(['{', ' ']).context("no value")?;
    let name = line[..end].to_owned();
    ensure!(is_name(&name), "not a metric name: {name:?}");
    let (labels, value) = match line[end..].strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), &line[end..]),
    };
    let value = value.strip_prefix(' ').context("a space before the value")?;
    let value = value.parse().with_context(|| format!("not a number: {value:?}"))?;
    Ok(Sample { name, labels, value })
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once("=\"").context("a label without a value")?;
        ensure!(is_name(name), "not a label name: {name:?}");
        let (value, after) = quoted(after)?;
        ensure!(
            labels.insert(name.to_owned(), value).is_none(),
            "label {name} occurs twice"
        );
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None if after.starts_with('}') => after,
            None => bail!("neither a comma nor a brace after label {name}"),
        };
    }
}

/// A label's value up to its closing quote, unescaped, and what follows it.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                other => bail!("not an escape: {other:?}"),
            },
            other => value.push(other),
        }
    }
    bail!("a value without a closing quote")
}

fn is_name(name: &str) -> bool {
    let letters = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':');
    letters && name.starts_with(|first: char| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP evenkeel_requests_total Requests.\n# TYPE evenkeel_requests_total counter\n\
        evenkeel_requests_total{service=\"web\",status=\"200\"} 3\n\
        evenkeel_requests_total{service=\"web\",status=\"503\"} 1\n";

    #[test]
    fn a_value_sums_the_series_that_carry_the_labels() {
        let metrics = Metrics::parse(PAGE).unwrap();
        assert!((metrics.value("evenkeel_requests_total", &[("service", "web")]) - 4.0).abs() < 1e-9);
        assert!((metrics.value("evenkeel_requests_total", &[("status", "503")]) - 1.0).abs() < 1e-9);
        assert!(metrics.value("evenkeel_requests_total", &[("service", "other")]).abs() < 1e-9);
    }

    #[test]
    fn a_histogram_belongs_to_the_metric_that_its_help_names() {
        let page =
            "# HELP a_seconds A.\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"+Inf\"} 1\na_seconds_count 1\n";
        assert_eq!(Metrics::parse(page).unwrap().samples().len(), 2);
    }

    #[test]
    fn what_a_scraper_would_refuse_is_refused() {
        for (page, why) in [
            ("a_total 1\n", "no HELP"),
            ("# HELP a A.\n# TYPE a counter\na 1\n", "_total"),
            ("# HELP a A.\n# TYPE a gauge\na 1\na 2\n", "twice"),
            ("# HELP a A.\n# TYPE a gauge\na{b=\"c} 2\n", "quote"),
            ("# HELP a A.\n# TYPE a gauge\na one\n", "not a number"),
            ("# HELP a A.\n# TYPE a gauge\na 1", "ends inside a line"),
        ] {
            let error = format!("{:#}", Metrics::parse(page).unwrap_err());
            assert!(error.contains(why), "{page:?}: {error}");
        }
    }
}
