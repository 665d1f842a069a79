//! `limits:`, of the document and of a port.

use crate::mesh::model::TrafficLimits;
use crate::mesh::model::ranges::HEADER_BYTES;
use crate::mesh::model::ranges::HEADER_FIELDS;
use crate::mesh::model::ranges::HEADER_UNIT;
use crate::mesh::model::ranges::KEEPALIVE_COUNT;
use crate::mesh::model::ranges::KEEPALIVE_TIME;
use crate::mesh::model::ranges::REQUESTS;
use crate::mesh::model::ranges::SOME_TIME;
use crate::mesh::model::ranges::STREAMS;
use crate::mesh::model::ranges::WINDOW;
use crate::mesh::place::Fields;
use crate::mesh::place::Place;
use crate::mesh::settings::Drain;
use crate::mesh::settings::Flood;
use crate::mesh::settings::ProcessLimits;
use crate::resource::cluster::TcpOptions;
use crate::resource::listener::Http2Options;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What may also stand under a port.
const OF_A_PORT: [&str; 10] = [
    "connect_timeout",
    "upstream_idle",
    "downstream_idle",
    "head_timeout",
    "header_bytes",
    "header_fields",
    "requests_per_connection",
    "keepalive",
    "user_timeout",
    "http2",
];
/// What holds for the process.
const OF_THE_PROCESS: [&str; 14] = [
    "connections",
    "connections_per_source",
    "requests",
    "buffered_bytes",
    "connection_buffer",
    "body_timeout",
    "answer_timeout",
    "interim_answers",
    "flood",
    "idle_per_endpoint",
    "idle_total",
    "speculative",
    "backoff",
    "drain",
];

/// For counts of the process.
const COUNT: RangeInclusive<u32> = 1..=1 << 24;
/// Less than a few reads would hold up traffic that nobody is slow for.
const BUFFERED: RangeInclusive<u64> = 1 << 20..=1 << 40;
/// Of less, each byte costs a call; above this nothing more is gained, and a worker has one buffer of it.
const CONNECTION_BUFFER: RangeInclusive<u64> = 4 << 10..=64 << 10;
/// The preface of a connection and its first requests need some; browsers begin with a few dozens.
const CONTROL_FRAMES: RangeInclusive<u32> = 100..=1 << 24;

/// `limits:` of the document: what holds for traffic that says nothing of its own, and for the process.
pub(super) fn of_document(place: Option<&Place<'_>>) -> (TrafficLimits, ProcessLimits) {
    let Some(place) = place else {
        return (TrafficLimits::default(), ProcessLimits::default());
    };
    let fields = place.fields(&[OF_A_PORT.as_slice(), OF_THE_PROCESS.as_slice()].concat());
    (traffic(&fields, TrafficLimits::default()), process(&fields))
}

/// `limits:` of a port, over those of the document.
pub(super) fn of_port(place: Option<&Place<'_>>, base: TrafficLimits) -> TrafficLimits {
    let Some(place) = place else { return base };
    let fields = place.fields(&[OF_A_PORT.as_slice(), OF_THE_PROCESS.as_slice()].concat());
    for key in OF_THE_PROCESS {
        if let Some(place) = fields.optional(key) {
            place.refuse("holds for the whole process; write it into the limits at the top of the document");
        }
    }
    traffic(&fields, base)
}

fn traffic(fields: &Fields<'_>, base: TrafficLimits) -> TrafficLimits {
    let header_bytes = fields.optional("header_bytes").and_then(|place| {
        let bytes = place.size(&wide(HEADER_BYTES))?;
        if bytes % u64::from(HEADER_UNIT) == 0 {
            return Some(bytes as u32);
        }
        place.refuse("must be a whole number of KiB");
        None
    });
    let keepalive = fields.optional("keepalive");
    let tcp = keepalive.map_or(base.tcp, |place| keepalive_of(&place, base.tcp));
    let http2 = fields.optional("http2");
    TrafficLimits {
        connect_timeout: time(fields, "connect_timeout").unwrap_or(base.connect_timeout),
        upstream_idle: time(fields, "upstream_idle").unwrap_or(base.upstream_idle),
        downstream_idle: time_or_off(fields, "downstream_idle", base.downstream_idle),
        head_timeout: time_or_off(fields, "head_timeout", base.head_timeout),
        header_bytes: header_bytes.unwrap_or(base.header_bytes),
        header_fields: count(fields, "header_fields", HEADER_FIELDS).unwrap_or(base.header_fields),
        requests_per_connection: count_or_off(
            fields,
            "requests_per_connection",
            REQUESTS,
            base.requests_per_connection,
        ),
        tcp: TcpOptions {
            user_timeout: time(fields, "user_timeout").unwrap_or(base.tcp.user_timeout),
            ..tcp
        },
        http2: http2.map_or(base.http2, |place| http2_of(&place, base.http2)),
    }
}

fn keepalive_of(place: &Place<'_>, base: TcpOptions) -> TcpOptions {
    let fields = place.fields(&["idle", "interval", "count"]);
    let seconds = |key| {
        let place = fields.optional(key)?;
        let time = place.duration(&KEEPALIVE_TIME)?;
        if time.subsec_nanos() == 0 {
            return Some(time);
        }
        place.refuse("must be a whole number of seconds");
        None
    };
    TcpOptions {
        keepalive_idle: seconds("idle").unwrap_or(base.keepalive_idle),
        keepalive_interval: seconds("interval").unwrap_or(base.keepalive_interval),
        keepalive_count: count(&fields, "count", KEEPALIVE_COUNT).unwrap_or(base.keepalive_count),
        user_timeout: base.user_timeout,
    }
}

