//! Whose format a text has that came by no hook: a file that a person saved, or wrote by hand.

use serde_json::{Map, Value, json};

use super::Kind;
use crate::model::moment::Timestamp;

/// Tells whose format a body has. A bare alert, a list of them, and what the APIs of Prometheus and Alertmanager list
/// (`/api/v1/alerts`, `/api/v2/alerts`) become a body of Alertmanager's; one that says neither how it is nor since when fires since `now`.
///
/// # Errors
/// It is no JSON, or of no shape that is known.
pub fn shape(body: &[u8], now: Timestamp) -> Result<(Kind, Vec<u8>), String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    let has = |name: &str| value.get(name).is_some();
    if has("alerts") {
        // Only Grafana names the organisation.
        let kind = match has("orgId") {
            true => Kind::Grafana,
            false => Kind::Alertmanager,
        };
        return Ok((kind, body.to_vec()));
    }
    if ["event_id", "event_source", "trigger_id"]
        .into_iter()
        .any(has)
    {
        return Ok((Kind::Zabbix, body.to_vec()));
    }
    let listed = value.pointer("/data/alerts").or_else(|| value.get("data"));
    let alerts = match (&value, listed) {
        (Value::Array(alerts), _) | (_, Some(Value::Array(alerts))) => alerts.clone(),
        (Value::Object(_), _) if has("labels") => vec![value],
        _ => {
            return Err(
                "neither what Alertmanager, Grafana or Zabbix send nor an alert with labels, nor a list of such"
                    .into(),
            );
        }
    };
    let alerts: Vec<Value> = alerts.into_iter().map(|alert| whole(alert, now)).collect();
    let body = json!({"version": "4", "alerts": alerts});
    Ok((Kind::Alertmanager, body.to_string().into_bytes()))
}

/// An alert with a status and a start.
fn whole(alert: Value, now: Timestamp) -> Value {
    let Value::Object(mut alert) = alert else {
        return alert;
    };
    let text = |alert: &Map<String, Value>, name: &str| {
        let text = alert.get(name).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    if text(&alert, "status").is_none() {
        let state = alert.get("status").and_then(|status| status.get("state"));
        let state = state.or_else(|| alert.get("state")).and_then(Value::as_str);
        let status = match state {
            Some("resolved" | "inactive") => "resolved",
            _ => "firing",
        };
        alert.insert("status".into(), status.into());
    }
    if text(&alert, "startsAt").is_none() {
        let since = text(&alert, "activeAt").unwrap_or_else(|| now.to_string());
        alert.insert("startsAt".into(), since.into());
    }
    Value::Object(alert)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heal::intake::Severities;
    use crate::model::alert::{Alert, Status};

    fn shaped(body: &Value) -> Result<(Kind, Vec<u8>), String> {
        shape(body.to_string().as_bytes(), Timestamp(0))
    }

    fn alerts(body: &Value) -> Vec<Alert> {
        let (kind, body) = shaped(body).unwrap();
        let read = kind.read("x", &body, &Severities::of(kind));
        read.unwrap().alerts
    }

    #[test]
    fn a_body_is_known_by_what_only_its_source_says() {
        for (body, kind) in [
            (json!({"version": "4", "alerts": []}), Kind::Alertmanager),
            (
                json!({"version": "1", "orgId": 1, "alerts": []}),
                Kind::Grafana,
            ),
            (json!({"event_id": "7", "trigger_id": "3"}), Kind::Zabbix),
        ] {
            let (found, same) = shaped(&body).unwrap();
            assert_eq!(found, kind);
            assert_eq!(same, body.to_string().into_bytes(), "as it came");
        }
    }

    #[test]
    fn bare_alerts_and_those_of_the_apis_fire_unless_they_say_otherwise() {
        let labels = json!({"alertname": "Down"});
        let start = "2026-11-22T16:43:32Z";
        let bare = alerts(&json!({"labels": labels}));
        assert_eq!(bare[0].status, Status::Firing);
        assert_eq!(bare[0].starts_at, Some(Timestamp(0)));
        // GET /api/v2/alerts of Alertmanager, and amtool alert query -o json.
        let state = json!({"state": "active", "silencedBy": [], "inhibitedBy": []});
        let list = alerts(
            &json!([{"labels": labels, "startsAt": start, "status": state, "fingerprint": "f"}]),
        );
        assert_eq!(
            (list[0].status, &*list[0].fingerprint),
            (Status::Firing, "f")
        );
        assert_eq!(list[0].starts_at, Timestamp::parse(start));
        // GET /api/v1/alerts of Prometheus.
        let active =
            json!({"labels": labels, "state": "firing", "activeAt": start, "value": "1e+00"});
        let list = alerts(&json!({"status": "success", "data": {"alerts": [active]}}));
        assert_eq!(list[0].starts_at, Timestamp::parse(start));
        let over = alerts(&json!([{"labels": labels, "status": "resolved", "startsAt": start}]));
        assert_eq!(over[0].status, Status::Resolved);
    }

    #[test]
    fn what_is_no_alert_is_refused_in_words() {
        for body in ["", "{", "7", "{}", "{\"data\": 3}", "[[[[", "\u{0}"] {
            assert!(shape(body.as_bytes(), Timestamp(0)).is_err(), "{body:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(
            shape(deep.as_bytes(), Timestamp(0))
                .unwrap_err()
                .contains("recursion")
        );
        // What is no map costs itself only.
        assert_eq!(alerts(&json!([7, {"labels": {"alertname": "A"}}])).len(), 1);
    }
}
