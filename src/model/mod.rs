//! Pure types shared by all layers; they read nothing and know no protocol.

pub mod alert;
pub mod counted;
pub mod duration;
pub mod event;
pub mod hex;
pub mod hold;
pub mod id;
pub mod kinds;
pub mod moment;
pub mod name;
pub mod nearest;
pub mod notice;
pub mod pattern;
pub mod secret;
pub mod severity;
pub mod sight;
pub mod size;
pub mod target;
pub mod terminal;
pub mod trace;
