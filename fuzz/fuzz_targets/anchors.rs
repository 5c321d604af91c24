#![no_main]

#[path = "../checks/anchors.rs"]
mod anchors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anchors::check(bytes));
