//! A delta client of the few fields that a test needs, with their numbers from xDS v3.

use crate::program::within;
use hyper_util::rt::TokioIo;
use prost::Message;
use prost::bytes::Buf;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
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
        Self::open(endpoint.connect().await.unwrap(), node, None).await
    }

    /// As this node, over TLS, with the token of its pod.
    pub(crate) async fn connect_guarded(dial: &Dial, node: &str, token: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", dial.address)).unwrap();
        let channel = endpoint.connect_with_connector(dial.clone()).await.unwrap();
        Self::open(channel, node, Some(format!("Bearer {token}"))).await
    }

    async fn open(channel: Channel, node: &str, authorization: Option<String>) -> Self {
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.unwrap();
        let (requests, stream) = mpsc::unbounded_channel();
        let mut request = Request::new(UnboundedReceiverStream::new(stream));
        if let Some(authorization) = authorization {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", authorization.parse().unwrap());
        }
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

/// The way to a control plane over TLS.
#[derive(Clone)]
pub(crate) struct Dial {
    address: SocketAddr,
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl Dial {
    /// To the one that is reached here and has this name, for somebody who believes this certificate.
    pub(crate) fn new(address: SocketAddr, name: &'static str, believed: &CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(believed.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            address,
            name: name.try_into().unwrap(),
            tls: TlsConnector::from(Arc::new(config)),
        }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { address, name, tls } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            Ok(TokioIo::new(tls.connect(name, stream).await?))
        })
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
