#![no_main]

#[path = "../checks/net_dev.rs"]
mod net_dev;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| net_dev::check(bytes));
