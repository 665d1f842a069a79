//! `cargo +nightly fuzz run xds_assignment`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_fuzz::xds_assignment(bytes));
