//! What a body wants done.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::route::{Verb, is_id};
use crate::heal::runner::Order;
use crate::model::hold::Owner;
use crate::model::moment::Timestamp;

/// Most of a reason in characters: it is shown in one line.
const REASON: usize = 500;
/// A line that says something, as a regular expression: no control, and not only blanks.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\x00-\x1f\x7f-\x9f]*$";

/// The kill switch.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    /// Why, in one line.
    #[schemars(length(min = 1, max = 500), regex(pattern = LINE))]
    reason: Option<String>,
}

/// The end of a pause.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {}

/// Maintenance, or its end, which takes nothing else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"properties": {"on": {"const": true}, "reason": {"type": "string"}}, "required": ["reason"]},
    {"properties": {"on": {"const": false}, "reason": {"type": "null"}, "until": {"type": "null"}, "isolate": {"maxItems": 0}}},
]))]
pub(super) struct Maintenance {
    on: bool,
    /// Why, in one line; needed where it begins.
    #[schemars(length(min = 1, max = 500), regex(pattern = LINE))]
    reason: Option<String>,
    /// When it ends by itself, RFC 3339; 409 where that is over already.
    #[schemars(extend("format" = "date-time"))]
    until: Option<String>,
    /// Pools that the node leaves meanwhile; `all` is each of them.
    #[serde(default)]
    isolate: Vec<String>,
}

/// What an incident asks.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    /// The name of the question, or the id of the incident while it has asked only once.
    #[schemars(regex(pattern = "^[A-Za-z0-9]{4,64}(-[0-9]{1,10})?$"))]
    incident: String,
}

/// Who has taken up what was escalated.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Acknowledge {
    /// The id, or at least four letters of its beginning or end.
    #[schemars(regex(pattern = "^[A-Za-z0-9]{4,64}$"))]
    incident: String,
    /// Who has taken it up; by default the caller.
    #[serde(rename = "for")]
    #[schemars(length(min = 1, max = 500), regex(pattern = LINE))]
    who: Option<String>,
    /// Why, in one line.
    #[schemars(length(min = 1, max = 500), regex(pattern = LINE))]
    reason: Option<String>,
}

/// The end of an incident.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    /// The id, or at least four letters of its beginning or end.
    #[schemars(regex(pattern = "^[A-Za-z0-9]{4,64}$"))]
    incident: String,
    /// Whether the pools that it left are rejoined.
    #[serde(default)]
    release: bool,
}

/// This node leaves a pool.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Isolate {
    /// Why, in one line.
    #[schemars(length(min = 1, max = 500), regex(pattern = LINE))]
    reason: String,
}

/// A hold that is taken back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejoin {
    /// Whose hold, as `state` names it; by default the caller's own.
    #[schemars(regex(pattern = "^(incident|operator|window):"))]
    hold: Option<String>,
}

pub(super) fn order(verb: Verb<'_>, body: &[u8]) -> Result<Order, String> {
    match verb {
        Verb::Pause => {
            let Pause { reason } = read(body)?;
            let reason = reason.as_deref().map(line).transpose()?;
            Ok(Order::Pause { reason })
        }
        Verb::Resume => {
            let Resume {} = read(body)?;
            Ok(Order::Resume)
        }
        Verb::Maintenance => maintenance(read(body)?),
        Verb::Approve => Ok(Order::Approve(question(body)?)),
        Verb::Reject => Ok(Order::Reject(question(body)?)),
        Verb::Acknowledge => {
            let Acknowledge {
                incident,
                who,
                reason,
            } = read(body)?;
            Ok(Order::Acknowledge {
                incident: id(incident)?,
                who: who.as_deref().map(line).transpose()?,
                reason: reason.as_deref().map(line).transpose()?,
            })
        }
        Verb::Cancel => {
            let Cancel { incident, release } = read(body)?;
            Ok(Order::Cancel(id(incident)?, release))
        }
        Verb::Isolate(pool) => {
            let Isolate { reason } = read(body)?;
            Ok(Order::Isolate {
                pool: pool.to_owned(),
                reason: line(&reason)?,
            })
        }
        Verb::Rejoin(pool) => {
            let Rejoin { hold } = read(body)?;
            let hold = hold.map(|text| text.parse::<Owner>());
            Ok(Order::Rejoin {
                pool: pool.to_owned(),
                hold: hold.transpose().map_err(|why| why.to_string())?,
            })
        }
    }
}

/// Why an order that is well formed comes too late.
pub(super) fn over(order: &Order, now: Timestamp) -> Option<String> {
    match order {
        Order::MaintenanceOn {
            until: Some(at), ..
        } if *at <= now => Some(format!("until {at} is over already")),
        _ => None,
    }
}

fn maintenance(asked: Maintenance) -> Result<Order, String> {
    match asked {
        Maintenance {
            on: true,
            reason: Some(reason),
            until,
            isolate,
        } => {
            let until = until.map(|text| {
                Timestamp::parse(&text).ok_or_else(|| {
                    format!("until {text:?} is no time such as 2026-11-22T16:38:47Z")
                })
            });
            Ok(Order::MaintenanceOn {
                reason: line(&reason)?,
                until: until.transpose()?,
                isolate,
            })
        }
        Maintenance { on: true, .. } => Err("maintenance needs a reason".into()),
        Maintenance {
            on: false,
            reason: None,
            until: None,
            isolate,
        } if isolate.is_empty() => Ok(Order::MaintenanceOff),
        Maintenance { on: false, .. } => {
            Err("the end of maintenance takes neither reason nor until nor isolate".into())
        }
    }
}

