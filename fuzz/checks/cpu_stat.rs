//! /proc/stat: each CPU is told once, whatever the file repeats.

use nodeward::subject::cpu::stat;

/// Parses the bytes.
pub fn check(bytes: &[u8]) {
    let mut errors = Vec::new();
    let read = stat(bytes, &mut errors);
    let mut numbers: Vec<_> = read.cores.iter().map(|core| core.number).collect();
    numbers.sort_unstable();
    let told = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), told);
    assert!(told + errors.len() <= bytes.split(|b| *b == b'\n').count());
}
