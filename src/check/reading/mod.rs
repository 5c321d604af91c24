//! A value that nodeward reads itself stays on the right side of a line.
//!
//! The metric is one of Prometheus's names of a subject, whether pages tell it or not. Every selected series must hold:
//! one beyond the line fails the check. No series at all fails it too, and so does a value that is no number: where
//! nothing is read, nothing is known to be well.

mod growth;
mod line;
mod selector;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{Ask, Kind, Outcome, Prober, World};
use crate::dialect::prometheus::{Out, Sample};
use crate::model::nearest::nearest;
use crate::subject::{Entry, Missing, TABLE};

use growth::Counted;
pub use line::Line;
pub use selector::Selector;

/// Series beyond the line that are told by name.
const TOLD: usize = 3;

/// A value that nodeward reads itself stays on the right side of a line: `above` or `below`, or between both.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// A metric of a subject by its name in docs/METRICS.md, such as `node_memory_MemAvailable_bytes`, and conditions on its labels if it has
    /// some: `node_filesystem_avail_bytes{mountpoint="/"}` (`=`, `!=`, `=~`, `!~`). Every selected series must hold; none is a
    /// failure.
    pub metric: Selector,
    /// A metric of the same subject to divide by: the series with the same labels. The lines are then shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_of: Option<String>,
    /// Whether the metric is a counter of which the growth a second is what counts: of seconds, such as
    /// `node_pressure_io_waiting_seconds_total`, the share of the time. It is taken between two probes at least a second apart; the
    /// first probe, and one that confirms or verifies, reads twice.
    #[serde(default)]
    pub per_second: bool,
    /// A value higher than this fails: a number, a size (`100MiB`), a share (`10%`), a duration (`5m`, in seconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Line>,
    /// A value lower than this fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Line>,
}

/// The subject that declares a family, and the family's labels.
fn declared(name: &str) -> Option<(&'static Entry, &'static [&'static str])> {
    TABLE.iter().find_map(|entry| {
        let family = entry.families.iter().find(|family| family.tells(name))?;
        Some((entry, family.descriptor().labels))
    })
}

fn unknown(name: &str) -> String {
    let families = TABLE.iter().flat_map(|entry| entry.families);
    let names: Vec<&str> = families.map(|family| family.descriptor().name).collect();
    match nearest(name, names.iter().copied()) {
        Some(meant) => format!("no subject tells {name:?}; did you mean {meant:?}?"),
        None => format!("no subject tells {name:?}; docs/METRICS.md lists all names"),
    }
}

impl Kind for Reading {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        match declared(&self.metric.name) {
            None => faults.push(("metric", unknown(&self.metric.name))),
            Some((entry, labels)) => {
                for label in self.metric.labels().filter(|label| !labels.contains(label)) {
                    let name = &self.metric.name;
                    let has = match labels {
                        [] => "has no labels".to_owned(),
                        some => format!("has {}", some.join(", ")),
                    };
                    faults.push((
                        "metric",
                        format!("there is no label {label:?}: {name} {has}"),
                    ));
                }
                match self.ratio_of.as_deref().map(|name| (name, declared(name))) {
                    None => {}
                    Some((name, None)) => faults.push(("ratio_of", unknown(name))),
                    Some((_, Some((other, _)))) if other.name == entry.name => {}
                    Some((name, Some(_))) => {
                        let why = format!(
                            "{name} is not of the subject {}, as the metric is",
                            entry.name
                        );
                        faults.push(("ratio_of", why));
                    }
                }
            }
        }
        match (&self.above, &self.below) {
            (None, None) => faults.push(("", "there is no line; write above or below".into())),
            (Some(above), Some(below)) if above.value < below.value => {
                faults.push((
                    "above",
                    format!("is less than below ({below}): no value would do"),
                ));
            }
            _ => {}
        }
        faults
    }

    fn prober(&self, _: Duration, world: &World) -> Result<Box<dyn Prober>, String> {
        let (entry, _) = declared(&self.metric.name).ok_or_else(|| unknown(&self.metric.name))?;
        let subject = entry.name;
        if !world.sampler.reads(subject) {
            return Err(format!(
                "the subject {subject}, which tells {}, stands in subjects.disable",
                self.metric.name
            ));
        }
        Ok(Box::new(Comparing {
            subject,
            options: self.clone(),
            world: world.clone(),
            past: Mutex::default(),
        }))
    }
}

