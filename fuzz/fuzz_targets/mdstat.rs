#![no_main]

#[path = "../checks/mdstat.rs"]
mod mdstat;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mdstat::check(bytes));
