//! The `journal` section of the config file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::duration::Period;
use crate::model::size::Size;

/// How long the journal is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Records older than this are deleted, oldest first, up to the first of an incident that is
    /// still open. `1h` to `3650d`. Default: `90d`.
    pub keep: Period,
    /// The journal's size, beyond which the oldest records are deleted whatever their age; those
    /// of open incidents only beyond one and a half times it. `1MiB` to `1TiB`. Default: `512MiB`.
    pub max_size: Size,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep: Period::secs(90 * 24 * 60 * 60),
            max_size: Size::mib(512),
        }
    }
}
