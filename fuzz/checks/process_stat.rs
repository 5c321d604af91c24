//! /proc/PID/stat: whatever the name contains, the state is one word behind it.

use nodeward::subject::processes::process_stat;

/// Parses the bytes, and the bytes as the name in a good line.
pub fn check(bytes: &[u8]) {
    if let Some(stat) = process_stat(bytes) {
        assert!(!stat.state.is_empty());
        assert!(!stat.state.iter().any(u8::is_ascii_whitespace));
    }
    let line = [
        b"1 (",
        bytes,
        b") S 1 2 3 4 5 2097152 7 8 9 10 11 12 13 14 15 16 7 18 19 20",
    ]
    .concat();
    let stat = process_stat(&line).expect("a good line");
    assert_eq!(stat.comm, bytes);
    assert_eq!(
        (stat.state, stat.threads, stat.of_kernel),
        (&b"S"[..], 7, true)
    );
}
