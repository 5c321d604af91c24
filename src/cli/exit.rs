//! Exit codes.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Fine,
    /// It could not.
    Failed,
    /// It was asked wrongly.
    Usage,
    /// What it needs of another program is not to be had (`EX_UNAVAILABLE` of sysexits.h).
    Unavailable,
    /// The config is bad (`EX_CONFIG` of sysexits.h).
    BadConfig,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unavailable => 69,
            Exit::BadConfig => 78,
        })
    }
}
