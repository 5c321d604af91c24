//! A scheduled interval: the times of the clock at which an item is due.

use jiff::ToSpan;
use jiff::civil::{self, Date};
use jiff::tz::TimeZone;

/// Days that are looked at: the 31st that is a given day of the week is never further away.
const DAYS: usize = 3 * 366;

/// What a part may be: its letters, its first and its last number.
const PARTS: [(&str, u8, u8); 5] = [
    ("md", 1, 31),
    ("wd", 1, 7),
    ("h", 0, 23),
    ("m", 0, 59),
    ("s", 0, 59),
];

/// `md1wd1-5h9m/30s0`: one bit for each number that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    days: u64,
    weekdays: u64,
    hours: u64,
    minutes: u64,
    seconds: u64,
}

impl Schedule {
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut given = [None; PARTS.len()];
        for (place, (letters, first, last)) in given.iter_mut().zip(PARTS) {
            let Some(after) = rest.strip_prefix(letters) else {
                continue;
            };
            let end = after.find(|c: char| c.is_ascii_alphabetic());
            let (filter, left) = after.split_at(end.unwrap_or(after.len()));
            *place = Some(bits(filter, first, last)?);
            rest = left;
        }
        if !rest.is_empty() || given.iter().all(Option::is_none) {
            return None;
        }
        let [days, weekdays, hours, minutes, seconds] = given;
        // What is left out means 0 below the last part that is given, and all above it.
        let open = |finer: bool| if finer { u64::MAX } else { 1 };
        Some(Self {
            days: days.unwrap_or(u64::MAX),
            weekdays: weekdays.unwrap_or(u64::MAX),
            hours: hours.unwrap_or_else(|| open(minutes.is_some() || seconds.is_some())),
            minutes: minutes.unwrap_or_else(|| open(seconds.is_some())),
            seconds: seconds.unwrap_or(1),
        })
    }

    /// The first time after `now`.
    pub(super) fn next(&self, now: i64, zone: &TimeZone) -> Option<i64> {
        let local = super::local(now, zone)?;
        let days = std::iter::successors(Some(local.date()), |date| date.checked_add(1.day()).ok());
        for date in days.take(DAYS).filter(|date| self.is_on(*date)) {
            let mut from = match date == local.date() {
                true => (local.hour(), local.minute(), local.second()),
                false => (0, 0, 0),
            };
            while let Some(found) = self.first(from) {
                let (hour, minute, second) = found;
                let time = civil::time(hour, minute, second, 0);
                let at = zone.to_ambiguous_timestamp(date.to_datetime(time));
                let at = at.compatible().ok()?.as_second();
                if at > now {
                    return Some(at);
                }
                from = match second {
                    59 if minute == 59 && hour == 23 => break,
                    59 if minute == 59 => (hour + 1, 0, 0),
                    59 => (hour, minute + 1, 0),
                    _ => (hour, minute, second + 1),
                };
            }
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        has(self.days, date.day()) && has(self.weekdays, date.weekday().to_monday_one_offset())
    }

    /// The first time of a day at or after one.
    fn first(&self, from: (i8, i8, i8)) -> Option<(i8, i8, i8)> {
        for hour in (from.0..24).filter(|hour| has(self.hours, *hour)) {
            let begin = if hour == from.0 { from.1 } else { 0 };
            for minute in (begin..60).filter(|minute| has(self.minutes, *minute)) {
                let same = (hour, minute) == (from.0, from.1);
                let begin = if same { from.2 } else { 0 };
                if let Some(second) = (begin..60).find(|second| has(self.seconds, *second)) {
                    return Some((hour, minute, second));
                }
            }
        }
        None
    }
}

fn has(bits: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| bits >> number & 1 == 1)
}

fn bits(filter: &str, first: u8, last: u8) -> Option<u64> {
    let mut bits = 0;
    for part in filter.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step, 1, last - first)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from, first, last)?, number(to, first, last)?),
            None if range.is_empty() => {
                // A part without numbers needs a step.
                step?;
                (first, last)
            }
            None => {
                let one = number(range, first, last)?;
                (one, one)
            }
        };
        if from > to {
            return None;
        }
        let step = usize::from(step.unwrap_or(1));
        (from..=to).step_by(step).for_each(|one| bits |= 1 << one);
    }
    Some(bits)
}

fn number(text: &str, least: u8, most: u8) -> Option<u8> {
    let good = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number: u8 = good.then(|| text.parse().ok())??;
    (least..=most).contains(&number).then_some(number)
}
