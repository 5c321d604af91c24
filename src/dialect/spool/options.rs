//! How much waits on the disk while a receiver is away, and how long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Bounds;
use crate::model::duration::Period;
use crate::model::size::Size;

/// How much waits on the disk while the receiver is away, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Bytes of all its files; when there is no more room, the oldest file is deleted and counted.
    /// `8MiB` to `1TiB`; `0B` turns the spool off. Default: `64MiB`.
    pub max_size: Size,
    /// What was read longer ago is dropped and counted. `1m` to `3650d`. Default: `7d`.
    pub keep: Period,
}

impl Options {
    /// What is wrong with it: key and why.
    pub fn check(&self) -> Option<(&'static str, &'static str)> {
        let sized = Size::mib(8)..=Size::mib(1 << 20);
        let kept = Period::secs(60)..=Period::secs(3650 * 86_400);
        if self.max_size != Size::new(0) && !sized.contains(&self.max_size) {
            return Some(("max_size", "must be from 8MiB to 1TiB, or 0B for no spool"));
        }
        (!kept.contains(&self.keep)).then_some(("keep", "must be from 1m to 3650d"))
    }

    /// The bounds, if there is to be one.
    pub fn bounds(&self) -> Option<Bounds> {
        let size = self.max_size.bytes();
        (size > 0).then(|| Bounds {
            size: size.max(8 << 20),
            age: self.keep.into(),
        })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_size: Size::mib(64),
            keep: Period::secs(7 * 86_400),
        }
    }
}
