//! `spec.limits`: the same limits, with the same ranges, as in a mesh document.

use super::resource::{Http2, Keepalive, Limits};
use crate::kubernetes::objects::place::duration;
use evenkeel_control_api::mesh::model::{TrafficLimits, ranges};
use evenkeel_control_api::resource::cluster::TcpOptions;
use evenkeel_control_api::resource::listener::Http2Options;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The API server has checked most of it; what it does not check, or an older schema did not, is checked here.
struct Check<'a>(&'a mut Vec<String>);

/// Limits over the defaults.
pub(super) fn limits(limits: &Limits, faults: &mut Vec<String>) -> TrafficLimits {
    let base = TrafficLimits::default();
    let mut check = Check(faults);
    let header_bytes = check.number("headerBytes", limits.header_bytes, ranges::HEADER_BYTES);
    if header_bytes.is_some_and(|bytes| bytes % ranges::HEADER_UNIT != 0) {
        check.refuse("headerBytes", "must be a whole number of KiB");
    }
    let tcp = limits
        .keepalive
        .as_ref()
        .map_or(base.tcp, |keepalive| check.keepalive(keepalive, base.tcp));
    TrafficLimits {
        connect_timeout: check
            .time("connectTimeout", limits.connect_timeout.as_ref(), &ranges::SOME_TIME)
            .unwrap_or(base.connect_timeout),
        upstream_idle: check
            .time("upstreamIdle", limits.upstream_idle.as_ref(), &ranges::SOME_TIME)
            .unwrap_or(base.upstream_idle),
        downstream_idle: check.time_or_off("downstreamIdle", limits.downstream_idle.as_ref(), base.downstream_idle),
        head_timeout: check.time_or_off("headTimeout", limits.head_timeout.as_ref(), base.head_timeout),
        header_bytes: header_bytes.unwrap_or(base.header_bytes),
        header_fields: check
            .number("headerFields", limits.header_fields, ranges::HEADER_FIELDS)
            .unwrap_or(base.header_fields),
        requests_per_connection: check
            .number(
                "requestsPerConnection",
                limits.requests_per_connection,
                ranges::REQUESTS,
            )
            .map_or(base.requests_per_connection, NonZeroU32::new),
        tcp: TcpOptions {
            user_timeout: check
                .time("userTimeout", limits.user_timeout.as_ref(), &ranges::SOME_TIME)
                .unwrap_or(base.tcp.user_timeout),
            ..tcp
        },
        http2: limits
            .http2
            .as_ref()
            .map_or(base.http2, |http2| check.http2(http2, base.http2)),
    }
}

impl Check<'_> {
    fn refuse(&mut self, field: &str, reason: &str) {
        self.0.push(format!("spec.limits.{field}: {reason}"));
    }

    fn number(&mut self, field: &str, number: Option<u32>, range: RangeInclusive<u32>) -> Option<u32> {
        let number = number?;
        if !range.contains(&number) {
            self.refuse(
                field,
                &format!("{number} is not in {} to {}", range.start(), range.end()),
            );
        }
        Some(number)
    }

    fn time(&mut self, field: &str, text: Option<&String>, range: &RangeInclusive<Duration>) -> Option<Duration> {
        let text = text?;
        let Ok(time) = duration(text) else {
            self.refuse(field, &format!("{text:?} is no duration such as 500ms, 4s or 1h30m"));
            return None;
        };
        if !range.contains(&time) {
            self.refuse(
                field,
                &format!("{text} is not in {:?} to {:?}", range.start(), range.end()),
            );
        }
        Some(time)
    }

    fn time_or_off(&mut self, field: &str, text: Option<&String>, base: Option<Duration>) -> Option<Duration> {
        match text {
            Some(text) if text == "off" => None,
            text => self.time(field, text, &ranges::SOME_TIME).or(base),
        }
    }

    fn keepalive(&mut self, keepalive: &Keepalive, base: TcpOptions) -> TcpOptions {
        let mut seconds = |field, text: &Option<String>| {
            let time = self.time(field, text.as_ref(), &ranges::KEEPALIVE_TIME);
            if time.is_some_and(|time| time.subsec_nanos() != 0) {
                self.refuse(field, "must be a whole number of seconds");
            }
            time
        };
        TcpOptions {
            keepalive_idle: seconds("keepalive.idle", &keepalive.idle).unwrap_or(base.keepalive_idle),
            keepalive_interval: seconds("keepalive.interval", &keepalive.interval).unwrap_or(base.keepalive_interval),
            keepalive_count: self
                .number("keepalive.count", keepalive.count, ranges::KEEPALIVE_COUNT)
                .unwrap_or(base.keepalive_count),
            user_timeout: base.user_timeout,
        }
    }

    fn http2(&mut self, http2: &Http2, base: Http2Options) -> Http2Options {
        let streams = self.number(
            "http2.maxConcurrentStreams",
            http2.max_concurrent_streams,
            ranges::STREAMS,
        );
        Http2Options {
            max_concurrent_streams: streams.unwrap_or(base.max_concurrent_streams),
            stream_window: self
                .number("http2.streamWindow", http2.stream_window, ranges::WINDOW)
                .unwrap_or(base.stream_window),
            connection_window: self
                .number("http2.connectionWindow", http2.connection_window, ranges::WINDOW)
                .unwrap_or(base.connection_window),
        }
    }
}
