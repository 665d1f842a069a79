//! Which endpoint is chosen how often.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::exchange::Connection;
use crate::exchange::Outcome;
use crate::exchange::get;
use crate::world::Endpoints;
use crate::world::World;

/// Of each case.
const REQUESTS: u32 = 1000;
/// By how many standard deviations two shares may differ that are drawn with the same chance: one in 500 million, and about a
/// hundred are looked at.
const DEVIATIONS: f64 = 6.0;
/// Endpoints that may be chosen at all have at least an eighth of the requests: that one of them has none is out of the question.
const LEAST: f64 = 0.05;

/// As `docs/envoy.md` has it.
pub(crate) const NO_PANIC: &str = "There is no panic unless it is configured";

/// A path, the cluster or clusters behind it, and what is configured.
struct Case {
    path: &'static str,
    action: Value,
    cluster: Option<Value>,
    /// What `docs/envoy.md` says of shares that are not the same.
    differs: Option<&'static str>,
}

impl Case {
    /// A cluster of its own.
    fn cluster(path: &'static str, endpoints: &Value, members: Value) -> Self {
        let name = &path[1..];
        let assignment = json!({"cluster_name": name, "endpoints": endpoints});
        let fixed = resource::with(resource::fixed(name, []), json!({"load_assignment": assignment}));
        Self {
            path,
            action: json!({"cluster": name}),
            cluster: Some(resource::with(fixed, members)),
            differs: None,
        }
    }

    fn differs(self, why: &'static str) -> Self {
        Self {
            differs: Some(why),
            ..self
        }
    }
}

fn endpoint(at: SocketAddr, members: Value) -> Value {
    resource::with(resource::endpoint(at), members)
}

fn cases(endpoints: &Endpoints<'_>) -> Vec<Case> {
    let plain = |index| endpoint(endpoints.http(index), json!({}));
    let weight = |index, weight: u32| endpoint(endpoints.http(index), json!({"load_balancing_weight": weight}));
    let health = |index, status: &str| endpoint(endpoints.http(index), json!({"health_status": status}));
    let zone = |zone: &str| json!({"zone": zone});
    let three = json!([{"lb_endpoints": [plain(0), plain(1), plain(2)]}]);
    let uneven = json!([{"lb_endpoints": [weight(0, 1), weight(1, 3)]}]);
    let sick = json!([{"lb_endpoints": [health(0, "UNHEALTHY"), health(1, "HEALTHY"), health(2, "DRAINING")]}]);
    let priorities =
        |first: Value| json!([{"lb_endpoints": first}, {"lb_endpoints": [plain(4), plain(5)], "priority": 1}]);
    let spill = priorities(json!([health(0, "HEALTHY"), health(1, "UNHEALTHY")]));
    let over = priorities(json!([health(0, "UNHEALTHY"), health(1, "UNHEALTHY")]));
    let panic = json!([{"lb_endpoints": [health(0, "HEALTHY"), health(1, "UNHEALTHY"), health(2, "UNHEALTHY")]}]);
    let degraded = json!([{"lb_endpoints": [health(0, "HEALTHY"), health(1, "DEGRADED")]}]);
    let localities = json!([
        {"locality": zone("a"), "load_balancing_weight": 3, "lb_endpoints": [plain(0), plain(1)]},
        {"locality": zone("b"), "load_balancing_weight": 1, "lb_endpoints": [plain(2)]},
    ]);
    let by_locality = json!({"common_lb_config": {"locality_weighted_lb_config": {}}});
    let no_panic = json!({"common_lb_config": {"healthy_panic_threshold": {"value": 0}}});
    let weighted = json!([{"name": "a", "weight": 10}, {"name": "b", "weight": 30}, {"name": "c", "weight": 0}]);
    vec![
        Case {
            path: "/weighted",
            action: json!({"weighted_clusters": {"clusters": weighted}}),
            cluster: None,
            differs: None,
        },
        Case::cluster("/round_robin", &three, json!({"lb_policy": "ROUND_ROBIN"})),
        Case::cluster("/random", &three, json!({"lb_policy": "RANDOM"})),
        Case::cluster("/least_request", &three, json!({"lb_policy": "LEAST_REQUEST"})),
        Case::cluster("/uneven_round_robin", &uneven, json!({"lb_policy": "ROUND_ROBIN"})),
        Case::cluster("/uneven_least_request", &uneven, json!({"lb_policy": "LEAST_REQUEST"})),
        Case::cluster("/sick", &sick, no_panic.clone()),
        Case::cluster("/spill", &spill, json!({})),
        Case::cluster("/over", &over, json!({})),
        Case::cluster(
            "/panic",
            &panic,
            json!({"common_lb_config": {"healthy_panic_threshold": {"value": 50}}}),
        ),
        Case::cluster("/unset_panic", &panic, json!({})).differs(NO_PANIC),
        Case::cluster("/no_panic", &panic, no_panic),
        Case::cluster("/degraded", &degraded, json!({})),
        Case::cluster("/localities", &localities, by_locality),
        Case::cluster("/no_locality_weights", &localities, json!({})),
    ]
}

