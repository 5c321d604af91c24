//! Builds everything from the config and owns the running tasks.

pub mod told;
