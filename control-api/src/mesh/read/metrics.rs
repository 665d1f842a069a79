//! `proxy.metrics:`, which series there are of services.

use super::collector;
use super::tracing;
use crate::mesh::place::Place;
use crate::mesh::settings::Metrics;
use crate::mesh::settings::Push;
use crate::mesh::settings::SeriesLabel;
use std::time::Duration;

/// More services than any mesh has.
const MOST_SERVICES: u64 = 1_000_000;
/// Shorter, and series would come and go between two scrapes.
const LEAST_IDLE: Duration = Duration::from_secs(1);
/// Longer than a process lives.
const MOST_IDLE: Duration = Duration::from_hours(30 * 24);
/// `push.interval` where it is not said.
const INTERVAL: Duration = Duration::from_secs(30);
/// More often, and writing them would be most of what the process does.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
/// Less often, and backends would take us for gone.
const MOST_INTERVAL: Duration = Duration::from_hours(1);

pub(super) fn metrics(place: &Place<'_>) -> Metrics {
    let base = Metrics::default();
    let fields = place.fields(&["labels", "workload", "namespace", "zone", "services", "idle", "push"]);
    // A label that a pod does not have is put in as nothing.
    let text = |name| {
        let place = fields.optional(name)?;
        place.text().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let services = fields
        .optional("services")
        .and_then(|place| place.integer(1..=MOST_SERVICES));
    Metrics {
        labels: fields.optional("labels").map_or(base.labels, |place| labels(&place)),
        workload: text("workload"),
        namespace: text("namespace"),
        zone: text("zone"),
        push: fields.optional("push").and_then(|place| push(&place)),
        services: services.map_or(base.services, |services| services as usize),
        idle: fields.optional("idle").map_or(base.idle, |place| idle(&place)),
    }
}

fn push(place: &Place<'_>) -> Option<Push> {
    let keys: Vec<_> = collector::KEYS.into_iter().chain(["interval", "service"]).collect();
    let fields = place.fields(&keys);
    let collector = collector::collector(&fields);
    let interval = fields.optional("interval").map_or(Some(INTERVAL), |place| {
        place.duration(&(LEAST_INTERVAL..=MOST_INTERVAL))
    });
    let service = fields.optional("service").and_then(|place| tracing::name(&place));
    Some(Push {
        collector: collector?,
        interval: interval?,
        service,
    })
}

fn labels(place: &Place<'_>) -> Vec<SeriesLabel> {
    let words = SeriesLabel::ALL.map(|label| (label.label(), label));
    let mut labels: Vec<SeriesLabel> = Vec::new();
    for place in place.items() {
        let Some(label) = place.word(&words) else { continue };
        if labels.contains(&label) {
            place.refuse(format!("{} stands here twice", label.label()));
        } else {
            labels.push(label);
        }
    }
    labels
}

fn idle(place: &Place<'_>) -> Option<Duration> {
    if place.is_word("off") {
        return None;
    }
    place.duration_or(&(LEAST_IDLE..=MOST_IDLE), ", or off")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh;
    use crate::mesh::settings::Otlp;

    #[test]
    fn what_is_not_said_is_the_default() {
        assert_eq!(mesh::load("").unwrap().settings.metrics, Metrics::default());
        let loaded = mesh::load(
            "proxy: {metrics: {labels: [source_zone, destination_namespace], zone: a, namespace: \"\", idle: off}}",
        );
        let expected = Metrics {
            labels: vec![SeriesLabel::SourceZone, SeriesLabel::DestinationNamespace],
            zone: Some("a".to_owned()),
            idle: None,
            ..Metrics::default()
        };
        assert_eq!(loaded.unwrap().settings.metrics, expected);
    }

    #[test]
    fn a_push_needs_a_collector_and_has_an_interval() {
        let push = |section: &str| {
            let loaded = mesh::load(&format!("proxy: {{metrics: {{push: {section}}}}}"));
            loaded.map(|document| document.settings.metrics.push.unwrap())
        };
        let usual = push("{collector: \"http://otel:4317\"}").unwrap();
        assert_eq!((usual.interval, usual.service), (Duration::from_secs(30), None));
        assert_eq!(usual.collector.protocol, Otlp::Grpc);
        let all = "{collector: \"http://otel:4318/in\", protocol: http, interval: 5s, timeout: 1s, service: web}";
        let all = push(all).unwrap();
        assert_eq!(
            (all.interval, all.service.as_deref()),
            (Duration::from_secs(5), Some("web"))
        );
        assert_eq!(all.collector.protocol, Otlp::Http);
        for (section, fault) in [
            ("{interval: 5s}", "proxy.metrics.push: the key \"collector\" is missing"),
            (
                "{collector: \"http://otel:1\", interval: 1ms}",
                "proxy.metrics.push.interval: must be from 1s to 1h",
            ),
            (
                "{collector: \"http://otel:1\", service: \"\"}",
                "proxy.metrics.push.service: must be 1 to 128",
            ),
            (
                "{collector: \"http://otel:1\", every: 1s}",
                "proxy.metrics.push.every: ",
            ),
        ] {
            let faults = push(section).unwrap_err().to_string();
            assert!(faults.contains(fault), "{fault} is not in\n{faults}");
        }
    }

    #[test]
    fn every_fault_says_where_it_is() {
        let document = "proxy:\n  metrics:\n    labels: [source_zone, pod, source_zone]\n    services: 0\n    idle: 1ms\n    series: 3\n";
        let faults = mesh::load(document).unwrap_err().to_string();
        for fault in [
            "3:27: proxy.metrics.labels[1]: expected one of source_workload,",
            "3:32: proxy.metrics.labels[2]: source_zone stands here twice",
            "4:15: proxy.metrics.services: expected a whole number from 1 to 1000000, found \"0\"",
            "5:11: proxy.metrics.idle: must be from 1s to 720h, or off",
            "6:5: proxy.metrics.series: ",
        ] {
            assert!(faults.contains(fault), "{fault} is not in\n{faults}");
        }
    }
}
