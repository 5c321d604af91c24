//! /proc/PID/mountinfo: every line is parsed or refused, alone as among others, and escapes only ever shorten.

use nodeward::subject::filesystem::parse::{decode, device_types, has_option, mountinfo};

/// Parses the bytes as mountinfo and as /proc/filesystems.
pub fn check(bytes: &[u8]) {
    for (line, parsed) in mountinfo(bytes) {
        let Ok(parsed) = parsed else { continue };
        assert_eq!(
            mountinfo(line).next().map(|(_, alone)| alone),
            Some(Ok(parsed)),
            "a line says something else alone"
        );
    }
    for (_, parsed) in mountinfo(bytes) {
        let Ok(parsed) = parsed else { continue };
        assert!(decode(parsed.mount_point, |_| true).len() <= parsed.mount_point.len());
        assert_eq!(decode(parsed.mount_point, |_| false), parsed.mount_point);
        assert!(
            !has_option(parsed.super_options, b"a,b"),
            "a comma parts options"
        );
    }
    assert!(device_types(bytes).iter().all(|name| !name.is_empty()));
}
