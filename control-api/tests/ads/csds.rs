//! What tools are told of a client by `envoy.service.status.v3`.

use crate::client;
use crate::resources::assignment;
use crate::resources::bad_cluster;
use crate::resources::cluster;
use crate::server::Server;
use crate::until;
use envoy_types::pb::envoy::admin::v3::ClientResourceStatus;
use envoy_types::pb::envoy::service::status::v3::ClientStatusRequest;
use envoy_types::pb::envoy::service::status::v3::ClientStatusResponse;
use envoy_types::pb::envoy::service::status::v3::client_config::GenericXdsConfig;
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_client::ClientStatusDiscoveryServiceClient;
use envoy_types::pb::envoy::r#type::matcher::v3::NodeMatcher;
use evenkeel_control_api::ads::Mode;
use evenkeel_control_api::ads::Options;
use evenkeel_control_api::ads::State;
use evenkeel_control_api::ads::Status;
use evenkeel_control_api::ads::csds;
use evenkeel_control_api::resource::Kind;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::Service;

/// The service without a connection.
struct Local(Option<Status>);

impl Service<http::Request<Body>> for Local {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let status = self.0.clone();
        Box::pin(async move { Ok(csds::answer(status, request).await.map(Body::new)) })
    }
}

fn tool(status: Option<Status>) -> ClientStatusDiscoveryServiceClient<Local> {
    ClientStatusDiscoveryServiceClient::new(Local(status))
}

async fn fetch(status: Status) -> ClientStatusResponse {
    let mut tool = tool(Some(status));
    let answer = tool.fetch_client_status(ClientStatusRequest::default()).await;
    answer.unwrap().into_inner()
}

fn one<'a>(response: &'a ClientStatusResponse, kind: Kind, name: &str) -> &'a GenericXdsConfig {
    let mut configs = response.config[0].generic_xds_configs.iter();
    let found = configs.find(|one| one.type_url == kind.type_url() && one.name == name);
    found.unwrap_or_else(|| panic!("{name} is missing: {response:?}"))
}

fn seconds_since(moment: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() - moment
}

#[tokio::test]
async fn every_resource_has_its_version_its_state_and_the_reason_of_its_refusal() {
    let mut server = Server::start().await;
    let options = Options {
        mode: Mode::Sotw,
        ..Options::default()
    };
    let client = client(&[&server.address], options);
    let mut talk = server.sotw().await;
    talk.hear(Kind::Cluster).await;
    talk.say(Kind::Cluster, vec![cluster("web", "web")]).await;
    talk.hear(Kind::Assignment).await;
    talk.hear(Kind::Cluster).await;
    talk.say(Kind::Assignment, vec![assignment("web", 80)]).await;
    let second = vec![bad_cluster("web"), bad_cluster("never-good"), cluster("waits", "waits")];
    talk.say(Kind::Cluster, second).await;
    let status = client.status();
    until("the endpoints of the new cluster are asked for", || {
        status.entry(Kind::Assignment, "waits").is_some()
    })
    .await;

    let response = fetch(client.status()).await;
    assert_eq!(response.config.len(), 1);
    let refused = one(&response, Kind::Cluster, "web");
    assert_eq!(refused.client_status(), ClientResourceStatus::Nacked);
    assert_eq!(refused.version_info, "v1", "of the last good version");
    let error = refused.error_state.as_ref().expect("a reason");
    assert_eq!(error.version_info, "v3");
    assert!(error.details.starts_with("eds_cluster_config"), "{}", error.details);
    let attempt = error.last_update_attempt.expect("a time");
    assert!((0..60).contains(&seconds_since(attempt.seconds)), "{attempt:?}");

    let never = one(&response, Kind::Cluster, "never-good");
    assert_eq!(
        (never.client_status(), &*never.version_info),
        (ClientResourceStatus::Nacked, "")
    );
    assert!(never.error_state.is_some());

    let endpoints = one(&response, Kind::Assignment, "web");
    assert_eq!(endpoints.client_status(), ClientResourceStatus::Acked);
    assert_eq!((&*endpoints.version_info, &endpoints.error_state), ("v2", &None));
    let updated = endpoints.last_updated.expect("a time");
    assert!((0..60).contains(&seconds_since(updated.seconds)), "{updated:?}");

    let waits = one(&response, Kind::Assignment, "waits");
    assert_eq!(waits.client_status(), ClientResourceStatus::Requested);
    assert_eq!(waits.last_updated, None);
    assert_eq!(status.entry(Kind::Cluster, "waits").unwrap().state(), State::Acked);
}

#[tokio::test]
async fn a_stream_answers_each_request() {
    let server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let requests = tokio_stream::iter([ClientStatusRequest::default(), ClientStatusRequest::default()]);
    let answers = tool(Some(client.status())).stream_client_status(requests).await;
    let mut answers = answers.unwrap().into_inner();
    let both = async {
        for _ in 0..2 {
            assert_eq!(answers.message().await.unwrap().unwrap().config.len(), 1);
        }
        assert_eq!(answers.message().await.unwrap(), None);
    };
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
}

#[tokio::test]
async fn a_choice_among_clients_is_refused() {
    let server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let request = ClientStatusRequest {
        node_matchers: vec![NodeMatcher::default()],
        ..ClientStatusRequest::default()
    };
    let mut tool = tool(Some(client.status()));
    let refused = tool.fetch_client_status(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    let stream = tool.stream_client_status(tokio_stream::iter([request])).await.unwrap();
    let refused = stream.into_inner().message().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("node_matchers"), "{refused}");
}

#[tokio::test]
async fn without_a_control_plane_there_is_nothing_to_tell() {
    let refused = tool(None).fetch_client_status(ClientStatusRequest::default()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("document"), "{refused}");
}
