#![no_main]

#[path = "../checks/zabbix_conf.rs"]
mod zabbix_conf;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zabbix_conf::check(bytes));