struct Comparing {
    subject: &'static str,
    options: Reading,
    world: World,
    /// Counters as they were, for their growth.
    past: Mutex<Option<Counted>>,
}

#[async_trait]
impl Prober for Comparing {
    async fn probe(&self, ask: Ask) -> Outcome {
        let read = match self.options.per_second {
            true => self.growth(ask).await,
            false => self.read(ask.age, ask.deadline).await,
        };
        read.map_or_else(|blind| blind, |picked| self.options.judge(picked))
    }
}

impl Comparing {
    /// The series of the metric, and of the one it is divided by.
    async fn read(&self, age: Duration, deadline: Instant) -> Result<Vec<Vec<Sample>>, Outcome> {
        let sampler = &self.world.sampler;
        match sampler.read(self.subject, age, deadline.into_std()).await {
            Ok(held) => {
                let mut names = vec![self.options.metric.name.clone()];
                names.extend(self.options.ratio_of.clone());
                let mut out = Out::picking(names);
                held.prometheus(&mut out);
                Ok(out.picked())
            }
            Err(Missing::Late) => Err(Outcome::late(format_args!("{} was not read", self.subject))),
            Err(missing) => Err(Outcome::blind(format!(
                "{} cannot be read: {missing}",
                self.subject
            ))),
        }
    }

    /// What they grow by a second: since the last probe, or for one that wants no past from now on.
    async fn growth(&self, ask: Ask) -> Result<Vec<Vec<Sample>>, Outcome> {
        let past = match ask.age.is_zero() {
            true => None,
            false => self.past().take(),
        };
        let past = match past {
            Some(past) => past,
            None => self.count(ask).await?,
        };
        if past.at + growth::APART > ask.deadline {
            return Err(Outcome::blind(format!(
                "growth is taken over {:?}: give the check a longer timeout",
                growth::APART
            )));
        }
        sleep_until(past.at + growth::APART).await;
        let now = self.count(ask).await?;
        let grown = now.since(&past);
        if !ask.age.is_zero() {
            *self.past() = Some(now);
        }
        Ok(grown)
    }

    async fn count(&self, ask: Ask) -> Result<Counted, Outcome> {
        let picked = self.read(Duration::ZERO, ask.deadline).await?;
        let at = Instant::now();
        Ok(Counted { at, picked })
    }

