//! The Zabbix agent dialect: packet, key, passive checks.

pub mod agent;
pub mod allow;
pub mod answer;
pub mod key;
pub mod packet;
pub mod passive;
