#![no_main]

#[path = "../checks/mountinfo.rs"]
mod mountinfo;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mountinfo::check(bytes));
