//! A server, its views, and clients that speak the two protocols.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient as Ads;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::serve::{Guard, Server, Status, View};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

/// Long after anything that happens at all.
const SOON: Duration = Duration::from_mins(1);
/// Between two looks at a fact: whoever makes it has the processor meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

/// A document of so many services, each with one endpoint.
pub(crate) fn document(services: usize, endpoint: &str) -> String {
    let mut text = "services:\n".to_owned();
    for number in 0..services {
        let (high, low) = (number / 250, number % 250 + 1);
        writeln!(
            text,
            "- {{name: s{number}, vips: [10.0.{high}.{low}], ports: [{{port: 80, endpoints: [{{address: \"{endpoint}\"}}]}}]}}"
        )
        .unwrap();
    }
    text
}

pub(crate) fn view(before: &View, text: &str) -> Arc<View> {
    let document = mesh::parse(text).unwrap_or_else(|faults| panic!("{faults}"));
    Arc::new(before.with(&mesh::translate(&document)).unwrap())
}

/// A server that gives every node the same view.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) views: watch::Sender<Arc<View>>,
    end: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<()>,
}

impl World {
    pub(crate) async fn begin(text: &str) -> Self {
        Self::behind(text, None).await
    }

    /// A server that lets in whom `guard` does.
    pub(crate) async fn guarded(text: &str, guard: Guard) -> Self {
        Self::behind(text, Some(guard)).await
    }

    async fn behind(text: &str, guard: Option<Guard>) -> Self {
        let (views, _) = watch::channel(view(&View::default(), text));
        let sender = views.clone();
        let server = Server::new(move |_, _| Ok(sender.subscribe()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let serving = server.clone();
        let task = tokio::spawn(async move {
            let ended = async { drop(ended.await) };
            match guard {
                Some(guard) => serving.serve_guarded(listener, guard, ended).await,
                None => serving.serve(listener, ended).await,
            }
        });
        Self {
            server,
            address,
            views,
            end: Some(end),
            task,
        }
    }

    pub(crate) fn change(&self, text: &str) {
        let next = view(&self.views.borrow(), text);
        self.views.send_replace(next);
    }

    pub(crate) fn end(&mut self) {
        drop(self.end.take());
    }

    pub(crate) async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    pub(crate) async fn delta(&self) -> Delta {
        Delta::open(self.connect().await).await
    }

    /// Waits for a fact about the streams.
    pub(crate) async fn until(&self, fits: impl Fn(&Status) -> bool) -> Status {
        until(&self.server, fits).await
    }
}

/// Waits for a fact about the streams of a server, which nobody tells: it is looked at again and again.
pub(crate) async fn until(server: &Server, fits: impl Fn(&Status) -> bool) -> Status {
    let wait = async {
        loop {
            let status = server.status();
            if fits(&status) {
                return status;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let found = tokio::time::timeout(SOON, wait).await;
    found.unwrap_or_else(|_| panic!("{:?}", server.status()))
}

pub(crate) fn node() -> Node {
    Node {
        id: "a".to_owned(),
        ..Node::default()
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it happens")
}

/// A delta stream.
pub(crate) struct Delta {
    pub(crate) requests: mpsc::UnboundedSender<DeltaDiscoveryRequest>,
    pub(crate) responses: Streaming<DeltaDiscoveryResponse>,
    begun: bool,
}

impl Delta {
    pub(crate) async fn open(channel: Channel) -> Self {
        let mut ads = Ads::new(channel).max_decoding_message_size(256 << 20);
        let (requests, stream) = mpsc::unbounded_channel();
        let call = ads.delta_aggregated_resources(UnboundedReceiverStream::new(stream));
        Self {
            requests,
            responses: soon(call).await.unwrap().into_inner(),
            begun: false,
        }
    }

    pub(crate) fn send(&mut self, kind: Kind, request: DeltaDiscoveryRequest) {
        let node = (!self.begun).then(node);
        self.begun = true;
        let type_url = kind.type_url();
        let request = DeltaDiscoveryRequest {
            node,
            type_url,
            ..request
        };
        self.requests.send(request).unwrap();
    }

    pub(crate) fn subscribe(&mut self, kind: Kind, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.send(
            kind,
            DeltaDiscoveryRequest {
                resource_names_subscribe: names,
                ..DeltaDiscoveryRequest::default()
            },
        );
    }

    /// Receives a response and does not answer it.
    pub(crate) async fn receive(&mut self) -> DeltaDiscoveryResponse {
        soon(self.responses.message()).await.unwrap().expect("a response")
    }

    pub(crate) fn answer(&mut self, response: &DeltaDiscoveryResponse) {
        let kind = Kind::of_type_url(&response.type_url).unwrap();
        self.send(
            kind,
            DeltaDiscoveryRequest {
                response_nonce: response.nonce.clone(),
                ..DeltaDiscoveryRequest::default()
            },
        );
    }

    pub(crate) async fn next(&mut self) -> DeltaDiscoveryResponse {
        let response = self.receive().await;
        self.answer(&response);
        response
    }
}

pub(crate) fn names(response: &DeltaDiscoveryResponse) -> BTreeSet<&str> {
    response
        .resources
        .iter()
        .map(|resource| resource.name.as_str())
        .collect()
}

/// A stream of the state of the world.
pub(crate) struct Sotw {
    requests: mpsc::UnboundedSender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

impl Sotw {
    pub(crate) async fn open(channel: Channel) -> Self {
        let mut ads = Ads::new(channel);
        let (requests, stream) = mpsc::unbounded_channel();
        let call = ads.stream_aggregated_resources(UnboundedReceiverStream::new(stream));
        let responses = soon(call).await.unwrap().into_inner();
        Self { requests, responses }
    }

    pub(crate) fn ask(&self, kind: Kind, names: &[&str], nonce: &str) {
        let request = DiscoveryRequest {
            node: Some(node()),
            type_url: kind.type_url(),
            resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
            response_nonce: nonce.to_owned(),
            ..DiscoveryRequest::default()
        };
        self.requests.send(request).unwrap();
    }

    pub(crate) async fn receive(&mut self) -> DiscoveryResponse {
        soon(self.responses.message()).await.unwrap().expect("a response")
    }
}
