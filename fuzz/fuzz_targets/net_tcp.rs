#![no_main]

#[path = "../checks/net_tcp.rs"]
mod net_tcp;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| net_tcp::check(bytes));
