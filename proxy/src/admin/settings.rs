//! `settings` of `/config_dump`: what belongs to the process, and not to the mesh.

use evenkeel_control_api::mesh::settings::AccessLog;
use evenkeel_control_api::mesh::settings::Collector;
use evenkeel_control_api::mesh::settings::Lines;
use evenkeel_control_api::mesh::settings::LogFilter;
use evenkeel_control_api::mesh::settings::Metrics;
use evenkeel_control_api::mesh::settings::Otlp;
use evenkeel_control_api::mesh::settings::Propagation;
use evenkeel_control_api::mesh::settings::ProxySettings;
use evenkeel_control_api::mesh::settings::SeriesLabel;
use evenkeel_control_api::mesh::settings::Tracing;
use evenkeel_control_api::mesh::settings::Workers;
use serde_json::Value;
use serde_json::json;

/// As the process began with them.
pub(super) fn json(settings: &ProxySettings) -> Value {
    let limits = &settings.limits;
    json!({
        "workers": match settings.workers {
            Workers::Count(count) => json!(count),
            Workers::CpuLimit => json!("cpu-limit"),
        },
        "outbound": settings.outbound,
        "inbound": settings.inbound,
        "admin": settings.admin,
        "telemetry": settings.telemetry,
        "access_log": settings.access_log.as_ref().map(access_log),
        "tracing": settings.tracing.as_ref().map(tracing),
        "metrics": metrics(&settings.metrics),
        "limits": {
            "connections": limits.connections,
            "idle_per_endpoint": limits.idle_per_endpoint,
            "idle_total": limits.idle_total,
            "speculative": limits.speculative,
            "backoff_first_seconds": limits.backoff_first.as_secs_f64(),
            "backoff_most_seconds": limits.backoff_most.as_secs_f64(),
            "drain_least_seconds": limits.drain.least.as_secs_f64(),
            "drain_idle_seconds": limits.drain.idle.as_secs_f64(),
            "drain_deadline_seconds": limits.drain.deadline.as_secs_f64(),
        },
    })
}

fn access_log(log: &AccessLog) -> Value {
    json!({
        "lines": match log.lines {
            Lines::Text => "text",
            Lines::Json => "json",
            Lines::Template(_) => "template",
        },
        "filtered": log.filter != LogFilter::default(),
        "otlp": log.otlp.as_ref().map(|records| collector(&records.collector)),
    })
}

fn tracing(tracing: &Tracing) -> Value {
    let word = |propagation: &Propagation| match propagation {
        Propagation::W3c => "w3c",
        Propagation::B3 => "b3",
        Propagation::B3Multi => "b3_multi",
    };
    json!({
        "collector": collector(&tracing.collector),
        "sample": f64::from(tracing.sample.millionths()) / 1e6,
        "propagation": tracing.propagation.iter().map(word).collect::<Vec<_>>(),
        "attributes": tracing.attributes.iter().map(|attribute| &attribute.name).collect::<Vec<_>>(),
    })
}

fn metrics(metrics: &Metrics) -> Value {
    json!({
        "labels": metrics.labels.iter().copied().map(SeriesLabel::label).collect::<Vec<_>>(),
        "workload": metrics.workload,
        "namespace": metrics.namespace,
        "zone": metrics.zone,
        "services": metrics.services,
        "idle_seconds": metrics.idle.map(|idle| idle.as_secs_f64()),
        "push": metrics.push.as_ref().map(|push| json!({
            "collector": collector(&push.collector),
            "interval_seconds": push.interval.as_secs_f64(),
        })),
    })
}

fn collector(collector: &Collector) -> Value {
    json!({
        "uri": collector.uri.to_string(),
        "protocol": match collector.protocol {
            Otlp::Grpc => "grpc",
            Otlp::Http => "http",
        },
        "timeout_seconds": collector.timeout.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::mesh;

    #[test]
    fn what_is_told_of_requests_and_where_it_goes_is_shown() {
        let document = "tracing: {collector: 'http://otel:4317', sample: 12.5%, propagation: [b3, w3c]}\n\
                        proxy: {access_log: {format: json, filter: {failed: true}, otlp: {collector: 'http://otel:4318', protocol: http}}, \
                        metrics: {labels: [source_zone], push: {collector: 'http://otel:4317', interval: 5s}}}\n";
        let shown = json(&mesh::load(document).unwrap().settings);
        let collector = |uri, protocol| json!({"uri": uri, "protocol": protocol, "timeout_seconds": 10.0});
        assert_eq!(
            shown["tracing"],
            json!({
                "collector": collector("http://otel:4317/", "grpc"),
                "sample": 0.125,
                "propagation": ["b3", "w3c"],
                "attributes": [],
            })
        );
        let otlp = collector("http://otel:4318/", "http");
        assert_eq!(
            shown["access_log"],
            json!({"lines": "json", "filtered": true, "otlp": otlp})
        );
        let push = json!({"collector": collector("http://otel:4317/", "grpc"), "interval_seconds": 5.0});
        assert_eq!(
            (&shown["metrics"]["push"], &shown["metrics"]["labels"]),
            (&push, &json!(["source_zone"]))
        );
        let nothing = json(&mesh::load("").unwrap().settings);
        assert_eq!(
            (&nothing["tracing"], &nothing["access_log"]),
            (&Value::Null, &Value::Null)
        );
    }
}
