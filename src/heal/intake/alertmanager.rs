//! Bodies of Alertmanager's webhook, version 4, and of Grafana's, which has the same shape.
//!
//! The status of each alert counts, never the group's: that is `firing` while any of its members is. `endsAt` is not
//! looked at: a firing alert has the zero time there.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

use super::loose::{Any, Map, Notes, Pairs, Text};
use super::{Kind, LeftOut, MOST_ALERTS, MOST_PAIRS, Read, Severities, Unreadable, form};
use crate::model::alert::{Alert, Episode, Labels, Status};
use crate::model::hex;
use crate::model::moment::Timestamp;

/// A longer fingerprint is none; Alertmanager's and Grafana's have 16 digits.
const LONGEST_FINGERPRINT: usize = 128;
/// A longer time is none.
const LONGEST_TIME: usize = 64;
/// Go's zero time: not set.
const ZERO: &str = "0001-01-01T00:00:00Z";

#[derive(serde::Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Sent {
    status: Text,
    labels: Map<Pairs>,
    annotations: Map<Notes>,
    starts_at: Text,
    fingerprint: Text,
}

pub(super) fn read(
    kind: Kind,
    source: &str,
    text: &str,
    severities: &Severities,
) -> Result<Read, Unreadable> {
    let mut taking = Taking {
        kind,
        source,
        severities,
        read: Read::default(),
        pairs: 0,
        over: None,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Body(&mut taking))
        .and_then(|()| json.end())
        .map_err(|error| form(kind, error))?;
    match taking.over {
        Some(over) => Err(over),
        None => Ok(taking.read),
    }
}

/// Makes alerts while the body is parsed, so that what is over a bound is never held.
struct Taking<'a> {
    kind: Kind,
    source: &'a str,
    severities: &'a Severities,
    read: Read,
    pairs: usize,
    over: Option<Unreadable>,
}

impl Taking<'_> {
    fn take(&mut self, sent: Map<Sent>) {
        let alert = match sent {
            Any::Map(sent) => alert(sent, self.source, self.severities),
            _ => Err(LeftOut::NoMap),
        };
        match alert {
            Ok(alert) if self.kind == Kind::Grafana && is_test(&alert.labels) => {
                self.read.ignored += 1;
            }
            Ok(alert) => {
                self.pairs += alert.labels.len() + alert.annotations.len();
                self.read.alerts.push(alert);
            }
            Err(why) => self.read.left_out.push(why),
        }
        if self.read.alerts.len() + self.read.left_out.len() > MOST_ALERTS {
            self.over = Some(Unreadable::TooMany);
        } else if self.pairs > MOST_PAIRS {
            self.over = Some(Unreadable::TooMuch);
        }
    }
}

struct Body<'s, 'a>(&'s mut Taking<'a>);

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with a list of alerts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut alerts, mut truncated) = (false, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "alerts" if !alerts => {
                    alerts = true;
                    map.next_value_seed(Alerts(self.0))?;
                }
                "truncatedAlerts" if !truncated => {
                    truncated = true;
                    let count = map.next_value::<Text>()?.or_empty();
                    self.0.read.truncated = count.parse().unwrap_or(0);
                }
                "alerts" | "truncatedAlerts" => {
                    return Err(de::Error::custom(format_args!(
                        "{key:?} stands there twice"
                    )));
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if alerts {
            Ok(())
        } else {
            Err(de::Error::missing_field("alerts"))
        }
    }
}

struct Alerts<'s, 'a>(&'s mut Taking<'a>);

impl<'de> DeserializeSeed<'de> for Alerts<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Alerts<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of alerts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while self.0.over.is_none() {
            match seq.next_element()? {
                Some(sent) => self.0.take(sent),
                None => return Ok(()),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// What the button "Test" of a contact point sends.
fn is_test(labels: &Labels) -> bool {
    let is = |name: &str, value: &str| labels.get(name).is_some_and(|v| v == value);
    is("alertname", "TestAlert") && is("instance", "Grafana")
}

fn alert(sent: Sent, source: &str, severities: &Severities) -> Result<Alert, LeftOut> {
    let status = match sent.status.or_empty() {
        firing if firing.eq_ignore_ascii_case("firing") => Status::Firing,
        resolved if resolved.eq_ignore_ascii_case("resolved") => Status::Resolved,
        other => return Err(LeftOut::Status(other.chars().take(40).collect())),
    };
    let labels = match sent.labels {
        Any::Map(Pairs {
            trouble: Some(why), ..
        }) => return Err(why),
        Any::Map(Pairs { labels, .. }) => labels,
        Any::Nothing => Labels::new(),
        Any::Text(_) | Any::List(_) => return Err(LeftOut::LabelType),
    };
    if labels.is_empty() {
        return Err(LeftOut::NoLabels);
    }
    let start = sent.starts_at.or_empty();
    if start.is_empty() || start == ZERO || start.len() > LONGEST_TIME {
        return Err(LeftOut::NoStart);
    }
    let fingerprint = match sent.fingerprint.or_empty() {
        given if !given.is_empty() && given.len() <= LONGEST_FINGERPRINT => given,
        _ => of_labels(&labels),
    };
    Ok(Alert {
        source: source.to_owned(),
        episode: Episode::new(source, &fingerprint, &start),
        fingerprint,
        status,
        severity: severities.find(&labels),
        starts_at: Timestamp::parse(&start),
        labels,
        annotations: match sent.annotations {
            Any::Map(Notes(notes)) => notes,
            _ => Labels::new(),
        },
    })
}

/// A fingerprint made of the labels, of 16 hex digits as the sources' own.
/// What an alert is called that came without its fingerprint.
pub fn of_labels(labels: &Labels) -> String {
    let mut hash = Sha256::new();
    for (name, value) in labels {
        for part in [name, value] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    let hash: [u8; 32] = hash.finalize().into();
    hex::written(hash.first_chunk::<8>().unwrap_or(&[0; 8]))
}
