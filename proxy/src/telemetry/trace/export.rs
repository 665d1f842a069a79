//! Batches of spans, on their way to the collector. All of this runs on the control thread.

use super::convert::Conventions;
use super::queue::BATCH;
use super::queue::Spans;
use super::span::Finished;
use crate::telemetry::otlp;
use crate::telemetry::otlp::Counts;
use crate::telemetry::otlp::Way;
use evenkeel_control_api::mesh::settings::AttributeSource;
use evenkeel_control_api::mesh::settings::Collector;
use evenkeel_control_api::mesh::settings::ControlPlane;
use evenkeel_control_api::mesh::settings::Otlp;
use evenkeel_control_api::mesh::settings::Tracing;
use opentelemetry::Key;
use opentelemetry::KeyValue;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
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
            client: client(
                &tracing.collector,
                &otlp::resource(tracing.service.clone(), control_plane),
            )?,
            timeout: tracing.collector.timeout,
        })
    }

    /// Exports until it is told to end; then what is there goes out, and it ends.
    pub async fn run(mut self, mut end: oneshot::Receiver<()>) {
        let mut way = Way::default();
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
                way = way.after(&taken, "spans");
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
        self.counts.send(spans as u64, &outcome);
        outcome
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
