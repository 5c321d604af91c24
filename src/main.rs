//! The nodeward program.

fn main() {}
