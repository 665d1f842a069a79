//! A control plane whose every word is written in the test.

use envoy_types::pb::envoy::service::discovery::v3 as proto;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryService;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;
use envoy_types::pb::google::protobuf::Any;
use evenkeel_control_api::resource::Kind;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tonic::transport::ServerTlsConfig;
use tonic::transport::server::TcpIncoming;

/// A server, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    talks: mpsc::UnboundedReceiver<Talk>,
    _task: JoinSet<()>,
}

/// One stream. It ends in order when it is dropped.
pub(crate) enum Talk {
    Delta(DeltaTalk),
    Sotw(SotwTalk),
}

pub(crate) struct DeltaTalk {
    requests: Streaming<proto::DeltaDiscoveryRequest>,
    responses: mpsc::Sender<Result<proto::DeltaDiscoveryResponse, Status>>,
    responded: usize,
}

pub(crate) struct SotwTalk {
    requests: Streaming<proto::DiscoveryRequest>,
    responses: mpsc::Sender<Result<proto::DiscoveryResponse, Status>>,
    responded: usize,
}

/// Which of the protocols a server knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knows {
    Both,
    SotwOnly,
}

struct Service {
    knows: Knows,
    talks: mpsc::UnboundedSender<Talk>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), Knows::Both, None)
    }

    pub(crate) fn serve(listener: TcpListener, knows: Knows, tls: Option<ServerTlsConfig>) -> Self {
        let address = listener.local_addr().unwrap();
        let mut builder = tonic::transport::Server::builder();
        if let Some(tls) = tls {
            builder = builder.tls_config(tls).unwrap();
        }
        let (service, talks) = service(knows);
        let mut task = JoinSet::new();
        let served = builder.serve_with_incoming(service, TcpIncoming::from(listener));
        task.spawn(async move { served.await.unwrap() });
        Self {
            address,
            talks,
            _task: task,
        }
    }

    pub(crate) fn unix(path: &Path) -> Self {
        let incoming = UnixListenerStream::new(UnixListener::bind(path).unwrap());
        let (service, talks) = service(Knows::Both);
        let mut task = JoinSet::new();
        let served = tonic::transport::Server::builder().serve_with_incoming(service, incoming);
        task.spawn(async move { served.await.unwrap() });
        Self {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            talks,
            _task: task,
        }
    }

    pub(crate) async fn delta(&mut self) -> DeltaTalk {
        match self.talks.recv().await.unwrap() {
            Talk::Delta(talk) => talk,
            Talk::Sotw(_) => panic!("the state of the world is asked for"),
        }
    }

    pub(crate) async fn sotw(&mut self) -> SotwTalk {
        match self.talks.recv().await.unwrap() {
            Talk::Sotw(talk) => talk,
            Talk::Delta(_) => panic!("delta is asked for"),
        }
    }
}

impl DeltaTalk {
    /// The next request, which must be of this type.
    pub(crate) async fn hear(&mut self, kind: Kind) -> proto::DeltaDiscoveryRequest {
        let request = self.requests.message().await.unwrap().expect("a request");
        assert_eq!(request.type_url, kind.type_url(), "{request:?}");
        request
    }

    /// The next request, the end of the requests, or the end of the connection.
    pub(crate) async fn heard(&mut self) -> Result<Option<proto::DeltaDiscoveryRequest>, Status> {
        self.requests.message().await
    }

    /// The next request of any type.
    pub(crate) async fn hear_any(&mut self) -> proto::DeltaDiscoveryRequest {
        self.requests.message().await.unwrap().expect("a request")
    }

    pub(crate) async fn say(&mut self, kind: Kind, resources: Vec<(&str, Any)>, removed: &[&str]) -> String {
        self.responded += 1;
        let nonce = format!("n{}", self.responded);
        self.say_raw(&kind.type_url(), &nonce, resources, removed).await;
        nonce
    }

    pub(crate) async fn say_raw(&mut self, type_url: &str, nonce: &str, resources: Vec<(&str, Any)>, removed: &[&str]) {
        let resources = resources.into_iter().map(|(name, any)| proto::Resource {
            name: name.to_owned(),
            version: "1".to_owned(),
            resource: Some(any),
            ..proto::Resource::default()
        });
        let response = proto::DeltaDiscoveryResponse {
            type_url: type_url.to_owned(),
            nonce: nonce.to_owned(),
            resources: resources.collect(),
            removed_resources: removed.iter().map(ToString::to_string).collect(),
            ..proto::DeltaDiscoveryResponse::default()
        };
        self.responses.send(Ok(response)).await.unwrap();
    }

    /// As somebody has said it before.
    pub(crate) async fn repeat(&mut self, response: proto::DeltaDiscoveryResponse) {
        self.responses.send(Ok(response)).await.unwrap();
    }

    /// Ends the stream with an error.
    pub(crate) async fn fail(self, status: Status) {
        self.responses.send(Err(status)).await.unwrap();
    }
}

impl SotwTalk {
    pub(crate) async fn hear(&mut self, kind: Kind) -> proto::DiscoveryRequest {
        let request = self.requests.message().await.unwrap().expect("a request");
        assert_eq!(request.type_url, kind.type_url(), "{request:?}");
        request
    }

    pub(crate) async fn say(&mut self, kind: Kind, resources: Vec<Any>) -> String {
        self.responded += 1;
        let nonce = format!("n{}", self.responded);
        let response = proto::DiscoveryResponse {
            type_url: kind.type_url(),
            version_info: format!("v{}", self.responded),
            nonce: nonce.clone(),
            resources,
            ..proto::DiscoveryResponse::default()
        };
        self.responses.send(Ok(response)).await.unwrap();
        nonce
    }
}

fn service(
    knows: Knows,
) -> (
    AggregatedDiscoveryServiceServer<impl AggregatedDiscoveryService>,
    mpsc::UnboundedReceiver<Talk>,
) {
    let (sender, talks) = mpsc::unbounded_channel();
    let service = Service { knows, talks: sender };
    (AggregatedDiscoveryServiceServer::new(service), talks)
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<proto::DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<proto::DeltaDiscoveryResponse, Status>>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<proto::DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let (responses, stream) = mpsc::channel(16);
        let talk = SotwTalk {
            requests: request.into_inner(),
            responses,
            responded: 0,
        };
        let _ = self.talks.send(Talk::Sotw(talk));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<proto::DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        if self.knows == Knows::SotwOnly {
            return Err(Status::unimplemented("no delta here"));
        }
        let (responses, stream) = mpsc::channel(16);
        let talk = DeltaTalk {
            requests: request.into_inner(),
            responses,
            responded: 0,
        };
        let _ = self.talks.send(Talk::Delta(talk));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
