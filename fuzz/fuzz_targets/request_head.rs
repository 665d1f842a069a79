//! `cargo +nightly fuzz run request_head`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_fuzz::request_head(bytes));
