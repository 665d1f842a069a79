//! A collector of OTLP in a pod, over gRPC and over HTTP on one port, that keeps what it gets.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::LogsService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::LogsServiceServer;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsService;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsServiceServer;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceServiceServer;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;

use crate::pod::Pod;
use crate::pushed::Pushed;
use crate::wait;

/// Why it drops what it drops.
const MUCH: &str = "too much of it";

/// A running one, until it is told to stop.
#[derive(Debug)]
pub struct Collector {
    kept: Kept,
    answers: watch::Sender<Answers>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

/// A span as it came, with what stood around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// It.
    pub span: Span,
    /// Who sent it.
    pub resource: BTreeMap<String, String>,
    /// The name of the scope, and the conventions that it follows.
    pub scope: (String, String),
    /// Whether it came over gRPC.
    pub grpc: bool,
}

/// A log record as it came, with what stood around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// It.
    pub record: LogRecord,
    /// Who sent it.
    pub resource: BTreeMap<String, String>,
    /// The name of the scope, and the conventions that it follows.
    pub scope: (String, String),
    /// Whether it came over gRPC.
    pub grpc: bool,
}

/// What it says to who sends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It keeps everything.
    Kept,
    /// Nothing.
    Nothing,
    /// It keeps everything, and says that it has dropped so many of each message.
    Rejected(i64),
    /// It wants none of this.
    Refused,
}

/// What all connections share.
#[derive(Clone, Debug)]
struct Kept {
    spans: Arc<Mutex<Vec<Received>>>,
    records: Arc<Mutex<Vec<Record>>>,
    pushed: Arc<Mutex<Vec<Result<Pushed, String>>>>,
    refused: Arc<AtomicUsize>,
    answers: watch::Receiver<Answers>,
}

// === impl Collector ===

