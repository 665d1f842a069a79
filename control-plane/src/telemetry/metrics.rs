//! The text format of Prometheus (version 0.0.4). Label values come from closed lists.

use super::{Access, Origin};
use crate::kubernetes::watch::Condition;
use crate::kubernetes::{Cluster, Kind as ObjectKind};
use crate::source::file::Counts as Reads;
use crate::views::Counts;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::serve::{Denial, KindStatus, Status};
use std::fmt::{Display, Write};
use std::time::SystemTime;

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
pub(super) fn page(status: &Status, counts: &Counts, origin: &Origin) -> String {
    let mut page = String::new();
    streams(&mut page, status);
    views(&mut page, counts);
    match origin {
        Origin::File(reads) => document(&mut page, reads.counts()),
        Origin::Cluster {
            cluster,
            access,
            webhook,
        } => {
            objects(&mut page, cluster);
            if let Some(access) = access {
                guarded(&mut page, access);
            }
            if let Some(webhook) = webhook {
                page.push_str(&webhook.counts.page());
            }
        }
    }
    page
}

fn streams(page: &mut String, status: &Status) {
    family(page, "evenkeel_control_streams", "gauge", "Streams that are open.");
    sample(page, "evenkeel_control_streams", "", status.streams as u64);
    family(
        page,
        "evenkeel_control_streams_total",
        "counter",
        "Streams that were opened.",
    );
    sample(page, "evenkeel_control_streams_total", "", status.opened);
    for (name, help, of) in BY_KIND {
        family(page, name, "counter", help);
        for (kind, counts) in Kind::ALL.into_iter().zip(&status.kinds) {
            sample(page, name, &format!("{{type=\"{kind}\"}}"), of(counts));
        }
    }
    let name = "evenkeel_control_unserved_requests_total";
    family(
        page,
        name,
        "counter",
        "Requests for types of resources that are not served.",
    );
    sample(page, name, "", status.unserved);
    let name = "evenkeel_control_denials_total";
    family(page, name, "counter", "Clients that were not served, by reason.");
    for (denial, count) in Denial::ALL.into_iter().zip(status.denials) {
        sample(page, name, &format!("{{reason=\"{denial}\"}}"), count);
    }
    let name = "evenkeel_control_refusing_nodes";
    family(
        page,
        name,
        "gauge",
        "Nodes that run on something older than they were sent; at most 1,024 are counted.",
    );
    sample(page, name, "", status.refusals.len() as u64);
}

fn views(page: &mut String, counts: &Counts) {
    for (name, help, value) in [
        (
            "evenkeel_control_services",
            "Services that are served.",
            counts.services,
        ),
        ("evenkeel_control_endpoints", "Their endpoints.", counts.endpoints),
        (
            "evenkeel_control_views",
            "Classes of nodes that have a view of their own.",
            counts.classes,
        ),
    ] {
        family(page, name, "gauge", help);
        sample(page, name, "", value);
    }
    let name = "evenkeel_control_change_seconds";
    let help = "From when a change was seen to the views that have it.";
    family(page, name, "histogram", help);
    for (bound, count) in counts.latencies.cumulative() {
        let labels = format!("{{le=\"{}\"}}", bound.as_secs_f64());
        sample(page, &format!("{name}_bucket"), &labels, count);
    }
    let (count, sum) = (counts.latencies.count(), counts.latencies.sum());
    sample(page, &format!("{name}_bucket"), "{le=\"+Inf\"}", count);
    sample(page, &format!("{name}_sum"), "", sum.as_secs_f64());
    sample(page, &format!("{name}_count"), "", count);
}

fn document(page: &mut String, reads: Reads) {
    let name = "evenkeel_control_document_changes_total";
    let help = "Mesh documents read, by what became of them.";
    family(page, name, "counter", help);
    sample(page, name, "{result=\"accepted\"}", reads.accepted);
    sample(page, name, "{result=\"refused\"}", reads.refused);
}

