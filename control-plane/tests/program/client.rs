//! A delta client of the few fields that a test needs, with their numbers from xDS v3.

use crate::program::within;
use prost::Message;
use prost::bytes::Buf;
use std::marker::PhantomData;
use std::net::SocketAddr;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Request, Status, Streaming};

const DELTA: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

pub(crate) const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
pub(crate) const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
pub(crate) const ASSIGNMENT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Asked {
    #[prost(message, optional, tag = "1")]
    node: Option<Node>,
    #[prost(string, tag = "2")]
    type_url: String,
    #[prost(string, repeated, tag = "3")]
    subscribe: Vec<String>,
    #[prost(string, tag = "6")]
    nonce: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resource {
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(string, tag = "1")]
    pub(crate) version: String,
    #[prost(message, optional, tag = "2")]
    content: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl Resource {
    /// Whether some text is in it, such as an address.
    pub(crate) fn says(&self, text: &str) -> bool {
        let value = &self.content.as_ref().unwrap().value;
        value.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answer {
    #[prost(message, repeated, tag = "2")]
    pub(crate) resources: Vec<Resource>,
    #[prost(string, tag = "4")]
    pub(crate) type_url: String,
    #[prost(string, repeated, tag = "6")]
    pub(crate) removed: Vec<String>,
    #[prost(string, tag = "5")]
    nonce: String,
}

impl Answer {
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.resources.iter().map(|resource| resource.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

pub(crate) struct Client {
    node: String,
    requests: mpsc::UnboundedSender<Asked>,
    pub(crate) responses: Streaming<Answer>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::connect_as(address, "test").await
    }

    /// As this node.
    pub(crate) async fn connect_as(address: SocketAddr, node: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut grpc = Grpc::new(endpoint.connect().await.unwrap());
        grpc.ready().await.unwrap();
        let (requests, stream) = mpsc::unbounded_channel();
        let request = Request::new(UnboundedReceiverStream::new(stream));
        let call = grpc.streaming(request, PathAndQuery::from_static(DELTA), Plain(PhantomData));
        let responses = within(call).await.unwrap().into_inner();
        Self {
            node: node.to_owned(),
            requests,
            responses,
        }
    }

    pub(crate) fn subscribe(&self, type_url: &str, names: &[&str]) {
        let asked = Asked {
            node: Some(Node { id: self.node.clone() }),
            type_url: type_url.to_owned(),
            subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
            nonce: String::new(),
        };
        self.requests.send(asked).unwrap();
    }

    /// Takes the next response.
    pub(crate) async fn next(&mut self) -> Answer {
        within(self.receive()).await.expect("an answer")
    }

    /// Takes the next response, whenever it comes. `None`: there will be none.
    pub(crate) async fn receive(&mut self) -> Option<Answer> {
        let answer = self.responses.message().await.ok()??;
        let taken = Asked {
            type_url: answer.type_url.clone(),
            nonce: answer.nonce.clone(),
            ..Asked::default()
        };
        self.requests.send(taken).ok()?;
        Some(answer)
    }
}

struct Plain<T>(PhantomData<T>);

impl Codec for Plain<Answer> {
    type Encode = Asked;
    type Decode = Answer;
    type Encoder = Plain<Asked>;
    type Decoder = Plain<Answer>;

    fn encoder(&mut self) -> Plain<Asked> {
        Plain(PhantomData)
    }

    fn decoder(&mut self) -> Plain<Answer> {
        Plain(PhantomData)
    }
}

impl Encoder for Plain<Asked> {
    type Item = Asked;
    type Error = Status;

    fn encode(&mut self, asked: Asked, bytes: &mut EncodeBuf<'_>) -> Result<(), Status> {
        asked.encode(bytes).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Plain<Answer> {
    type Item = Answer;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Answer>, Status> {
        let answer = Answer::decode(bytes.copy_to_bytes(bytes.remaining()));
        answer.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
