//! A flexible interval: another one within some hours of some days.

use jiff::civil::{DateTime, Time};

use super::seconds;

/// `50s/1-5,09:00-18:00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flexible {
    /// In seconds; 0 asks nothing.
    pub interval: u64,
    days: (i8, i8),
    /// Seconds of the day.
    pub from: u64,
    /// Not within any more.
    pub to: u64,
}

impl Flexible {
    pub(super) fn read(text: &str) -> Option<Self> {
        let (interval, period) = text.split_once('/')?;
        let (days, times) = period.split_once(',')?;
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let days = (day(first)?, day(last)?);
        let (from, to) = times.split_once('-')?;
        let (from, to) = (time(from)?, time(to)?);
        let flexible = Self {
            interval: seconds(interval)?,
            days,
            from,
            to,
        };
        (days.0 <= days.1 && from < to).then_some(flexible)
    }

    /// Whether a local time is within.
    pub(super) fn holds(&self, local: DateTime) -> bool {
        let day = local.date().weekday().to_monday_one_offset();
        (self.days.0..=self.days.1).contains(&day)
            && (self.from..self.to).contains(&second_of(local.time()))
    }
}

/// Seconds since midnight, as clocks show them.
pub(super) fn second_of(time: Time) -> u64 {
    let of = |number: i8| u64::try_from(number).unwrap_or_default();
    of(time.hour()) * 3600 + of(time.minute()) * 60 + of(time.second())
}

fn day(text: &str) -> Option<i8> {
    match text.as_bytes() {
        [digit @ b'1'..=b'7'] => i8::try_from(digit - b'0').ok(),
        _ => None,
    }
}

/// `9:00`, `09:00`, up to `24:00`.
fn time(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str, most: usize| {
        let good = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        good.then(|| text.parse::<u64>().ok())?
    };
    let (hour, minute) = (digits(hour, 2)?, digits(minute, 2)?);
    let second = hour * 3600 + minute * 60;
    (minute < 60 && second <= 86_400).then_some(second)
}
