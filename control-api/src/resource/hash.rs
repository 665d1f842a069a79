//! `hash_policy`: what is the same for all that goes to one endpoint of a cluster that hashes.

use crate::report::Report;
use crate::report::note_set;
use envoy_types::pb::envoy::config::route::v3::route_action as route;
use envoy_types::pb::envoy::r#type::v3 as proto;
use proto::hash_policy::PolicySpecifier as TcpSpecifier;
use route::hash_policy::ConnectionProperties;
use route::hash_policy::PolicySpecifier;

/// What a hash is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The address of the client, without its port.
    SourceIp,
}

const ADDRESS_ONLY: &str = "has no effect: only the address of the client is hashed";

/// Decodes what the hash of a request is of.
pub(super) fn of_requests(policies: Vec<route::HashPolicy>, report: &mut Report) -> Option<HashKey> {
    let keys = report.each("hash_policy", policies, |message, report| {
        let route::HashPolicy {
            terminal,
            policy_specifier,
        } = message;
        match policy_specifier {
            Some(PolicySpecifier::ConnectionProperties(properties)) => return of_connection(properties, report),
            None => report.refuse("says nothing of what is hashed"),
            Some(PolicySpecifier::Header(_)) => report.note_field("header", ADDRESS_ONLY),
            Some(PolicySpecifier::Cookie(_)) => report.note_field("cookie", ADDRESS_ONLY),
            Some(PolicySpecifier::QueryParameter(_)) => report.note_field("query_parameter", ADDRESS_ONLY),
            Some(PolicySpecifier::FilterState(_)) => report.note_field("filter_state", ADDRESS_ONLY),
        }
        note_set!(report; terminal);
        None
    });
    keys.first().copied()
}

fn of_connection(message: ConnectionProperties, report: &mut Report) -> Option<HashKey> {
    let ConnectionProperties { source_ip } = message;
    if !source_ip {
        report.note_field("connection_properties", "says nothing of what is hashed");
    }
    source_ip.then_some(HashKey::SourceIp)
}

/// Decodes what the hash of a connection is of.
pub(super) fn of_connections(policies: Vec<proto::HashPolicy>, report: &mut Report) -> Option<HashKey> {
    let keys = report.each("hash_policy", policies, |message, report| {
        let proto::HashPolicy { policy_specifier } = message;
        match policy_specifier {
            Some(TcpSpecifier::SourceIp(proto::hash_policy::SourceIp {})) => return Some(HashKey::SourceIp),
            Some(TcpSpecifier::FilterState(_)) => report.note_field("filter_state", ADDRESS_ONLY),
            None => report.refuse("says nothing of what is hashed"),
        }
        None
    });
    keys.first().copied()
}
