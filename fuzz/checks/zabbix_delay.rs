//! Delays of items: what is due next comes after now, and soon is found.

use jiff::tz::TimeZone;
use nodeward::dialect::zabbix::active::delay::Delay;

/// Monday, 2 November 2026.
const NOW: i64 = 1_793_577_600;

/// Reads the bytes as a delay, and takes some of its times.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(delay) = Delay::parse(text) else {
        return;
    };
    let mut now = NOW;
    for _ in 0..4 {
        let Some(next) = delay.next(17, now, &TimeZone::UTC) else {
            return;
        };
        assert!(next > now);
        now = next;
    }
}
