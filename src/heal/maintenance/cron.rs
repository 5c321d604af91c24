//! When something comes round, as crontab(5) writes it: five fields for minute, hour, day of the month, month and day of the week.
//!
//! Owns the fields and the civil times they mean; what those are on the line of time is the time zone's ([`super::zone`]).
//! As in crontab, a day fits one of its two fields where both are given.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Days that are looked at for the next time: the 29th of February may be eight years away.
const DAYS: usize = 8 * 366;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What one of the fields may be.
struct Range {
    name: &'static str,
    first: u8,
    last: u8,
    /// Words for its numbers, from `first` on.
    words: &'static [&'static str],
}

const RANGES: [Range; 5] = [
    Range {
        name: "minute",
        first: 0,
        last: 59,
        words: &[],
    },
    Range {
        name: "hour",
        first: 0,
        last: 23,
        words: &[],
    },
    Range {
        name: "day of the month",
        first: 1,
        last: 31,
        words: &[],
    },
    Range {
        name: "month",
        first: 1,
        last: 12,
        words: &MONTHS,
    },
    // 7 is Sunday as well.
    Range {
        name: "day of the week",
        first: 0,
        last: 7,
        words: &WEEKDAYS,
    },
];

/// Five fields, such as `0 3 * * sun`: one bit for each number that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day has to fit but one of its fields: both say something.
    either: bool,
}

/// Why a text is no [`Cron`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACron {
    /// Not five words.
    #[error(
        "{0:?} has {1} of the five fields minute, hour, day of the month, month, day of the week, such as 0 3 * * sun"
    )]
    Fields(String, usize),
    /// A field that is none.
    #[error(
        "the {0} {1:?} is no number from {2} to {3}, range, list or step of these, such as {2}-{3}/2"
    )]
    Field(&'static str, String, u8, u8),
    /// A range that ends before it begins.
    #[error("the {0} {1:?} ends before it begins; write two ranges with a comma between them")]
    Backwards(&'static str, String),
    /// The 30th of February.
    #[error("{0:?} never comes: no such month has such a day")]
    Never(String),
}

impl Cron {
    /// The civil times of a day that fit, in order.
    pub fn times(&self, date: Date) -> impl DoubleEndedIterator<Item = Time> + use<> {
        let hours = if self.is_on(date) { self.hours } else { 0 };
        let minutes = self.minutes;
        let hours = (0..24i8).filter(move |hour| has(hours, *hour));
        hours.flat_map(move |hour| {
            let minutes = (0..60i8).filter(move |minute| has(minutes, *minute));
            minutes.map(move |minute| jiff::civil::time(hour, minute, 0, 0))
        })
    }

    /// The days from `date` on that fit, this one included.
    pub fn days(&self, date: Date) -> impl Iterator<Item = Date> {
        let all = std::iter::successors(Some(date), |date| date.checked_add(1.day()).ok());
        all.take(DAYS).filter(|date| self.is_on(*date))
    }

    fn is_on(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let fits = match self.either {
            true => day || weekday,
            false => day && weekday,
        };
        fits && has(self.months, date.month())
    }
}

const fn has(bits: u64, number: i8) -> bool {
    bits >> number & 1 == 1
}

/// The bits of one field.
fn bits(range: &Range, field: &str) -> Result<u64, NotACron> {
    let wrong = || NotACron::Field(range.name, field.to_owned(), range.first, range.last);
    let number = |text: &str| {
        let word = range
            .words
            .iter()
            .position(|w| text.eq_ignore_ascii_case(w));
        let word = word.and_then(|at| u8::try_from(at).ok());
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse::<u8>().ok()).flatten();
        let number = word.map(|at| at + range.first).or(number);
        number.filter(|n| (range.first..=range.last).contains(n))
    };
    let mut bits = 0;
    for part in field.split(',') {
        let (span, step) = part
            .split_once('/')
            .map_or((part, None), |(span, step)| (span, Some(step)));
        let (first, last) = match span.split_once('-') {
            Some((first, last)) => (number(first), number(last)),
            None if span == "*" => (Some(range.first), Some(range.last)),
            // A step needs a range to go through, as in crontab.
            None if step.is_some() => (None, None),
            None => (number(span), number(span)),
        };
        let (Some(first), Some(last)) = (first, last) else {
            return Err(wrong());
        };
        if first > last {
            return Err(NotACron::Backwards(range.name, field.to_owned()));
        }
        let step: u8 = step.map_or(Ok(1), str::parse).map_err(|_| wrong())?;
        if !(1..=range.last).contains(&step) {
            return Err(wrong());
        }
        for number in (first..=last).step_by(step.into()) {
            bits |= 1 << number;
        }
    }
    Ok(bits)
}

