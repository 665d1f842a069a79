//! Pods through the injector: what comes out is compared with what was recorded, and with what an API server takes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod admissible;
mod documents;
mod fixtures;
mod golden;
mod offline;
mod pods;
mod security;
mod webhook;
