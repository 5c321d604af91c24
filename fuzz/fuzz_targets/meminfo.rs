#![no_main]

#[path = "../checks/meminfo.rs"]
mod meminfo;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meminfo::check(bytes));
