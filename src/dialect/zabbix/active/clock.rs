//! The wall clock, which may be set at any time: values have it, and delays go by it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long after 1970 it is; nothing before.
pub(super) fn since() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// That in whole seconds.
pub(super) fn seconds() -> i64 {
    i64::try_from(since().as_secs()).unwrap_or(i64::MAX)
}

/// That as two members of an object, as values and requests have it.
pub(super) fn members() -> String {
    let now = since();
    format!("\"clock\":{},\"ns\":{}", now.as_secs(), now.subsec_nanos())
}
