#![no_main]

#[path = "../checks/process_stat.rs"]
mod process_stat;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| process_stat::check(bytes));
