//! `proxy.access_log`: a word, or what a line looks like and of which requests there is one.

use super::{collector, tracing};
use crate::mesh::place::Place;
use crate::mesh::settings::{AccessLog, Lines, LogFilter, LogRecords, StatusRange};
use crate::mesh::template::{self, Malformed, Template, Value};
use std::time::Duration;

/// The words of `access_log:`.
const WORDS: [(&str, Word); 3] = [("off", Word::Off), ("text", Word::Text), ("json", Word::Json)];
/// The words of `access_log.format:`.
const FORMATS: [(&str, Word); 2] = [("text", Word::Text), ("json", Word::Json)];
/// More keys than anybody reads.
const MOST_KEYS: usize = 128;
/// Longer texts are no lines.
const LONGEST: usize = 8_192;
/// An opaque connection may last for days.
const LONGEST_DURATION: Duration = Duration::from_hours(24);
/// Of a share.
const MILLION: f64 = 1e6;

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Off,
    Text,
    Json,
}

/// `None`: there is no log.
pub(super) fn access_log(place: &Place<'_>) -> Option<AccessLog> {
    if !place.is_map() {
        return match place.word(&WORDS)? {
            Word::Off => None,
            Word::Text => Some(AccessLog::all(Lines::Text)),
            Word::Json => Some(AccessLog::all(Lines::Json)),
        };
    }
    let fields = place.fields(&["format", "template", "filter", "otlp"]);
    let format = fields.required("format").and_then(|place| place.word(&FORMATS));
    let filter = fields.optional("filter").map(|place| filter(&place));
    let otlp = fields.optional("otlp").map(|place| records(&place));
    let template = fields.optional("template");
    let lines = match (format?, template) {
        (Word::Text, Some(place)) => Lines::Template(Template::Text(text(&place)?)),
        (Word::Json, Some(place)) => Lines::Template(Template::Json(object(&place)?)),
        (Word::Text, None) => Lines::Text,
        (Word::Json | Word::Off, None) | (Word::Off, Some(_)) => Lines::Json,
    };
    Some(AccessLog {
        lines,
        filter: filter.unwrap_or_default(),
        otlp: otlp.flatten(),
    })
}

fn records(place: &Place<'_>) -> Option<LogRecords> {
    let keys: Vec<_> = collector::KEYS.into_iter().chain(["service"]).collect();
    let fields = place.fields(&keys);
    let collector = collector::collector(&fields);
    let service = fields.optional("service").and_then(|place| tracing::name(&place));
    Some(LogRecords {
        collector: collector?,
        service,
    })
}

fn text(place: &Place<'_>) -> Option<Vec<template::Part>> {
    // A block of YAML ends with a line feed, and so does what was Envoy's.
    let text = line(place)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.contains(['\n', '\r']) {
        place.refuse("has a line break inside, and what is logged of a request is one line");
        return None;
    }
    read(place, template::parse(text))
}

fn line<'a>(place: &Place<'a>) -> Option<&'a str> {
    let text = place.text()?;
    if text.is_empty() || text.len() > LONGEST {
        place.refuse(format!("must have 1 to {LONGEST} bytes"));
        return None;
    }
    Some(text)
}

fn object(place: &Place<'_>) -> Option<Vec<(String, Value)>> {
    let entries = place.entries();
    if entries.is_empty() || entries.len() > MOST_KEYS {
        place.refuse(format!("needs 1 to {MOST_KEYS} keys"));
        return None;
    }
    let values = entries.iter().map(|(key, place)| {
        let value = if place.is_map() {
            object(place).map(Value::Object)
        } else {
            line(place).and_then(|text| read(place, Value::parse(text)))
        };
        value.map(|value| ((*key).to_owned(), value))
    });
    // All of them, for the faults of each.
    let values: Vec<_> = values.collect();
    values.into_iter().collect()
}

fn read<T>(place: &Place<'_>, parsed: Result<T, Malformed>) -> Option<T> {
    parsed
        .map_err(|Malformed { at, reason }| place.refuse(format!("at letter {at}: {reason}")))
        .ok()
}

fn filter(place: &Place<'_>) -> LogFilter {
    let fields = place.fields(&["status", "duration", "failed", "sample"]);
    let status = fields.optional("status").map(|place| statuses(&place));
    let least = fields.optional("duration");
    let least = least.and_then(|place| place.duration(&(Duration::ZERO..=LONGEST_DURATION)));
    let failed = fields.optional("failed");
    let failed = failed.and_then(|place| place.word(&[("true", true), ("false", false)]));
    LogFilter {
        status: status.unwrap_or_default(),
        duration: least.unwrap_or_default(),
        failed: failed.unwrap_or_default(),
        sample: fields.optional("sample").and_then(|place| sample(&place)),
    }
}

/// One, or a list.
fn statuses(place: &Place<'_>) -> Vec<StatusRange> {
    let one = |place: &Place<'_>| {
        let range = place.scalar().and_then(StatusRange::parse);
        if range.is_none() {
            place.refuse(format!("expected {}", StatusRange::FORMS));
        }
        range
    };
    if !place.is_list() {
        return one(place).into_iter().collect();
    }
    let ranges: Vec<_> = place.items().filter_map(|place| one(&place)).collect();
    if place.items().next().is_none() {
        place.refuse("needs at least one");
    }
    ranges
}

/// A share such as `1%` or `0.01%`, in millionths.
fn sample(place: &Place<'_>) -> Option<u32> {
    let percent = place.scalar().and_then(|text| text.strip_suffix('%'));
    let plain = percent.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    let share = plain.and_then(|text| text.parse::<f64>().ok());
    let millionths = share.map(|share| (share / 100.0 * MILLION).round());
    let millionths = millionths.filter(|share| (1.0..=MILLION).contains(share));
    if millionths.is_none() {
        place.refuse("expected a share from 0.0001% to 100%");
    }
    millionths
        .map(|share| share as u32)
        .filter(|share| *share < MILLION as u32)
}
