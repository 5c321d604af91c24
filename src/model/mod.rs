//! Pure types shared by all layers; they read nothing and know no protocol.

pub mod duration;
pub mod pattern;
pub mod secret;
pub mod size;
