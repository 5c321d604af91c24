//! The YAML file: load, validate, reload.

pub mod check;
pub mod de;
pub mod fault;
pub mod load;
pub mod locate;
mod nearest;
pub mod parse;
pub mod reference;
pub mod schema;
pub mod secret;
pub mod tree;

#[cfg(test)]
mod tests;
