//! What a limit may be, wherever it is written: in a mesh document or in a policy.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Sockets count a user timeout in milliseconds up to 2^31: 24 days and a bit.
pub const SOME_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(24 * 24);
/// Linux allows keepalive times up to this (`MAX_TCP_KEEPIDLE`, `MAX_TCP_KEEPINTVL`).
pub const KEEPALIVE_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(32_767);
/// Linux allows so many probes (`MAX_TCP_KEEPCNT`).
pub const KEEPALIVE_COUNT: RangeInclusive<u32> = 1..=127;
/// Up to what xDS carries in `max_request_headers_kb`.
pub const HEADER_BYTES: RangeInclusive<u32> = 1 << 10..=8 << 20;
/// What [`HEADER_BYTES`] are counted in.
pub const HEADER_UNIT: u32 = 1 << 10;
/// As many as a head of the greatest size can hold.
pub const HEADER_FIELDS: RangeInclusive<u32> = 1..=1 << 16;
/// Of a connection.
pub const REQUESTS: RangeInclusive<u32> = 1..=u32::MAX;
/// What an HTTP/2 connection may say of its streams.
pub const STREAMS: RangeInclusive<u32> = 1..=(1 << 31) - 1;
/// RFC 9113 6.9.1; less than HTTP/2 begins with (65,535) cannot be enforced from the first byte.
pub const WINDOW: RangeInclusive<u32> = 65_535..=(1 << 31) - 1;
/// Of `least_request`: more than this cost more than looking at all endpoints gains.
pub const CHOICES: RangeInclusive<u32> = 2..=100;
