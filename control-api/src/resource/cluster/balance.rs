//! `load_balancing_policy` and the older `lb_policy`.

use super::Algorithm;
use super::Spread;
use crate::report::Report;
use crate::report::note_set;
use crate::resource::value;
use envoy_types::pb::envoy::config::cluster::v3 as proto;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbPolicy;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LeastRequestLbConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::RoundRobinLbConfig;
use envoy_types::pb::envoy::config::cluster::v3::load_balancing_policy::Policy;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::google::protobuf::UInt32Value;
use prost::Message;
use prost::Name;
use std::num::NonZeroU32;

mod typed;

/// How many endpoints are compared where nothing is said, as in Envoy.
const CHOICES: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
const LEAST_REQUEST: Algorithm = Algorithm::LeastRequest { choices: CHOICES };

/// `evenkeel.v1.PeakEwma` of `proto/evenkeel/v1/balance.proto`: xDS has no type for it.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct PeakEwma {}

impl Name for PeakEwma {
    const NAME: &'static str = "PeakEwma";
    const PACKAGE: &'static str = "evenkeel.v1";

    fn type_url() -> String {
        format!("type.googleapis.com/{}", Self::full_name())
    }
}

/// What a cluster says of balancing.
pub(super) struct Fields {
    pub(super) lb_policy: i32,
    pub(super) lb_config: Option<LbConfig>,
    pub(super) policies: Option<proto::LoadBalancingPolicy>,
    pub(super) spread: Spread,
}

/// How an endpoint is chosen, and among which. `load_balancing_policy` goes before `lb_policy`.
pub(super) fn decode(fields: Fields, is_original: bool, report: &mut Report) -> Option<(Algorithm, Spread)> {
    let Fields {
        lb_policy,
        lb_config,
        policies,
        mut spread,
    } = fields;
    let algorithm = match policies {
        Some(message) => {
            report.note_if_set("lb_config", &lb_config);
            let chosen = report.within("load_balancing_policy", |report| policy(message, is_original, report))?;
            spread.by_locality |= chosen.by_locality;
            chosen.algorithm
        }
        None => named(lb_policy, lb_config, is_original, report)?,
    };
    Some((algorithm, spread))
}

/// One of the typed policies.
#[derive(Clone, Copy)]
struct Chosen {
    algorithm: Algorithm,
    by_locality: bool,
}

/// The first policy that is supported; those before it are noted.
fn policy(message: proto::LoadBalancingPolicy, is_original: bool, report: &mut Report) -> Option<Chosen> {
    let proto::LoadBalancingPolicy { policies } = message;
    for (index, Policy { typed_extension_config }) in policies.into_iter().enumerate() {
        let field = format!("policies[{index}].typed_extension_config");
        let Some(TypedExtensionConfig {
            name: _,
            typed_config: Some(any),
        }) = typed_extension_config
        else {
            report.refuse_field(&field, "is missing");
            return None;
        };
        if let Some(known) = typed::Known::of(&any.type_url) {
            return report.within(field, |report| known.decode(&any, is_original, report));
        }
        report.note_field(&field, "is not supported; the next policy is used");
    }
    report
        .refuse("holds no policy that is supported: peak EWMA, least request, round robin, random, ring hash, Maglev");
    None
}

fn named(lb_policy: i32, lb_config: Option<LbConfig>, is_original: bool, report: &mut Report) -> Option<Algorithm> {
    let policy = LbPolicy::try_from(lb_policy).ok();
    if is_original != (policy == Some(LbPolicy::ClusterProvided)) {
        report.refuse_field(
            "lb_policy",
            "must be CLUSTER_PROVIDED where type is ORIGINAL_DST, and nowhere else",
        );
        return None;
    }
    let algorithm = match policy {
        // There is one address at a time.
        Some(LbPolicy::RoundRobin | LbPolicy::ClusterProvided) => Algorithm::RoundRobin,
        Some(LbPolicy::LeastRequest) => return least_request(lb_config, report),
        Some(LbPolicy::Random) => Algorithm::Random,
        Some(LbPolicy::RingHash | LbPolicy::Maglev) => Algorithm::Hashed,
        Some(LbPolicy::LoadBalancingPolicyConfig) | None => {
            report.refuse_field(
                "lb_policy",
                "must be a policy by name where load_balancing_policy is not set",
            );
            return None;
        }
    };
    match (policy, lb_config) {
        (Some(LbPolicy::RoundRobin), Some(LbConfig::RoundRobinLbConfig(RoundRobinLbConfig { slow_start_config }))) => {
            note_set!(report; slow_start_config);
        }
        (_, lb_config) => report.note_if_set("lb_config", &lb_config),
    }
    Some(algorithm)
}

fn least_request(lb_config: Option<LbConfig>, report: &mut Report) -> Option<Algorithm> {
    let Some(LbConfig::LeastRequestLbConfig(message)) = lb_config else {
        report.note_if_set("lb_config", &lb_config);
        return Some(LEAST_REQUEST);
    };
    report.within("least_request_lb_config", |report| {
        let LeastRequestLbConfig {
            choice_count,
            active_request_bias,
            slow_start_config,
        } = message;
        note_set!(report; active_request_bias, slow_start_config);
        choices(choice_count, report)
    })
}

fn choices(choice_count: Option<UInt32Value>, report: &mut Report) -> Option<Algorithm> {
    let choices = value::number("choice_count", choice_count, &(2..=u32::MAX), CHOICES.get(), report);
    Some(Algorithm::LeastRequest {
        choices: NonZeroU32::new(choices)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_message_is_as_its_proto_file_says() {
        let text = include_str!("../../../../proto/evenkeel/v1/balance.proto");
        let code: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//"))
            .collect();
        let code = code.join(" ");
        let expected = format!("package {}; message {} {{}}", PeakEwma::PACKAGE, PeakEwma::NAME);
        assert!(
            code.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .ends_with(&expected),
            "{code}"
        );
        assert_eq!(PeakEwma {}.encoded_len(), 0);
    }
}
