#![no_main]

#[path = "../checks/hook_zabbix.rs"]
mod hook_zabbix;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hook_zabbix::check(bytes));
