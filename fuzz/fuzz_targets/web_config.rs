#![no_main]

#[path = "../checks/web_config.rs"]
mod web_config;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| web_config::check(bytes));
