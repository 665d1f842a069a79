//! A data plane of the version before, word for word: its side of what was recorded, said to the control plane of today.

use crate::recorded::{Said, TAKEN, read};
use crate::support::{Delta, names, soon, until};
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use evenkeel_control_api::mesh::{self, Reader};
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::serve::{Server, Status, View};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Endpoint;

const REFUSED: &str = include_str!("../recorded/version-1/refused.txt");
const MESH: &str = include_str!("../recorded/version-1/mesh.yaml");
/// Who it was.
const NODE: &str = "web-0.shop";

/// The mesh that was served: at first, with another endpoint, and without the second port.
fn meshes() -> [String; 3] {
    let changed = MESH.replace("10.1.0.2:8080", "10.1.0.3:8080");
    let fewer: Vec<_> = changed.lines().filter(|line| !line.contains("5432")).collect();
    let fewer = fewer.join("\n");
    [MESH.to_owned(), changed, fewer]
}

/// A control plane of today, and a stream on which somebody repeats what was said.
struct Replay {
    server: Server,
    views: watch::Sender<Arc<View>>,
    stream: Delta,
    /// What the responses are called now, by what they were called then.
    nonces: BTreeMap<String, String>,
    /// Responses that came before their turn.
    early: Vec<DeltaDiscoveryResponse>,
}

impl Replay {
    async fn begin() -> Self {
        let views = watch::Sender::new(view(&View::default(), MESH));
        let sender = views.clone();
        let server = Server::new(move |node, _| {
            assert_eq!((node.id.as_str(), node.reader), (NODE, Reader::Evenkeel(1)));
            Ok(sender.subscribe())
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self {
            server,
            views,
            stream: Delta::open(soon(endpoint.connect()).await.unwrap()).await,
            nonces: BTreeMap::new(),
            early: Vec::new(),
        }
    }

    fn change(&self, mesh: &str) {
        let next = view(&self.views.borrow(), mesh);
        self.views.send_replace(next);
    }

    fn say(&mut self, mut request: DeltaDiscoveryRequest) {
        if !request.response_nonce.is_empty() {
            request.response_nonce.clone_from(&self.nonces[&request.response_nonce]);
        }
        self.stream.requests.send(request).unwrap();
    }

    /// The response that stands where this one stood.
    async fn hear(&mut self, then: &DeltaDiscoveryResponse) -> DeltaDiscoveryResponse {
        loop {
            let found = self
                .early
                .iter()
                .position(|response| response.type_url == then.type_url);
            if let Some(place) = found {
                let now = self.early.remove(place);
                self.nonces.insert(then.nonce.clone(), now.nonce.clone());
                return now;
            }
            self.early.push(self.stream.receive().await);
        }
    }

    async fn until(&self, fits: impl Fn(&Status) -> bool) {
        until(&self.server, fits).await;
    }
}

/// What a node of version 1 gets of a mesh.
fn view(before: &View, text: &str) -> Arc<View> {
    let document = mesh::parse(text).unwrap_or_else(|faults| panic!("{faults}"));
    Arc::new(
        before
            .with(&mesh::translate_for(&document, Reader::Evenkeel(1)))
            .unwrap(),
    )
}

#[tokio::test]
async fn a_data_plane_of_version_1_is_served_as_it_was_by_the_control_plane_of_its_time() {
    let [_, changed, fewer] = meshes();
    let mut replay = Replay::begin().await;
    let mut answered = 0;
    for said in read(TAKEN) {
        match said {
            Said::ByProxy(request) => {
                answered += u64::from(!request.response_nonce.is_empty());
                replay.say(*request);
            }
            Said::ByControlPlane(then) => {
                match &*then.nonce {
                    "4" => replay.change(&changed),
                    "5" => replay.change(&fewer),
                    _ => {}
                }
                let now = replay.hear(&then).await;
                assert_eq!(names(&now), names(&then), "{}", then.type_url);
                assert_eq!(now.removed_resources, then.removed_resources, "{}", then.type_url);
            }
        }
    }
    let accepted = |status: &Status| status.kinds.iter().map(|kind| kind.accepted).sum::<u64>();
    replay.until(|status| accepted(status) == answered).await;
    let status = replay.server.status();
    assert!(
        status.kinds.iter().all(|kind| kind.refused + kind.stale == 0),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_data_plane_of_version_1_that_refuses_is_heard_and_served_on() {
    let [.., fewer] = meshes();
    let mut replay = Replay::begin().await;
    for said in read(REFUSED) {
        match said {
            Said::ByProxy(request) => replay.say(*request),
            Said::ByControlPlane(then) => drop(replay.hear(&then).await),
        }
    }
    let of_clusters = |status: &Status| status.kinds[Kind::Cluster as usize].refused == 1;
    let of_listeners = |status: &Status| status.kinds[Kind::Listener as usize].accepted == 1;
    replay.until(|status| of_clusters(status) && of_listeners(status)).await;
    let refusal = replay.server.status().refusals[NODE].clone();
    assert_eq!(refusal.kind, Kind::Cluster);
    assert!(
        refusal.reason.contains("typed_extension_protocol_options"),
        "{}",
        refusal.reason
    );
    replay.change(&fewer);
    let gone = replay.stream.receive().await;
    assert_eq!(gone.type_url, Kind::Listener.type_url());
    assert_eq!(gone.removed_resources, ["10.96.0.10:5432", "[fd00:96::10]:5432"]);
}
