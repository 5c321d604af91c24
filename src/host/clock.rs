//! The clocks of the kernel that runs us: clock_gettime(2), /proc/sys/kernel/random/boot_id.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use rtime_clock::adjtime::{Timex, adjtimex};
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::Host;
use crate::model::moment::{Moment, Timestamp};

/// Reads the clocks. Of the live kernel, whatever the roots are.
#[derive(Debug, Clone)]
pub struct Clock {
    boot_id: Arc<str>,
}

impl Clock {
    /// Asks once which boot this is; without an answer every start of nodeward counts as a boot of its own.
    #[must_use]
    pub fn new() -> Self {
        let boot_id = Host::default().identity().boot_id;
        let boot_id = boot_id.unwrap_or_else(|| ulid::Ulid::generate().to_string());
        Self {
            boot_id: boot_id.into(),
        }
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        let wall = clock_gettime(ClockId::Realtime);
        let millis = wall.tv_sec.saturating_mul(1000) + wall.tv_nsec / 1_000_000;
        let boot = span(clock_gettime(ClockId::Boottime)).as_millis();
        Moment {
            wall: Timestamp(millis),
            boot: u64::try_from(boot).unwrap_or(u64::MAX),
            boot_id: Arc::clone(&self.boot_id),
        }
    }

    /// Time since boot without suspend (`CLOCK_MONOTONIC`): what systemd's timestamps count in.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        span(clock_gettime(ClockId::Monotonic))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the kernel's clock is kept in step with a reliable server, and how it is kept (adjtimex(2), which is asked to change nothing).
///
/// # Errors
/// What the system says; a container may not be allowed to ask.
pub fn discipline() -> std::io::Result<(bool, Timex)> {
    /// Returned where it is not.
    const TIME_ERROR: i32 = 5;
    let mut timex = Timex::new();
    let state = adjtimex(&mut timex)?;
    Ok((state != TIME_ERROR, timex))
}

/// The time zone of this process: `TZ`, else /etc/localtime, else UTC (tzset(3)).
#[must_use]
pub fn local_zone() -> TimeZone {
    let read = |path: &Path| TimeZone::tzif("local", &std::fs::read(path).ok()?).ok();
    let zone = match std::env::var("TZ") {
        Err(_) => read(Path::new("/etc/localtime")),
        Ok(name) => {
            let name = name.strip_prefix(':').unwrap_or(&name);
            // An absolute path takes the place of the directory.
            let file = (!name.is_empty()).then(|| Path::new("/usr/share/zoneinfo").join(name));
            file.and_then(|file| read(&file))
        }
    };
    zone.unwrap_or(TimeZone::UTC)
}

fn span(time: Timespec) -> Duration {
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_on() {
        let clock = Clock::new();
        let (first, second) = (clock.now(), clock.now());
        assert_eq!(first.boot_id, second.boot_id);
        assert!(first.boot > 0 && second.boot >= first.boot);
        assert!(clock.monotonic() <= Duration::from_millis(second.boot + 1000));
    }
}
