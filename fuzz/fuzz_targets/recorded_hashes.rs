#![no_main]

#[path = "../checks/recorded_hashes.rs"]
mod recorded_hashes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| recorded_hashes::check(bytes));