fn id(incident: String) -> Result<String, String> {
    match is_id(&incident) {
        true => Ok(incident),
        false => Err("an incident's id has letters and digits only, at most 64".into()),
    }
}

/// An incident, or a question of one: its id, a dash and a number.
fn question(body: &[u8]) -> Result<String, String> {
    let About { incident } = read(body)?;
    let is_number = |text: &str| text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
    let id = match incident.rsplit_once('-') {
        Some((id, number)) if is_number(number) => id,
        _ => &incident,
    };
    match is_id(id) {
        true => Ok(incident),
        false => Err("this is neither an incident's id, of letters and digits, nor one with a question's number behind a dash".into()),
    }
}

/// A body as JSON; an empty one is an empty object.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| format!("the body is not as it should be: {error}"))
}

/// One line of text that says something.
fn line(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("the reason, or who it is for, is empty".into())
    } else if text.chars().count() > REASON || text.chars().any(char::is_control) {
        Err(format!(
            "a reason, or who it is for, is one line of at most {REASON} characters"
        ))
    } else {
        Ok(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::IncidentId;
    use crate::serve::api::route::Route;

    #[test]
    fn bodies_become_orders_or_say_what_is_wrong() {
        let asked = |name: &str, body: &str| {
            let path = format!("/api/v1/{name}");
            match Route::find(&path) {
                Some(Route::Order(verb)) => order(verb, body.as_bytes()),
                other => panic!("{name}: {other:?}"),
            }
        };
        let good = |name: &str, body: &str| asked(name, body).unwrap();
        assert_eq!(good("pause", ""), Order::Pause { reason: None });
        assert_eq!(good("resume", "{}"), Order::Resume);
        assert_eq!(
            good(
                "maintenance",
                r#"{"on": true, "reason": " disk ", "until": "2999-01-01T00:00:00Z"}"#
            ),
            Order::MaintenanceOn {
                reason: "disk".into(),
                until: Timestamp::parse("2999-01-01T00:00:00Z"),
                isolate: Vec::new(),
            }
        );
        assert_eq!(
            good("maintenance", r#"{"on": false}"#),
            Order::MaintenanceOff
        );
        assert_eq!(
            good("approve", r#"{"incident": "01JD"}"#),
            Order::Approve("01JD".into())
        );
        assert_eq!(
            good(
                "ack",
                r#"{"incident": "01JD", "for": "eve", "reason": "disk"}"#
            ),
            Order::Acknowledge {
                incident: "01JD".into(),
                who: Some("eve".into()),
                reason: Some("disk".into())
            }
        );
        assert_eq!(
            good("approve", r#"{"incident": "01JD-2"}"#),
            Order::Approve("01JD-2".into())
        );
        let on = r#"{"on": true, "reason": "disk", "isolate": ["web"]}"#;
        assert_eq!(
            good("maintenance", on),
            Order::MaintenanceOn {
                reason: "disk".into(),
                until: None,
                isolate: vec!["web".into()],
            }
        );
        assert_eq!(
            good("cancel", r#"{"incident": "01JD", "release": true}"#),
            Order::Cancel("01JD".into(), true)
        );
        let (pool, reason) = ("web".to_owned(), "patch".to_owned());
        assert_eq!(
            good("pools/web/isolate", r#"{"reason": "patch"}"#),
            Order::Isolate { pool, reason }
        );
        let hold = Some(Owner::Incident(IncidentId::new("01JD")));
        assert_eq!(
            good("pools/web/rejoin", r#"{"hold": "incident:01JD"}"#),
            Order::Rejoin {
                pool: "web".into(),
                hold
            }
        );
        for (name, body, word) in [
            ("pools/web/isolate", "{}", "reason"),
            ("pools/web/rejoin", r#"{"hold": "ann"}"#, "operator:NAME"),
            (
                "maintenance",
                r#"{"on": false, "isolate": ["web"]}"#,
                "isolate",
            ),
            ("pause", r#"{"reson": "x"}"#, "reson"),
            ("pause", r#"{"reason": "  "}"#, "empty"),
            ("pause", "{\"reason\": \"a\\u001b[2J\"}", "one line"),
            ("maintenance", r#"{"on": true}"#, "reason"),
            (
                "maintenance",
                r#"{"on": true, "reason": "x", "until": "soon"}"#,
                "soon",
            ),
            ("maintenance", r#"{"on": false, "reason": "x"}"#, "neither"),
            ("ack", r#"{"incident": "01JD", "for": "a\nb"}"#, "one line"),
            ("cancel", "", "incident"),
            ("cancel", r#"{"incident": "a/b"}"#, "letters"),
            ("cancel", r#"{"incident": "01JD-2"}"#, "letters"),
            ("approve", r#"{"incident": "01JD-x"}"#, "letters"),
        ] {
            let wrong = asked(name, body).unwrap_err();
            assert!(wrong.contains(word), "{name} {body}: {wrong}");
        }
        let until = r#"{"on": true, "reason": "x", "until": "2001-01-01T00:00:00Z"}"#;
        let late = |now| over(&good("maintenance", until), Timestamp::parse(now).unwrap());
        assert_eq!(late("2000-12-31T23:59:59Z"), None);
        assert!(
            late("2001-01-01T00:00:00Z")
                .unwrap()
                .contains("over already")
        );
    }
}
