//! An API server of Kubernetes, as far as a watch needs one: lists, watches that go on where they were, and failures on
//! purpose. It stores JSON as it is given.

use crate::program::within;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;

type Body = BoxBody<Bytes, Infallible>;

/// The server. Cloning one makes another handle.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    version: watch::Sender<u64>,
    /// Something was written, or refused.
    heard: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<(String, String), Value>,
    /// Version, plural, type and object.
    log: Vec<(u64, String, &'static str, Value)>,
    /// Watches from before this version are answered with 410.
    oldest: u64,
    /// What every request is answered with.
    refuses: Option<u16>,
    /// What requests for these kinds are answered with.
    broken: BTreeMap<String, u16>,
    /// The only version in which a kind is there.
    versions: BTreeMap<String, &'static str>,
    /// Whether it says its own version.
    says_version: bool,
    /// What others have written: where, and what.
    written: Vec<(String, Value)>,
    /// Requests that were refused, by kind.
    refused: BTreeMap<String, u64>,
    /// Watches that are open end when this changes.
    epoch: u64,
    lists: u64,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
            version: watch::Sender::new(1),
            heard: watch::Sender::new(()),
        };
        let serving = api.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let api = serving.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let api = api.clone();
                    async move {
                        Ok::<_, Infallible>(match *request.method() {
                            Method::GET => api.answer(&request),
                            _ => api.written(request).await,
                        })
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        api
    }

    /// Of a client that is let in.
    pub(crate) fn kubeconfig(&self) -> String {
        let cluster = json!({"name": "test", "cluster": {"server": format!("http://{}", self.address)}});
        let context = json!({"name": "test", "context": {"cluster": "test", "user": "test"}});
        let user = json!({"name": "test", "user": {}});
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [cluster], "contexts": [context], "users": [user],
        })
        .to_string()
    }

    /// Creates an object, or puts it in the place of the one of its name.
    pub(crate) fn put(&self, plural: &str, mut object: Value) {
        let version = *self.version.borrow() + 1;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let mut state = self.state();
        let key = (plural.to_owned(), name_of(&object));
        let event = if state.objects.contains_key(&key) {
            "MODIFIED"
        } else {
            "ADDED"
        };
        state.objects.insert(key, object.clone());
        state.log.push((version, plural.to_owned(), event, object));
        drop(state);
        self.version.send_replace(version);
    }

    pub(crate) fn delete(&self, plural: &str, name: &str) {
        let version = *self.version.borrow() + 1;
        let mut state = self.state();
        let mut object = state.objects.remove(&(plural.to_owned(), name.to_owned())).unwrap();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        state.log.push((version, plural.to_owned(), "DELETED", object));
        drop(state);
        self.version.send_replace(version);
    }

    /// Changes an object that nobody is told of, and forgets everything before: watches must list again.
    pub(crate) fn forget(&self, change: impl FnOnce(&Self)) {
        let version = *self.version.borrow();
        self.end_watches();
        change(self);
        let mut state = self.state();
        state.oldest = version + 1;
        state.log.clear();
    }

    /// From now on every request is answered with this.
    pub(crate) fn refuse(&self, status: Option<u16>) {
        self.state().refuses = status;
        self.end_watches();
    }

    /// From now on requests for a kind are answered with this.
    pub(crate) fn break_kind(&self, plural: &str, status: Option<u16>) {
        let mut state = self.state();
        match status {
            Some(status) => state.broken.insert(plural.to_owned(), status),
            None => state.broken.remove(plural),
        };
        drop(state);
        self.end_watches();
    }

    /// A kind is there in this version only.
    pub(crate) fn serve_in(&self, plural: &str, version: &'static str) {
        self.state().versions.insert(plural.to_owned(), version);
    }

    /// From now on it says its own version.
    pub(crate) fn say_version(&self) {
        self.state().says_version = true;
    }

    /// Waits for somebody to write what fits: where, and what.
    pub(crate) async fn written_once(&self, fits: impl Fn(&str, &Value) -> bool) -> (String, Value) {
        let fitting = |state: &State| state.written.iter().find(|(path, object)| fits(path, object)).cloned();
        self.hears(fitting).await
    }

    /// Waits until so many requests for a kind were refused.
    pub(crate) async fn refused_times(&self, plural: &str, times: u64) {
        let enough = |state: &State| state.refused.get(plural).filter(|count| **count >= times).copied();
        self.hears(enough).await;
    }

    /// Waits for a fact about what was asked of it.
    async fn hears<T>(&self, fact: impl Fn(&State) -> Option<T>) -> T {
        let mut heard = self.heard.subscribe();
        let known = async {
            loop {
                heard.borrow_and_update();
                let found = fact(&self.state());
                if let Some(found) = found {
                    return found;
                }
                heard.changed().await.unwrap();
            }
        };
        within(known).await
    }

    /// Requests for a kind that were refused so far.
    pub(crate) fn refused(&self, plural: &str) -> u64 {
        self.state().refused.get(plural).copied().unwrap_or_default()
    }

    pub(crate) fn lists(&self) -> u64 {
        self.state().lists
    }

    fn end_watches(&self) {
        self.state().epoch += 1;
        self.version.send_modify(|_| {});
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Takes what others write. Of Leases it becomes what is there; of all else it is only remembered.
    async fn written(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if let Some(refused) = self.refusal("leases", "v1") {
            return refused;
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut object: Value = serde_json::from_slice(&body).unwrap();
        if path.ends_with("/tokenreviews") {
            return response(201, whole(&reviewed(&object)));
        }
        self.state().written.push((path.clone(), object.clone()));
        self.heard.send_replace(());
        if path.contains("/leases") {
            let name = name_of(&object);
            self.put("leases", object);
            object = self.state().objects[&("leases".to_owned(), name)].clone();
        }
        response(200, whole(&object))
    }

    /// The answer to a request that is refused.
    fn refusal(&self, plural: &str, version: &str) -> Option<Response<Body>> {
        let mut state = self.state();
        let mute = plural == "version" && !state.says_version;
        let absent = mute || state.versions.get(plural).is_some_and(|only| *only != version);
        let broken = state.broken.get(plural).copied();
        let code = state.refuses.or(broken).or(absent.then_some(404))?;
        *state.refused.entry(plural.to_owned()).or_default() += 1;
        self.heard.send_replace(());
        let message = format!("{plural} is forbidden: User \"test\" cannot list resource");
        let status =
            json!({"kind": "Status", "status": "Failure", "code": code, "message": message, "reason": "Forbidden"});
        Some(response(code, whole(&status)))
    }

    /// One object of a namespace, or its status.
    fn named(&self, namespace: &str, plural: &str, name: &str) -> Response<Body> {
        let key = (plural.to_owned(), format!("{namespace}/{name}"));
        if let Some(object) = self.state().objects.get(&key) {
            return response(200, whole(object));
        }
        let status = json!({"kind": "Status", "status": "Failure", "code": 404, "message": "", "reason": "NotFound"});
        response(404, whole(&status))
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let parts: Vec<_> = request.uri().path().split('/').collect();
        if let [.., version, "namespaces", namespace, plural, name]
        | [.., version, "namespaces", namespace, plural, name, "status"] = parts[..]
        {
            let refused = self.refusal(plural, version);
            return refused.unwrap_or_else(|| self.named(namespace, plural, name));
        }
        let mut path = request.uri().path().rsplit('/');
        let plural = path.next().unwrap().to_owned();
        let version = path.next().unwrap_or_default();
        let query: BTreeMap<&str, &str> = request
            .uri()
            .query()
            .unwrap_or("")
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        if let Some(refused) = self.refusal(&plural, version) {
            return refused;
        }
        if query.contains_key("watch") {
            let from = query["resourceVersion"].parse().unwrap();
            return response(200, self.watch(plural, from));
        }
        let mut state = self.state();
        if plural == "version" {
            let said = [
                "buildDate",
                "compiler",
                "gitCommit",
                "gitTreeState",
                "gitVersion",
                "goVersion",
                "platform",
            ];
            let mut version: Value = said.into_iter().map(|key| (key.to_owned(), json!(""))).collect();
            (version["major"], version["minor"]) = (json!("1"), json!("33"));
            return response(200, whole(&version));
        }
        state.lists += 1;
        let items: Vec<&Value> = state
            .objects
            .iter()
            .filter(|((of, _), _)| *of == plural)
            .map(|(_, object)| object)
            .collect();
        let version = self.version.borrow().to_string();
        response(
            200,
            whole(&json!({"kind": "List", "metadata": {"resourceVersion": version}, "items": items})),
        )
    }

    fn watch(&self, plural: String, mut from: u64) -> Body {
        let (sender, events) = mpsc::unbounded_channel();
        let api = self.clone();
        let mut version = self.version.subscribe();
        let epoch = self.state().epoch;
        tokio::spawn(async move {
            loop {
                let lines = {
                    let state = api.state();
                    if state.epoch != epoch {
                        return;
                    }
                    if from < state.oldest {
                        let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
                        vec![json!({"type": "ERROR", "object": gone})]
                    } else {
                        let news = state
                            .log
                            .iter()
                            .filter(|(version, of, ..)| *version > from && *of == plural);
                        news.map(|(_, _, event, object)| json!({"type": event, "object": object}))
                            .collect()
                    }
                };
                from = *version.borrow_and_update();
                for line in lines {
                    let line = Bytes::from(format!("{line}\n"));
                    if sender.send(Ok(Frame::data(line))).is_err() {
                        return;
                    }
                }
                tokio::select! {
                    _ = version.changed() => {}
                    () = sender.closed() => return,
                }
            }
        });
        BodyExt::boxed(StreamBody::new(UnboundedReceiverStream::new(events)))
    }
}

fn name_of(object: &Value) -> String {
    let part = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", part("namespace"), part("name"))
}

/// A token of a pod in `shop`, as [`reviewed`] knows it: good for a day.
pub(crate) fn token(pod: &str) -> String {
    let tomorrow = SystemTime::now() + Duration::from_hours(24);
    let expires = tomorrow.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"exp": expires, "pod": pod}).to_string();
    let payload = serde_json::to_value(ByteString(claims.into_bytes())).unwrap();
    let payload = payload.as_str().unwrap().replace('+', "-").replace('/', "_");
    format!("e30.{}.good", payload.trim_end_matches('='))
}

/// Whom a token is from; what its signature is worth is not asked here.
fn reviewed(review: &Value) -> Value {
    let token = review["spec"]["token"].as_str().unwrap();
    let mut payload = token.split('.').nth(1).unwrap().replace('-', "+").replace('_', "/");
    payload.push_str(&"=".repeat((4 - payload.len() % 4) % 4));
    let ByteString(claims) = serde_json::from_value(payload.into()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let pod = &claims["pod"];
    let extra = json!({"authentication.kubernetes.io/pod-name": [pod], "authentication.kubernetes.io/pod-uid": [pod]});
    let user = json!({"username": "system:serviceaccount:shop:default", "extra": extra});
    let status = json!({"authenticated": true, "audiences": review["spec"]["audiences"], "user": user});
    json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {}, "status": status})
}

fn whole(value: &Value) -> Body {
    Full::from(value.to_string()).boxed()
}

fn response(code: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}
