//! What the proxy counts, and how it tells.
//!
//! Each worker has a [`Book`] of its own and is the only one who writes it, so that counting is a load and a store,
//! without lock prefix and without a cache line that two processors want. A scrape reads all books and adds them up.
//!
//! To add a metric: its line in `catalogue/`; its counter in `book.rs` and its lines in `metrics.rs`, or, where each service
//! has its own, `series.rs` and `service_metrics.rs`; and the place that counts. To add a label value: a variant in `labels.rs`.

pub use book::Book;
pub use book::ConnectionSeries;
pub use book::PoolSeries;
pub use book::Waiting;
pub use catalogue::Metric;
pub use cell::Counter;
pub use cell::UpDown;
pub use endpoint_series::EndpointSeries;
pub use exposition::Family;
pub use exposition::Form;
pub use exposition::Kind;
pub use exposition::Sample;
pub use exposition::labels;
pub use histogram::Histogram;
pub use idle::Idle;
pub use key::Destination;
pub use labels::Direction;
pub use labels::Eviction;
pub use labels::Protocol;
pub use labels::Speculation;
pub use labels::Verdict;
pub use labels::Version;
pub use metrics::push;
pub use metrics::render;
pub use push::Points;
pub use push::Pusher;
pub use push::Pushes;
pub use push::Write;
pub use record::ConnectionRecord;
pub use record::RequestRecord;
pub use record::TcpRecord;
pub use record::cut_off_the_rest;
pub use retired::Retired;
pub use roster::Roster;
pub use series::HttpSeries;
pub use series::ServiceSeries;
pub use series::TcpSeries;
pub use totals::ServiceTraffic;
pub use totals::Traffic;
pub use totals::detections;
pub use totals::services;

pub mod access_log;
mod book;
pub mod catalogue;
mod cell;
mod endpoint_series;
mod exemplars;
mod exposition;
mod fault;
mod grpc;
mod histogram;
mod idle;
mod key;
mod labels;
pub mod log;
mod metrics;
pub mod otlp;
pub mod process;
mod push;
mod record;
mod retired;
mod roster;
mod series;
mod service_metrics;
mod sink;
mod status;
mod sums;
pub mod tap;
#[cfg(test)]
pub(crate) mod tests;
mod totals;
pub mod trace;
