//! Builds everything from the config and owns the running tasks.

mod control;
mod export;
mod flags;
mod front;
pub mod healing;
mod house;
mod listeners;
pub mod plan;
mod running;
mod settings;
mod status;
mod tail;
pub mod told;
mod web;

pub use control::{socket, state_directory};
pub use flags::Flags;
pub use house::House;
pub use listeners::own_url;
pub use running::{Failure, run};
pub use settings::{BadSettings, Settings};
