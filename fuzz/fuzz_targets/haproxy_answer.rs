#![no_main]

#[path = "../checks/haproxy_answer.rs"]
mod haproxy_answer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haproxy_answer::check(bytes));