impl FromStr for Cron {
    type Err = NotACron;

    fn from_str(text: &str) -> Result<Self, NotACron> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(NotACron::Fields(text.to_owned(), fields.len()));
        };
        let [minutes, hours, days, months, weekdays] = RANGES;
        let weekdays = bits(&weekdays, weekday)?;
        let cron = Self {
            text: fields.join(" "),
            minutes: bits(&minutes, minute)?,
            hours: bits(&hours, hour)?,
            days: bits(&days, day)?,
            months: bits(&months, month)?,
            weekdays: weekdays | weekdays >> 7 & 1,
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        // From a year on that leap years lie around.
        let comes = cron.days(jiff::civil::date(2024, 1, 1)).next().is_some();
        comes
            .then_some(cron)
            .ok_or_else(|| NotACron::Never(text.to_owned()))
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Cron {
    fn schema_name() -> Cow<'static, str> {
        "Cron".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 9, "x-nodeward-type": "crontab time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn cron(text: &str) -> Cron {
        text.parse().unwrap()
    }

    fn on(text: &str, from: Date, many: usize) -> Vec<String> {
        let cron = cron(text);
        cron.days(from).take(many).map(|d| d.to_string()).collect()
    }

    fn at(text: &str) -> Vec<String> {
        let times = cron(text).times(date(2026, 11, 29)).map(|t| t.to_string());
        times.collect()
    }

    #[test]
    fn days_are_those_that_crontab_means() {
        let from = date(2026, 11, 26);
        assert_eq!(on("0 3 * * sun", from, 2), ["2026-11-29", "2026-12-06"]);
        assert_eq!(on("0 3 * * 7", from, 1), on("0 3 * * 0", from, 1));
        assert_eq!(
            on("0 3 * * 5-7", from, 3),
            ["2026-11-27", "2026-11-28", "2026-11-29"]
        );
        assert_eq!(on("0 3 31 * *", from, 2), ["2026-12-31", "2027-01-31"]);
        assert_eq!(on("0 3 29 FEB *", from, 1), ["2028-02-29"]);
        assert_eq!(on("0 0 1 */6 *", from, 2), ["2027-01-01", "2027-07-01"]);
        // Both fields given: either fits.
        assert_eq!(on("0 3 1 * mon", from, 2), ["2026-11-30", "2026-12-01"]);
        // One of them left open: the other decides.
        assert_eq!(on("0 3 */2 * mon", from, 1), ["2026-12-07"]);
    }

    #[test]
    fn times_are_those_of_lists_ranges_and_steps() {
        assert_eq!(at("0 3 * * *"), ["03:00:00"]);
        assert_eq!(
            at("5,35 1-2 * * *"),
            ["01:05:00", "01:35:00", "02:05:00", "02:35:00"]
        );
        assert_eq!(
            at("*/30 0-23/12 * * *"),
            ["00:00:00", "00:30:00", "12:00:00", "12:30:00"]
        );
        assert_eq!(at("0 3 * * mon"), [""; 0]);
        let every = cron("* * * * *").times(date(2026, 1, 1)).rev();
        assert_eq!(
            (every.count(), cron("  0  3 * *  sun ").to_string()),
            (1440, "0 3 * * sun".into())
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (text, said) in [
            ("", "has 0 of the five fields"),
            ("3am", "has 1 of the five fields"),
            ("0 0 3 * * sun", "has 6 of the five fields"),
            ("60 3 * * *", "minute \"60\" is no number from 0 to 59"),
            ("0 24 * * *", "hour \"24\" is no number from 0 to 23"),
            (
                "0 3 0 * *",
                "day of the month \"0\" is no number from 1 to 31",
            ),
            ("0 3 * 13 *", "month \"13\""),
            ("0 3 * * sunday", "day of the week \"sunday\""),
            ("0 3 * * 8", "day of the week \"8\""),
            ("5/10 3 * * *", "minute \"5/10\""),
            ("*/0 3 * * *", "minute \"*/0\""),
            ("*/99 3 * * *", "minute \"*/99\""),
            ("+5 3 * * *", "minute \"+5\""),
            ("1,,2 3 * * *", "minute \"1,,2\""),
            ("0 3 * * fri-mon", "ends before it begins"),
            ("0 3 30 feb *", "never comes"),
            ("0 3 31 4,6,9,11 *", "never comes"),
        ] {
            let error = text.parse::<Cron>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
