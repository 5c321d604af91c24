#![no_main]

#[path = "../checks/cpu_list.rs"]
mod cpu_list;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cpu_list::check(bytes));
