//! When an item is due, by its delay as a Zabbix server writes it.
//!
//! Owns the grammar and the arithmetic of update intervals; it has no clock of its own. The rules are those of the Zabbix manual
//! ("Custom intervals"), which agents since 7.0 and agent 2 follow:
//!
//! ```text
//! delay     = base *( ";" ( flexible / scheduled ) )
//! flexible  = interval "/" day [ "-" day ] "," h:mm "-" h:mm      days 1 (Monday) to 7, the end is not within
//! scheduled = [md FILTER] [wd FILTER] [h FILTER] [m FILTER] [s FILTER]      at least one
//! FILTER    = [from [-to]] [/step] *( "," [from [-to]] [/step] )
//! ```
//!
//! Within a flexible period its interval holds instead of the base, the shortest where several meet; an interval of 0 asks
//! nothing. Scheduled times come beside. The surprising decision: an interval counts from 1970 and not from the last value,
//! moved by a number of the item's own, so that items are spread over their interval and a restart moves none of them.

mod period;
mod schedule;

use jiff::tz::TimeZone;

use period::Flexible;
use schedule::Schedule;

/// The longest interval, in seconds: a day.
const LONGEST: u64 = 86_400;
/// The longest text.
const MOST: usize = 1024;
/// Flexible periods come round each week; beyond this nothing new comes, in seconds.
const HORIZON: i64 = 9 * 86_400;

/// An item's delay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    base: u64,
    flexible: Vec<Flexible>,
    scheduled: Vec<Schedule>,
}

/// Why a text is no [`Delay`]; the item is unsupported then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid update interval \"{0}\".")]
pub struct NotADelay(String);

impl Delay {
    /// One interval, in seconds.
    pub const fn every(seconds: u64) -> Self {
        Self {
            base: seconds,
            flexible: Vec::new(),
            scheduled: Vec::new(),
        }
    }

    /// Reads a delay.
    ///
    /// # Errors
    /// It is none, or one that never asks.
    pub fn parse(text: &str) -> Result<Self, NotADelay> {
        Self::read(text).ok_or_else(|| NotADelay(text.chars().take(120).collect()))
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > MOST {
            return None;
        }
        let mut parts = text.split(';');
        let mut delay = Self::every(seconds(parts.next()?)?);
        for part in parts {
            if part.starts_with(|c: char| c.is_ascii_digit()) {
                delay.flexible.push(Flexible::read(part)?);
            } else {
                delay.scheduled.push(Schedule::read(part)?);
            }
        }
        let asks = |flexible: &Flexible| flexible.interval > 0;
        let ever = delay.base > 0 || !delay.scheduled.is_empty() || delay.flexible.iter().any(asks);
        ever.then_some(delay)
    }

    /// The interval that holds at a time, in seconds; 0 while nothing is asked.
    pub fn at(&self, now: i64, zone: &TimeZone) -> u64 {
        let local = local(now, zone);
        let within = self
            .flexible
            .iter()
            .filter(|f| local.is_some_and(|l| f.holds(l)));
        within.map(|f| f.interval).min().unwrap_or(self.base)
    }

    /// The first time after `now` that the item is due, in Unix seconds; none if it never is again. `spread` is the item's own number.
    pub fn next(&self, spread: u64, now: i64, zone: &TimeZone) -> Option<i64> {
        let scheduled = self
            .scheduled
            .iter()
            .filter_map(|s| s.next(now, zone))
            .min();
        let interval = self.by_interval(spread, now, zone);
        scheduled.into_iter().chain(interval).min()
    }

    fn by_interval(&self, spread: u64, now: i64, zone: &TimeZone) -> Option<i64> {
        let (mut at, mut first) = (now, true);
        while at < now.saturating_add(HORIZON) {
            let due = due(self.at(at, zone), spread, at, first);
            let change = self.change(at, zone);
            match (due, change) {
                // What would come in another period goes by the interval of that one.
                (due, Some(change)) if due.is_none_or(|due| due >= change) => at = change,
                (due, _) => return due,
            }
            first = false;
        }
        None
    }

    /// The next time after `at` that a flexible period may begin or end.
    fn change(&self, at: i64, zone: &TimeZone) -> Option<i64> {
        if self.flexible.is_empty() {
            return None;
        }
        let local = local(at, zone)?;
        let second = period::second_of(local.time());
        let edges = self.flexible.iter().flat_map(|f| [f.from, f.to]);
        let edge = edges
            .filter(|edge| (second + 1..LONGEST).contains(edge))
            .min();
        let civil = match edge {
            Some(edge) => {
                let of = |number: u64| i8::try_from(number).unwrap_or_default();
                let time = jiff::civil::time(of(edge / 3600), of(edge / 60 % 60), 0, 0);
                local.date().to_datetime(time)
            }
            None => local.date().tomorrow().ok()?.at(0, 0, 0, 0),
        };
        let edge = zone
            .to_ambiguous_timestamp(civil)
            .compatible()
            .ok()?
            .as_second();
        // In an hour that comes twice, an edge may lie behind: then each minute may be one.
        let edge = if edge > at {
            edge
        } else {
            (at.div_euclid(60) + 1) * 60
        };
        let now = jiff::Timestamp::from_second(at).ok()?;
        let clock = zone
            .following(now)
            .next()
            .map(|change| change.timestamp().as_second());
        Some(clock.map_or(edge, |clock| clock.min(edge)))
    }
}

/// The first multiple of an interval, moved by the item's own number, after `at`; or at it, where a period begins.
fn due(interval: u64, spread: u64, at: i64, after: bool) -> Option<i64> {
    if interval == 0 {
        return None;
    }
    let moved = i64::try_from(spread % interval).ok()?;
    let interval = i64::try_from(interval).ok()?;
    let mut due = at.div_euclid(interval) * interval + moved - interval;
    while due < at || (after && due == at) {
        due += interval;
    }
    Some(due)
}

fn local(at: i64, zone: &TimeZone) -> Option<jiff::civil::DateTime> {
    let at = jiff::Timestamp::from_second(at).ok()?;
    Some(zone.to_datetime(at))
}

/// A number of seconds, or of what its suffix says (`s`, `m`, `h`, `d`, `w`); at most a day.
pub fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        None => (text, 1),
        Some(number) => {
            let unit = match text.as_bytes().last()? {
                b's' => 1,
                b'm' => 60,
                b'h' => 3600,
                b'd' => 86_400,
                b'w' => 604_800,
                _ => return None,
            };
            (number, unit)
        }
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.then(|| number.parse().ok())??;
    number.checked_mul(unit).filter(|all| *all <= LONGEST)
}

#[cfg(test)]
mod tests;
