//! Builds everything from the config and owns the running tasks.

mod flags;
mod house;
mod settings;
pub mod told;

pub use flags::Flags;
pub use house::House;
pub use settings::{BadConfig, Settings};
