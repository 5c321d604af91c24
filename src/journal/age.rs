//! The time that ages are measured by: the wall clock, as far as it is believed.
//!
//! A wall clock that was set years ahead would make everything old at once. So time goes on here by the clock of the boot, over
//! restarts too, and a wall clock that differs is believed only once it has run evenly for a day. Where it is right, as after a
//! day out of use, what is old is deleted a day later than it might be.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use crate::model::moment::{Moment, Timestamp};

/// A wall clock this far from what is reckoned is believed at once.
const NEAR: Duration = Duration::from_secs(60 * 60);
/// Another is once it has run evenly for so long.
const STEADY: Duration = Duration::from_secs(24 * 60 * 60);
/// Its name in the table `settings`.
const NAME: &str = "journal.age";

/// What time it is for what grows old.
#[derive(Debug)]
pub(super) struct Age {
    time: Timestamp,
    /// When it was that time.
    at: Moment,
    /// Since when the wall clock has run as evenly as the boot's.
    steady: Moment,
    said: bool,
}

impl Age {
    /// As the process before left it; where none did, as the newest record says.
    pub(super) fn restore(connection: &Connection, now: &Moment) -> rusqlite::Result<Self> {
        let kept = "SELECT value FROM settings WHERE name = ?1";
        let kept: Option<String> = connection
            .query_row(kept, [NAME], |row| row.get(0))
            .optional()?;
        let (time, at, steady) = match kept.and_then(|text| read(&text)) {
            Some(kept) => kept,
            None => {
                let newest = "SELECT time FROM entries ORDER BY seq DESC LIMIT 1";
                let newest: Option<i64> = connection
                    .query_row(newest, (), |row| row.get(0))
                    .optional()?;
                let time = newest.map_or(now.wall, Timestamp);
                (time, now.clone(), now.clone())
            }
        };
        // The wall clock of another boot tells nothing of how much time has passed.
        let of_this_boot = |moment: Moment| match moment.boot_id == now.boot_id {
            true => moment,
            false => now.clone(),
        };
        Ok(Self {
            time,
            at: of_this_boot(at),
            steady: of_this_boot(steady),
            said: false,
        })
    }

    /// Goes on to `now`, and tells what time that is: never later than the wall clock.
    pub(super) fn look(&mut self, now: &Moment) -> Timestamp {
        self.time = later(self.time, now.since(&self.at));
        self.at = now.clone();
        let even = later(self.steady.wall, now.since(&self.steady));
        if apart(even, now.wall) > NEAR {
            self.steady = now.clone();
            self.said = false;
        }
        if apart(self.time, now.wall) <= NEAR || now.since(&self.steady) >= STEADY {
            self.time = now.wall;
        } else if !self.said {
            self.said = true;
            tracing::info!(
                counted_from = %self.time,
                "the wall clock was set, or nodeward was away: until the clock has run evenly for a day, the age of \
                 what the journal keeps is not counted by it"
            );
        }
        self.time.min(now.wall)
    }

    /// Keeps it for the next process.
    pub(super) fn keep(&self, connection: &Connection) -> rusqlite::Result<()> {
        let text = serde_json::to_string(&(self.time, &self.at, &self.steady)).unwrap_or_default();
        connection.execute(
            "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            (NAME, text),
        )?;
        Ok(())
    }
}

/// What was kept; of before it was kept since when the clock runs evenly, from then on.
fn read(text: &str) -> Option<(Timestamp, Moment, Moment)> {
    serde_json::from_str(text).ok().or_else(|| {
        let (time, at): (Timestamp, Moment) = serde_json::from_str(text).ok()?;
        Some((time, at.clone(), at))
    })
}

fn later(time: Timestamp, span: Duration) -> Timestamp {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp(time.0.saturating_add(millis))
}

fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(wall: i64, boot: i64, id: &str) -> Moment {
        Moment {
            wall: Timestamp(wall * HOUR),
            boot: (boot * HOUR).unsigned_abs(),
            boot_id: id.into(),
        }
    }

    fn age(time: i64, now: &Moment) -> Age {
        Age {
            time: Timestamp(time * HOUR),
            at: now.clone(),
            steady: now.clone(),
            said: false,
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed_after_a_day() {
        let mut age = age(1000, &at(1000, 5, "a"));
        let mut look = |wall, boot| age.look(&at(wall, boot, "a")).0 / HOUR;
        assert_eq!(look(1002, 7), 1002);
        assert_eq!(look(90_000, 8), 1003);
        assert_eq!(look(90_023, 31), 1026);
        assert_eq!(look(90_024, 32), 90_024);
        assert_eq!(look(1030, 33), 1030, "never later than the wall clock");
    }

    #[test]
    fn a_clock_that_is_set_right_again_has_cost_nothing() {
        let mut age = age(1000, &at(1000, 5, "a"));
        let mut look = |wall, boot| age.look(&at(wall, boot, "a")).0 / HOUR;
        assert_eq!(look(90_000, 15), 1010);
        assert_eq!(look(10, 20), 10);
        assert_eq!(look(1020, 25), 1020);
        assert_eq!(look(1050, 55), 1050);
    }

    #[test]
    fn a_clock_runs_evenly_over_restarts_within_a_boot() {
        let connection = Connection::open_in_memory().unwrap();
        let tables = "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL); \
                      CREATE TABLE entries (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL)";
        connection.execute_batch(tables).unwrap();
        age(1000, &at(1000, 5, "a")).keep(&connection).unwrap();
        // The clock is set, and nodeward is started anew every hour.
        let look = |wall, boot, id| {
            let now = at(wall, boot, id);
            let mut age = Age::restore(&connection, &now).unwrap();
            let told = age.look(&now).0 / HOUR;
            age.keep(&connection).unwrap();
            told
        };
        for hour in 1..=24 {
            assert_eq!(look(90_000 + hour, 5 + hour, "a"), 1000 + hour);
        }
        assert_eq!(look(90_025, 30, "a"), 90_025);
        // Another boot begins anew: how long it took to come nobody knows.
        for hour in 0..24 {
            assert_eq!(look(200_000 + hour, hour, "b"), 90_025 + hour);
        }
        assert_eq!(look(200_024, 24, "b"), 200_024);
        // As it was kept before.
        let old = serde_json::to_string(&(Timestamp(0), at(200_024, 24, "b"))).unwrap();
        let old = (NAME, old);
        let update = "UPDATE settings SET value = ?2 WHERE name = ?1";
        connection.execute(update, old).unwrap();
        assert_eq!(look(200_025, 25, "b"), 1);
    }

    #[test]
    fn time_out_of_use_counts_a_day_late() {
        let mut age = age(1000, &at(3000, 0, "b"));
        let mut look = |wall, boot| age.look(&at(wall, boot, "b")).0 / HOUR;
        assert_eq!(look(3000, 0), 1000);
        assert_eq!(look(3023, 23), 1023);
        assert_eq!(look(3024, 24), 3024);
    }
}
