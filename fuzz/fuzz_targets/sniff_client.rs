//! `cargo +nightly fuzz run sniff_client`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_fuzz::sniff_client(bytes));
