//! The kernel's lists of CPUs: bounded, however large the ranges are.

use nodeward::subject::cpu::cpu_list;

/// Parses the bytes.
pub fn check(bytes: &[u8]) {
    let (numbers, bad) = cpu_list(bytes);
    assert!(numbers.len() <= 1 << 16);
    assert!(
        !numbers.is_empty() || bad.is_some() || bytes.iter().all(|b| b",\n-0123456789".contains(b))
    );
}
