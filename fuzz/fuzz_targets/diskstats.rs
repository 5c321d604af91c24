#![no_main]

#[path = "../checks/diskstats.rs"]
mod diskstats;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diskstats::check(bytes));
