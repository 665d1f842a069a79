//! The proxy's part of `docs/metrics.md` as the catalogue has it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use super::GROUPS;
use super::Group;
use super::Label;
use super::Metric;
use super::Values;
use crate::telemetry::Kind;

const BEGIN: &str = "<!-- what follows is written by a test out of the proxy's catalogue -->\n";
const END: &str = "<!-- what follows is written by hand -->\n";

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md")
}

/// What stands before the proxy's part, the part, and what stands after it.
fn parts(page: &str) -> [&str; 3] {
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (own, after) = rest.split_once(END).unwrap();
    [before, own, after]
}

fn all() -> impl Iterator<Item = &'static Metric> {
    GROUPS.iter().flat_map(|group| group.metrics).copied()
}

fn written() -> String {
    let mut page = "\n".to_owned();
    for group in &GROUPS {
        table(&mut page, group);
    }
    labels(&mut page);
    page
}

fn table(page: &mut String, group: &Group) {
    let head = "| metric | type | labels | meaning |\n|---|---|---|---|";
    writeln!(page, "### {}\n\n{head}", group.title).unwrap();
    for metric in group.metrics {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        let (name, kind, labels) = (metric.name, metric.kind.label(), labels.join(", "));
        writeln!(page, "| `{name}` | {kind} | {labels} | {} |", metric.help).unwrap();
    }
    page.push('\n');
}

/// A label that says the same wherever it stands is one row; else each of its lists has one, with the metrics that it is of.
fn labels(page: &mut String) {
    let mut rows: BTreeMap<&str, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    for metric in all() {
        for label in metric.labels {
            let of = rows.entry(label.name).or_default().entry(values(label)).or_default();
            of.push(metric.name);
        }
    }
    page.push_str("### Labels\n\n| label | of | values |\n|---|---|---|\n");
    for (label, lists) in rows {
        let only = lists.len() == 1;
        for (values, metrics) in lists {
            let of: Vec<_> = metrics.iter().map(|name| format!("`{name}`")).collect();
            let of = if only { "all".to_owned() } else { of.join(", ") };
            writeln!(page, "| `{label}` | {of} | {values} |").unwrap();
        }
    }
    page.push('\n');
}

fn values(label: &Label) -> String {
    match label.values {
        Values::Configured(words) => format!("configured: {words}"),
        Values::Listed(list) => {
            let values: Vec<_> = list().iter().map(|value| format!("`{value}`")).collect();
            values.join(", ")
        }
    }
}

#[test]
fn the_page_says_what_the_catalogue_has() {
    let page = fs::read_to_string(path()).unwrap();
    assert!(
        parts(&page)[1] == written(),
        "docs/metrics.md differs; to write it anew: cargo test -p evenkeel-proxy --lib catalogue::page -- --ignored"
    );
}

#[test]
#[ignore = "writes docs/metrics.md"]
fn the_page_is_written_anew() {
    let page = fs::read_to_string(path()).unwrap();
    let [before, _, after] = parts(&page);
    fs::write(path(), format!("{before}{BEGIN}{}{END}{after}", written())).unwrap();
}

#[test]
fn names_are_as_prometheus_wants_them() {
    let names: BTreeSet<_> = all().map(|metric| metric.name).collect();
    assert_eq!(names.len(), all().count(), "a name twice");
    for metric in all() {
        let Metric {
            name,
            kind,
            help,
            labels,
        } = metric;
        assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        assert_eq!(
            *kind == Kind::Histogram,
            labels.iter().any(|label| label.name == "le"),
            "{name}"
        );
        assert!(help.ends_with('.') && !help.contains(['|', '\n']), "{name}: {help}");
        let distinct: BTreeSet<_> = labels.iter().map(|label| label.name).collect();
        assert_eq!(distinct.len(), labels.len(), "{name}: a label twice");
    }
}
