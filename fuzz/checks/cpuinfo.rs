//! /proc/cpuinfo: no more processors than lines, and never none without a word.

use nodeward::subject::cpu::processors;

/// Parses the bytes.
pub fn check(bytes: &[u8]) {
    let mut errors = Vec::new();
    let all = processors(bytes, &mut errors);
    assert!(all.len() <= bytes.split(|b| *b == b'\n').count());
    assert!(!all.is_empty() || !errors.is_empty());
}
