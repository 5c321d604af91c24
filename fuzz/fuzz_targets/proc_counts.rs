#![no_main]

#[path = "../checks/proc_counts.rs"]
mod proc_counts;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proc_counts::check(bytes));
