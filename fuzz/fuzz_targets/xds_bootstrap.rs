//! `cargo +nightly fuzz run xds_bootstrap`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_fuzz::xds_bootstrap(bytes));
