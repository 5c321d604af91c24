#![no_main]

#[path = "../checks/net_place.rs"]
mod net_place;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| net_place::check(bytes));
