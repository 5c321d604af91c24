//! Tests against the real programs.

fn main() {}
