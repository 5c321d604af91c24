//! Tests that need nothing but this repository.

fn main() {}
