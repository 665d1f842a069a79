//! Which cluster: the one that a route names, or the one that a request does.

use super::condition::FieldName;
use super::condition::field_name;
use crate::report::Report;

/// The name of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterName {
    /// This.
    Literal(String),
    /// The first value of this field of the request.
    Field(FieldName),
}

/// The name of a cluster that requests bring.
pub(super) fn cluster_name(field: &str, name: &str, report: &mut Report) -> Option<ClusterName> {
    field_name(field, name, report).map(ClusterName::Field)
}
