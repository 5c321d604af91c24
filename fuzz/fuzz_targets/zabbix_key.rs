#![no_main]

#[path = "../checks/zabbix_key.rs"]
mod zabbix_key;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zabbix_key::check(bytes));
