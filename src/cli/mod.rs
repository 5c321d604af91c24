//! The command line: one file a subcommand.
//!
//! Exit codes: 0 fine, 1 failed, 2 usage, 78 bad config. Each command ends with one line saying what it did.

mod flags;

pub use exit::Exit;

mod exit;
