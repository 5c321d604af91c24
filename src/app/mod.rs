//! Builds everything from the config and owns the running tasks.

mod flags;
pub mod told;

pub use flags::Flags;
