//! /proc/meminfo and /proc/swaps: what cannot be read of a line costs that line, and is told.

use nodeward::subject::meminfo::{swaps, values};

/// Parses the bytes as both files.
pub fn check(bytes: &[u8]) {
    let mut errors = Vec::new();
    let read = values(bytes, &mut errors);
    let lines = bytes.split(|b| *b == b'\n').count();
    assert!(errors.len() <= lines);
    assert!(
        errors
            .iter()
            .all(|e| e.kind == "line" && e.item.ends_with(':'))
    );
    // The same text behind itself changes nothing: the last line of a key counts, and it is the same one.
    if bytes.ends_with(b"\n") && bytes.len() < 1 << 19 {
        let mut again = Vec::new();
        assert_eq!(values(&bytes.repeat(2), &mut again), read);
    }
    assert!(swaps(bytes).len() < lines.max(1));
}
