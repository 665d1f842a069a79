//! The text format of Prometheus (version 0.0.4). Label values come from closed lists.

use crate::source::Changes;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::serve::{Denial, KindStatus, Status};
use std::fmt::Write;

/// A count of each type of resource.
type OfKind = fn(&KindStatus) -> u64;

const BY_KIND: [(&str, &str, OfKind); 4] = [
    (
        "evenkeel_control_pushes_total",
        "Responses sent, by type of resource.",
        |kind| kind.pushes,
    ),
    ("evenkeel_control_acks_total", "Responses that clients took.", |kind| {
        kind.accepted
    }),
    (
        "evenkeel_control_nacks_total",
        "Responses that clients refused; the log says why.",
        |kind| kind.refused,
    ),
    (
        "evenkeel_control_stale_answers_total",
        "Answers to responses that were not the last.",
        |kind| kind.stale,
    ),
];

/// The page.
pub(super) fn page(status: &Status, changes: Changes) -> String {
    let mut page = String::new();
    family(&mut page, "evenkeel_control_streams", "gauge", "Streams that are open.");
    sample(&mut page, "evenkeel_control_streams", "", status.streams as u64);
    family(
        &mut page,
        "evenkeel_control_streams_total",
        "counter",
        "Streams that were opened.",
    );
    sample(&mut page, "evenkeel_control_streams_total", "", status.opened);
    for (name, help, of) in BY_KIND {
        family(&mut page, name, "counter", help);
        for (kind, counts) in Kind::ALL.into_iter().zip(&status.kinds) {
            sample(&mut page, name, &format!("{{type=\"{kind}\"}}"), of(counts));
        }
    }
    let name = "evenkeel_control_unserved_requests_total";
    family(
        &mut page,
        name,
        "counter",
        "Requests for types of resources that are not served.",
    );
    sample(&mut page, name, "", status.unserved);
    let name = "evenkeel_control_denials_total";
    family(&mut page, name, "counter", "Clients that were not served, by reason.");
    for (denial, count) in Denial::ALL.into_iter().zip(status.denials) {
        sample(&mut page, name, &format!("{{reason=\"{denial}\"}}"), count);
    }
    let name = "evenkeel_control_refusing_nodes";
    family(
        &mut page,
        name,
        "gauge",
        "Nodes that run on something older than they were sent; at most 1,024 are counted.",
    );
    sample(&mut page, name, "", status.refusals.len() as u64);
    let name = "evenkeel_control_document_changes_total";
    family(
        &mut page,
        name,
        "counter",
        "Mesh documents read, by what became of them.",
    );
    sample(&mut page, name, "{result=\"accepted\"}", changes.accepted);
    sample(&mut page, name, "{result=\"refused\"}", changes.refused);
    page
}

fn family(page: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes all that is written");
}

fn sample(page: &mut String, name: &str, labels: &str, value: u64) {
    writeln!(page, "{name}{labels} {value}").expect("a String takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_follows_its_family() {
        let mut status = Status::default();
        status.kinds[Kind::Listener as usize].refused = 3;
        let page = page(&status, Changes::default());
        assert!(
            page.contains("\nevenkeel_control_nacks_total{type=\"lds\"} 3\n"),
            "{page}"
        );
        let mut family = "";
        for line in page.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => family = rest.split(' ').next().unwrap(),
                None if line.starts_with('#') => {}
                None => assert_eq!(line.split(['{', ' ']).next(), Some(family), "{line}"),
            }
        }
    }
}
