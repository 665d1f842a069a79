//! `cargo +nightly fuzz run trailers`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_fuzz::trailers(bytes));
