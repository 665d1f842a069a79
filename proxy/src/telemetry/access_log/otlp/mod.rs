//! The access log as records of OpenTelemetry, besides its lines.
//!
//! ```text
//! record    what has ended, by the semantic conventions     queue    where records wait of each worker
//! body      a line as the body of its record                export   messages to the collector
//! ```
//!
//! A worker leaves a record as bytes, as it leaves lines; the control thread puts them into messages. A collector who is slow or
//! gone costs records, which are counted, and never a worker's time.

mod body;
mod export;
mod queue;
mod record;

pub use export::Exporter;
pub(super) use queue::Queue;
pub(super) use queue::Slot;
pub(super) use record::record;

#[cfg(test)]
mod tests {
    use super::super::AccessLog;
    use super::super::Entry;
    use super::super::Origin;
    use super::super::Outcome;
    use crate::telemetry::Direction;
    use evenkeel_control_api::mesh;
    use http::StatusCode;

    #[test]
    fn what_the_filter_leaves_out_is_no_record_and_what_it_does_not_is_one_with_its_line() {
        let document =
            "proxy: {access_log: {format: text, otlp: {collector: \"http://127.0.0.1:1\"}, filter: {failed: true}}}\n";
        let settings = mesh::load(document).unwrap().settings.access_log.clone().unwrap();
        let log = AccessLog::start(settings, std::io::sink()).unwrap();
        let worker = log.worker();
        for status in [200, 503, 404, 500] {
            let destination = "[fd00::1]:80".parse().unwrap();
            let origin = Origin::new(Direction::Outbound, "web:80".into(), None, destination);
            let mut entry = Entry::new(Some(worker.clone()), None, "http1", origin.into());
            entry.ask("HTTP/1.1", b"GET", (b"/a", None), None);
            let outcome = Outcome {
                status: StatusCode::from_u16(status).ok(),
                ..Outcome::default()
            };
            entry.end(&outcome, None);
        }
        let taken = log.records.as_ref().unwrap().take();
        let lines = super::queue::records(&taken[0]).map(|(record, line)| {
            assert!(record.windows(3).any(|word| word == b"GET"));
            String::from_utf8_lossy(line).into_owned()
        });
        let lines: Vec<_> = lines.collect();
        assert!(
            lines.len() == 2 && lines[0].contains(" status=503 ") && lines[1].contains(" status=500 "),
            "{lines:?}"
        );
    }
}
