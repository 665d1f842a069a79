//! Batches of spans, on their way to the collector. All of this runs on the control thread.

use super::convert::Conventions;
use super::queue::BATCH;
use super::queue::Counts;
use super::queue::Spans;
use super::span::Finished;
use evenkeel_control_api::mesh::settings::AttributeSource;
use evenkeel_control_api::mesh::settings::Collector;
use evenkeel_control_api::mesh::settings::ControlPlane;
use evenkeel_control_api::mesh::settings::ControlPlaneAt;
use evenkeel_control_api::mesh::settings::Otlp;
use evenkeel_control_api::mesh::settings::Tracing;
use opentelemetry::Key;
use opentelemetry::KeyValue;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SpanExporter as _;
use std::env;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio::time::timeout;

/// How long a batch is waited for that does not fill up.
const PERIOD: Duration = Duration::from_secs(2);
const SERVICE: &str = "service.name";
/// Beyond the collector's own time, in which the exporter ends by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Takes what the workers have finished to the collector.
#[derive(Debug)]
pub struct Exporter {
    spans: Spans,
    counts: Arc<Counts>,
    conventions: Conventions,
    client: SpanExporter,
    timeout: Duration,
}

impl Exporter {
    /// Must be called inside a runtime.
    pub(super) fn new(
        tracing: &Tracing,
        control_plane: Option<&ControlPlane>,
        spans: Spans,
        counts: Arc<Counts>,
    ) -> Result<Self, String> {
        let names = tracing
            .attributes
            .iter()
            .map(|attribute| Key::from(attribute.name.clone()));
        let constants = tracing
            .attributes
            .iter()
            .filter_map(|attribute| match &attribute.source {
                AttributeSource::Environment(variable) => {
                    Some(KeyValue::new(attribute.name.clone(), env::var(variable).ok()?))
                }
                AttributeSource::Header(_) | AttributeSource::Baggage(_) => None,
            });
        Ok(Self {
            spans,
            counts,
            conventions: Conventions::new(names.collect(), constants.collect()),
            client: client(&tracing.collector, &resource(tracing.service.clone(), control_plane))?,
            timeout: tracing.collector.timeout,
        })
    }

    /// Exports until it is told to end; then what is there goes out, and it ends.
    pub async fn run(mut self, mut end: oneshot::Receiver<()>) {
        let mut way = Way::Unknown;
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            let ends = tokio::select! {
                first = self.spans.first() => {
                    let Some(first) = first else { return };
                    batch.push(first);
                    self.fill(&mut end).await
                }
                _ = &mut end => true,
            };
            loop {
                self.spans.take(&mut batch);
                if batch.is_empty() {
                    break;
                }
                let taken = self.export(&mut batch).await;
                way = way.after(taken);
                if !ends && self.spans.len() < BATCH {
                    break;
                }
            }
            if ends {
                return;
            }
        }
    }

    /// Waits until a batch is full, or for long enough; says whether it is to end.
    async fn fill(&mut self, end: &mut oneshot::Receiver<()>) -> bool {
        if self.spans.len() + 1 >= BATCH {
            return false;
        }
        let mut period = pin!(sleep(PERIOD));
        tokio::select! {
            () = &mut period => false,
            () = self.spans.full_batch() => false,
            _ = end => true,
        }
    }

    /// Sends a batch, which is empty then; says how it went.
    async fn export(&self, batch: &mut Vec<Finished>) -> Result<(), String> {
        let spans = batch.len();
        let batch = batch.drain(..).map(|span| self.conventions.convert(span)).collect();
        let outcome = match timeout(self.timeout + GRACE, self.client.export(batch)).await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err("the collector does not answer in time".to_owned()),
        };
        match &outcome {
            Ok(()) => self.counts.export(spans),
            Err(_) => self.counts.fail(spans),
        }
        outcome
    }
}

/// Whether the collector takes spans. Each change is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Unknown,
    Open,
    Closed,
}

impl Way {
    fn after(self, outcome: Result<(), String>) -> Self {
        match outcome {
            Ok(()) => {
                if self == Self::Closed {
                    tracing::info!("the collector takes spans again");
                }
                Self::Open
            }
            Err(error) => {
                if self != Self::Closed {
                    tracing::warn!(%error, "the collector does not take spans: they are dropped and counted");
                }
                Self::Closed
            }
        }
    }
}

/// Speaks to the collector; connects when there is something to be said.
fn client(collector: &Collector, resource: &Resource) -> Result<SpanExporter, String> {
    let uri = &collector.uri;
    let exporter = match collector.protocol {
        Otlp::Grpc => SpanExporter::builder()
            .with_tonic()
            .with_endpoint(uri.to_string())
            .with_timeout(collector.timeout)
            .build(),
        Otlp::Http => {
            let path = if uri.path() == "/" { "v1/traces" } else { "" };
            SpanExporter::builder()
                .with_http()
                .with_endpoint(format!("{uri}{path}"))
                .with_timeout(collector.timeout)
                .build()
        }
    };
    let mut exporter = exporter.map_err(|error| error.to_string())?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// Who we are: as configured, else by OpenTelemetry's variables, else by the names that Kubernetes gave the pod, or by the
/// node that we are to the control plane.
fn resource(service: Option<String>, control_plane: Option<&ControlPlane>) -> Resource {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (node, cluster) = match control_plane.map(|plane| &plane.at) {
        Some(ControlPlaneAt::Servers { id, cluster, .. }) => (id.as_deref(), Some(cluster.as_str())),
        _ => (None, None),
    };
    // As the injector writes it.
    let (pod, namespace) = node.and_then(|node| node.split_once('.')).unzip();
    let pod = variable("POD_NAME").or_else(|| pod.map(str::to_owned));
    let namespace = variable("POD_NAMESPACE").or_else(|| namespace.map(str::to_owned));
    let described = Resource::builder_empty()
        .with_detector(Box::new(EnvResourceDetector::new()))
        .build();
    let service = service
        .or_else(|| variable("OTEL_SERVICE_NAME"))
        .or_else(|| described.get(&Key::new(SERVICE)).map(|name| name.to_string()))
        .or_else(|| cluster.filter(|cluster| !cluster.is_empty()).map(str::to_owned))
        .or_else(|| pod.clone())
        .unwrap_or_else(|| "unknown_service:evenkeel-proxy".to_owned());
    let attributes = described
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let named = [
        ("k8s.pod.name", pod),
        ("k8s.namespace.name", namespace),
        (SERVICE, Some(service)),
    ];
    let named = named
        .into_iter()
        .filter_map(|(key, value)| Some(KeyValue::new(key, value?)));
    Resource::builder_empty()
        .with_attributes(attributes.chain(named))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::mesh;

    fn name(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&Key::new(key)).map(|value| value.to_string())
    }

    #[test]
    fn a_proxy_is_called_as_its_control_plane_knows_it_unless_it_has_a_name() {
        let document = "control_plane: {servers: [\"127.0.0.1:1\"], node: {id: web-7c9d.shop, cluster: web}}\n";
        let settings = mesh::load(document).unwrap().settings;
        let plane = settings.control_plane.as_ref();
        for (service, expected) in [(None, "web"), (Some("front".to_owned()), "front")] {
            let resource = resource(service, plane);
            assert_eq!(name(&resource, "service.name").as_deref(), Some(expected));
            assert_eq!(name(&resource, "k8s.pod.name").as_deref(), Some("web-7c9d"));
            assert_eq!(name(&resource, "k8s.namespace.name").as_deref(), Some("shop"));
        }
    }
}
