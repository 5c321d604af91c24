#![no_main]

#[path = "../checks/otlp_answer.rs"]
mod otlp_answer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| otlp_answer::check(bytes));
