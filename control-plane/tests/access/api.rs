//! What of an API server is asked here: `TokenReview`s, and objects that are listed, watched and written.

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;

type Body = StreamBody<UnboundedReceiverStream<Result<Frame<Bytes>, Infallible>>>;

/// How it deals with `TokenReview`s.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Answers,
    /// 500, which the client does not try again.
    Broken,
    Silent,
}

#[derive(Default)]
struct State {
    version: u64,
    /// By path.
    objects: BTreeMap<String, Value>,
    /// Version, collection, type of event, object.
    events: Vec<(u64, String, &'static str, Value)>,
    reviews: usize,
    writes: usize,
}

#[derive(Clone)]
struct Shared {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    mood: watch::Sender<Mood>,
}

pub(crate) struct ApiServer {
    uri: Uri,
    shared: Shared,
    _task: JoinSet<()>,
}

impl ApiServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let shared = Shared {
            state: Arc::default(),
            changed: watch::Sender::new(()),
            mood: watch::Sender::new(Mood::Answers),
        };
        let mut task = JoinSet::new();
        let serving = shared.clone();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                let service = service_fn(move |request| {
                    let shared = shared.clone();
                    async move { Ok::<_, Infallible>(shared.answer(request).await) }
                });
                connections.spawn(async move {
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            uri,
            shared,
            _task: task,
        }
    }

    pub(crate) fn client(&self) -> kube::Client {
        client(self.uri.clone())
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    pub(crate) fn reviews(&self) -> usize {
        self.shared.state().reviews
    }

    /// Writes of others than the test.
    pub(crate) fn writes(&self) -> usize {
        self.shared.state().writes
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.shared.state().objects.get(path).cloned()
    }

    /// Puts an object in its place, as somebody else would.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.shared.set(path, object);
    }

    pub(crate) fn delete(&self, path: &str) {
        let mut state = self.shared.state();
        let object = state.objects.remove(path).unwrap();
        state.event(path, "DELETED", object);
        drop(state);
        self.shared.changed.send_replace(());
    }
}

/// A client of nobody, or of this one.
pub(crate) fn client(uri: Uri) -> kube::Client {
    kube::Client::try_from(kube::Config::new(uri)).unwrap()
}

/// A token with these claims, signed well or not.
pub(crate) fn token(claims: &Value, signature: &str) -> String {
    let encoded = serde_json::to_value(ByteString(claims.to_string().into_bytes())).unwrap();
    let payload = encoded.as_str().unwrap().replace('+', "-").replace('/', "_");
    format!("e30.{}.{signature}", payload.trim_end_matches('='))
}

