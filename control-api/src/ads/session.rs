//! One stream to one server, from its first request to its end.

use crate::ads::connect::Link;
use crate::ads::connect::with_causes;
use crate::ads::intake;
use crate::ads::machine::Received;
use crate::ads::message::Mode;
use crate::ads::message::Request;
use crate::ads::message::Response;
use crate::ads::message::Text;
use crate::ads::options::Options;
use crate::ads::shared::Shared;
use crate::ads::store::Delivery;
use crate::ads::wire;
use crate::fault::Note;
use crate::resource::Kind;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::metadata::Ascii;
use tonic::metadata::MetadataValue;

/// How long resources are decoded before others on the thread have their turn.
const SLICE: Duration = Duration::from_millis(2);

/// Why a stream ended.
#[derive(Debug)]
pub(super) enum End {
    /// The server does not know the protocol.
    Unimplemented(String),
    /// The server does not serve us: `UNAUTHENTICATED`, `PERMISSION_DENIED`.
    Denied(String),
    /// Anything else.
    Lost(String),
}

/// What a stream is made of.
pub(super) struct Session<'a> {
    pub(super) shared: &'a Shared,
    pub(super) options: &'a Options,
    pub(super) node: Arc<Node>,
    /// Which of the servers.
    pub(super) server: usize,
    pub(super) link: Link,
    pub(super) mode: Mode,
}

impl Session<'_> {
    /// Runs a stream that the machine has been told of.
    pub(super) async fn run(self) -> End {
        let (requests, outgoing) = mpsc::channel(1);
        let (incoming, mut responses) = mpsc::channel(1);
        let mut call = JoinSet::new();
        let Self {
            shared,
            options,
            node,
            server,
            link,
            mode,
        } = self;
        call.spawn(converse(
            link,
            mode,
            node,
            options.most_message_bytes,
            outgoing,
            incoming,
        ));
        let source = Text::from(shared.servers()[server].uri.as_str());
        let mut writable = true;
        loop {
            let has_request = writable && shared.machine().has_request();
            tokio::select! {
                // Whoever gets a place writes at once: what is asked is as late, and as little, as can be.
                place = requests.reserve(), if has_request => match place {
                    Ok(place) => {
                        if let Some(request) = shared.step(|machine| machine.next_request(Instant::now())) {
                            place.send(request);
                        }
                    }
                    // Why, the other direction says.
                    Err(_) => writable = false,
                },
                response = responses.recv() => match response {
                    Some(Ok(response)) => {
                        shared.servers()[server].responses += 1;
                        if take(shared, options, (&source, mode), response).await == Taken::Refused {
                            shared.servers()[server].refused += 1;
                        }
                    }
                    Some(Err(status)) if status.code() == Code::Unimplemented => {
                        return End::Unimplemented(with_causes(&status));
                    }
                    Some(Err(status)) if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) => {
                        return End::Denied(format!("{} ({:?})", status.message(), status.code()));
                    }
                    Some(Err(status)) => return End::Lost(with_causes(&status)),
                    None => return End::Lost("the server ended the stream".to_owned()),
                },
                () = shared.tend() => {}
            }
        }
    }
}

/// What became of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Whole,
    /// Or a part of it was.
    Refused,
}

/// Looks into a response, in slices, and hands it over whole.
async fn take(shared: &Shared, options: &Options, (source, mode): (&Text, Mode), response: Response) -> Taken {
    let Some(kind) = response.kind() else {
        tracing::warn!(
            type_url = response.type_url,
            "a response of a type that was not asked for"
        );
        shared.step(|machine| machine.refuse(response.type_url, response.nonce));
        return Taken::Refused;
    };
    let mut resources = Vec::with_capacity(response.resources.len());
    let mut began = Instant::now();
    for wrapped in response.resources {
        let accepted = |name: &str| shared.machine().store().fingerprint(kind, name);
        resources.push(intake::examine(kind, wrapped, options.most_resource_bytes, accepted));
        if began.elapsed() > SLICE {
            tokio::task::yield_now().await;
            began = Instant::now();
        }
    }
    let delivery = Delivery {
        mode,
        kind,
        source: Arc::clone(source),
        version: response.version,
        nonce: response.nonce,
        resources,
        removed: response.removed,
    };
    let received = shared.step(|machine| machine.receive(delivery, Instant::now()));
    tell(kind, &received);
    match received.refusal {
        Some(_) => Taken::Refused,
        None => Taken::Whole,
    }
}

fn tell(kind: Kind, received: &Received) {
    for (resource, Note { path, reason }) in &received.noted {
        tracing::warn!(%kind, resource = &**resource, field = path, "{reason} here; said once for each field");
    }
    if let Some(refusal) = &received.refusal {
        tracing::warn!(%kind, refusal, "the control plane sent what cannot be used");
    } else {
        tracing::debug!(%kind, "a response was accepted");
    }
}

/// Carries requests out and responses in, until either side has enough.
async fn converse(
    Link { channel, authorization }: Link,
    mode: Mode,
    node: Arc<Node>,
    most_bytes: usize,
    outgoing: mpsc::Receiver<Request>,
    incoming: mpsc::Sender<Result<Response, tonic::Status>>,
) {
    let mut client = AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(most_bytes);
    let requests = ReceiverStream::new(outgoing);
    let ended = match mode {
        Mode::Delta => {
            let requests = requests.map(move |request| wire::delta_request(request, &node));
            match client.delta_aggregated_resources(with(authorization, requests)).await {
                Ok(responses) => forward(responses.into_inner(), wire::delta_response, &incoming).await,
                Err(status) => Err(status),
            }
        }
        Mode::Sotw => {
            let requests = requests.map(move |request| wire::sotw_request(request, &node));
            match client.stream_aggregated_resources(with(authorization, requests)).await {
                Ok(responses) => forward(responses.into_inner(), wire::sotw_response, &incoming).await,
                Err(status) => Err(status),
            }
        }
    };
    if let Err(status) = ended {
        // Nobody listens any more when the session is over.
        let _ = incoming.send(Err(status)).await;
    }
}

/// The requests of a stream, with what it shows.
fn with<T>(authorization: Option<MetadataValue<Ascii>>, requests: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(requests);
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", authorization);
    }
    request
}

async fn forward<T>(
    mut responses: tonic::Streaming<T>,
    read: fn(T) -> Response,
    incoming: &mpsc::Sender<Result<Response, tonic::Status>>,
) -> Result<(), tonic::Status> {
    while let Some(response) = responses.message().await? {
        if incoming.send(Ok(read(response))).await.is_err() {
            break;
        }
    }
    Ok(())
}