#[test]
fn endpoints_get_the_same_shares() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, |endpoints| {
            let cases = cases(endpoints);
            let routes = cases
                .iter()
                .map(|case| json!({"match": {"path": case.path}, "route": case.action}));
            let routes = resource::routes("shares", &[resource::host("all", &["*"], &routes.collect::<Vec<_>>())]);
            let at = SocketAddr::new(endpoints.family().vip(10), 80);
            let listener = resource::listener("web", at, &[resource::chain(&resource::http(&routes))]);
            cases
                .into_iter()
                .filter_map(|case| case.cluster)
                .chain([listener])
                .collect()
        })?;
        let mut wrong = Vec::new();
        for case in cases(&world.endpoints()) {
            let ours = shares(&world.ours, world.vip(10, 80), case.path)?;
            let envoys = shares(&world.envoy, world.vip(10, 80), case.path)?;
            if alike(&ours, &envoys) != case.differs.is_none() {
                wrong.push(format!(
                    "{}: ours {ours:?}, Envoy's {envoys:?} {:?}",
                    case.path, case.differs
                ));
            }
        }
        ensure!(wrong.is_empty(), "{family:?}:\n{}", wrong.join("\n"));
    }
    Ok(())
}

fn alike(ours: &BTreeMap<String, u32>, envoys: &BTreeMap<String, u32>) -> bool {
    let share = |counts: &BTreeMap<String, u32>, name| {
        f64::from(counts.get(name).copied().unwrap_or_default()) / f64::from(REQUESTS)
    };
    ours.keys().chain(envoys.keys()).all(|name| {
        let (ours, envoys) = (share(ours, name), share(envoys, name));
        let both = f64::midpoint(ours, envoys);
        let deviation = (both * (1.0 - both) * 2.0 / f64::from(REQUESTS)).sqrt();
        // Nothing is nothing, not little.
        ours.min(envoys) > LEAST && (ours - envoys).abs() <= DEVIATIONS * deviation
    })
}

/// One connection for all: who is chosen is decided for each request.
fn shares(from: &Pod, to: SocketAddr, path: &str) -> Result<BTreeMap<String, u32>> {
    let mut counts = BTreeMap::new();
    let request = get("web.test", path, &[]);
    let mut connection = Connection::open(from, to)?.context("closed")?;
    for _ in 0..REQUESTS {
        let Outcome::Answer(answer) = connection.ask(request.as_bytes())? else {
            anyhow::bail!("{path}: closed");
        };
        let name = answer.fields.iter().find(|field| field.0 == "x-mirror");
        let name = name.with_context(|| format!("{path}: {answer:?}"))?.1.clone();
        *counts.entry(name).or_default() += 1;
    }
    Ok(counts)
}
