//! Listener filters: who looks into a connection's first bytes, and at which ports not.

use super::Inspect;
use super::Inspection;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::value;
use envoy_types::pb::envoy::config::listener::v3 as proto;
use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::listener_filter_chain_match_predicate::Rule;
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::google::protobuf::Any;
use prost::Name;
use proto::ListenerFilterChainMatchPredicate as Predicate;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Which listener filters there are.
#[derive(Default)]
pub(super) struct Filters {
    pub(super) inspect: Inspect,
    pub(super) original_destination: bool,
}

impl Filters {
    /// Decodes the list.
    pub(super) fn decode(messages: Vec<proto::ListenerFilter>, report: &mut Report) -> Self {
        let mut found = Self::default();
        report.check_each("listener_filters", messages, |message, report| {
            found.add(message, report);
        });
        found
    }

    fn add(&mut self, message: proto::ListenerFilter, report: &mut Report) -> Option<()> {
        let proto::ListenerFilter {
            name: _,
            filter_disabled,
            config_type,
        } = message;
        let config = match config_type {
            Some(ConfigType::TypedConfig(any)) => Some(any),
            Some(ConfigType::ConfigDiscovery(_)) | None => None,
        };
        let any = value::typed_config(config, report)?;
        let except = filter_disabled
            .map(|predicate| report.within("filter_disabled", |report| ports(predicate, report).unwrap_or_default()));
        let inspection = Inspection::Except(except.unwrap_or_default());
        report.within("typed_config", |report| self.place(&any, inspection, report))
    }

    fn place(&mut self, any: &Any, inspection: Inspection, report: &mut Report) -> Option<()> {
        let twice = if any.type_url == OriginalDst::type_url() {
            let OriginalDst {} = report.open(any)?;
            std::mem::replace(&mut self.original_destination, true)
        } else if any.type_url == HttpInspector::type_url() {
            let HttpInspector {} = report.open(any)?;
            std::mem::replace(&mut self.inspect.http, inspection) != Inspection::Never
        } else if any.type_url == TlsInspector::type_url() {
            tls_inspector(report.open(any)?, report);
            std::mem::replace(&mut self.inspect.tls, inspection) != Inspection::Never
        } else {
            report.refuse(format!("the listener filter {:?} is not supported", any.type_url));
            return None;
        };
        if twice {
            report.refuse("the same filter is there twice");
        }
        Some(())
    }
}

fn tls_inspector(message: TlsInspector, report: &mut Report) {
    let TlsInspector {
        enable_ja3_fingerprinting,
        enable_ja4_fingerprinting,
        initial_read_buffer_size,
        close_connection_on_client_hello_parsing_errors,
        max_client_hello_size,
    } = message;
    refuse_set!(report; close_connection_on_client_hello_parsing_errors);
    note_set!(report; enable_ja3_fingerprinting, enable_ja4_fingerprinting);
    note_set!(report; initial_read_buffer_size, max_client_hello_size);
}

/// The destination ports that a predicate holds for, as ranges in order that do not touch.
type Ports = Vec<RangeInclusive<u16>>;

fn ports(predicate: Predicate, report: &mut Report) -> Option<Ports> {
    match predicate.rule {
        Some(Rule::AnyMatch(true)) => Some(vec![0..=u16::MAX]),
        Some(Rule::DestinationPortRange(range)) => {
            // The end is exclusive, as in all ranges of protocol buffers' `Int32Range`.
            let (start, end) = (u16::try_from(range.start), u16::try_from(range.end.saturating_sub(1)));
            match (start, end) {
                (Ok(start), Ok(end)) if start <= end => Some(vec![start..=end]),
                _ => {
                    report.refuse_field("destination_port_range", "is not a range of ports");
                    None
                }
            }
        }
        Some(Rule::NotMatch(inner)) => Some(others(&ports(*inner, report)?)),
        Some(Rule::OrMatch(set)) => {
            let all: Option<Vec<Ports>> = set.rules.into_iter().map(|rule| ports(rule, report)).collect();
            Some(joined(all?.into_iter().flatten()))
        }
        Some(Rule::AndMatch(set)) => {
            // What all hold for is what none of their opposites holds for.
            let all: Option<Vec<Ports>> = set.rules.into_iter().map(|rule| ports(rule, report)).collect();
            Some(others(&joined(all?.iter().flat_map(others))))
        }
        Some(Rule::AnyMatch(false)) | None => {
            report.refuse("is empty");
            None
        }
    }
}

/// One list of ranges in order that do not touch.
fn joined(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Ports {
    let ordered: BTreeSet<(u16, u16)> = ranges.into_iter().map(RangeInclusive::into_inner).collect();
    let mut joined: Ports = Vec::new();
    for (start, end) in ordered {
        match joined.last_mut() {
            Some(last) if u32::from(start) <= u32::from(*last.end()) + 1 => {
                *last = *last.start()..=end.max(*last.end());
            }
            _ => joined.push(start..=end),
        }
    }
    joined
}

/// All ports but these.
fn others(ranges: &Ports) -> Ports {
    let mut others = Vec::new();
    let mut next = 0_u32;
    for range in joined(ranges.iter().cloned()) {
        if u32::from(*range.start()) > next {
            others.push(next as u16..=range.start() - 1);
        }
        next = u32::from(*range.end()) + 1;
    }
    if let Ok(next) = u16::try_from(next) {
        others.push(next..=u16::MAX);
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_have_opposites() {
        assert_eq!(joined([5..=9, 1..=4, 20..=20, 8..=10]), [1..=10, 20..=20]);
        assert_eq!(others(&vec![1..=10, 20..=20]), [0..=0, 11..=19, 21..=u16::MAX]);
        assert_eq!(others(&vec![0..=u16::MAX]), []);
        assert_eq!(others(&Vec::new()), [0..=u16::MAX]);
    }
}
