#![no_main]

#[path = "../checks/cpuinfo.rs"]
mod cpuinfo;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cpuinfo::check(bytes));
