//! The clock: its time and zone, what it is read from (/sys/devices/system/clocksource), and how long the machine has
//! been up (/proc/uptime, proc(5)).

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::dialect::zabbix::answer::Unsupported;
use crate::host::parse::{fields, float, label};
use crate::host::{Pass, Root, local_zone};
use crate::subject::{
    Absent, Answer, Args, Asker, Invalid, Item, ItemError, Machine, NoOptions, Past, Said, Subject,
    Taken, Want,
};

const SOURCES: &str = "devices/system/clocksource";

/// The subject.
pub struct Time {
    zone: TimeZone,
}

crate::families! { Time:
    SECONDS gauge "node_time_seconds" [] "The time, in Unix time";
    ZONE gauge "node_time_zone_offset_seconds" ["time_zone"] "What the local time is ahead of UTC";
    AVAILABLE gauge "node_time_clocksource_available_info" ["device", "clocksource"] "What the clock could be read from";
    CURRENT gauge "node_time_clocksource_current_info" ["device", "clocksource"] "What the clock is read from";
}
crate::instruments! { Time:
    UPTIME gauge double "system.uptime" "s" [] "Time since the machine was started";
}

/// What to read beside the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    sources: bool,
    uptime: bool,
}

impl Want for Wanted {
    fn merge(&mut self, other: &Self) {
        self.sources |= other.sources;
        self.uptime |= other.uptime;
    }
    fn covers(&self, other: &Self) -> bool {
        self.sources >= other.sources && self.uptime >= other.uptime
    }
}

/// One device the clock can be read from.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    available: Vec<Box<str>>,
    current: Box<str>,
}

/// The time, and what was read beside it.
pub struct Reading {
    now: SystemTime,
    zone: TimeZone,
    sources: Vec<(String, Source)>,
    uptime: Option<f64>,
}

impl Reading {
    fn since_epoch(&self) -> std::time::Duration {
        self.now.duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// The seconds since boot in the text of /proc/uptime.
fn uptime(text: &[u8]) -> Option<f64> {
    fields(text).next().and_then(float)
}

impl Time {
    fn sources(pass: &mut Pass<'_>, errors: &mut Vec<ItemError>) -> Vec<(String, Source)> {
        let mut names: Vec<String> = match pass.names(Root::Sys, SOURCES) {
            Ok(names) => names
                .into_iter()
                .filter_map(|n| n.into_string().ok())
                .collect(),
            // Without sysfs there is nothing to tell, and nothing wrong.
            Err(_) => return Vec::new(),
        };
        let digit = |name: &str| name.as_bytes().first().is_some_and(u8::is_ascii_digit);
        names.retain(|name| name.strip_prefix("clocksource").is_some_and(digit));
        names.sort_unstable();
        let mut sources = Vec::new();
        // The reference counts them; it does not tell the number in the name.
        for (at, name) in names.iter().enumerate() {
            match source(pass, name) {
                Ok(source) => sources.push((at.to_string(), source)),
                Err(e) => errors.push(ItemError::new("source", name.as_bytes(), e.to_string())),
            }
        }
        sources
    }
}

fn source(pass: &mut Pass<'_>, name: &str) -> Result<Source, crate::host::ReadError> {
    let available = pass.once(
        Root::Sys,
        &format!("{SOURCES}/{name}/available_clocksource"),
    )?;
    let available = fields(available).map(|name| label(name).into()).collect();
    let current = pass.once(Root::Sys, &format!("{SOURCES}/{name}/current_clocksource"))?;
    let current = label(current.trim_ascii()).into();
    Ok(Source { available, current })
}

fn local(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    if args.param(0) != "local" {
        return Ok(reading.since_epoch().as_secs().into());
    }
    let now = jiff::Timestamp::try_from(reading.now).map_err(|e| e.to_string())?;
    let ahead = reading.zone.to_offset(now);
    let time = ahead
        .to_datetime(now)
        .strftime("%Y-%m-%d,%H:%M:%S.%3f")
        .to_string();
    let sign = if ahead.is_negative() { '-' } else { '+' };
    let minutes = ahead.seconds().unsigned_abs() / 60;
    Ok(format!("{time},{sign}{:02}:{:02}", minutes / 60, minutes % 60).into())
}

const ZABBIX: &[Item<Time>] = &[
    Item {
        name: "system.localtime",
        parameters: &["type"],
        help: "The time; utc (default): in Unix time; local: as text",
        want: |_, args| match args.param(0) {
            "" | "utc" | "local" => Ok(Wanted::default()),
            _ => Err(Unsupported::invalid_parameter(1)),
        },
        answer: Answer::Now(local),
    },
    Item {
        name: "system.uptime",
        parameters: &[],
        help: "Seconds since the machine was started",
        want: |_, _| {
            Ok(Wanted {
                uptime: true,
                ..Wanted::default()
            })
        },
        answer: Answer::Now(|_, reading: &Reading, _| {
            let uptime = reading.uptime.filter(|seconds| *seconds >= 0.0);
            let uptime = uptime.ok_or(Unsupported::new("Cannot read /proc/uptime."))?;
            Ok(std::time::Duration::try_from_secs_f64(uptime)
                .unwrap_or_default()
                .as_secs()
                .into())
        }),
    },
];

impl Subject for Time {
    const NAME: &'static str = "time";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = ZABBIX;
    type Options = NoOptions;
    type Want = Wanted;
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self { zone: local_zone() })
    }