impl Collector {
    /// Listens in the pod.
    pub fn start(pod: &Pod, at: SocketAddr) -> Result<Self> {
        let listener = pod.listen(at)?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (answers, told) = watch::channel(Answers::Kept);
        let (stop, stopped) = oneshot::channel();
        let kept = Kept {
            spans: Arc::default(),
            records: Arc::default(),
            pushed: Arc::default(),
            refused: Arc::default(),
            answers: told,
        };
        let own = kept.clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    served = serve(TcpListener::from_std(listener)?, own) => served,
                    _ = stopped => Ok(()),
                }
            })
        });
        Ok(Self {
            kept,
            answers,
            stop,
            thread,
        })
    }

    /// Answers nobody from now on, or everybody again.
    pub fn answer(&self, answers: bool) {
        self.say(if answers { Answers::Kept } else { Answers::Nothing });
    }

    /// Says this from now on.
    pub fn say(&self, answers: Answers) {
        self.answers.send_replace(answers);
    }

    /// How many messages it has refused.
    pub fn refused(&self) -> usize {
        self.kept.refused.load(Ordering::Relaxed)
    }

    /// What has come so far.
    pub fn spans(&self) -> Vec<Received> {
        locked(&self.kept.spans).clone()
    }

    /// The log records that have come so far.
    pub fn records(&self) -> Vec<Record> {
        locked(&self.kept.records).clone()
    }

    /// Waits until so many log records have come.
    pub fn wait_for_records(&self, deadline: Duration, count: usize) -> Result<Vec<Record>> {
        let found = wait::until(deadline, || {
            Some(self.records()).filter(|records| records.len() >= count)
        });
        found.with_context(|| format!("the collector has {:#?}", self.records()))
    }

    /// Waits until what has come is enough.
    pub fn wait_for(&self, deadline: Duration, enough: impl Fn(&[Received]) -> bool) -> Result<Vec<Received>> {
        let found = wait::until(deadline, || Some(self.spans()).filter(|spans| enough(spans)));
        found.with_context(|| format!("the collector has {:#?}", self.spans()))
    }

    /// Metrics that were pushed so far. An error: what came is not as it must be.
    pub fn pushed(&self) -> Result<Vec<Pushed>> {
        let mut all: Vec<Pushed> = Vec::new();
        for message in locked(&self.kept.pushed).iter() {
            let message = message.clone().map_err(anyhow::Error::msg)?;
            let from = |one: &Pushed| (one.at, one.resource.clone());
            match all.iter_mut().find(|one| from(one) == from(&message)) {
                Some(begun) => begun.join(message),
                None => all.push(message),
            }
        }
        Ok(all)
    }

    /// Ends it and all of its connections.
    pub fn stop(self) -> Result<()> {
        // Nobody listens any more where it has failed, which the thread tells.
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

// === impl Received ===

impl Received {
    /// The service that sent it.
    pub fn service(&self) -> &str {
        self.resource.get("service.name").map_or("", String::as_str)
    }

    /// The text of an attribute.
    pub fn attribute(&self, name: &str) -> Option<String> {
        texts(&self.span.attributes).remove(name)
    }

    /// The attributes of its events, by the name of the event.
    pub fn events(&self) -> Vec<(&str, BTreeMap<String, String>)> {
        let events = self.span.events.iter();
        events
            .map(|event| (event.name.as_str(), texts(&event.attributes)))
            .collect()
    }
}

// === impl Record ===

impl Record {
    /// The text of an attribute.
    pub fn attribute(&self, name: &str) -> Option<String> {
        texts(&self.record.attributes).remove(name)
    }

    /// The body, where it is a text.
    pub fn text(&self) -> Option<&str> {
        match self.body()? {
            Value::StringValue(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of the body, where it is a map.
    pub fn map(&self) -> Option<BTreeMap<String, String>> {
        match self.body()? {
            Value::KvlistValue(list) => Some(texts(&list.values)),
            _ => None,
        }
    }

    fn body(&self) -> Option<&Value> {
        self.record.body.as_ref()?.value.as_ref()
    }
}

/// An identity, as headers have it.
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

pub(crate) fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: Option<&AnyValue>| match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let attributes = attributes.iter();
    attributes
        .map(|pair| (pair.key.clone(), text(pair.value.as_ref())))
        .collect()
}

// === impl Kept ===

impl Kept {
    /// Waits until there are answers; then how many things of the message it says to have dropped.
    async fn answer(&self) -> Result<i64, Status> {
        let mut answers = self.answers.clone();
        let said = answers.wait_for(|answers| *answers != Answers::Nothing).await;
        match said.map(|said| *said) {
            Ok(Answers::Rejected(things)) => Ok(things),
            Ok(Answers::Refused) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(Status::invalid_argument("none of this"))
            }
            // An error: the test has ended.
            Ok(Answers::Kept | Answers::Nothing) | Err(_) => Ok(0),
        }
    }

    /// Keeps a message, once there are answers.
    async fn keep(&self, message: ExportTraceServiceRequest, grpc: bool) -> Result<ExportTraceServiceResponse, Status> {
        let rejected_spans = self.answer().await?;
        let mut spans = locked(&self.spans);
        for from in message.resource_spans {
            let resource = described(from.resource);
            for scoped in from.scope_spans {
                let scope = (
                    scoped.scope.map(|scope| scope.name).unwrap_or_default(),
                    scoped.schema_url,
                );
                spans.extend(scoped.spans.into_iter().map(|span| Received {
                    span,
                    resource: resource.clone(),
                    scope: scope.clone(),
                    grpc,
                }));
            }
        }
        let partial_success = (rejected_spans > 0).then(|| ExportTracePartialSuccess {
            rejected_spans,
            error_message: MUCH.to_owned(),
        });
        Ok(ExportTraceServiceResponse { partial_success })
    }

    /// The same of log records.
    async fn keep_records(
        &self,
        message: ExportLogsServiceRequest,
        grpc: bool,
    ) -> Result<ExportLogsServiceResponse, Status> {
        let rejected_log_records = self.answer().await?;
        let mut records = locked(&self.records);
        for from in message.resource_logs {
            let resource = described(from.resource);
            for scoped in from.scope_logs {
                let scope = (
                    scoped.scope.map(|scope| scope.name).unwrap_or_default(),
                    scoped.schema_url,
                );
                records.extend(scoped.log_records.into_iter().map(|record| Record {
                    record,
                    resource: resource.clone(),
                    scope: scope.clone(),
                    grpc,
                }));
            }
        }
        let partial_success = (rejected_log_records > 0).then(|| ExportLogsPartialSuccess {
            rejected_log_records,
            error_message: MUCH.to_owned(),
        });
        Ok(ExportLogsServiceResponse { partial_success })
    }

    /// The same of metrics.
    async fn keep_pushed(
        &self,
        message: ExportMetricsServiceRequest,
        grpc: bool,
    ) -> Result<ExportMetricsServiceResponse, Status> {
        let rejected_data_points = self.answer().await?;
        let pushed = Pushed::read(message, grpc).map_err(|error| format!("{error:#}"));
        locked(&self.pushed).push(pushed);
        let partial_success = (rejected_data_points > 0).then(|| ExportMetricsPartialSuccess {
            rejected_data_points,
            error_message: MUCH.to_owned(),
        });
        Ok(ExportMetricsServiceResponse { partial_success })
    }
}

fn described(resource: Option<Resource>) -> BTreeMap<String, String> {
    resource.map(|resource| texts(&resource.attributes)).unwrap_or_default()
}

/// Who panics with a lock leaves a list behind.
fn locked<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        self.keep(request.into_inner(), true).await.map(tonic::Response::new)
    }
}

