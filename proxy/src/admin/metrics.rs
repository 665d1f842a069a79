//! The metrics that do not come out of workers' books: configuration, phase, endpoints, process.

use super::Door;
use super::control_plane;
use super::endpoints;
use super::endpoints::ClusterState;
use super::endpoints::EndpointState;
use super::endpoints::Health;
use super::format;
use crate::control::status::Status;
use crate::lifecycle::Phase;
use crate::telemetry;
use crate::telemetry::Family;
use crate::telemetry::Form;
use crate::telemetry::Metric;
use crate::telemetry::Points;
use crate::telemetry::Pushes;
use crate::telemetry::Sample;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::catalogue;
use crate::telemetry::otlp::Counts;
use crate::telemetry::tap::Tap;
use hyper::HeaderMap;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;
use tokio::time::Instant;

/// The form that a scraper asks for.
pub(super) fn form(headers: &HeaderMap) -> Form {
    let form = |range: &str| match range {
        "application/openmetrics-text" => Some(Form::OpenMetrics),
        "text/plain" | "text/*" | "*/*" => Some(Form::Prometheus),
        _ => None,
    };
    format::liked(headers, form).unwrap_or(Form::Prometheus)
}

/// What a page of this form is.
pub(super) fn content_type(form: Form) -> &'static str {
    match form {
        Form::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    }
}

/// The whole page. Of a large mesh it takes a while.
pub(super) fn page(door: &Door, form: Form) -> String {
    all(door, |families| telemetry::render(&door.books, families, form))
}

/// The same to be pushed.
pub fn push(door: &Door, points: Points) {
    all(door, |families| telemetry::push(&door.books, families, points));
}

fn all<T>(door: &Door, then: impl FnOnce(&mut dyn Iterator<Item = Family>) -> T) -> T {
    let status = door.status.borrow().clone();
    let mut families = vec![phase(door.lifecycle.phase())];
    families.extend(configuration(&status));
    families.extend(door.control_plane.iter().flat_map(control_plane::families));
    families.extend(access_log(door));
    families.extend(spans(door));
    families.extend(pushes(door));
    families.extend(tap(&door.tap));
    families.extend(telemetry::process::families());
    let snapshot = status.snapshot.as_ref();
    let clusters = snapshot.map(|snapshot| endpoints::clusters(door, snapshot));
    let clusters = clusters.unwrap_or_default();
    let mut families = families
        .into_iter()
        .chain(budgets(door, &clusters))
        .chain(endpoints(&clusters));
    then(&mut families)
}

fn phase(now: Phase) -> Family {
    let sample = |phase: Phase| Sample {
        labels: vec![("phase", phase.label().to_owned())],
        value: f64::from(phase == now),
        since: None,
    };
    Family {
        metric: catalogue::PHASE,
        samples: catalogue::PHASES.map(sample).into(),
    }
}

fn access_log(door: &Door) -> [Family; 3] {
    let log = door.access_log.as_deref();
    let dropped = log.map_or(0, AccessLog::dropped);
    let [exported, lost] = exports(
        [catalogue::ACCESS_LOG_EXPORTED, catalogue::ACCESS_LOG_LOST],
        log.and_then(AccessLog::records),
    );
    [
        Family::of(catalogue::ACCESS_LOG_DROPPED, dropped as f64),
        exported,
        lost,
    ]
}

fn spans(door: &Door) -> [Family; 2] {
    let metrics = [catalogue::SPANS_EXPORTED, catalogue::SPANS_DROPPED];
    exports(metrics, door.spans.as_deref())
}

