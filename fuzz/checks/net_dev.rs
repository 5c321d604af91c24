//! /proc/net/dev: no interface twice, none without a name.

use std::collections::HashSet;

use nodeward::subject::netdev::parse::interfaces;

/// Parses the bytes as /proc/net/dev.
pub fn check(bytes: &[u8]) {
    let (rows, errors) = interfaces(bytes);
    let names: HashSet<&[u8]> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "an interface twice");
    assert!(names.iter().all(|name| !name.is_empty()));
    let lines = bytes.split(|b| *b == b'\n').count();
    assert!(rows.len() + errors.len() <= lines);
}
