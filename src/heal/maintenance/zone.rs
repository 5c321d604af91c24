//! Time zones by their names of the IANA database (`Europe/Berlin`), as the machine has it in /usr/share/zoneinfo.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::cron::Cron;
use crate::model::moment::Timestamp;
use crate::model::nearest::nearest;

/// What it is where nothing is said.
const UTC: &str = "UTC";

/// A time zone; UTC by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Why a name is no [`Zone`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAZone {
    /// There is none of this name.
    #[error("no time zone is called {0:?}{1}; write a name such as Europe/Berlin, or UTC")]
    Unknown(String, String),
    /// The machine has no time zones.
    #[error(
        "{0:?} cannot be looked up: this machine has no /usr/share/zoneinfo; install tzdata, or write UTC"
    )]
    NoDatabase(String),
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// The zone of this name.
    ///
    /// # Errors
    ///
    /// If there is none, or none can be looked up.
    pub fn of(name: &str) -> Result<Self, NotAZone> {
        if name == UTC {
            return Ok(Self::default());
        }
        let database: &TimeZoneDatabase = jiff::tz::db();
        if let Ok(zone) = database.get(name) {
            return Ok(Self(zone));
        }
        let names: Vec<String> = database.available().map(|name| name.to_string()).collect();
        if names.is_empty() {
            return Err(NotAZone::NoDatabase(name.to_owned()));
        }
        let meant = nearest(name, names.iter().map(String::as_str));
        let meant = meant.map(|meant| format!(" (did you mean {meant}?)"));
        Err(NotAZone::Unknown(
            name.to_owned(),
            meant.unwrap_or_default(),
        ))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or(UTC)
    }

    /// The last time at or before `now`, and less than `within` before it, that `cron` means here.
    #[must_use]
    pub fn last(
        &self,
        cron: &Cron,
        now: Timestamp,
        within: std::time::Duration,
    ) -> Option<Timestamp> {
        let today = self.civil(now)?.date();
        let mut date = today;
        // A day more than there are: a zone may be a day ahead of another time of the year.
        let days = within.as_secs() / 86_400 + 2;
        for _ in 0..days {
            let mut times = cron
                .times(date)
                .rev()
                .filter_map(|time| self.at(date.to_datetime(time)));
            if let Some(at) = times.find(|at| *at <= now) {
                return (now.since(at) < within).then_some(at);
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// The first time after `now` that `cron` means here; none within eight years.
    #[must_use]
    pub fn next(&self, cron: &Cron, now: Timestamp) -> Option<Timestamp> {
        let today = self.civil(now)?.date();
        cron.days(today).find_map(|date| {
            let mut times = cron
                .times(date)
                .filter_map(|time| self.at(date.to_datetime(time)));
            times.find(|at| *at > now)
        })
    }

    /// What clocks here show.
    fn civil(&self, at: Timestamp) -> Option<DateTime> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        Some(self.0.to_datetime(at))
    }

    /// When clocks here show this: for what is skipped in spring as much later, for what comes twice in autumn the first time.
    fn at(&self, civil: DateTime) -> Option<Timestamp> {
        let at = self.0.to_ambiguous_timestamp(civil).compatible().ok()?;
        Some(Timestamp(at.as_millisecond()))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::of(&name).map_err(de::Error::custom)
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> Cow<'static, str> {
        "Zone".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "x-nodeward-type": "time zone" })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Berlin by rule, so that the tests need no database: CET, CEST from the last Sunday of March to that of October.
    fn berlin() -> Zone {
        Zone(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn next(zone: &Zone, cron: &str, now: &str) -> String {
        let cron = cron.parse().unwrap();
        zone.next(&cron, at(now)).unwrap().to_string()
    }

    fn last(zone: &Zone, cron: &str, now: &str) -> Option<String> {
        let cron = cron.parse().unwrap();
        zone.last(&cron, at(now), 2 * HOUR).map(|at| at.to_string())
    }

    #[test]
    fn the_hour_is_that_of_the_place_in_winter_and_in_summer() {
        let night = "0 3 * * *";
        let utc = Zone::default();
        assert_eq!(
            next(&utc, night, "2026-11-26T02:59:59Z"),
            "2026-11-26T03:00:00.000Z"
        );
        assert_eq!(
            next(&utc, night, "2026-11-26T03:00:00Z"),
            "2026-11-27T03:00:00.000Z"
        );
        assert_eq!(
            next(&berlin(), night, "2026-11-26T02:00:00Z"),
            "2026-11-27T02:00:00.000Z"
        );
        assert_eq!(
            next(&berlin(), night, "2026-07-26T00:59:00Z"),
            "2026-07-26T01:00:00.000Z"
        );
        // Late in the evening of UTC it is the next day there.
        assert_eq!(
            next(&berlin(), "30 0 * * fri", "2026-11-26T20:00:00Z"),
            "2026-11-26T23:30:00.000Z"
        );
    }

    #[test]
    fn what_spring_skips_comes_as_much_later_and_what_autumn_repeats_comes_once() {
        let skipped = "30 2 * * *";
        assert_eq!(
            next(&berlin(), skipped, "2027-03-28T00:00:00Z"),
            "2027-03-28T01:30:00.000Z"
        );
        let twice = "30 2 * * *";
        assert_eq!(
            next(&berlin(), twice, "2026-10-25T00:00:00Z"),
            "2026-10-25T00:30:00.000Z"
        );
        assert_eq!(
            next(&berlin(), twice, "2026-10-25T00:30:00Z"),
            "2026-10-26T01:30:00.000Z"
        );
    }

    #[test]
    fn the_last_time_is_found_while_it_is_near_over_midnight_too() {
        let utc = Zone::default();
        let night = "0 23 * * sat";
        let began = Some("2026-11-28T23:00:00.000Z".to_owned());
        assert_eq!(last(&utc, night, "2026-11-28T22:59:59Z"), None);
        assert_eq!(last(&utc, night, "2026-11-28T23:00:00Z"), began);
        assert_eq!(last(&utc, night, "2026-11-29T00:59:59Z"), began);
        assert_eq!(last(&utc, night, "2026-11-29T01:00:00Z"), None);
        assert_eq!(
            last(&utc, "*/10 * * * *", "2026-11-29T00:05:00Z"),
            Some("2026-11-29T00:00:00.000Z".to_owned())
        );
    }

    #[test]
    fn unknown_names_are_told_with_the_nearest() {
        assert_eq!(Zone::of("UTC").unwrap().name(), "UTC");
        let error = Zone::of("Europe/Berln").unwrap_err();
        match &error {
            NotAZone::Unknown(..) => {
                assert!(error.to_string().contains("Europe/Berlin"), "{error}");
                assert_eq!(Zone::of("Europe/Berlin").unwrap().name(), "Europe/Berlin");
            }
            NotAZone::NoDatabase(_) => assert!(error.to_string().contains("tzdata"), "{error}"),
        }
    }
}