fn objects(page: &mut String, cluster: &Cluster) {
    let status = cluster.watches().status();
    let refused = cluster.board().faulty();
    let counts = {
        let world = cluster.world();
        ObjectKind::ALL.map(|kind| world.count(kind))
    };
    let mut each = |name: &str, kind: &str, help: &str, of: &dyn Fn(ObjectKind) -> Option<u64>| {
        family(page, name, kind, help);
        for kind in ObjectKind::ALL {
            if let Some(value) = of(kind) {
                sample(page, name, &format!("{{kind=\"{kind}\"}}"), value);
            }
        }
    };
    each(
        "evenkeel_control_objects",
        "gauge",
        "Objects of the cluster that are known.",
        &|kind| Some(counts[kind as usize] as u64),
    );
    let help = "Objects that cannot be used as they are; their status, or an Event, says why.";
    each("evenkeel_control_refused_objects", "gauge", help, &|kind| {
        Some(refused.get(&kind).copied().unwrap_or_default() as u64)
    });
    let help = "1 while the API server is listened to; 0 while what was seen last is served.";
    each("evenkeel_control_watching", "gauge", help, &|kind| {
        let watching = status.get(&kind).map(|status| &status.condition);
        Some(u64::from(watching == Some(&Condition::Watching)))
    });
    let help = "1 for a kind that could not be listed at the start: the mesh is served without it.";
    let without = cluster.without().borrow().clone();
    each("evenkeel_control_served_without", "gauge", help, &|kind| {
        Some(u64::from(without.contains(&kind)))
    });
    each("evenkeel_control_lists_total", "counter", "Whole lists.", &|kind| {
        Some(status.get(&kind).map_or(0, |status| status.lists))
    });
    each(
        "evenkeel_control_watches_total",
        "counter",
        "Watches that were begun.",
        &|kind| Some(status.get(&kind).map_or(0, |status| status.watches)),
    );
    let help = "Lists and watches that failed; the log says why.";
    each("evenkeel_control_watch_failures_total", "counter", help, &|kind| {
        Some(status.get(&kind).map_or(0, |status| status.failures))
    });
    let help = "Since the API server last said something: a list, an event, a bookmark.";
    each("evenkeel_control_heard_age_seconds", "gauge", help, &|kind| {
        let heard = status.get(&kind)?.heard?;
        Some(heard.elapsed().as_secs())
    });
}

fn guarded(page: &mut String, Access { certificates, reviews }: &Access) {
    let (certificate, reviews) = (certificates.status(), reviews.counts());
    if let Some(expires) = certificate.expires {
        let rest = expires.duration_since(SystemTime::now()).unwrap_or_default();
        let name = "evenkeel_control_certificate_rest_seconds";
        family(page, name, "gauge", "For how long the certificate in force is good.");
        sample(page, name, "", rest.as_secs());
    }
    let name = "evenkeel_control_authorities";
    let help = "Authorities that new pods are told to believe: more than one after a rotation.";
    family(page, name, "gauge", help);
    sample(page, name, "", certificate.believed);
    let name = "evenkeel_control_certificates_total";
    family(page, name, "counter", "Certificates, by what became of them.");
    sample(page, name, "{result=\"accepted\"}", certificate.accepted);
    sample(page, name, "{result=\"refused\"}", certificate.refused);
    let name = "evenkeel_control_token_reviews_total";
    family(page, name, "counter", "Tokens that were looked at, by what was known.");
    for (result, count) in [
        ("answered", reviews.answered),
        ("failed", reviews.failed),
        ("remembered", reviews.remembered),
        ("trusted", reviews.trusted),
    ] {
        sample(page, name, &format!("{{result=\"{result}\"}}"), count);
    }
}

fn family(page: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes all that is written");
}

fn sample(page: &mut String, name: &str, labels: &str, value: impl Display) {
    writeln!(page, "{name}{labels} {value}").expect("a String takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Door;
    use std::sync::Arc;
    use tokio::sync::watch;

    #[test]
    fn every_sample_follows_its_family() {
        let mut status = Status::default();
        status.kinds[Kind::Listener as usize].refused = 3;
        for origin in [
            Origin::File(crate::source::file::Reads::default()),
            Origin::Cluster {
                cluster: Cluster::new("cluster.local"),
                access: None,
                webhook: Some(Door {
                    counts: Arc::default(),
                    answers: watch::Sender::new(true).subscribe(),
                }),
            },
        ] {
            let page = page(&status, &Counts::default(), &origin);
            assert!(
                page.contains("\nevenkeel_control_nacks_total{type=\"lds\"} 3\n"),
                "{page}"
            );
            let mut family = ("", false);
            for line in page.lines() {
                match line.strip_prefix("# TYPE ") {
                    Some(rest) => {
                        let (name, kind) = rest.split_once(' ').unwrap();
                        family = (name, ["histogram", "summary"].contains(&kind));
                    }
                    None if line.starts_with('#') => {}
                    None => {
                        let name = line.split(['{', ' ']).next().unwrap();
                        let parts = ["_bucket", "_sum", "_count"];
                        let base = parts
                            .iter()
                            .find_map(|part| name.strip_suffix(part).filter(|_| family.1));
                        assert_eq!(base.unwrap_or(name), family.0, "{line}");
                    }
                }
            }
        }
    }
}
