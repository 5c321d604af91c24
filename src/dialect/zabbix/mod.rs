//! The Zabbix agent dialect: its packets, its keys, and passive checks.
//!
//! | module | holds |
//! | --- | --- |
//! | [`packet`] | the header, its limits, bodies plain and compressed |
//! | [`key`] | the grammar of item keys |
//! | [`answer`] | values, the standard error texts, and the trait of whoever knows values |
//! | [`agent`] | the keys about the agent itself |
//! | [`passive`] | listening, and the conversation with a server that asks |
//!
//! It knows no subject: which other keys exist, each subject declares for itself.

pub mod agent;
pub mod answer;
pub mod key;
pub mod packet;
pub mod passive;
