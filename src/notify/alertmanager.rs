//! An Alertmanager that takes alerts of nodeward's own, so that the routes there are page people.
//!
//! An incident is one alert, by its labels: it fires when it is escalated and is resolved when the incident has recovered. What changes
//! in between is said in annotations.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::post::{self, Post};
use super::{Delivery, Kind, Message, Sink};
use crate::model::duration::Period;
use crate::model::moment::Timestamp;
use crate::model::secret::Secret;
use crate::net::resolve::Resolver;
use crate::net::tls;

/// How long the alert of a test fires.
const TEST: Duration = Duration::from_secs(60);

/// Options of the kind `alertmanager`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Where it is: `http://HOST:9093`, or `https://HOST/PREFIX`; `/api/v2/alerts` below that is posted to. Of a cluster each member is a notifier.
    pub url: String,
    /// Whom to trust with `https`. Default: the authorities of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::ClientOptions>,
    /// A file with the token that is sent as `Authorization: Bearer TOKEN`; relative to the config file's directory, or
    /// `credential:NAME`. Default: none.
    #[serde(default, skip_serializing)]
    pub bearer_token_file: Option<Secret>,
    /// How long an alert fires that is never resolved; `1m` to `30d`. Of approvals: `approval_wanted` is over when that is answered, and nobody says so.
    #[serde(default = "fires")]
    pub fires: Period,
    /// The longest a request may take, connecting and answer included; `10ms` to `10m`.
    #[serde(default = "timeout")]
    pub timeout: Period,
}

const fn fires() -> Period {
    Period::secs(24 * 60 * 60)
}

const fn timeout() -> Period {
    Period::secs(10)
}

impl Alertmanager {
    fn reached(&self) -> post::Options<'_> {
        post::Options {
            url: &self.url,
            tls: self.tls.as_ref(),
            token: self.bearer_token_file.as_ref(),
            timeout: self.timeout,
        }
    }
}

impl Kind for Alertmanager {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = self.reached().faults();
        let month = Period::secs(30 * 24 * 60 * 60);
        if self.fires < Period::secs(60) || self.fires > month {
            faults.push(("fires", "must be from 1m to 30d".into()));
        }
        faults
    }

    fn sink(&self, resolver: &Resolver) -> Result<Box<dyn Sink>, String> {
        let post = Post::new(&self.reached(), Some("api/v2/alerts"), resolver)?;
        let fires = self.fires.get();
        Ok(Box::new(Alerts { post, fires }))
    }

    fn takes_records(&self) -> bool {
        false
    }
}

struct Alerts {
    post: Post,
    fires: Duration,
}

#[async_trait]
impl Sink for Alerts {
    async fn deliver(&mut self, message: &Message<'_>) -> Delivery {
        let now = Timestamp::now();
        let alert = alert(message, self.fires, now);
        self.post
            .send(json!([alert]).to_string().into_bytes(), &message.event.id)
            .await
    }
}

/// The alert of an event. It names when it ends: without that it would be over after the `resolve_timeout` there.
fn alert(message: &Message<'_>, fires: Duration, now: Timestamp) -> Value {
    let event = message.event;
    let (name, starts, ends) = match &*event.what {
        // Nobody would hear of one that ends in the past, were it the first that comes.
        "recovered" => ("NodewardEscalation", event.time, event.time.max(now)),
        "approval_wanted" => ("NodewardApprovalWanted", event.time, after(now, fires)),
        "test" => ("NodewardTest", event.time, after(now, TEST)),
        _ => ("NodewardEscalation", event.time, after(now, fires)),
    };
    let labels = [
        ("alertname", name),
        ("instance", &event.node),
        // The same for all that is said of an incident: labels make an alert what it is.
        ("severity", "critical"),
        ("incident", &event.incident),
        ("playbook", &event.playbook),
        ("target", &event.target),
        ("audience", "people"),
    ];
    let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
    let gathered = event.gathered();
    let annotations = [
        ("summary", &*event.summary),
        ("cause", &event.cause),
        ("state", &event.state),
        ("attempt", &event.attempt),
        ("evidence", &gathered),
    ];
    let annotations = annotations
        .into_iter()
        .filter(|(_, value)| !value.is_empty());
    json!({
        "labels": labels.collect::<std::collections::BTreeMap<_, _>>(),
        "annotations": annotations.collect::<std::collections::BTreeMap<_, _>>(),
        "startsAt": starts.to_string(),
        "endsAt": ends.to_string(),
    })
}

fn after(now: Timestamp, time: Duration) -> Timestamp {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_add(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Hash;
    use crate::model::notice::What;
    use crate::notify::tests::{evidence, notice};

    fn of(what: What) -> Value {
        let mut notice = notice("e1");
        notice.what = what;
        notice.evidence = evidence();
        let event = notice.into();
        let message = Message {
            event: &event,
            seq: 7,
            chain: Hash::ZERO,
        };
        alert(
            &message,
            Duration::from_secs(3600),
            Timestamp(1_795_647_100_000),
        )
    }

    #[test]
    fn an_incident_is_one_alert_that_its_recovery_ends() {
        let fires = of(What::Escalated);
        assert_eq!(
            fires["labels"],
            json!({"alertname": "NodewardEscalation", "instance": "db-01", "severity": "critical", "incident": "01JD",
                "playbook": "web-down", "target": "unit:web.service", "audience": "people"})
        );
        assert_eq!(fires["startsAt"], "2026-11-25T22:51:11.198Z");
        assert_eq!(fires["endsAt"], "2026-11-25T23:51:40.000Z");
        assert_eq!(
            fires["annotations"]["evidence"],
            format!("/api/v1/incidents/01JD/evidence 1:{}", "9f".repeat(32))
        );
        let over = of(What::Recovered);
        assert_eq!(over["labels"], fires["labels"]);
        assert_eq!(over["endsAt"], "2026-11-25T22:51:40.000Z");
        assert_eq!(
            of(What::ApprovalWanted)["labels"]["alertname"],
            "NodewardApprovalWanted"
        );
    }
}