fn http2_of(place: &Place<'_>, base: Http2Options) -> Http2Options {
    let fields = place.fields(&["max_concurrent_streams", "stream_window", "connection_window"]);
    let window = |key| {
        fields
            .optional(key)
            .and_then(|place| place.size(&wide(WINDOW)))
            .map(|size| size as u32)
    };
    let streams = count(&fields, "max_concurrent_streams", STREAMS);
    Http2Options {
        max_concurrent_streams: streams.unwrap_or(base.max_concurrent_streams),
        stream_window: window("stream_window").unwrap_or(base.stream_window),
        connection_window: window("connection_window").unwrap_or(base.connection_window),
    }
}

fn process(fields: &Fields<'_>) -> ProcessLimits {
    let base = ProcessLimits::default();
    let number = |key| count(fields, key, COUNT).map(|number| number as usize);
    let (backoff_first, backoff_most) = match fields.optional("backoff") {
        Some(place) => backoff(&place, &base),
        None => (base.backoff_first, base.backoff_most),
    };
    ProcessLimits {
        connections: number("connections").unwrap_or(base.connections),
        connections_per_source: count_or_off(
            fields,
            "connections_per_source",
            COUNT,
            base.connections_per_source
                .and_then(|most| NonZeroU32::new(most as u32)),
        )
        .map(|most| most.get() as usize),
        requests: number("requests").unwrap_or(base.requests),
        buffered_bytes: fields
            .optional("buffered_bytes")
            .and_then(|place| place.size(&BUFFERED))
            .map_or(base.buffered_bytes, |bytes| bytes as usize),
        body_timeout: time_or_off(fields, "body_timeout", base.body_timeout),
        answer_timeout: time_or_off(fields, "answer_timeout", base.answer_timeout),
        connection_buffer: fields
            .optional("connection_buffer")
            .and_then(|place| place.size(&CONNECTION_BUFFER))
            .map_or(base.connection_buffer, |bytes| bytes as usize),
        interim_answers: count(fields, "interim_answers", 1..=1 << 16).unwrap_or(base.interim_answers),
        flood: fields
            .optional("flood")
            .map_or(base.flood, |place| flood(&place, base.flood)),
        idle_per_endpoint: number("idle_per_endpoint").unwrap_or(base.idle_per_endpoint),
        idle_total: number("idle_total").unwrap_or(base.idle_total),
        speculative: number("speculative").unwrap_or(base.speculative),
        backoff_first,
        backoff_most,
        drain: fields
            .optional("drain")
            .map_or(base.drain, |place| drain(&place, base.drain)),
    }
}

fn flood(place: &Place<'_>, base: Flood) -> Flood {
    let fields = place.fields(&["control_frames", "resets"]);
    Flood {
        control_frames: count(&fields, "control_frames", CONTROL_FRAMES).unwrap_or(base.control_frames),
        resets: count(&fields, "resets", COUNT).unwrap_or(base.resets),
    }
}

fn backoff(place: &Place<'_>, base: &ProcessLimits) -> (Duration, Duration) {
    let fields = place.fields(&["first", "most"]);
    let first = time(&fields, "first").unwrap_or(base.backoff_first);
    let most = time(&fields, "most").unwrap_or(base.backoff_most);
    if most < first {
        place.refuse("the longest pause (most) is shorter than the first one (first)");
    }
    (first, most)
}

fn drain(place: &Place<'_>, base: Drain) -> Drain {
    let fields = place.fields(&["least", "idle", "deadline"]);
    let time_or_zero = |key| fields.optional(key)?.duration(&(Duration::ZERO..=*SOME_TIME.end()));
    let drain = Drain {
        least: time_or_zero("least").unwrap_or(base.least),
        idle: time_or_zero("idle").unwrap_or(base.idle),
        deadline: time_or_zero("deadline").unwrap_or(base.deadline),
    };
    if drain.deadline < drain.least {
        place.refuse("the deadline is before the least time (least)");
    }
    drain
}

fn time(fields: &Fields<'_>, key: &str) -> Option<Duration> {
    fields.optional(key)?.duration(&SOME_TIME)
}

fn time_or_off(fields: &Fields<'_>, key: &str, base: Option<Duration>) -> Option<Duration> {
    match fields.optional(key) {
        None => base,
        Some(place) if place.is_word("off") => None,
        Some(place) => place.duration_or(&SOME_TIME, ", or off").or(base),
    }
}

fn count(fields: &Fields<'_>, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
    fields.optional(key)?.integer(wide(range)).map(|number| number as u32)
}

fn count_or_off(
    fields: &Fields<'_>,
    key: &str,
    range: RangeInclusive<u32>,
    base: Option<NonZeroU32>,
) -> Option<NonZeroU32> {
    match fields.optional(key) {
        None => base,
        Some(place) if place.is_word("off") => None,
        Some(place) => place
            .integer_or(wide(range), ", or off")
            .map_or(base, |number| NonZeroU32::new(number as u32)),
    }
}

/// Numbers of a document are read as they are, whatever they are for.
fn wide(range: RangeInclusive<u32>) -> RangeInclusive<u64> {
    let (least, most) = range.into_inner();
    least.into()..=most.into()
}
