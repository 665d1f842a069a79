//! Messages to the collector. All of this runs on the control thread.

use super::body::Body;
use super::queue::Queue;
use super::queue::records;
use crate::telemetry::otlp;
use crate::telemetry::otlp::SCHEMA;
use crate::telemetry::otlp::SCOPE;
use crate::telemetry::otlp::Sender;
use crate::telemetry::otlp::wire;
use evenkeel_control_api::mesh::settings::ControlPlane;
use evenkeel_control_api::mesh::settings::LogRecords;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// How long more records are waited for after the first.
const PERIOD: Duration = Duration::from_secs(1);
/// Of one message, about: collectors take 4 MiB.
const MESSAGE: usize = 512 << 10;

/// Takes what the workers leave to the collector.
#[derive(Debug)]
pub struct Exporter {
    queue: Arc<Queue>,
    sender: Sender,
    body: Body,
    /// `Resource`, as a message.
    resource: Vec<u8>,
}

/// Records of one message.
#[derive(Debug, Default)]
struct Batch {
    /// Fields of `ScopeLogs`.
    records: Vec<u8>,
    count: u64,
}

impl Exporter {
    /// Of records whose lines are JSON, or text.
    pub(in crate::telemetry::access_log) fn new(
        settings: &LogRecords,
        control_plane: Option<&ControlPlane>,
        is_json: bool,
        queue: Arc<Queue>,
    ) -> Result<Self, String> {
        Ok(Self {
            queue,
            sender: Sender::new(&settings.collector, otlp::LOGS)?,
            body: if is_json { Body::Map } else { Body::Text },
            resource: wire::resource(&otlp::resource(settings.service.clone(), control_plane)),
        })
    }

    /// Exports until it is told to end; then what is there goes out, and it ends.
    pub async fn run(mut self, mut end: oneshot::Receiver<()>) {
        loop {
            let ends = tokio::select! {
                () = self.queue.first() => self.gather(&mut end).await,
                _ = &mut end => true,
            };
            for taken in self.queue.take() {
                self.export(&taken).await;
            }
            if ends {
                return;
            }
        }
    }

    /// Waits for enough, or for long enough; says whether it is to end.
    async fn gather(&self, end: &mut oneshot::Receiver<()>) -> bool {
        let mut period = pin!(sleep(PERIOD));
        tokio::select! {
            () = &mut period => false,
            () = self.queue.batch() => false,
            _ = end => true,
        }
    }

    /// Sends what a worker has left.
    async fn export(&mut self, taken: &[u8]) {
        let mut batch = Batch::default();
        for (record, line) in records(taken) {
            batch.add(record, line, self.body);
            if batch.records.len() >= MESSAGE {
                self.send(std::mem::take(&mut batch)).await;
            }
        }
        if batch.count > 0 {
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: Batch) {
        let count = batch.count;
        let sent = self.sender.send(batch.message(&self.resource)).await;
        self.queue.counts().deliver(count, &sent);
    }
}

impl Batch {
    /// `ScopeLogs.log_records`.
    fn add(&mut self, record: &[u8], line: &[u8], body: Body) {
        let mut whole = Vec::with_capacity(record.len() + 2 * line.len());
        whole.extend_from_slice(record);
        body.write(line, &mut whole);
        wire::bytes(2, &whole, &mut self.records);
        self.count += 1;
    }

    /// `ExportLogsServiceRequest`.
    fn message(self, resource: &[u8]) -> Vec<u8> {
        let mut scope = Vec::new();
        wire::bytes(1, SCOPE.as_bytes(), &mut scope);
        wire::bytes(2, env!("CARGO_PKG_VERSION").as_bytes(), &mut scope);
        let mut scoped = self.records;
        wire::bytes(1, &scope, &mut scoped);
        wire::bytes(3, SCHEMA.as_bytes(), &mut scoped);
        let mut logs = Vec::with_capacity(resource.len() + scoped.len() + 128);
        wire::bytes(1, resource, &mut logs);
        wire::bytes(2, &scoped, &mut logs);
        wire::bytes(3, SCHEMA.as_bytes(), &mut logs);
        let mut message = Vec::with_capacity(logs.len() + 8);
        wire::bytes(1, &logs, &mut message);
        message
    }
}
