//! The Zabbix agent dialect: its packets, its keys, passive and active checks.
//!
//! | module | holds |
//! | --- | --- |
//! | [`packet`] | the header, its limits, bodies plain and compressed |
//! | [`key`] | the grammar of item keys |
//! | [`answer`] | values, the standard error texts, and the trait of whoever knows values |
//! | [`agent`] | the keys about the agent itself |
//! | [`values`] | whatever a key is answered with, whoever asks |
//! | [`rules`] | which keys may be asked at all |
//! | [`options`] | the section of the config |
//! | [`passive`] | listening, and the conversation with a server that asks |
//! | [`active`] | asking servers what they want to know, and bringing it |
//!
//! It knows no subject: which other keys exist, each subject declares for itself.

pub mod active;
pub mod agent;
pub mod answer;
pub mod key;
pub mod options;
pub mod packet;
pub mod passive;
pub mod rules;
pub mod values;
