//! Config file, variables and flags joined: what is to run.

use std::path::{Path, PathBuf};

use super::Flags;
use crate::config::{self, Config};
use crate::dialect::otlp::{self, Origin, Settings as Otlp};

/// What is to run, whoever said so.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The config, with the flags laid over it.
    pub config: Config,
    /// Where telemetry goes.
    pub otlp: Otlp,
    /// The files the config came from.
    pub files: Vec<PathBuf>,
    /// Changes when the config changes.
    pub fingerprint: u64,
    /// What is worth a warning and no more.
    pub warnings: Vec<String>,
}

/// A config or flags that cannot work; the text holds all that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadConfig(pub String);

impl Settings {
    /// Reads the config, lays the flags over it, and asks the `OTEL_*` variables of the process.
    pub fn resolve(flags: &Flags) -> Result<Self, BadConfig> {
        Self::from(
            flags,
            config::locate(flags.config.clone()).as_deref(),
            &|name| std::env::var(name).ok(),
        )
    }

    /// The same of a given file and given variables.
    pub fn from(
        flags: &Flags,
        file: Option<&Path>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, BadConfig> {
        let loaded = match file {
            Some(file) => config::load(file).map_err(|errors| BadConfig(errors.to_string()))?,
            None => config::none(),
        };
        let mut config = loaded.config;
        flags.apply_roots(&mut config.roots);
        flags.apply_http(&mut config.http, file.is_some());
        let mut wrong = flags.apply_subjects(&mut config.subjects);
        wrong.extend(flags.apply_log(&mut config.log).err());
        let (otlp, complaints) = otlp::resolve(&config.otlp, variable);
        let mut warnings = Vec::new();
        for complaint in complaints {
            match complaint.origin {
                Origin::Key(_) => wrong.push(complaint.text),
                _ => warnings.push(complaint.text),
            }
        }
        for name in &flags.lacking {
            warnings.push(format!(
                "--collector.{name}: nodeward has no such subject yet"
            ));
        }
        if !wrong.is_empty() {
            return Err(BadConfig(wrong.join("\n")));
        }
        let (files, fingerprint) = (loaded.files, loaded.fingerprint);
        Ok(Self {
            config,
            otlp,
            files,
            fingerprint,
            warnings,
        })
    }
}
