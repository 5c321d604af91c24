//! /proc/diskstats and udev's data: no device twice, and none with fewer columns than a kernel writes.

use std::collections::HashSet;

use nodeward::subject::diskstats::parse::{COLUMNS, devices, property, udev};

/// Parses the bytes as both.
pub fn check(bytes: &[u8]) {
    let (rows, errors) = devices(bytes);
    let names: HashSet<&[u8]> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "a device twice");
    for row in &rows {
        assert!((11..=COLUMNS).contains(&row.known));
        let mut beyond = row.columns.iter().skip(row.known);
        assert!(beyond.all(|column| *column == 0));
    }
    let lines = bytes.split(|b| *b == b'\n').count();
    assert!(rows.len() + errors.len() <= lines);
    let value = property(udev(bytes, b"E:"), "ID_MODEL");
    assert!(value.is_none_or(|value| !value.contains(&b'\n')));
}
