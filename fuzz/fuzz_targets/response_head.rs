//! `cargo +nightly fuzz run response_head`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_fuzz::response_head(bytes));
