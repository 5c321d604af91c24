#![no_main]

#[path = "../checks/zabbix_passive.rs"]
mod zabbix_passive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zabbix_passive::check(bytes));
