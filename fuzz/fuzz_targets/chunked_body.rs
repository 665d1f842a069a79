//! `cargo +nightly fuzz run chunked_body`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_fuzz::chunked_body(bytes));