#[tonic::async_trait]
impl LogsService for Kept {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        self.keep_records(request.into_inner(), true)
            .await
            .map(tonic::Response::new)
    }
}

#[tonic::async_trait]
impl MetricsService for Kept {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        self.keep_pushed(request.into_inner(), true)
            .await
            .map(tonic::Response::new)
    }
}

async fn serve(listener: TcpListener, kept: Kept) -> Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        let kept = kept.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let kept = kept.clone();
            async move { Ok::<_, Infallible>(answer(kept, request).await) }
        });
        // A connection that breaks is the client's to tell.
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer(kept: Kept, request: Request<Incoming>) -> Response<Body> {
    let content = request
        .headers()
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes().to_vec());
    if content.is_some_and(|content| content.starts_with(b"application/grpc")) {
        let path = request.uri().path();
        let Ok(response) = if path.contains("LogsService") {
            LogsServiceServer::new(kept).call(request).await
        } else if path.contains("MetricsService") {
            MetricsServiceServer::new(kept).call(request).await
        } else {
            TraceServiceServer::new(kept).call(request).await
        };
        return response;
    }
    match take(&kept, request).await {
        Ok(answer) => Response::new(Body::new(Full::from(answer))),
        Err(error) => {
            let mut response = Response::new(Body::new(error.to_string()));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    }
}

async fn take(kept: &Kept, request: Request<Incoming>) -> Result<Vec<u8>> {
    let path = request.uri().path().to_owned();
    ensure!(
        request.method() == "POST" && ["/v1/traces", "/v1/logs", "/v1/metrics"].contains(&path.as_str()),
        "{} {path}",
        request.method()
    );
    ensure!(
        request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|content| content == "application/x-protobuf"),
        "no protobuf"
    );
    let body = request.into_body().collect().await?.to_bytes();
    Ok(match path.as_str() {
        "/v1/metrics" => {
            let message = ExportMetricsServiceRequest::decode(body)?;
            kept.keep_pushed(message, false).await?.encode_to_vec()
        }
        "/v1/logs" => {
            let message = ExportLogsServiceRequest::decode(body)?;
            kept.keep_records(message, false).await?.encode_to_vec()
        }
        _ => {
            let message = ExportTraceServiceRequest::decode(body)?;
            kept.keep(message, false).await?.encode_to_vec()
        }
    })
}
