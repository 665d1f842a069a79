//! `load_balancing_policy` and the older `lb_policy`.

use super::Algorithm;
use crate::report::Report;
use crate::report::refuse_set;
use crate::resource::value;
use envoy_types::pb::envoy::config::cluster::v3 as proto;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbPolicy;
use envoy_types::pb::envoy::config::cluster::v3::load_balancing_policy::Policy;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use envoy_types::pb::envoy::extensions::load_balancing_policies::random::v3::Random;
use envoy_types::pb::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::UInt32Value;
use prost::Message;
use prost::Name;
use std::num::NonZeroU32;

/// How many endpoints are compared where nothing is said, as in Envoy.
const CHOICES: u32 = 2;

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

/// How an endpoint is chosen. `load_balancing_policy` goes before `lb_policy`.
pub(super) fn decode(
    lb_policy: i32,
    policies: Option<proto::LoadBalancingPolicy>,
    original_destination: bool,
    report: &mut Report,
) -> Option<Algorithm> {
    let named = LbPolicy::try_from(lb_policy).ok();
    if original_destination {
        report.refuse_if_set("load_balancing_policy", &policies);
        if named != Some(LbPolicy::ClusterProvided) {
            report.refuse_field(
                "lb_policy",
                "must be CLUSTER_PROVIDED where the destination is the original one",
            );
        }
        return Some(Algorithm::NOTHING_TO_CHOOSE);
    }
    if let Some(message) = policies {
        return report.within("load_balancing_policy", |report| typed(message, report));
    }
    let least_request = Algorithm::LeastRequest {
        choices: NonZeroU32::new(CHOICES)?,
    };
    match named {
        Some(LbPolicy::RoundRobin) => Some(Algorithm::RoundRobin),
        Some(LbPolicy::LeastRequest) => Some(least_request),
        Some(LbPolicy::Random) => Some(Algorithm::Random),
        _ => {
            report.refuse_field("lb_policy", "must be ROUND_ROBIN, LEAST_REQUEST or RANDOM");
            None
        }
    }
}

/// The first policy that is supported; those before it are noted.
fn typed(message: proto::LoadBalancingPolicy, report: &mut Report) -> Option<Algorithm> {
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
        if is_known(&any.type_url) {
            return report.within(field, |report| policy(&any, report));
        }
        report.note_field(&field, "is not supported; the next policy is used");
    }
    report.refuse("holds no policy that is supported: peak EWMA, least request, round robin, random");
    None
}

fn is_known(type_url: &str) -> bool {
    [
        PeakEwma::type_url(),
        LeastRequest::type_url(),
        RoundRobin::type_url(),
        Random::type_url(),
    ]
    .iter()
    .any(|known| known == type_url)
}

fn policy(any: &Any, report: &mut Report) -> Option<Algorithm> {
    if any.type_url == PeakEwma::type_url() {
        let PeakEwma {} = report.open(any)?;
        Some(Algorithm::PeakEwma)
    } else if any.type_url == LeastRequest::type_url() {
        least_request(report.open(any)?, report)
    } else if any.type_url == RoundRobin::type_url() {
        let RoundRobin {
            slow_start_config,
            locality_lb_config,
        } = report.open(any)?;
        refuse_set!(report; slow_start_config, locality_lb_config);
        Some(Algorithm::RoundRobin)
    } else {
        let Random { locality_lb_config } = report.open(any)?;
        refuse_set!(report; locality_lb_config);
        Some(Algorithm::Random)
    }
}

fn least_request(message: LeastRequest, report: &mut Report) -> Option<Algorithm> {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let LeastRequest {
        choice_count,
        active_request_bias,
        slow_start_config,
        locality_lb_config,
        enable_full_scan,
        selection_method,
    } = message;
    refuse_set!(report; active_request_bias, slow_start_config, locality_lb_config, enable_full_scan);
    refuse_set!(report; selection_method);
    let choices = choice_count.map_or(CHOICES, |UInt32Value { value }| value);
    let choices = value::number(
        "choice_count",
        Some(UInt32Value { value: choices }),
        &(2..=u32::MAX),
        CHOICES,
        report,
    );
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
