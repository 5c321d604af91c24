//! nodeward reads a Linux machine once and tells it in three native languages: Prometheus,
//! OpenTelemetry and Zabbix.
//!
//! The layers, lowest first; a module imports only from those before it:
//! [`model`], [`telemetry`], [`host`] and [`net`], [`journal`], [`dialect`], [`peer`], [`subject`], [`serve`],
//! [`config`], [`app`], [`cli`].

pub mod app;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod host;
pub mod journal;
pub mod model;
pub mod net;
pub mod peer;
pub mod serve;
pub mod subject;
pub mod telemetry;
