//! `/stats`: every series by name, those of histograms too. It is `/metrics` in other words: there is no second account of anything.

use super::Door;
use super::metrics;
use crate::telemetry;
use crate::telemetry::Form;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One value.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Stat {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
    /// As it stands in `/metrics`.
    #[serde(skip)]
    line: String,
}

/// Those whose name with labels contains `filter`.
pub(super) fn stats(door: &Door, filter: &str) -> Vec<Stat> {
    let page = metrics::page(door, Form::Prometheus);
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(stat)
        .filter(|stat| stat.line.contains(filter))
        .collect()
}

/// For people: a line for each.
pub(super) fn text(stats: &[Stat]) -> String {
    let mut page = String::new();
    for stat in stats {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{}", stat.line);
    }
    page
}

fn stat(line: &str) -> Option<Stat> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    Some(Stat {
        name: name.to_owned(),
        labels: telemetry::labels(labels)?.into_iter().collect(),
        value: value.parse().ok()?,
        line: line.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let found = stat(r#"evenkeel_requests_total{service="a\"b\\c, d=\"",status="200"} 12"#).unwrap();
        assert_eq!(found.name, "evenkeel_requests_total");
        assert_eq!(found.labels["service"], r#"a"b\c, d=""#);
        assert_eq!((found.labels["status"].as_str(), found.value), ("200", 12.0));
        let bare = stat("evenkeel_config_generation 7").unwrap();
        assert_eq!((bare.labels.len(), bare.value), (0, 7.0));
    }
}
