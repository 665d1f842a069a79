//! The typed policies of `load_balancing_policy`.
//!
//! To add one: a variant of [`Known`], and the compiler names the matches.

use super::Chosen;
use super::PeakEwma;
use super::choices;
use crate::report::Report;
use crate::report::note_set;
use crate::resource::cluster::Algorithm;
use envoy_types::pb::envoy::extensions::load_balancing_policies::cluster_provided::v3::ClusterProvided;
use envoy_types::pb::envoy::extensions::load_balancing_policies::common::v3::LocalityLbConfig;
use envoy_types::pb::envoy::extensions::load_balancing_policies::common::v3::locality_lb_config::LocalityConfigSpecifier;
use envoy_types::pb::envoy::extensions::load_balancing_policies::common::v3::locality_lb_config::LocalityWeightedLbConfig;
use envoy_types::pb::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use envoy_types::pb::envoy::extensions::load_balancing_policies::maglev::v3::Maglev;
use envoy_types::pb::envoy::extensions::load_balancing_policies::override_host::v3::OverrideHost;
use envoy_types::pb::envoy::extensions::load_balancing_policies::random::v3::Random;
use envoy_types::pb::envoy::extensions::load_balancing_policies::ring_hash::v3::RingHash;
use envoy_types::pb::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use envoy_types::pb::envoy::extensions::load_balancing_policies::subset::v3::Subset;
use envoy_types::pb::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use envoy_types::pb::google::protobuf::Any;
use prost::Name;

/// A policy that we know.
#[derive(Clone, Copy)]
pub(super) enum Known {
    PeakEwma,
    LeastRequest,
    RoundRobin,
    Random,
    RingHash,
    Maglev,
    WrrLocality,
    ClusterProvided,
    Subset,
    OverrideHost,
}

impl Known {
    const ALL: [Self; 10] = [
        Self::PeakEwma,
        Self::LeastRequest,
        Self::RoundRobin,
        Self::Random,
        Self::RingHash,
        Self::Maglev,
        Self::WrrLocality,
        Self::ClusterProvided,
        Self::Subset,
        Self::OverrideHost,
    ];

    /// The policy of this type.
    pub(super) fn of(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.type_url() == type_url)
    }

    fn type_url(self) -> String {
        match self {
            Self::PeakEwma => PeakEwma::type_url(),
            Self::LeastRequest => LeastRequest::type_url(),
            Self::RoundRobin => RoundRobin::type_url(),
            Self::Random => Random::type_url(),
            Self::RingHash => RingHash::type_url(),
            Self::Maglev => Maglev::type_url(),
            Self::WrrLocality => WrrLocality::type_url(),
            Self::ClusterProvided => ClusterProvided::type_url(),
            Self::Subset => Subset::type_url(),
            Self::OverrideHost => OverrideHost::type_url(),
        }
    }

    /// What its message says.
    pub(super) fn decode(self, any: &Any, is_original: bool, report: &mut Report) -> Option<Chosen> {
        if is_original != matches!(self, Self::ClusterProvided) {
            report.refuse("must be ClusterProvided where type is ORIGINAL_DST, and nowhere else");
            return None;
        }
        match self {
            Self::PeakEwma => {
                let PeakEwma {} = report.open(any)?;
                Some(Algorithm::PeakEwma.everywhere())
            }
            Self::LeastRequest => least_request(report.open(any)?, report),
            Self::RoundRobin => {
                let RoundRobin {
                    slow_start_config,
                    locality_lb_config,
                } = report.open(any)?;
                note_set!(report; slow_start_config);
                Some(Algorithm::RoundRobin.with(by_locality(locality_lb_config, report)))
            }
            Self::Random => {
                let Random { locality_lb_config } = report.open(any)?;
                Some(Algorithm::Random.with(by_locality(locality_lb_config, report)))
            }
            Self::RingHash => Some(ring_hash(report.open(any)?, report)),
            Self::Maglev => Some(maglev(report.open(any)?, report)),
            Self::WrrLocality => {
                let WrrLocality {
                    endpoint_picking_policy,
                } = report.open(any)?;
                report.within("endpoint_picking_policy", |report| {
                    let Some(message) = endpoint_picking_policy else {
                        report.refuse("is missing");
                        return None;
                    };
                    super::policy(message, is_original, report).map(|chosen| chosen.algorithm.with(true))
                })
            }
            // There is one address at a time.
            Self::ClusterProvided => {
                let ClusterProvided {} = report.open(any)?;
                Some(Algorithm::RoundRobin.everywhere())
            }
            Self::Subset | Self::OverrideHost => {
                report.refuse("is not supported: it would decide where a request goes");
                None
            }
        }
    }
}

impl Algorithm {
    fn with(self, by_locality: bool) -> Chosen {
        Chosen {
            algorithm: self,
            by_locality,
        }
    }

    fn everywhere(self) -> Chosen {
        self.with(false)
    }
}

fn least_request(message: LeastRequest, report: &mut Report) -> Option<Chosen> {
    #[expect(deprecated, reason = "a deprecated field is noted too")]
    let LeastRequest {
        choice_count,
        active_request_bias,
        slow_start_config,
        locality_lb_config,
        enable_full_scan,
        selection_method,
    } = message;
    note_set!(report; active_request_bias, slow_start_config, enable_full_scan, selection_method);
    let by_locality = by_locality(locality_lb_config, report);
    Some(choices(choice_count, report)?.with(by_locality))
}

fn ring_hash(message: RingHash, report: &mut Report) -> Chosen {
    #[expect(deprecated, reason = "a deprecated field is noted too")]
    let RingHash {
        hash_function,
        minimum_ring_size,
        maximum_ring_size,
        use_hostname_for_hashing,
        hash_balance_factor,
        consistent_hashing_lb_config,
        locality_weighted_lb_config,
    } = message;
    note_set!(report; hash_function, minimum_ring_size, maximum_ring_size, use_hostname_for_hashing);
    note_set!(report; hash_balance_factor, consistent_hashing_lb_config);
    Algorithm::Hashed.with(locality_weighted_lb_config.is_some())
}

fn maglev(message: Maglev, report: &mut Report) -> Chosen {
    let Maglev {
        table_size,
        consistent_hashing_lb_config,
        locality_weighted_lb_config,
    } = message;
    note_set!(report; table_size, consistent_hashing_lb_config);
    Algorithm::Hashed.with(locality_weighted_lb_config.is_some())
}

fn by_locality(message: Option<LocalityLbConfig>, report: &mut Report) -> bool {
    match message.and_then(|message| message.locality_config_specifier) {
        Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig {})) => true,
        Some(LocalityConfigSpecifier::ZoneAwareLbConfig(_)) => {
            report.note_field(
                "locality_lb_config.zone_aware_lb_config",
                "has no effect yet: zones are alike",
            );
            false
        }
        None => false,
    }
}
