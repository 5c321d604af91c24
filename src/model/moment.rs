//! Time as healing needs it: a wait that no change of the wall clock shortens, and that survives a reboot.
//!
//! A [`Moment`] holds the wall clock, the time since boot (`CLOCK_BOOTTIME`, which also runs in suspend) and the id of the boot. Between
//! two moments of one boot only the time since boot counts. Across a reboot the wall clock must do; it is then trusted only within
//! the span that is waited for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point of the wall clock: milliseconds since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The wall clock now.
    #[must_use]
    pub fn now() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = now.unwrap_or_default().as_millis();
        Self(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    /// Whole seconds of the epoch; 0 before it.
    #[must_use]
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0 / 1000).unwrap_or_default()
    }

    /// Reads RFC 3339 text, such as alert servers send.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Self(at.as_millisecond()))
    }

    /// Written as RFC 3339 text: for `serialize_with` of what people and other programs read.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn rfc3339<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }

    /// For serde: from RFC 3339.
    ///
    /// # Errors
    /// What is no such text.
    pub fn of_rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format_args!("{text:?} is no time"));
        Self::parse(&text).ok_or_else(wrong)
    }

    /// How long after `earlier`; 0 if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            // Outside the years -9999 to 9999.
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// A point in time, on every clock that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// Milliseconds since boot.
    pub boot: u64,
    /// Which boot: the kernel's `random/boot_id`.
    pub boot_id: Arc<str>,
}

impl Moment {
    /// How long ago `earlier` was: by the clock of the boot if it is the same one, else by the wall clock. Never negative.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        if self.boot_id == earlier.boot_id {
            Duration::from_millis(self.boot.saturating_sub(earlier.boot))
        } else {
            self.wall.since(earlier.wall)
        }
    }

    /// The moment that comes so much later, on every clock.
    #[must_use]
    pub fn after(&self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let wall = i64::try_from(millis).unwrap_or(i64::MAX);
        Self {
            wall: Timestamp(self.wall.0.saturating_add(wall)),
            boot: self.boot.saturating_add(millis),
            boot_id: Arc::clone(&self.boot_id),
        }
    }
}

/// A wait: from a moment, for a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// When the wait began.
    pub from: Moment,
    /// How long it is, in milliseconds.
    span: u64,
}

impl Deadline {
    /// A wait of `span` that begins at `from`; of at most 2^64 milliseconds.
    #[must_use]
    pub fn new(from: Moment, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self { from, span }
    }

    /// Its length.
    #[must_use]
    pub fn span(&self) -> Duration {
        Duration::from_millis(self.span)
    }

    /// What is left of it: never more than its span, 0 once it is over.
    #[must_use]
    pub fn left(&self, now: &Moment) -> Duration {
        self.span().saturating_sub(now.since(&self.from))
    }

    /// The same wait on this boot's clock: what is left of it, counted from now. After a reboot a wall clock that was set back
    /// would otherwise hold it up for as long.
    #[must_use]
    pub fn rebased(&self, now: &Moment) -> Self {
        if self.from.boot_id == now.boot_id {
            return self.clone();
        }
        Self::new(now.clone(), self.left(now))
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self, now: &Moment) -> bool {
        self.left(now).is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, boot: u64, id: &str) -> Moment {
        Moment {
            wall: Timestamp(wall),
            boot,
            boot_id: id.into(),
        }
    }

    #[test]
    fn what_comes_after_a_span_is_that_much_later_on_every_clock() {
        let now = at(1_000, 500, "a");
        let later = now.after(Duration::from_millis(250));
        assert_eq!(later, at(1_250, 750, "a"));
        assert_eq!(later.since(&now), Duration::from_millis(250));
        assert_eq!(now.after(Duration::MAX).boot, u64::MAX);
    }

    #[test]
    fn a_jump_of_the_wall_clock_neither_shortens_nor_prolongs_a_wait() {
        let wait = Deadline::new(at(1_000_000, 5_000, "a"), Duration::from_secs(60));
        assert_eq!(
            wait.left(&at(9_000_000, 6_000, "a")),
            Duration::from_secs(59)
        );
        assert_eq!(wait.left(&at(0, 6_000, "a")), Duration::from_secs(59));
        assert!(wait.is_over(&at(0, 65_000, "a")));
    }

    #[test]
    fn after_a_reboot_the_wall_clock_counts_within_the_span() {
        let wait = Deadline::new(at(1_000_000, 5_000, "a"), Duration::from_secs(60));
        assert_eq!(wait.left(&at(1_020_000, 100, "b")), Duration::from_secs(40));
        assert_eq!(wait.left(&at(0, 100, "b")), Duration::from_secs(60));
        assert!(wait.is_over(&at(2_000_000, 100, "b")));
    }

    #[test]
    fn a_wait_that_was_rebased_ends_by_the_clock_of_the_new_boot() {
        let wait = Deadline::new(at(1_000_000, 5_000, "a"), Duration::from_secs(60));
        let after = wait.rebased(&at(0, 100, "b"));
        assert_eq!(after.left(&at(0, 10_100, "b")), Duration::from_secs(50));
    }

    #[test]
    fn timestamps_are_read_and_said_in_rfc_3339() {
        let at = Timestamp::parse("2026-11-22T16:43:32.533777Z").unwrap();
        assert_eq!(at.to_string(), "2026-11-22T16:43:32.533Z");
        assert_eq!(
            Timestamp::parse("2026-11-22T17:43:32.533+01:00").unwrap(),
            at
        );
        assert!(Timestamp::parse("yesterday").is_none());
    }
}
