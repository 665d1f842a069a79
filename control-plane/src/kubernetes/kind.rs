//! The kinds of objects that are watched.

use std::fmt;

/// A kind of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1` Service.
    Service,
    /// `discovery.k8s.io/v1` `EndpointSlice`.
    EndpointSlice,
    /// `v1` Pod.
    Pod,
    /// `v1` Node.
    Node,
    /// `v1` Namespace.
    Namespace,
}

/// Whether there can be a mesh without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing is served before its first list.
    Always,
    /// It comes with a CRD that a cluster may not have.
    IfInstalled,
}

impl Kind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Service,
        Self::EndpointSlice,
        Self::Pod,
        Self::Node,
        Self::Namespace,
    ];

    /// As in `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::Namespace => "Namespace",
        }
    }

    /// As in a `ClusterRole`: API group and resource.
    pub fn resource(self) -> (&'static str, &'static str) {
        match self {
            Self::Service => ("", "services"),
            Self::EndpointSlice => ("discovery.k8s.io", "endpointslices"),
            Self::Pod => ("", "pods"),
            Self::Node => ("", "nodes"),
            Self::Namespace => ("", "namespaces"),
        }
    }

    /// Whether there can be a mesh without it.
    pub fn need(self) -> Need {
        match self {
            Self::Service | Self::EndpointSlice | Self::Pod | Self::Node | Self::Namespace => Need::Always,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_the_order_of_their_numbers() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
