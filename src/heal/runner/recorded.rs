//! What came in, as the journal has it.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Order;
use crate::heal::intake::Delivery;
use crate::model::alert::{Alert, Episode};
use crate::model::moment::Timestamp;

/// Something that came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// Alerts.
    Alerts {
        /// The hook they came by.
        hook: String,
        /// They.
        delivery: Delivery,
        /// Whether they are of this machine whatever their labels say.
        local: bool,
    },
    /// What an operator wanted of all incidents.
    Order {
        /// Who.
        by: String,
        /// What.
        order: Order,
    },
    /// nodeward started.
    Start,
}

impl Recorded {
    /// What a record of the journal says that came in, and when; none if it tells of something else. What was taken to be of this machine then,
    /// still is.
    #[must_use]
    pub fn of(record: &Value) -> Option<(Timestamp, Self)> {
        let text = |at: &str| record.pointer(at).and_then(Value::as_str);
        let time = Timestamp::parse(text("/time")?)?;
        let data = record.get("data")?;
        let recorded = match text("/kind")? {
            "alert" => {
                let hook = text("/data/hook")?.to_owned();
                Self::Alerts {
                    delivery: Delivery::of(alert(&hook, data)?),
                    hook,
                    local: true,
                }
            }
            "operator" => Self::Order {
                by: text("/data/by")?.to_owned(),
                order: order(data)?,
            },
            "start" => Self::Start,
            _ => return None,
        };
        Some((time, recorded))
    }
}

fn field<T: DeserializeOwned>(data: &Value, name: &str) -> Option<T> {
    serde_json::from_value(data.get(name)?.clone()).ok()
}

/// An alert of this machine; one of another is named in the journal, and no more.
fn alert(hook: &str, data: &Value) -> Option<Alert> {
    let episode: Episode = field(data, "episode")?;
    let rest = episode.as_str().strip_prefix(hook)?.strip_prefix('/')?;
    let (fingerprint, start) = rest.rsplit_once('/')?;
    Some(Alert {
        source: hook.to_owned(),
        fingerprint: fingerprint.to_owned(),
        status: field(data, "status")?,
        severity: field(data, "severity")?,
        // In the words of a source that says when, as all but Zabbix do.
        starts_at: Timestamp::parse(start),
        labels: field(data, "labels")?,
        annotations: field(data, "annotations").unwrap_or_default(),
        episode,
    })
}

fn order(data: &Value) -> Option<Order> {
    let reason = data.get("reason").and_then(Value::as_str);
    let until = data.get("until").and_then(Value::as_str);
    Some(match data.get("did")?.as_str()? {
        "pause" => Order::Pause {
            reason: reason.filter(|r| !r.is_empty()).map(str::to_owned),
        },
        "resume" => Order::Resume,
        "maintenance on" => Order::MaintenanceOn {
            reason: reason.unwrap_or_default().to_owned(),
            until: until.and_then(Timestamp::parse),
            // Nothing is left in a rehearsal.
            isolate: Vec::new(),
        },
        "maintenance off" => Order::MaintenanceOff,
        // Of one incident, which has another name here.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::Status;
    use crate::model::severity::Severity;
    use serde_json::json;

    #[test]
    fn an_alert_comes_back_as_it_was_told() {
        let start = "2026-11-22T16:43:32Z";
        let record = json!({"seq": 1, "time": "2026-11-22T16:44:00.000Z", "kind": "alert", "data": {
            "ours": true, "hook": "am", "episode": format!("am/a/b/{start}"), "status": "firing", "severity": "critical",
            "labels": {"alertname": "Down"}, "annotations": {}, "playbooks": ["p"]}});
        let (time, recorded) = Recorded::of(&record).unwrap();
        assert_eq!(Some(time), Timestamp::parse("2026-11-22T16:44:00Z"));
        let Recorded::Alerts { hook, delivery, .. } = recorded else {
            panic!("{recorded:?}");
        };
        let [alert] = delivery.alerts.as_slice() else {
            panic!("{delivery:?}");
        };
        assert_eq!(
            (&*hook, &*alert.fingerprint, alert.name()),
            ("am", "a/b", "Down")
        );
        assert_eq!(
            (alert.status, alert.severity),
            (Status::Firing, Severity::Critical)
        );
        assert_eq!(alert.starts_at, Timestamp::parse(start));
    }

    #[test]
    fn what_is_damaged_or_of_one_incident_is_left_out() {
        let of = |kind: &str, data: Value| {
            Recorded::of(&json!({"time": "2026-11-22T16:44:00Z", "kind": kind, "data": data}))
        };
        assert_eq!(
            of("alert", json!({"ours": false, "hook": "am", "count": 3})),
            None
        );
        assert_eq!(
            of("alert", json!({"hook": "am", "episode": "else/f/1"})),
            None
        );
        assert_eq!(of("operator", json!({"did": "approve", "by": "ann"})), None);
        assert_eq!(of("state", json!({})), None);
        let (_, paused) = of(
            "operator",
            json!({"did": "pause", "by": "ann", "reason": ""}),
        )
        .unwrap();
        let order = Order::Pause { reason: None };
        assert_eq!(
            paused,
            Recorded::Order {
                by: "ann".into(),
                order
            }
        );
    }
}
