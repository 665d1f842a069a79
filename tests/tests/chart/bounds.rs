//! What the injector refuses of its settings, the chart's schema refuses as well, before anything is installed; and both take what is
//! just within bounds.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_control_plane::inject::settings::Settings;
use evenkeel_tests::helm;
use serde_json::Value;
use serde_json::json;

/// A key below `injection`, values that are refused, and values that are taken.
type Bounds = (&'static str, Value, Value);

fn bounds() -> Vec<Bounds> {
    let collectors = json!([
        "otel:4317",
        "https://otel:4317",
        "http://",
        "http://:4317",
        "http://user@otel:4317",
        "http://otel:4317/path",
        "http://otel:4317?query",
        "http://two words:4317",
    ]);
    let reached = json!(["http://otel", "http://[fd00::1]:4317/", "http://10.0.0.1:4317"]);
    let protocols = (json!(["udp", "GRPC"]), json!(["http"]));
    let blocks = (
        json!(["10.0.0.0/33", "256.0.0.0/8", "10.0.0/8", "fd00::/129", "shop/8"]),
        json!([
            "10.0.0.0/8",
            "255.255.255.255/32",
            "0.0.0.0/0",
            "::/0",
            "::1/128",
            "fd00::/8"
        ]),
    );
    let listed = |(bad, good): &(Value, Value)| {
        let lists = |values: &Value| {
            values
                .as_array()
                .into_iter()
                .flatten()
                .map(|value| json!([value]))
                .collect()
        };
        (lists(bad), lists(good))
    };
    let mut all: Vec<Bounds> = vec![
        (
            "telemetry.tracing.sample",
            json!(["500%", "100.0001%", "01%", "1.23456%", "1.%", "1", "all"]),
            json!(["100%", "100.0000%", "0%", "0.0001%", "99.9999%", "12.50%"]),
        ),
        (
            "telemetry.tracing.propagation",
            json!([[], ["w3c", "w3c"], ["jaeger"], ["b3", "w3c", "b3"]]),
            json!([["b3_multi"], ["b3", "w3c", "b3_multi"]]),
        ),
        (
            "telemetry.metrics.labels",
            json!([["pod"], ["source_zone", "source_zone"]]),
            json!([["source_zone", "destination_zone"]]),
        ),
        (
            "telemetry.metrics.push.interval",
            json!(["2h", "61m", "3601s", "3600001ms", "999ms", "0s", "1d"]),
            json!(["1h", "60m", "3600s", "3600000ms", "1000ms", "1s", "1m"]),
        ),
        (
            "startup.wait",
            json!(["11m", "601s", "600001ms", "1h", "10"]),
            json!(["10m", "600s", "600000ms", "1ms", "599s", "99999ms"]),
        ),
        (
            "proxy.shutdownGrace",
            json!(["999ms", "25h", "1441m", "86401s", "86400001ms"]),
            json!(["1000ms", "24h", "1440m", "86400s", "86400000ms", "1s", "9h"]),
        ),
        (
            "proxy.extraEnv",
            json!([
                [{"name": "POD_NAME", "value": "a"}],
                [{"name": "EVENKEEL_LOG", "value": "a"}],
                [{"name": "1A", "value": "a"}],
            ]),
            json!([[{"name": "POD_NAMES", "value": "a"}]]),
        ),
        (
            "excludedNamespaces",
            json!([
                ["kube-system", "a.b"],
                ["kube-system", "-a"],
                ["kube-system", "a".repeat(64)]
            ]),
            json!([["kube-system", "a".repeat(63)]]),
        ),
    ];
    for section in ["tracing", "metrics.push", "accessLog"] {
        let key = |key: &str| -> &'static str { format!("telemetry.{section}.{key}").leak() };
        all.push((key("collector"), collectors.clone(), reached.clone()));
        all.push((key("protocol"), protocols.0.clone(), protocols.1.clone()));
    }
    for key in [
        "redirection.includeOutboundCidrs",
        "redirection.excludeOutboundCidrs",
        "onDemand.cidrs",
    ] {
        let (bad, good) = listed(&blocks);
        all.push((key, bad, good));
    }
    all
}

/// What makes every section of telemetry one that is read.
fn base() -> Value {
    let collector = json!({"collector": "http://otel:4317"});
    json!({
        "proxy": {"accessLog": "json"},
        "telemetry": {"tracing": collector, "metrics": {"push": collector}, "accessLog": collector},
    })
}

fn put(values: &mut Value, key: &str, value: &Value) {
    let place = key.split('.').fold(values, |place, word| &mut place[word]);
    *place = value.clone();
}

/// The settings as the chart writes them of these values below `injection`.
fn settings(mut injection: Value) -> String {
    if let Some(startup) = injection.as_object_mut().and_then(|keys| keys.remove("startup")) {
        injection["controlPlane"] = json!({"startup": startup});
    }
    injection.to_string()
}

#[test]
fn what_the_injector_refuses_the_schema_refuses_too() -> Result<()> {
    let bounds = bounds();
    for (key, bad, _) in &bounds {
        for value in bad.as_array().context("values")? {
            let mut injection = base();
            put(&mut injection, key, value);
            let faults = Settings::parse(&settings(injection)).err();
            let faults = faults.with_context(|| format!("{key}: {value} is taken"))?.to_string();
            ensure!(faults.contains(key), "{key}: {value}: {faults}");
        }
    }
    // Helm tells all faults at once: as many times as there are values of a key.
    for round in 0.. {
        let now: Vec<_> = bounds
            .iter()
            .filter_map(|(key, bad, _)| Some((key, bad.get(round)?)))
            .collect();
        if now.is_empty() {
            break;
        }
        let mut injection = base();
        for (key, value) in &now {
            put(&mut injection, key, value);
        }
        let refused = helm::render(&json!({"injection": injection})).err();
        let refused = format!("{:#}", refused.with_context(|| format!("{injection} is taken"))?);
        for (key, value) in now {
            let place = format!("at '/injection/{}", key.replace('.', "/"));
            ensure!(refused.contains(&place), "{key}: {value} is taken: {refused}");
        }
    }
    Ok(())
}

#[test]
fn what_is_just_within_bounds_is_taken_by_both() -> Result<()> {
    let bounds = bounds();
    for round in 0.. {
        let now = bounds.iter().filter_map(|(key, _, good)| Some((key, good.get(round)?)));
        let mut injection = base();
        let mut any = false;
        for (key, value) in now {
            put(&mut injection, key, value);
            any = true;
        }
        if !any {
            return Ok(());
        }
        Settings::parse(&settings(injection.clone())).with_context(|| injection.to_string())?;
        helm::render(&json!({"injection": injection}))?;
    }
    Ok(())
}

#[test]
fn records_of_an_access_log_that_there_is_not_are_refused() -> Result<()> {
    let mut injection = base();
    put(&mut injection, "proxy.accessLog", &json!("off"));
    let faults = Settings::parse(&injection.to_string()).err().context("it is taken")?;
    ensure!(
        faults
            .to_string()
            .contains("telemetry: accessLog needs proxy.accessLog"),
        "{faults}"
    );
    let refused = helm::render(&json!({"injection": injection})).err();
    let refused = format!("{:#}", refused.context("it is taken")?);
    ensure!(refused.contains("at '/injection/proxy/accessLog'"), "{refused}");
    Ok(())
}
