#![no_main]

#[path = "../checks/zabbix_delay.rs"]
mod zabbix_delay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zabbix_delay::check(bytes));
