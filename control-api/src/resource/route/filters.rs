//! `typed_per_filter_config`: what is said to filters, at each level of a route configuration.

use crate::report::Report;
use crate::resource::filters::Missing;
use crate::resource::filters::Wanted;
use envoy_types::pb::envoy::config::route::v3::FilterConfig;
use envoy_types::pb::google::protobuf::Any;
use prost::Name;
use std::collections::HashMap;

/// What a route says to a filter that we do not have: refused, unless the filter may be missing or is not to run. A route can
/// enable what a listener has disabled, so that what it says weighs as much as the filter itself.
pub(super) fn refuse_filters(configs: HashMap<String, Any>, report: &mut Report) {
    let mut configs: Vec<_> = configs.into_iter().collect();
    configs.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    for (filter, any) in configs {
        let field = format!("typed_per_filter_config[{filter}]");
        let wrapped = any.type_url == FilterConfig::type_url();
        let open = |report: &mut Report| wrapped.then(|| report.open(&any)).flatten();
        let config: Option<FilterConfig> = report.within(&field, open);
        let (is_optional, disabled, inner) = match config {
            Some(FilterConfig {
                config,
                is_optional,
                disabled,
            }) => (is_optional, disabled, config.unwrap_or_default().type_url),
            None => (false, false, any.type_url),
        };
        match Missing::of(&inner).verdict(Wanted::of(is_optional, disabled)) {
            Ok(note) => report.note_field(&field, note),
            Err(reason) => report.refuse_field(&field, reason),
        }
    }
}
