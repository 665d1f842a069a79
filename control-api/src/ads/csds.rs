//! CSDS: what a client knows of each resource, for tools that ask `envoy.service.status.v3` of any xDS client.
//!
//! Contents are left out: what was delivered is decoded, and its bytes are not kept.

use crate::ads::status::Status;
use crate::ads::store::Entry;
use crate::ads::store::Refusal;
use crate::ads::store::State;
use crate::resource::Kind;
use bytes::Bytes;
use envoy_types::pb::envoy::admin::v3::ClientResourceStatus;
use envoy_types::pb::envoy::admin::v3::UpdateFailureState;
use envoy_types::pb::envoy::service::status::v3::ClientConfig;
use envoy_types::pb::envoy::service::status::v3::ClientStatusRequest;
use envoy_types::pb::envoy::service::status::v3::ClientStatusResponse;
use envoy_types::pb::envoy::service::status::v3::ConfigStatus;
use envoy_types::pb::envoy::service::status::v3::client_config::GenericXdsConfig;
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_server as server;
use envoy_types::pb::google::protobuf::Timestamp;
use http::Request;
use http::Response;
use hyper::body::Body;
use std::error::Error;
use std::pin::Pin;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_stream::StreamExt;
use tonic::Status as Failed;
use tonic::Streaming;
use tonic::codegen::Service;

/// Bytes of a request: a node, of which nothing is used.
const REQUEST_BYTES: usize = 64 << 10;
/// Bytes of the faults of one resource: a tool takes 4 MiB of all of them.
const DETAILS: usize = 4_096;

/// Answers one call, of whatever method, as gRPC does: a failure is a status in trailers. Needs a tokio runtime.
///
/// `status` is of the client; `None`: there is none, which the caller is told.
pub async fn answer<B>(
    status: Option<Status>,
    request: Request<B>,
) -> Response<impl Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + use<B>>
where
    B: Body + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let service = Discovery { status };
    let mut server = server::ClientStatusDiscoveryServiceServer::new(service).max_decoding_message_size(REQUEST_BYTES);
    let Ok(response) = server.call(request).await;
    response
}

#[derive(Clone)]
struct Discovery {
    status: Option<Status>,
}

#[tonic::async_trait]
impl server::ClientStatusDiscoveryService for Discovery {
    type StreamClientStatusStream = Pin<Box<dyn Stream<Item = Result<ClientStatusResponse, Failed>> + Send>>;

    async fn fetch_client_status(
        &self,
        request: tonic::Request<ClientStatusRequest>,
    ) -> Result<tonic::Response<ClientStatusResponse>, Failed> {
        let response = self.clone().response(request.into_inner()).await?;
        Ok(tonic::Response::new(response))
    }

    async fn stream_client_status(
        &self,
        requests: tonic::Request<Streaming<ClientStatusRequest>>,
    ) -> Result<tonic::Response<Self::StreamClientStatusStream>, Failed> {
        let this = self.clone();
        let responses = requests.into_inner().then(move |request| {
            let this = this.clone();
            async move { this.response(request?).await }
        });
        Ok(tonic::Response::new(Box::pin(responses)))
    }
}

impl Discovery {
    async fn response(self, request: ClientStatusRequest) -> Result<ClientStatusResponse, Failed> {
        if !request.node_matchers.is_empty() {
            return Err(Failed::unimplemented(
                "node_matchers choose among clients, and here is one",
            ));
        }
        let Some(status) = self.status else {
            return Err(Failed::unimplemented(
                "the configuration comes from a document, not from a control plane",
            ));
        };
        // Of a large mesh it takes longer than others on this thread should wait.
        tokio::task::spawn_blocking(move || response(&status))
            .await
            .map_err(|error| Failed::internal(error.to_string()))
    }
}

fn response(status: &Status) -> ClientStatusResponse {
    let clock = Clock::now();
    let mut configs = Vec::new();
    for kind in Kind::ALL {
        let type_url = kind.type_url();
        status.each(kind, |name, entry| configs.push(config(&type_url, name, entry, clock)));
    }
    ClientStatusResponse {
        config: vec![ClientConfig {
            generic_xds_configs: configs,
            ..ClientConfig::default()
        }],
    }
}

fn config(type_url: &str, name: &str, entry: &Entry, clock: Clock) -> GenericXdsConfig {
    GenericXdsConfig {
        type_url: type_url.to_owned(),
        name: name.to_owned(),
        version_info: entry.version().to_owned(),
        xds_config: None,
        last_updated: match entry.state() {
            // Of what does not exist, it is when that was said, or believed.
            State::Acked | State::DoesNotExist | State::Timeout => Some(clock.at(entry.since())),
            // The time of a refusal is in `error_state`.
            State::Requested | State::Nacked => None,
        },
        config_status: ConfigStatus::Unknown.into(),
        client_status: client_status(entry.state()).into(),
        error_state: entry.refusal().map(|refusal| error_state(refusal, clock)),
        is_static_resource: false,
    }
}

fn error_state(refusal: &Refusal, clock: Clock) -> UpdateFailureState {
    UpdateFailureState {
        failed_configuration: None,
        last_update_attempt: Some(clock.at(refusal.when)),
        details: cut(refusal.faults.to_string()),
        version_info: refusal.version.clone(),
    }
}

fn cut(mut details: String) -> String {
    if details.len() > DETAILS {
        details.truncate(details.floor_char_boundary(DETAILS - "…".len()));
        details.push('…');
    }
    details
}

fn client_status(state: State) -> ClientResourceStatus {
    match state {
        State::Requested => ClientResourceStatus::Requested,
        State::Acked => ClientResourceStatus::Acked,
        State::Nacked => ClientResourceStatus::Nacked,
        State::DoesNotExist => ClientResourceStatus::DoesNotExist,
        State::Timeout => ClientResourceStatus::Timeout,
    }
}

/// The same moment on both clocks.
#[derive(Clone, Copy)]
struct Clock {
    steady: Instant,
    wall: SystemTime,
}

impl Clock {
    fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    fn at(self, moment: Instant) -> Timestamp {
        let ago = self.steady.saturating_duration_since(moment);
        let at = self.wall.checked_sub(ago);
        let since = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        Timestamp {
            seconds: since.as_secs() as i64,
            nanos: since.subsec_nanos() as i32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_details_are_cut_between_characters() {
        assert_eq!(cut("ä".repeat(2_048)).len(), 4_096);
        let long = cut(format!("a{}", "ä".repeat(2_048)));
        assert_eq!((long.len() <= DETAILS, long.ends_with("ä…")), (true, true));
    }
}
