//! The Zabbix agent dialect: packet, key, passive checks.

pub mod answer;
pub mod key;
