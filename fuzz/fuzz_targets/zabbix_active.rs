#![no_main]

#[path = "../checks/zabbix_active.rs"]
mod zabbix_active;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zabbix_active::check(bytes));