    fn want(_: &NoOptions, asker: Asker) -> Wanted {
        Wanted {
            sources: asker == Asker::Prometheus,
            uptime: asker == Asker::Otlp,
        }
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Wanted) -> Result<Taken<Reading>, Absent> {
        let mut errors = Vec::new();
        let mut reading = Reading {
            now: SystemTime::now(),
            zone: self.zone.clone(),
            sources: Vec::new(),
            uptime: None,
        };
        if want.sources {
            reading.sources = Self::sources(pass, &mut errors);
        }
        if want.uptime {
            let read = pass.file(Root::Proc, "uptime").map_err(|e| e.to_string());
            let read = read.and_then(|text| uptime(&text).ok_or_else(|| "not a number".into()));
            match read {
                Ok(seconds) => reading.uptime = Some(seconds),
                Err(why) => errors.push(ItemError::new("uptime", b"uptime", why)),
            }
        }
        Ok(Taken::lacking(reading, errors))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds in a double, as the reference tells them"
    )]
    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        page.value(&SECONDS, reading.since_epoch().as_nanos() as f64 / 1e9);
        if let Ok(now) = jiff::Timestamp::try_from(reading.now) {
            let info = reading.zone.to_offset_info(now);
            let ahead = i64::from(info.offset().seconds());
            page.family(&ZONE).push([info.abbreviation()], ahead);
        }
        let mut samples = page.family(&AVAILABLE);
        for (device, source) in &reading.sources {
            for name in &source.available {
                samples.push([device, name], 1u64);
            }
        }
        let mut samples = page.family(&CURRENT);
        for (device, source) in &reading.sources {
            samples.push([device, &source.current], 1u64);
        }
    }

    fn otlp(_: &NoOptions, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        if let Some(uptime) = past.now.uptime {
            batch.value(&UPTIME, uptime);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::zabbix::key::Key;

    #[test]
    fn local_time_is_told_as_the_agents_tell_it() {
        let reading = Reading {
            now: UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_042),
            zone: TimeZone::posix("XYZ-5:30").unwrap(),
            sources: Vec::new(),
            uptime: None,
        };
        for (key, said) in [
            ("system.localtime", "1700000000"),
            ("system.localtime[local]", "2023-11-15,03:43:20.042,+05:30"),
        ] {
            let key = Key::parse(key).unwrap();
            assert_eq!(local(&NoOptions {}, &reading, &key).unwrap().as_str(), said);
        }
    }

    #[test]
    fn uptime_is_the_first_number() {
        assert_eq!(uptime(b"12.50 99.00\n"), Some(12.5));
        assert_eq!(uptime(b"\n"), None);
        assert_eq!(uptime(b"x 1"), None);
    }
}
