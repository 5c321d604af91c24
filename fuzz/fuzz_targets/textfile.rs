#![no_main]

#[path = "../checks/textfile.rs"]
mod textfile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| textfile::check(bytes));
