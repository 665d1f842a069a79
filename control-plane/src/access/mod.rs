//! Who may come in, and how the control plane shows who it is.
//!
//! ```text
//! review         whom a bearer token is from, as the API server says
//! certificates   what is shown over TLS: made, or given; swapped while it runs
//! ```

pub mod certificates;
pub mod review;
