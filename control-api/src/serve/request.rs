//! What a client says on a stream, of either protocol, as plain values.

use super::Node;
use bytes::Buf;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use envoy_types::pb::google::rpc::Status as Detail;
use prost::Message;
use std::collections::HashMap;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder};

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Request {
    /// Must be in the first one of a stream.
    pub(super) node: Option<Node>,
    pub(super) type_url: String,
    /// Of the response that this one answers; empty: it answers none.
    pub(super) nonce: String,
    /// Why the client refuses that response.
    pub(super) error: Option<String>,
    pub(super) wanted: Wanted,
}

/// What a client subscribes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// A change.
    Delta {
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        /// What the client has from a stream before: versions by name.
        initial: HashMap<String, String>,
    },
    /// Everything.
    Sotw(Vec<String>),
}

impl Default for Wanted {
    fn default() -> Self {
        Self::Sotw(Vec::new())
    }
}

impl From<DeltaDiscoveryRequest> for Request {
    fn from(request: DeltaDiscoveryRequest) -> Self {
        Self {
            node: request.node.map(Node::from),
            type_url: request.type_url,
            nonce: request.response_nonce,
            error: request.error_detail.map(told),
            wanted: Wanted::Delta {
                subscribe: request.resource_names_subscribe,
                unsubscribe: request.resource_names_unsubscribe,
                initial: request.initial_resource_versions,
            },
        }
    }
}

impl From<DiscoveryRequest> for Request {
    fn from(request: DiscoveryRequest) -> Self {
        Self {
            node: request.node.map(Node::from),
            type_url: request.type_url,
            nonce: request.response_nonce,
            error: request.error_detail.map(told),
            wanted: Wanted::Sotw(request.resource_names),
        }
    }
}

fn told(detail: Detail) -> String {
    detail.message
}

/// Reads requests of one protocol.
#[derive(Debug)]
pub(super) struct Reading<M>(PhantomData<M>);

impl<M> Default for Reading<M> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<M: Message + Default + Into<Request>> Decoder for Reading<M> {
    type Item = Request;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Request>, Status> {
        let message = M::decode(bytes.copy_to_bytes(bytes.remaining()));
        let message =
            message.map_err(|error| Status::invalid_argument(format!("the request cannot be read: {error}")))?;
        Ok(Some(message.into()))
    }
}