fn tap(tap: &Tap) -> [Family; 4] {
    let counts = tap.counts();
    let lost = [counts.limited(), counts.lost()];
    let lost = catalogue::TAP_LOSSES
        .into_iter()
        .zip(lost)
        .map(|(reason, value)| Sample {
            labels: vec![("reason", reason.to_owned())],
            value: value as f64,
            since: None,
        });
    [
        Family::of(catalogue::TAP_LISTENERS, tap.count() as f64),
        Family::of(catalogue::TAP_EVENTS, counts.told() as f64),
        Family {
            metric: catalogue::TAP_DROPPED,
            samples: lost.collect(),
        },
        Family::of(catalogue::TAP_REDACTED, counts.redacted() as f64),
    ]
}

/// What a collector took, and what it did not.
fn exports([exported, lost]: [&'static Metric; 2], counts: Option<&Counts>) -> [Family; 2] {
    let dropped = |reason: &str, count: fn(&Counts) -> u64| Sample {
        labels: vec![("reason", reason.to_owned())],
        value: counts.map_or(0, count) as f64,
        since: None,
    };
    let [full, failed, rejected] = catalogue::EXPORT_LOSSES;
    [
        Family::of(exported, counts.map_or(0, Counts::exported) as f64),
        Family {
            metric: lost,
            samples: vec![
                dropped(full, Counts::overflowed),
                dropped(failed, Counts::failed),
                dropped(rejected, Counts::rejected),
            ],
        },
    ]
}

fn pushes(door: &Door) -> [Family; 2] {
    let pushes = door.pushes.as_deref();
    let sample = |result: &str, count: fn(&Pushes) -> u64| Sample {
        labels: vec![("result", result.to_owned())],
        value: pushes.map_or(0, count) as f64,
        since: None,
    };
    let [accepted, failed, skipped] = catalogue::PUSH_RESULTS;
    let results = vec![
        sample(accepted, Pushes::accepted),
        sample(failed, Pushes::failed),
        sample(skipped, Pushes::skipped),
    ];
    let lost = [Counts::failed, Counts::rejected];
    let lost = catalogue::POINT_LOSSES
        .into_iter()
        .zip(lost)
        .map(|(reason, count)| Sample {
            labels: vec![("reason", reason.to_owned())],
            value: pushes.map_or(0, |pushes| count(pushes.points())) as f64,
            since: None,
        });
    [
        (catalogue::METRICS_PUSHES, results),
        (catalogue::METRICS_POINTS_DROPPED, lost.collect()),
    ]
    .map(|(metric, samples)| Family { metric, samples })
}

fn configuration(status: &Status) -> [Family; 5] {
    let sample = |result: &str, value: f64| Sample {
        labels: vec![("result", result.to_owned())],
        value,
        since: None,
    };
    let at = |result: &str, at: Option<SystemTime>| {
        let since = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        since.map(|since| sample(result, since.as_secs_f64()))
    };
    let updates = [
        sample("accepted", status.accepted as f64),
        sample("refused", status.refused as f64),
    ];
    let times = [at("accepted", status.accepted_at), at("refused", status.refused_at)];
    [
        Family::of(catalogue::CONFIG_GENERATION, status.generation() as f64),
        Family::of(catalogue::CONFIG_REFUSED, f64::from(status.refusal.is_some())),
        Family::of(catalogue::CONFIG_MISSING, f64::from(status.passes_through())),
        Family {
            metric: catalogue::CONFIG_UPDATES,
            samples: updates.into(),
        },
        Family {
            metric: catalogue::CONFIG_LAST_UPDATE,
            samples: times.into_iter().flatten().collect(),
        },
    ]
}

/// A family, and what it reads off an endpoint; `None`: no sample.
type Reading = (&'static Metric, fn(&EndpointState) -> Option<f64>);

const READINGS: [Reading; 11] = [
    (catalogue::ENDPOINT_HEALTHY, |endpoint| {
        Some(f64::from(endpoint.health == Health::Healthy))
    }),
    (catalogue::ENDPOINT_WEIGHT, |endpoint| endpoint.weight.map(f64::from)),
    (catalogue::ENDPOINT_IN_FLIGHT, |endpoint| {
        Some(f64::from(endpoint.in_flight))
    }),
    (catalogue::ENDPOINT_LATENCY, |endpoint| {
        endpoint.latency_ms.map(|latency| latency / 1_000.0)
    }),
    (catalogue::ENDPOINT_CONSECUTIVE_FAILURES, |endpoint| {
        Some(f64::from(endpoint.failures))
    }),
    (catalogue::ENDPOINT_IDLE_CONNECTIONS, |endpoint| {
        Some(endpoint.idle as f64)
    }),
    (catalogue::ENDPOINT_HTTP2_CONNECTIONS, |endpoint| {
        Some(endpoint.http2 as f64)
    }),
    (catalogue::ENDPOINT_CONNECTIONS_OPENED, |endpoint| {
        Some(endpoint.opened as f64)
    }),
    (catalogue::ENDPOINT_CONNECT_FAILURES, |endpoint| {
        Some(endpoint.failed as f64)
    }),
    (catalogue::ENDPOINT_REQUESTS, |endpoint| Some(endpoint.requests as f64)),
    (catalogue::ENDPOINT_REQUEST_FAILURES, |endpoint| {
        Some(endpoint.request_failures as f64)
    }),
];

/// One after the other: of a large mesh each is megabytes. Only endpoints that the configuration names: what applications
/// dial would make series without bound.
fn endpoints(clusters: &[ClusterState]) -> impl Iterator<Item = Family> {
    let family = |(metric, read): Reading| {
        let named = clusters.iter().filter(|cluster| cluster.named);
        let all = named.flat_map(|cluster| cluster.endpoints.iter().map(move |endpoint| (cluster, endpoint)));
        let configured = all.filter(|(_, endpoint)| endpoint.weight.is_some());
        let samples = configured.filter_map(|(cluster, endpoint)| Some(sample(cluster, endpoint, read(endpoint)?)));
        Family {
            metric,
            samples: samples.collect(),
        }
    };
    READINGS.into_iter().map(family)
}

fn sample(cluster: &ClusterState, endpoint: &EndpointState, value: f64) -> Sample {
    let labels = vec![
        ("cluster", cluster.cluster.clone()),
        ("endpoint", endpoint.address.to_string()),
    ];
    Sample {
        labels,
        value,
        since: Some(endpoint.born),
    }
}

/// Of each cluster that has endpoints of its own, and that a worker knows.
fn budgets(door: &Door, clusters: &[ClusterState]) -> [Family; 2] {
    let now = Instant::now().saturating_duration_since(door.epoch);
    let (mut used, mut left) = (Vec::new(), Vec::new());
    for cluster in clusters.iter().filter(|cluster| cluster.named) {
        let Some(budget) = door.registry.budget_if_known(&cluster.cluster) else {
            continue;
        };
        let active = cluster.endpoints.iter().map(|endpoint| endpoint.in_flight).sum();
        let stand = budget.stand(active, now);
        let sample = |value: u32| Sample {
            labels: vec![("cluster", cluster.cluster.clone())],
            value: value.into(),
            since: None,
        };
        used.push(sample(stand.used));
        left.push(sample(stand.left));
    }
    [
        (catalogue::RETRY_BUDGET_USED, used),
        (catalogue::RETRY_BUDGET_LEFT, left),
    ]
    .map(|(metric, samples)| Family { metric, samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header;

    #[test]
    fn a_scraper_gets_the_form_that_it_asks_for() {
        let asked = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, header::HeaderValue::from_static(accept));
            form(&headers)
        };
        // What Prometheus 2.42 says.
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(asked(prometheus), Form::OpenMetrics);
        assert_eq!(asked("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), Form::Prometheus);
        assert_eq!(
            asked("text/plain, application/openmetrics-text;q=0.5"),
            Form::Prometheus
        );
        assert_eq!(asked("*/*"), Form::Prometheus);
        assert_eq!(form(&HeaderMap::new()), Form::Prometheus);
    }
}
