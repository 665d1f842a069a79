//! `cargo +nightly fuzz run mesh_document`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_fuzz::mesh_document(bytes));
