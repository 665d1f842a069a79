//! `common_lb_config`: among which endpoints of a cluster the algorithm chooses.

use crate::report::Report;
use crate::report::note_set;
use envoy_types::pb::envoy::config::cluster::v3::cluster::CommonLbConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityConfigSpecifier;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityWeightedLbConfig;
use envoy_types::pb::envoy::r#type::v3::Percent;

/// Among which endpoints of a cluster the algorithm chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// `healthy_panic_threshold`: with fewer percent of a priority's endpoints well, all of them are chosen from. 0, which
    /// holds where nothing is said: who is said to be unhealthy is never chosen.
    pub panic_below: u8,
    /// `locality_weighted_lb_config`: a locality is chosen by its weight before an endpoint in it.
    pub by_locality: bool,
    /// `close_connections_on_host_set_change`: no connection from before is used after a change of endpoints.
    pub close_on_change: bool,
}

/// Decodes `common_lb_config`.
pub(super) fn decode(message: Option<CommonLbConfig>, report: &mut Report) -> Spread {
    let Some(message) = message else {
        return Spread::default();
    };
    report.within("common_lb_config", |report| {
        let CommonLbConfig {
            healthy_panic_threshold,
            update_merge_window,
            ignore_new_hosts_until_first_hc,
            close_connections_on_host_set_change,
            consistent_hashing_lb_config,
            override_host_status,
            locality_config_specifier,
        } = message;
        note_set!(report; update_merge_window, ignore_new_hosts_until_first_hc, consistent_hashing_lb_config);
        note_set!(report; override_host_status);
        let by_locality = match locality_config_specifier {
            Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig {})) => true,
            Some(LocalityConfigSpecifier::ZoneAwareLbConfig(_)) => {
                report.note_field("zone_aware_lb_config", "has no effect yet: zones are alike");
                false
            }
            None => false,
        };
        Spread {
            panic_below: healthy_panic_threshold
                .and_then(|percent| percentage("healthy_panic_threshold", percent, report))
                .unwrap_or_default(),
            by_locality,
            close_on_change: close_connections_on_host_set_change,
        }
    })
}

/// Rounded to whole percents, as in Envoy.
fn percentage(field: &str, Percent { value }: Percent, report: &mut Report) -> Option<u8> {
    if !(0.0..=100.0).contains(&value) {
        report.refuse_field(field, "must be from 0 to 100");
        return None;
    }
    Some(value.round() as u8)
}
