#![no_main]

#[path = "../checks/hook_alertmanager.rs"]
mod hook_alertmanager;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hook_alertmanager::check(bytes));
