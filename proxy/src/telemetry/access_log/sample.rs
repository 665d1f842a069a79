//! An entry for tests, of a log that writes nowhere.

use super::AccessLog;
use super::Entry;
use super::Origin;
use crate::telemetry::Direction;
use evenkeel_control_api::mesh::settings;
use evenkeel_control_api::mesh::settings::Lines;
use std::time::UNIX_EPOCH;

/// At a fixed time.
pub(super) fn entry() -> Box<Entry> {
    logged(Lines::Json)
}

/// Of a log with such lines.
pub(super) fn logged(lines: Lines) -> Box<Entry> {
    let log = AccessLog::start(settings::AccessLog::all(lines), std::io::sink()).unwrap();
    let origin = Origin::new(
        Direction::Outbound,
        "web:80".into(),
        Some("10.0.0.1:4321".parse().unwrap()),
        "[fd00::1]:80".parse().unwrap(),
    );
    let mut entry = Entry::new(Some(log.worker()), None, "http1", origin.into());
    entry.time = UNIX_EPOCH;
    entry
}
