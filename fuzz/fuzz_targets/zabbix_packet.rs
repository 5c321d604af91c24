#![no_main]

#[path = "../checks/zabbix_packet.rs"]
mod zabbix_packet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zabbix_packet::check(bytes));
