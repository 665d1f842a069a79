//! What must hold whatever a peer, a control plane or a file says: one function for each fuzz target, which panics where it does not hold.
//!
//! libFuzzer calls them with a nightly compiler; `proxy/tests/fuzz_functions.rs` includes this file and calls them with
//! the stable one, on the kept corpora and on what it makes of them.
//!
//! To add one: its function, its row in `TARGETS`, its file in `fuzz_targets/` with a `[[bin]]` in `Cargo.toml`, and a
//! first input in `corpus/<name>/`.

mod bodies;
mod heads;
mod openings;
mod resources;

pub use bodies::chunked_body;
pub use bodies::trailers;
pub use heads::request_head;
pub use heads::response_head;
pub use openings::client_hello;
pub use openings::sniff_client;
pub use openings::sniff_server;
pub use resources::mesh_document;
pub use resources::xds_assignment;
pub use resources::xds_bootstrap;
pub use resources::xds_cluster;
pub use resources::xds_listener;
pub use resources::xds_route;

/// Takes any bytes, and panics where what must hold does not.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 13] = [
    ("request_head", request_head),
    ("response_head", response_head),
    ("chunked_body", chunked_body),
    ("trailers", trailers),
    ("sniff_client", sniff_client),
    ("sniff_server", sniff_server),
    ("client_hello", client_hello),
    ("xds_cluster", xds_cluster),
    ("xds_assignment", xds_assignment),
    ("xds_listener", xds_listener),
    ("xds_route", xds_route),
    ("xds_bootstrap", xds_bootstrap),
    ("mesh_document", mesh_document),
];

/// Lengths at which `bytes` are cut to see whether a prefix says what the whole says: each of the first 24, where
/// openings are decided, and a handful of the others, for all of them would cost the square of the length.
fn prefixes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let length = bytes.len();
    (0..length.min(24))
        .chain((1..8).map(move |eighth| length * eighth / 8))
        .chain(length.checked_sub(1))
        .map(|length| &bytes[..length])
}