pub(crate) fn seconds(from_now: Duration) -> u64 {
    let then = SystemTime::now() + from_now;
    then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// A good token of a pod in the namespace `shop`.
pub(crate) fn pod_token(pod: &str, life: Duration) -> String {
    token(&json!({"exp": seconds(life), "aud": "evenkeel", "pod": pod}), "good")
}

impl State {
    fn event(&mut self, path: &str, kind: &'static str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        if kind != "DELETED" {
            self.objects.insert(path.to_owned(), object.clone());
        }
        let collection = path.rsplit_once('/').unwrap().0.to_owned();
        self.events.push((self.version, collection, kind, object));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn set(&self, path: &str, object: Value) {
        let mut state = self.state();
        let kind = if state.objects.contains_key(path) {
            "MODIFIED"
        } else {
            "ADDED"
        };
        state.event(path, kind, object);
        drop(state);
        self.changed.send_replace(());
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if path.ends_with("/tokenreviews") {
            return self.review(body).await;
        }
        match head.method {
            Method::GET if query.contains("watch=true") => self.watch(path, &query),
            Method::GET => self.list(&path, &query),
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if self.state().objects.contains_key(&path) {
                    return status(StatusCode::CONFLICT, "AlreadyExists");
                }
                self.write(&path, body)
            }
            Method::PUT | Method::PATCH => {
                let Some(mut object) = self.state().objects.get(&path).cloned() else {
                    return status(StatusCode::NOT_FOUND, "NotFound");
                };
                if body["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                    return status(StatusCode::CONFLICT, "Conflict");
                }
                if head.method == Method::PUT {
                    object = body;
                } else {
                    object["webhooks"] = body["webhooks"].clone();
                }
                self.write(&path, object)
            }
            _ => status(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    fn write(&self, path: &str, object: Value) -> Response<Body> {
        self.state().writes += 1;
        self.set(path, object);
        json(StatusCode::OK, &self.state().objects[path])
    }

    fn list(&self, path: &str, query: &str) -> Response<Body> {
        let state = self.state();
        let items: Vec<_> = named(query)
            .and_then(|name| state.objects.get(&format!("{path}/{name}")))
            .into_iter()
            .collect();
        let version = state.version.to_string();
        json(
            StatusCode::OK,
            &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}),
        )
    }

    fn watch(&self, collection: String, query: &str) -> Response<Body> {
        let name = named(query).unwrap().to_owned();
        let since = query.split('&').find_map(|part| part.strip_prefix("resourceVersion="));
        let mut since: u64 = since.and_then(|version| version.parse().ok()).unwrap_or_default();
        let (sender, parts) = mpsc::unbounded_channel();
        let (shared, mut changed) = (self.clone(), self.changed.subscribe());
        tokio::spawn(async move {
            loop {
                let events: Vec<_> = {
                    let state = shared.state();
                    let new = state.events.iter().filter(|(version, ..)| *version > since);
                    new.cloned().collect()
                };
                for (version, of, kind, object) in events {
                    since = version;
                    if of == collection && object["metadata"]["name"] == *name {
                        let line = format!("{}\n", json!({"type": kind, "object": object}));
                        if sender.send(Ok(Frame::data(line.into()))).is_err() {
                            return;
                        }
                    }
                }
                if changed.changed().await.is_err() {
                    return;
                }
            }
        });
        Response::new(StreamBody::new(UnboundedReceiverStream::new(parts)))
    }

    async fn review(&self, body: Value) -> Response<Body> {
        self.state().reviews += 1;
        let mood = *self.mood.borrow();
        match mood {
            Mood::Answers => {}
            Mood::Broken => return status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Mood::Silent => std::future::pending().await,
        }
        let token = body["spec"]["token"].as_str().unwrap();
        assert_eq!(body["spec"]["audiences"], json!(["evenkeel"]));
        json(
            StatusCode::CREATED,
            &json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {}, "status": verdict(token)}),
        )
    }
}

/// What an API server says of a token.
fn verdict(token: &str) -> Value {
    let parts: Vec<_> = token.split('.').collect();
    let mut payload = parts[1].replace('-', "+").replace('_', "/");
    payload.push_str(&"=".repeat((4 - payload.len() % 4) % 4));
    let ByteString(claims) = serde_json::from_value(payload.into()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let refused = |error: &str| json!({"authenticated": false, "error": error});
    if parts[2] != "good" {
        return refused("the signature is not good");
    }
    if claims["exp"].as_u64().unwrap() <= seconds(Duration::ZERO) {
        return refused("token has expired");
    }
    if claims["aud"] == "others" {
        return refused("token audiences [others] is invalid for the target audiences [evenkeel]");
    }
    // An API server that knows nothing of audiences says none.
    let audiences = (claims["aud"] == "evenkeel").then_some(["evenkeel"]);
    let extra = claims["pod"].as_str().map(|pod| {
        json!({"authentication.kubernetes.io/pod-name": [pod], "authentication.kubernetes.io/pod-uid": [format!("uid-{pod}")]})
    });
    let user = claims["user"].as_str().unwrap_or("system:serviceaccount:shop:web");
    json!({"authenticated": true, "audiences": audiences, "user": {"username": user, "extra": extra}})
}

/// Of a field selector `metadata.name=NAME`.
fn named(query: &str) -> Option<&str> {
    let selector = query.split('&').find_map(|part| part.strip_prefix("fieldSelector="))?;
    selector
        .strip_prefix("metadata.name%3D")
        .or_else(|| selector.strip_prefix("metadata.name="))
}

fn json(code: StatusCode, value: &Value) -> Response<Body> {
    let (sender, parts) = mpsc::unbounded_channel();
    sender.send(Ok(Frame::data(value.to_string().into()))).unwrap();
    let mut response = Response::new(StreamBody::new(UnboundedReceiverStream::new(parts)));
    *response.status_mut() = code;
    response
}

fn status(code: StatusCode, reason: &str) -> Response<Body> {
    json(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code.as_u16()}),
    )
}
