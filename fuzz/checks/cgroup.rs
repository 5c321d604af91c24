//! Files of control groups: what is taken for a figure is one, and where process 1 began is a plain path.

use nodeward::subject::systemd::cgroup::roots;
use nodeward::subject::systemd::figures::{cpu_stat, io_service, io_stat, limit};

/// Parses the bytes as each of the files.
pub fn check(bytes: &[u8]) {
    for (_, root) in roots(bytes) {
        assert!(
            root.is_empty() || !root.ends_with('/'),
            "{root:?} ends with a slash"
        );
        assert!(
            root.split('/').all(|part| part != ".."),
            "{root:?} leads elsewhere"
        );
    }
    if let Some(nanoseconds) = cpu_stat(bytes) {
        let whole = nanoseconds % 1000 == 0 || nanoseconds == u64::MAX;
        assert!(whole, "the kernel counts microseconds");
    }
    if let Some(number) = limit(bytes) {
        let text = number.map_or("max".to_owned(), |n| n.to_string());
        assert_eq!(limit(text.as_bytes()), Some(number));
    }
    let twice = [bytes, b"\n", bytes].concat();
    for sum in [io_stat, io_service] {
        let Some((read, written)) = sum(bytes) else {
            continue;
        };
        let doubled = (read.saturating_mul(2), written.saturating_mul(2));
        assert_eq!(
            sum(&twice),
            Some(doubled),
            "a device told twice counts twice"
        );
    }
}