    fn past(&self) -> MutexGuard<'_, Option<Counted>> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn judge(&self, picked: Vec<Vec<Sample>>) -> Outcome {
        let mut picked = picked.into_iter();
        let samples = picked.next().unwrap_or_default();
        let whole = picked.next().unwrap_or_default();
        let mut selected: Vec<(String, f64)> = Vec::new();
        for sample in samples.iter().filter(|sample| self.metric.takes(sample)) {
            let value = match &self.ratio_of {
                None => sample.value,
                Some(_) => {
                    let of = whole.iter().find(|other| other.labels == sample.labels);
                    of.map_or(f64::NAN, |of| sample.value / of.value)
                }
            };
            selected.push((self.series(sample), value));
        }
        let beyond = |value: f64| {
            // What is no number passes no comparison.
            value.is_nan()
                || self.above.as_ref().is_some_and(|line| value > line.value)
                || self.below.as_ref().is_some_and(|line| value < line.value)
        };
        let bad: Vec<_> = selected
            .iter()
            .filter(|(_, value)| beyond(*value))
            .collect();
        let told = |list: &[&(String, f64)]| {
            let some = list
                .iter()
                .take(TOLD)
                .map(|(series, value)| format!("{series} is {}", self.said(*value)));
            some.collect::<Vec<_>>().join(", ")
        };
        let facts = json!({
            "series": selected.len(),
            "beyond": bad.len(),
            "values": selected.iter().take(TOLD).map(|(_, value)| value).collect::<Vec<_>>(),
        });
        if selected.is_empty() {
            let failed = Outcome::failed(format!("{} selects no series", self.metric), facts);
            return Outcome {
                blind: true,
                ..failed
            };
        }
        if bad.is_empty() {
            return Outcome::passed(told(&selected.iter().collect::<Vec<_>>()), facts);
        }
        let lines = [("above", &self.above), ("below", &self.below)];
        let lines = lines
            .into_iter()
            .filter_map(|(word, line)| Some(format!("{word} {}", line.as_ref()?)));
        let lines = lines.collect::<Vec<_>>().join(" or ");
        let more = match bad.len().saturating_sub(TOLD) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Outcome::failed(format!("{}{more}; {lines} fails", told(&bad)), facts)
    }

    fn series(&self, sample: &Sample) -> String {
        let labels = sample
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"));
        let labels = labels.collect::<Vec<_>>().join(",");
        let of = self.ratio_of.as_ref().map(|name| format!(" of {name}"));
        let braced = if labels.is_empty() {
            labels
        } else {
            format!("{{{labels}}}")
        };
        format!("{}{braced}{}", self.metric.name, of.unwrap_or_default())
    }

    fn said(&self, value: f64) -> String {
        match self.ratio_of {
            Some(_) => format!("{:.1}%", value * 100.0),
            None => format!("{value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(json: serde_json::Value) -> Reading {
        serde_json::from_value(json).unwrap()
    }

    fn samples(values: &[(&str, f64)]) -> Vec<Sample> {
        let sample = |(mountpoint, value): &(&str, f64)| Sample {
            labels: vec![("mountpoint", (*mountpoint).to_owned())],
            value: *value,
        };
        values.iter().map(sample).collect()
    }

    #[test]
    fn one_series_beyond_the_line_fails_and_so_does_none_or_no_number() {
        let options = reading(json!({"metric": "node_filesystem_avail_bytes", "below": "1KiB"}));
        let judge = |values: &[(&str, f64)]| options.judge(vec![samples(values)]);
        assert!(judge(&[("/", 2000.0), ("/a", 1024.0)]).ok);
        let said = judge(&[("/", 2000.0), ("/a", 1023.0)]);
        assert!(!said.ok);
        let why = r#"node_filesystem_avail_bytes{mountpoint="/a"} is 1023; below 1KiB fails"#;
        assert_eq!(said.why, why);
        assert!(!judge(&[]).ok);
        assert!(!judge(&[("/", f64::NAN)]).ok);
    }

    #[test]
    fn a_ratio_is_of_the_series_with_the_same_labels() {
        let options = reading(json!({
            "metric": "node_filesystem_avail_bytes{mountpoint!=\"/b\"}",
            "ratio_of": "node_filesystem_size_bytes",
            "below": "10%",
        }));
        let whole = samples(&[("/a", 100.0), ("/", 1000.0)]);
        let judge = |values: &[(&str, f64)]| options.judge(vec![samples(values), whole.clone()]);
        assert!(judge(&[("/", 100.0), ("/a", 10.0), ("/b", 0.0)]).ok);
        let said = judge(&[("/", 99.0), ("/a", 10.0)]);
        assert!(
            !said.ok && said.why.contains("is 9.9%; below 10% fails"),
            "{}",
            said.why
        );
        assert!(!judge(&[("/c", 99.0)]).ok, "nothing to divide by");
    }

    #[test]
    fn what_no_subject_tells_is_a_fault_with_the_nearest_name() {
        for (json, key, why) in [
            (
                json!({"metric": "node_memory_MemAvailable_byte", "below": 1}),
                "metric",
                "did you mean \"node_memory_MemAvailable_bytes\"?",
            ),
            (
                json!({"metric": "up", "below": 1}),
                "metric",
                "docs/METRICS.md",
            ),
            (
                json!({"metric": "node_filesystem_avail_bytes{mount=\"/\"}", "below": 1}),
                "metric",
                "no label \"mount\"",
            ),
            (
                json!({"metric": "node_filesystem_avail_bytes"}),
                "",
                "above or below",
            ),
            (
                json!({"metric": "node_filesystem_avail_bytes", "above": 1, "below": 2}),
                "above",
                "no value",
            ),
            (
                json!({"metric": "node_filesystem_avail_bytes", "ratio_of": "node_memory_MemTotal_bytes", "below": 1}),
                "ratio_of",
                "not of the subject",
            ),
        ] {
            let faults = reading(json).faults();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(
                faults[0].0 == key && faults[0].1.contains(why),
                "{faults:?}"
            );
        }
    }
}
