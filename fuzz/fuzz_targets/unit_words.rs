#![no_main]

#[path = "../checks/unit_words.rs"]
mod unit_words;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unit_words::check(bytes));
