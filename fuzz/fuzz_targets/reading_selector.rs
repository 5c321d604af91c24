#![no_main]

#[path = "../checks/reading_selector.rs"]
mod reading_selector;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reading_selector::check(bytes));
