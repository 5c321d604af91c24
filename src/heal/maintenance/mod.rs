//! Windows of maintenance in the config: when they come round, how long they last, and what this node leaves meanwhile.

mod cron;
mod zone;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::duration::Period;
use crate::model::moment::Timestamp;
use crate::model::name::{LONGEST, is_name};
use crate::model::nearest::nearest;

pub use cron::{Cron, NotACron};
pub use zone::{NotAZone, Zone};

/// Every pool, where one may be named.
pub const ALL: &str = "all";
/// How long a window may last.
const LASTS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);
/// The longest reason, in characters.
const LONGEST_REASON: usize = 200;

/// The section `maintenance`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Windows that come round, each by a name of up to 64 letters, digits, dots, dashes and underscores. While one is open it is as after
    /// `nodeward maintenance on`; `nodeward maintenance off` closes it until it comes round again.
    pub windows: BTreeMap<String, Window>,
}

/// A window that comes round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When it opens, as in crontab(5): minute, hour, day of the month, month, day of the week; names such as sun and jan, lists,
    /// ranges and steps are allowed. Where both days are given, either fits.
    pub start: Cron,
    /// How long it is open; from 1m to 7d.
    pub lasts: Period,
    /// The time zone of `start`, by its name in the IANA database. What clocks skip in spring opens as much later, what comes twice in
    /// autumn opens the first time. Default: UTC.
    #[serde(default)]
    pub timezone: Zone,
    /// The pools that this node leaves meanwhile; `all` is each of them. A person decided so: `min_healthy` does not refuse it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub isolate: Vec<String>,
    /// Why, for the record and for status, in one line of up to 200 characters. Default: the name of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Since when a window is open, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Window {
    /// Whether it is open at `now`, and for how long; where it comes round before it is over, from the last time on.
    #[must_use]
    pub fn open(&self, now: Timestamp) -> Option<Span> {
        let lasts = self.lasts.get();
        let since = self.timezone.last(&self.start, now, lasts)?;
        let millis = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        let until = Timestamp(since.0.saturating_add(millis));
        Some(Span { since, until })
    }

    /// When it opens next, after `now`.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.timezone.next(&self.start, now)
    }
}

/// A window that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The keys of what is wrong, from the section on.
    pub keys: Vec<String>,
    /// Why.
    pub why: String,
}

impl Options {
    /// Everything that is wrong and that the types do not show; `pools` are those there are.
    #[must_use]
    pub fn faults(&self, pools: &BTreeSet<&str>) -> Vec<Invalid> {
        let mut faults = Vec::new();
        for (name, window) in &self.windows {
            let mut fault = |keys: &[&str], why: String| {
                let keys = ["windows", name].into_iter().chain(keys.iter().copied());
                let keys = keys.map(str::to_owned).collect();
                faults.push(Invalid { keys, why });
            };
            if !is_name(name) {
                fault(
                    &[],
                    format!(
                        "the name of a window has up to {LONGEST} letters, digits, dots, dashes and underscores"
                    ),
                );
            }
            if !LASTS.contains(&window.lasts.get()) {
                fault(
                    &["lasts"],
                    format!("{} is out of range; it may be from 1m to 7d", window.lasts),
                );
            }
            for (index, pool) in window.isolate.iter().enumerate() {
                if pool == ALL || pools.contains(pool.as_str()) {
                    continue;
                }
                let meant = nearest(pool, pools.iter().copied());
                let meant = meant.map(|meant| format!("; did you mean {meant:?}?"));
                fault(
                    &["isolate", &index.to_string()],
                    format!("no pool is called {pool:?}{}", meant.unwrap_or_default()),
                );
            }
            let reason = window.reason.as_deref().unwrap_or("-");
            if reason.is_empty()
                || reason.chars().count() > LONGEST_REASON
                || reason.chars().any(char::is_control)
            {
                let why = format!("a reason is one line of up to {LONGEST_REASON} characters");
                fault(&["reason"], why);
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        serde_json::from_str(text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_window_is_open_from_its_start_for_as_long_as_it_lasts() {
        let window = window(r#"{"start": "0 3 * * sun", "lasts": "2h"}"#);
        let span = Span {
            since: at("2026-11-29T03:00:00Z"),
            until: at("2026-11-29T05:00:00Z"),
        };
        assert_eq!(window.open(at("2026-11-29T02:59:59.999Z")), None);
        assert_eq!(window.open(span.since), Some(span));
        assert_eq!(window.open(at("2026-11-29T04:59:59.999Z")), Some(span));
        assert_eq!(window.open(span.until), None);
        assert_eq!(window.next(span.since), Some(at("2026-12-06T03:00:00Z")));
    }

    #[test]
    fn one_that_comes_round_before_it_is_over_stays_open() {
        let window = window(r#"{"start": "* 3 * * *", "lasts": "1h"}"#);
        for now in [
            "2026-11-29T03:00:00Z",
            "2026-11-29T03:59:30Z",
            "2026-11-29T04:58:59Z",
        ] {
            assert!(window.open(at(now)).is_some(), "{now}");
        }
        assert_eq!(window.open(at("2026-11-29T04:59:00Z")), None);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let options: Options = serde_json::from_str(
            r#"{"windows": {"a b": {"start": "0 3 * * *", "lasts": "30s", "isolate": ["all", "wbe"], "reason": "x\ny"}}}"#,
        )
        .unwrap();
        let faults = options.faults(&["web"].into());
        let said: Vec<String> = faults
            .iter()
            .map(|f| format!("{}: {}", f.keys.join("."), f.why))
            .collect();
        let said = said.join("\n");
        for part in [
            "windows.a b: the name",
            "a b.lasts: 30s",
            "a b.isolate.1: no pool is called \"wbe\"; did you mean \"web\"?",
            "a b.reason",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(faults.len(), 4);
    }
}
