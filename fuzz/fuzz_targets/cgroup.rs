#![no_main]

#[path = "../checks/cgroup.rs"]
mod cgroup;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cgroup::check(bytes));
