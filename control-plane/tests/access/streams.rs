//! All of it together: a client of ours with its token, over TLS with the certificate that the control plane has made.

use crate::api::{ApiServer, Mood, pod_token};
use crate::certificates::{Replica, made};
use crate::until;
use evenkeel_control_api::ads::bootstrap::{Authorities, Bootstrap, Node, Server as Address};
use evenkeel_control_api::ads::{Client, Options};
use evenkeel_control_api::mesh::{self, Reader};
use evenkeel_control_api::serve::{Guard, Server, View};
use evenkeel_control_plane::access::review::Reviews;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

const HOUR: Duration = Duration::from_hours(1);

struct World {
    api: ApiServer,
    replica: Replica,
    server: Server,
    views: watch::Sender<Arc<View>>,
    port: u16,
    folder: tempfile::TempDir,
    _task: JoinSet<()>,
}

fn view(text: &str) -> Arc<View> {
    let document = mesh::parse(text).unwrap();
    let messages = mesh::translate_for(&document, Reader::Other);
    Arc::new(View::default().with(&messages).unwrap())
}

impl World {
    async fn begin(life: Duration) -> Self {
        let api = ApiServer::start().await;
        // The name that clients here can resolve.
        let mut settings = made(life);
        settings.names.push("localhost".to_owned());
        let replica = Replica::start(&api, settings, true);
        replica.accepted(1).await;
        let reviews = Reviews::new(api.client(), |_| true);
        let guard = Guard::new(replica.certificates.tls(&["h2"]), move |headers| {
            let reviews = reviews.clone();
            async move { reviews.authenticate(&headers).await }
        });
        let views = watch::Sender::new(view(""));
        let given = views.clone();
        let server = Server::new(move |_, peer| {
            assert!(peer.is_some());
            Ok(given.subscribe())
        });
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut task = JoinSet::new();
        let serving = server.clone();
        task.spawn(async move { serving.serve_guarded(listener, guard, std::future::pending()).await });
        Self {
            api,
            replica,
            server,
            views,
            port,
            folder: tempfile::tempdir().unwrap(),
            _task: task,
        }
    }

    fn token(&self, token: &str) -> PathBuf {
        let path = self.folder.path().join("token");
        std::fs::write(&path, token).unwrap();
        path
    }

    fn client(&self, id: &str, token: &Path) -> Client {
        let authorities = Authorities::Text(self.replica.authority().unwrap());
        let uri = format!("localhost:{}", self.port);
        let server = Address::secure(&uri, authorities, Some(token.to_owned())).unwrap();
        let node = Node {
            id: id.to_owned(),
            ..Node::default()
        };
        let servers = vec![server];
        Client::start(Bootstrap { servers, node }, Options::default())
    }
}

async fn ready(client: &Client) {
    let mut ready = client.ready();
    let waited = tokio::time::timeout(Duration::from_mins(1), ready.wait_for(|ready| *ready)).await;
    assert!(waited.is_ok(), "{:?}", client.status().servers());
}

async fn fails(client: &Client, words: &str) {
    let says = || {
        let end = client.status().servers()[0].last_end.clone();
        end.is_some_and(|end| end.reason.contains(words))
    };
    until(words, says).await;
}

#[tokio::test]
async fn a_pod_with_its_token_is_served_and_no_other() {
    let world = World::begin(HOUR).await;
    let token = world.token(&pod_token("web-0", HOUR));
    ready(&world.client("web-0.shop", &token)).await;
    fails(&world.client("db-0.shop", &token), "PermissionDenied").await;
    fails(&world.client("web-0.bank", &token), "PermissionDenied").await;
    let client = world.client("web-1.shop", &world.token("e30.e30.e30"));
    fails(&client, "Unauthenticated").await;
    world.api.mood(Mood::Broken);
    world.token(&pod_token("web-1", HOUR));
    fails(&client, "cannot be looked into").await;
    world.api.mood(Mood::Answers);
    ready(&client).await;
}

#[tokio::test]
async fn a_leaf_that_is_renewed_ends_no_stream_and_new_connections_have_the_new_one() {
    let world = World::begin(Duration::from_secs(4)).await;
    let token = world.token(&pod_token("web-0", HOUR));
    let first = world.client("web-0.shop", &token);
    ready(&first).await;
    world.replica.accepted(3).await;
    // The one that the first connection was made with has expired by now.
    ready(&world.client("web-0.shop", &token)).await;
    let status = first.status();
    let known = |name: &str| {
        status
            .entry(evenkeel_control_api::resource::Kind::Cluster, name)
            .is_some()
    };
    world.views.send_replace(view(
        "services: [{name: web, vips: [10.0.0.1], ports: [{port: 80, endpoints: []}]}]",
    ));
    until("it hears what is new", || known("outbound|80||web")).await;
    assert_eq!(status.servers()[0].streams, 1);
    assert_eq!(world.server.status().denials, [0; 6]);
}
