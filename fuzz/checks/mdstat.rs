//! /proc/mdstat: no array twice, and as many arrays and errors as there are lines at most.

use std::collections::HashSet;

use nodeward::subject::mdadm::arrays;

/// Parses the bytes as /proc/mdstat.
pub fn check(bytes: &[u8]) {
    let (arrays, errors) = arrays(bytes);
    let names: HashSet<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
    assert_eq!(names.len(), arrays.len(), "an array twice");
    let lines = bytes.split(|b| *b == b'\n').count();
    assert!(arrays.len() + errors.len() <= lines);
}
