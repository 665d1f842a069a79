//! Spans, as a collector gets them: OTLP decoded, from real proxies in front of real applications.
//!
//! ```text
//!  world      pods with applications that pass headers on, and a collector
//!  chain      one tree through three services
//!  context    contexts of W3C and B3, sampling, malformed headers
//!  requests   what a span says: gRPC, failures, attempts that failed
//!  exporter   a collector that is slow, dead, or comes back
//!  fate       what became of spans and records, as the proxy counts it
//!  exemplars  of histograms, as Prometheus has them
//!  records    the access log, as a collector gets it
//! ```

mod chain;
mod context;
mod exemplars;
mod exporter;
mod fate;
mod records;
mod requests;
mod world;
