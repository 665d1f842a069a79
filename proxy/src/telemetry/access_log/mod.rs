//! The access log: one line for each request and opaque connection, written when it ends.
//!
//! ```text
//! origin    what a connection's lines share       head       what is kept of heads and trailers
//! entry     what is gathered while it lives
//! filter    whether there is a line               flags      what went wrong, as Envoy calls it
//! text, json   one line of the two usual forms    escape     bytes of a peer as text
//! template  one line of a form that is configured  number    numbers and addresses as text
//! value     what an operator gives                time       a moment as text
//! writer    the thread that writes lines            otlp     the same as records for a collector
//! ```
//!
//! What a line does not tell is not gathered for it.

mod entry;
mod escape;
mod filter;
mod flags;
mod head;
mod json;
mod number;
mod origin;
mod otlp;
#[cfg(test)]
mod sample;
mod template;
mod text;
mod time;
mod value;
mod writer;

pub(super) use entry::Asked;
pub use entry::Entry;
pub(super) use entry::Outcome;
pub(super) use head::Field;
pub use head::Head;
pub use head::Told;
pub use head::Wanted;
pub(super) use head::cut;
pub use origin::Origin;
pub use otlp::Exporter;
pub use time::rfc3339;

use crate::telemetry::otlp::Counts;
use evenkeel_control_api::mesh::settings;
use opentelemetry::trace::SpanId;
use std::cell::RefCell;
use std::io;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use template::Form;
use time::Clock;
use writer::Queue;
use writer::Slot;

/// The access log of the process.
#[derive(Debug)]
pub struct AccessLog {
    form: Form,
    /// Nothing where its lines tell no more than the usual ones.
    wanted: Option<Arc<Wanted>>,
    filter: settings::LogFilter,
    queue: Arc<Queue>,
    /// Where records wait, if there are any.
    records: Option<Arc<otlp::Queue>>,
}

/// A worker's way to it.
#[derive(Debug)]
pub struct WorkerLog {
    log: Arc<AccessLog>,
    slot: Arc<Slot>,
    records: Option<Records>,
    clock: Clock,
}

/// A worker's way to the collector.
#[derive(Debug)]
struct Records {
    queue: Arc<otlp::Queue>,
    slot: Arc<otlp::Slot>,
    /// The line that stdout and the collector get, written once.
    line: RefCell<Vec<u8>>,
}

/// Bytes of a peer as text that stays on one line.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    escape::escape(bytes, escape::Inside::Plain, &mut out);
    // What it appends is text.
    String::from_utf8_lossy(&out).into_owned()
}

/// Envoy's flags of what has ended.
pub(super) fn flags_of(entry: &Entry, outcome: &Outcome) -> String {
    let flags: Vec<_> = flags::flags(entry, outcome).map(flags::Flag::short).collect();
    flags.join(",")
}

// === impl AccessLog ===

impl AccessLog {
    /// Starts the thread that writes to `out`, which may block for as long as it likes.
    pub fn start(settings: settings::AccessLog, out: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let form = Form::compile(settings.lines);
        Ok(Arc::new(Self {
            wanted: form.wanted().map(Arc::new),
            form,
            filter: settings.filter,
            queue: Queue::start(out)?,
            records: settings.otlp.map(|_| Arc::default()),
        }))
    }

    /// A worker's way to it.
    pub fn worker(self: &Arc<Self>) -> Rc<WorkerLog> {
        Rc::new(WorkerLog {
            slot: self.queue.slot(),
            records: self.records.as_ref().map(|queue| Records {
                slot: queue.slot(),
                queue: Arc::clone(queue),
                line: RefCell::default(),
            }),
            log: Arc::clone(self),
            clock: Clock::default(),
        })
    }

    /// What it tells beyond the usual lines.
    pub fn wanted(&self) -> Option<&Arc<Wanted>> {
        self.wanted.as_ref()
    }

    /// Lines that were not written.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// What takes its records to a collector, where they have one; it tells who we are to the control plane.
    ///
    /// # Errors
    /// Why it cannot be made, in words.
    pub fn exporter(
        &self,
        settings: &settings::LogRecords,
        control_plane: Option<&settings::ControlPlane>,
    ) -> Result<Option<Exporter>, String> {
        let queue = self.records.clone();
        let made = queue.map(|queue| Exporter::new(settings, control_plane, self.form.is_json(), queue));
        made.transpose()
    }

    /// What became of its records.
    pub fn records(&self) -> Option<&Counts> {
        self.records.as_ref().map(|queue| &**queue.counts())
    }

    /// Waits until everything so far was written, but not longer than `patience`: nobody may be reading.
    pub fn flush(&self, patience: Duration) {
        self.queue.flush(patience);
    }
}

// === impl WorkerLog ===

impl WorkerLog {
    fn wanted(&self) -> Option<&Arc<Wanted>> {
        self.log.wanted()
    }

    /// How many of a million requests are told of, by chance; `None`: all.
    pub fn share(&self) -> Option<u32> {
        self.log.filter.sample
    }

    /// Writes the line of what has ended, if there is to be one, and its record, which tells of the span.
    fn write(&self, entry: &Entry, outcome: &Outcome, span: Option<SpanId>) {
        if !filter::passes(&self.log.filter, entry, outcome) {
            return;
        }
        let line = |out: &mut Vec<u8>| self.log.form.write(entry, outcome, &self.clock, out);
        let Some(records) = &self.records else {
            self.log.queue.write(&self.slot, line);
            return;
        };
        let mut written = records.line.borrow_mut();
        written.clear();
        line(&mut written);
        let written = |out: &mut Vec<u8>| out.extend_from_slice(&written);
        self.log.queue.write(&self.slot, written);
        records
            .queue
            .write(&records.slot, |out| otlp::record(entry, outcome, span, out), written);
    }
}
