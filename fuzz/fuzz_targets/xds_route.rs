//! `cargo +nightly fuzz run xds_route`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_fuzz::xds_route(bytes));
