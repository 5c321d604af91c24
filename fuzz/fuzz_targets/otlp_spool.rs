#![no_main]

#[path = "../checks/otlp_spool.rs"]
mod otlp_spool;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| otlp_spool::check(bytes));
