//! What operators may ask of healing, as JSON over HTTP. Who may ask is for the listener to say.
//!
//! ```text
//!  POST /api/v1/pause        {"reason": "..."}
//!  POST /api/v1/resume       {}
//!  POST /api/v1/maintenance  {"on": true, "reason": "...", "until": "2026-11-22T16:38:47Z"}
//!  POST /api/v1/approve, /api/v1/reject, /api/v1/cancel  {"incident": "ID"}
//! ```
//!
//! An answer is `{"done": "..."}` or `{"error": "..."}`.

use std::future::Future;
use std::pin::Pin;

use hyper::body::Bytes;
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::answer;
use crate::heal::runner::{NotDone, Order};
use crate::model::moment::Timestamp;

/// Most of a body in bytes.
pub const BODY: usize = 16 << 10;
/// Most of a reason in characters: it is shown in one line.
const REASON: usize = 500;
const ROOT: &str = "/api/v1/";

/// What came of an order: one line about it, or why it was not done.
pub type Operating<'a> = Pin<Box<dyn Future<Output = Result<String, NotDone>> + Send + 'a>>;

/// Who does what operators want. Implemented by the app.
pub trait Operator: Send + Sync {
    /// Does it, by the wish of `by`.
    fn operate<'a>(&'a self, by: &'a str, order: Order) -> Operating<'a>;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resume {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Maintenance {
    on: bool,
    reason: Option<String>,
    until: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    incident: String,
}

/// Whether a path is one of these.
#[must_use]
pub fn serves(path: &str) -> bool {
    let name = path.strip_prefix(ROOT).unwrap_or_default();
    matches!(
        name,
        "pause" | "resume" | "maintenance" | "approve" | "reject" | "cancel"
    )
}

/// Answers a request of `by` to a path that is [served](serves).
pub async fn respond(
    operator: &dyn Operator,
    by: &str,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Response<Bytes> {
    if *method != Method::POST {
        return told(
            StatusCode::METHOD_NOT_ALLOWED,
            "error",
            &format!("POST {path}"),
        );
    }
    let order = match order(path.strip_prefix(ROOT).unwrap_or_default(), body) {
        Ok(order) => order,
        Err(why) => return told(StatusCode::BAD_REQUEST, "error", &why),
    };
    match operator.operate(by, order).await {
        Ok(said) => told(StatusCode::OK, "done", &said),
        Err(why) => {
            let status = match why {
                NotDone::NoSuch(_) => StatusCode::NOT_FOUND,
                NotDone::TooShort(_) => StatusCode::BAD_REQUEST,
                NotDone::State(..) | NotDone::Several(..) | NotDone::Off => StatusCode::CONFLICT,
                NotDone::Record(_) | NotDone::Ending => StatusCode::SERVICE_UNAVAILABLE,
            };
            told(status, "error", &why.to_string())
        }
    }
}

fn told(status: StatusCode, key: &str, text: &str) -> Response<Bytes> {
    let body = format!("{}\n", json!({ key: text }));
    answer(status, "application/json", body)
}

fn order(name: &str, body: &[u8]) -> Result<Order, String> {
    match name {
        "pause" => {
            let Pause { reason } = read(body)?;
            let reason = reason.as_deref().map(line).transpose()?;
            Ok(Order::Pause { reason })
        }
        "resume" => {
            let Resume {} = read(body)?;
            Ok(Order::Resume)
        }
        "maintenance" => maintenance(read(body)?),
        "approve" => Ok(Order::Approve(incident(body)?)),
        "reject" => Ok(Order::Reject(incident(body)?)),
        "cancel" => Ok(Order::Cancel(incident(body)?)),
        _ => Err(format!("there is no {ROOT}{name}")),
    }
}

fn maintenance(asked: Maintenance) -> Result<Order, String> {
    match asked {
        Maintenance {
            on: true,
            reason: Some(reason),
            until,
        } => {
            let until = until.map(|text| {
                let at = Timestamp::parse(&text).ok_or_else(|| {
                    format!("until {text:?} is no time such as 2026-11-22T16:38:47Z")
                })?;
                if at <= Timestamp::now() {
                    return Err(format!("until {at} is over already"));
                }
                Ok(at)
            });
            Ok(Order::MaintenanceOn {
                reason: line(&reason)?,
                until: until.transpose()?,
            })
        }
        Maintenance { on: true, .. } => Err("maintenance needs a reason".into()),
        Maintenance {
            on: false,
            reason: None,
            until: None,
        } => Ok(Order::MaintenanceOff),
        Maintenance { on: false, .. } => {
            Err("the end of maintenance takes neither reason nor until".into())
        }
    }
}

fn incident(body: &[u8]) -> Result<String, String> {
    let About { incident } = read(body)?;
    match incident.len() <= 64 && incident.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => Ok(incident),
        false => Err("an incident's id has letters and digits only, at most 64".into()),
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
    let text = text.trim();
    if text.is_empty() {
        Err("the reason is empty".into())
    } else if text.chars().count() > REASON || text.chars().any(char::is_control) {
        Err(format!(
            "a reason is one line of at most {REASON} characters"
        ))
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_become_orders_or_say_what_is_wrong() {
        let good = |name: &str, body: &str| order(name, body.as_bytes()).unwrap();
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
        for (name, body, word) in [
            ("pause", r#"{"reson": "x"}"#, "reson"),
            ("pause", r#"{"reason": "  "}"#, "empty"),
            ("pause", "{\"reason\": \"a\\u001b[2J\"}", "one line"),
            ("maintenance", r#"{"on": true}"#, "reason"),
            (
                "maintenance",
                r#"{"on": true, "reason": "x", "until": "soon"}"#,
                "soon",
            ),
            (
                "maintenance",
                r#"{"on": true, "reason": "x", "until": "2001-01-01T00:00:00Z"}"#,
                "over",
            ),
            ("maintenance", r#"{"on": false, "reason": "x"}"#, "neither"),
            ("cancel", "", "incident"),
            ("cancel", r#"{"incident": "a/b"}"#, "letters"),
        ] {
            let wrong = order(name, body.as_bytes()).unwrap_err();
            assert!(wrong.contains(word), "{name} {body}: {wrong}");
        }
    }
}
