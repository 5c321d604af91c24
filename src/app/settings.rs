//! Config file, variables and flags joined: what is to run.

use std::path::PathBuf;

use super::Flags;
use crate::host::Roots;

/// What is to run, whoever said so.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Where the machine is read.
    pub roots: Roots,
    /// The HTTP listener.
    pub http: crate::serve::Options,
    /// The subjects.
    pub subjects: crate::subject::Options,
    /// Passive checks.
    pub zabbix: crate::dialect::zabbix::passive::Options,
    /// The files the config came from.
    pub files: Vec<PathBuf>,
    /// Changes when the config changes.
    pub fingerprint: u64,
}

/// A config or flags that cannot work; the text holds all that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadConfig(pub String);

impl Settings {
    /// Reads the config and lays the flags over it.
    pub fn resolve(flags: &Flags) -> Result<Self, BadConfig> {
        let mut settings = Self::default();
        flags.apply_roots(&mut settings.roots);
        flags.apply_http(&mut settings.http, false);
        let wrong = flags.apply_subjects(&mut settings.subjects);
        if wrong.is_empty() {
            Ok(settings)
        } else {
            Err(BadConfig(wrong.join("\n")))
        }
    }
}
