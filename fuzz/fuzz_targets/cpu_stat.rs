#![no_main]

#[path = "../checks/cpu_stat.rs"]
mod cpu_stat;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cpu_stat::check(bytes));
