//! How endpoints are chosen.

use super::balanced;
use super::cluster_of;
use super::cluster_refused;
use super::fixed;
use super::least_request;
use super::number;
use super::policies;
use envoy_types::pb::envoy::config::cluster::v3::Cluster as ProtoCluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::CommonLbConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbPolicy;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityConfigSpecifier;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityWeightedLbConfig;
use envoy_types::pb::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use envoy_types::pb::envoy::extensions::load_balancing_policies::maglev::v3::Maglev;
use envoy_types::pb::envoy::extensions::load_balancing_policies::pick_first::v3::PickFirst;
use envoy_types::pb::envoy::extensions::load_balancing_policies::random::v3::Random;
use envoy_types::pb::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use envoy_types::pb::envoy::extensions::load_balancing_policies::subset::v3::Subset;
use envoy_types::pb::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::util::pack_any;
use evenkeel_control_api::resource::cluster::Algorithm;
use evenkeel_control_api::resource::cluster::Spread;

#[test]
fn policies_are_known_by_name() {
    for (policy, expected) in [
        (LbPolicy::RoundRobin, Algorithm::RoundRobin),
        (LbPolicy::LeastRequest, least_request(2)),
        (LbPolicy::Random, Algorithm::Random),
        (LbPolicy::RingHash, Algorithm::Hashed),
        (LbPolicy::Maglev, Algorithm::Hashed),
    ] {
        let (cluster, notes) = cluster_of(&ProtoCluster {
            lb_policy: policy as i32,
            ..fixed()
        });
        assert_eq!((cluster.algorithm, notes.len()), (expected, 0), "{policy:?}");
    }
    let more = ProtoCluster {
        lb_policy: LbPolicy::LeastRequest as i32,
        lb_config: Some(LbConfig::LeastRequestLbConfig(cluster::LeastRequestLbConfig {
            choice_count: Some(number(5)),
            slow_start_config: Some(cluster::SlowStartConfig::default()),
            ..cluster::LeastRequestLbConfig::default()
        })),
        ..fixed()
    };
    let (cluster, notes) = cluster_of(&more);
    assert_eq!(cluster.algorithm, least_request(5));
    assert_eq!(notes, ["least_request_lb_config.slow_start_config"]);
}

#[test]
fn of_typed_policies_the_first_that_is_known_is_used() {
    let (cluster, notes) = cluster_of(&balanced(vec![
        pack_any(PickFirst::default()),
        pack_any(Random::default()),
        pack_any(RoundRobin::default()),
    ]));
    assert_eq!(cluster.algorithm, Algorithm::Random);
    assert_eq!(notes, ["load_balancing_policy.policies[0].typed_extension_config"]);
    let (cluster, notes) = cluster_of(&balanced(vec![pack_any(Maglev::default())]));
    assert_eq!((cluster.algorithm, notes.len()), (Algorithm::Hashed, 0));
    let choices = LeastRequest {
        choice_count: Some(number(3)),
        ..LeastRequest::default()
    };
    assert_eq!(
        cluster_of(&balanced(vec![pack_any(choices)])).0.algorithm,
        least_request(3)
    );
    cluster_refused(
        &balanced(vec![pack_any(PickFirst::default())]),
        "load_balancing_policy: holds no policy that is supported: peak EWMA, least request, round robin, random, ring hash, \
         Maglev",
    );
    cluster_refused(
        &balanced(vec![pack_any(Subset::default()), pack_any(Random::default())]),
        "load_balancing_policy.policies[0].typed_extension_config: is not supported: it would decide where a request goes",
    );
}

#[test]
fn localities_are_weighted_by_the_policy_or_by_the_cluster() {
    let wrr = WrrLocality {
        endpoint_picking_policy: Some(policies(vec![pack_any(Random::default())])),
    };
    let (cluster, _) = cluster_of(&balanced(vec![pack_any(wrr)]));
    assert_eq!(
        (cluster.algorithm, cluster.spread.by_locality),
        (Algorithm::Random, true)
    );
    let weighted = LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig {});
    let common = CommonLbConfig {
        healthy_panic_threshold: Some(Percent { value: 33.5 }),
        close_connections_on_host_set_change: true,
        ignore_new_hosts_until_first_hc: true,
        locality_config_specifier: Some(weighted),
        ..CommonLbConfig::default()
    };
    let with = |common| ProtoCluster {
        common_lb_config: Some(common),
        ..fixed()
    };
    let (cluster, notes) = cluster_of(&with(common.clone()));
    let spread = Spread {
        panic_below: 34,
        by_locality: true,
        close_on_change: true,
    };
    assert_eq!(cluster.spread, spread);
    assert_eq!(notes, ["common_lb_config.ignore_new_hosts_until_first_hc"]);
    for value in [-1.0, 100.5, f64::NAN] {
        let mut common = common.clone();
        common.healthy_panic_threshold = Some(Percent { value });
        cluster_refused(
            &with(common),
            "common_lb_config.healthy_panic_threshold: must be from 0 to 100",
        );
    }
}
