//! The kinds of objects that are watched.

use kube::core::{ApiResource, GroupVersionKind};
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
    /// `gateway.networking.k8s.io/v1` HTTPRoute.
    HttpRoute,
    /// `gateway.networking.k8s.io/v1` GRPCRoute.
    GrpcRoute,
    /// `gateway.networking.k8s.io` TLSRoute.
    TlsRoute,
    /// `gateway.networking.k8s.io/v1alpha2` TCPRoute.
    TcpRoute,
    /// `gateway.networking.k8s.io` ReferenceGrant.
    ReferenceGrant,
    /// `evenkeel.io/v1alpha1` TrafficPolicy.
    TrafficPolicy,
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
    pub const ALL: [Self; 11] = [
        Self::Service,
        Self::EndpointSlice,
        Self::Pod,
        Self::Node,
        Self::Namespace,
        Self::HttpRoute,
        Self::GrpcRoute,
        Self::TlsRoute,
        Self::TcpRoute,
        Self::ReferenceGrant,
        Self::TrafficPolicy,
    ];

    /// As in `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::Namespace => "Namespace",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::TlsRoute => "TLSRoute",
            Self::TcpRoute => "TCPRoute",
            Self::ReferenceGrant => "ReferenceGrant",
            Self::TrafficPolicy => "TrafficPolicy",
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
            Self::HttpRoute => ("gateway.networking.k8s.io", "httproutes"),
            Self::GrpcRoute => ("gateway.networking.k8s.io", "grpcroutes"),
            Self::TlsRoute => ("gateway.networking.k8s.io", "tlsroutes"),
            Self::TcpRoute => ("gateway.networking.k8s.io", "tcproutes"),
            Self::ReferenceGrant => ("gateway.networking.k8s.io", "referencegrants"),
            Self::TrafficPolicy => ("evenkeel.io", "trafficpolicies"),
        }
    }

    /// The versions of its API that are understood, the best one first: a cluster may have any of them. Older ones of a kind say
    /// the same in the fields that are read.
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Service
            | Self::EndpointSlice
            | Self::Pod
            | Self::Node
            | Self::Namespace
            | Self::HttpRoute
            | Self::GrpcRoute => &["v1"],
            Self::TlsRoute => &["v1", "v1alpha3", "v1alpha2"],
            Self::TcpRoute => &["v1alpha2"],
            Self::ReferenceGrant => &["v1", "v1beta1"],
            Self::TrafficPolicy => &["v1alpha1"],
        }
    }

    /// The same, as they are asked for.
    pub fn api_resources(self) -> impl Iterator<Item = ApiResource> {
        let (group, plural) = self.resource();
        let of = move |version: &&str| {
            let kind = GroupVersionKind::gvk(group, version, self.name());
            ApiResource::from_gvk_with_plural(&kind, plural)
        };
        self.versions().iter().map(of)
    }

    /// Whether there can be a mesh without it.
    pub fn need(self) -> Need {
        match self {
            Self::Service | Self::EndpointSlice | Self::Pod | Self::Node | Self::Namespace => Need::Always,
            Self::HttpRoute
            | Self::GrpcRoute
            | Self::TlsRoute
            | Self::TcpRoute
            | Self::ReferenceGrant
            | Self::TrafficPolicy => Need::IfInstalled,
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
