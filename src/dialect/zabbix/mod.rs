//! The Zabbix agent dialect: packet, key, passive checks.
