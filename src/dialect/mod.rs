//! The writers' vocabularies and wire protocols: prometheus, otlp, zabbix. A dialect knows no subject.

pub mod otlp;
pub mod prometheus;
pub mod zabbix;
