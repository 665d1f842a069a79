//! What holds where nothing is said, in a mesh document and in an xDS field that is not set. One table for both, so that
//! a default that was left out and one that was written out cannot differ.

use crate::resource::cluster::TcpOptions;
use crate::resource::listener::Http2Options;
use std::time::Duration;

/// A pod answers in milliseconds; two tries fit before a client gives up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The shortest common idle time of servers is 5 s (node).
pub const UPSTREAM_IDLE: Duration = Duration::from_secs(4);
/// The application decides.
pub const DOWNSTREAM_IDLE: Duration = Duration::from_hours(1);
/// From the first byte of a request's head, against slow heads.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Of a request's head, in bytes.
pub const HEADER_BYTES: usize = 64 << 10;
/// Of a request's head.
pub const HEADER_FIELDS: usize = 100;
/// A peer that vanished is noticed in under 40 s.
pub const TCP: TcpOptions = TcpOptions {
    keepalive_idle: Duration::from_secs(10),
    keepalive_interval: Duration::from_secs(3),
    keepalive_count: 3,
    user_timeout: Duration::from_secs(30),
};
/// Bounded memory at full speed.
pub const HTTP2: Http2Options = Http2Options {
    max_concurrent_streams: 1_000,
    stream_window: 1 << 20,
    connection_window: 4 << 20,
};
