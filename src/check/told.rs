//! How checks are told in the three dialects. What is not known yet is left out, and unsupported in Zabbix.

use serde_json::json;

use super::run::Checks;
use super::track::{Health, State};
use crate::dialect::Told;
use crate::dialect::otlp::Metrics;
use crate::dialect::prometheus::{Declared, Out};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::dialect::zabbix::key::Key;
use crate::subject::ItemDescriptor;

crate::families! { Checks:
    UP gauge "nodeward_check_up" ["check"] "Whether a check holds (1) or not (0); absent until enough probes were made";
    DURATION gauge "nodeward_check_duration_seconds" ["check"] "How long the last probe of a check took";
    EXPIRY gauge "nodeward_check_certificate_expiry_timestamp_seconds" ["check"] "When the first of the certificates ends that a check was shown last, in Unix seconds; absent before and without TLS";
    CHANGED gauge "nodeward_check_last_change_timestamp_seconds" ["check"] "When a check went up or down last, in Unix seconds";
}

crate::instruments! { Checks:
    IS_UP gauge int "nodeward.check.up" "1" ["check"] "Whether a check holds (1) or not (0)";
    TOOK gauge double "nodeward.check.duration" "s" ["check"] "How long the last probe of a check took";
    ENDS_AT gauge int "nodeward.check.certificate_expiry" "s" ["check"] "When the first of the certificates ends that a check was shown last, in Unix seconds";
    CHANGED_AT gauge double "nodeward.check.last_change" "s" ["check"] "When a check went up or down last, in Unix seconds";
}

/// The Zabbix keys of checks.
pub static KEYS: &[ItemDescriptor] = &[
    ItemDescriptor {
        name: "nodeward.check",
        parameters: &["name"],
        help: "Whether a check holds: 1, or 0",
    },
    ItemDescriptor {
        name: "nodeward.check.certificate_expiry",
        parameters: &["name"],
        help: "When the first of the certificates ends that a check was shown last, in Unix seconds",
    },
    ItemDescriptor {
        name: "nodeward.check.discovery",
        parameters: &[],
        help: "Checks, for low-level discovery: {#CHECK}, {#KIND}, {#CRITICAL}, {#DESCRIPTION}",
    },
];

const NO_SUCH: Unsupported = Unsupported::new("There is no such check.");
const UNSEEN: Unsupported = Unsupported::new("It was shown no certificate yet.");
const UNKNOWN: Unsupported = Unsupported::new("Not enough probes were made yet.");

fn up(state: &State) -> Option<bool> {
    match state.health {
        Health::Unknown => None,
        Health::Up => Some(true),
        Health::Down => Some(false),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of the present fit a double"
)]
fn changed(state: &State) -> Option<f64> {
    up(state).map(|_| state.since.0 as f64 / 1000.0)
}

fn took(state: &State) -> Option<f64> {
    state.last.as_ref().map(|last| last.took.as_secs_f64())
}

impl Told for Checks {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let mut samples = page.family(&UP);
        self.look(|name, _, state| {
            if let Some(up) = up(state) {
                samples.push([name], up);
            }
        });
        let mut samples = page.family(&DURATION);
        self.look(|name, _, state| {
            if let Some(took) = took(state) {
                samples.push([name], took);
            }
        });
        let mut samples = page.family(&EXPIRY);
        self.look(|name, _, state| {
            if let Some(end) = state.certificate_end {
                samples.push([name], end);
            }
        });
        let mut samples = page.family(&CHANGED);
        self.look(|name, _, state| {
            if let Some(changed) = changed(state) {
                samples.push([name], changed);
            }
        });
    }

    fn otlp(&self, metrics: &mut Metrics<'_>) {
        let mut batch = metrics.batch::<Self>();
        let mut points = batch.instrument(&IS_UP);
        self.look(|name, _, state| {
            if let Some(up) = up(state) {
                points.push([name], up);
            }
        });
        drop(points);
        let mut points = batch.instrument(&TOOK);
        self.look(|name, _, state| {
            if let Some(took) = took(state) {
                points.push([name], took);
            }
        });
        drop(points);
        let mut points = batch.instrument(&ENDS_AT);
        self.look(|name, _, state| {
            if let Some(end) = state.certificate_end {
                points.push([name], end);
            }
        });
        drop(points);
        let mut points = batch.instrument(&CHANGED_AT);
        self.look(|name, _, state| {
            if let Some(changed) = changed(state) {
                points.push([name], changed);
            }
        });
    }

    fn zabbix(&self, key: &Key<'_>) -> Option<Result<Value, Unsupported>> {
        Some(match (key.name(), key.count()) {
            ("nodeward.check" | "nodeward.check.certificate_expiry", 0) => {
                Err(Unsupported::invalid_parameter(1))
            }
            ("nodeward.check", 1) => match self.state(key.param(0)) {
                None => Err(NO_SUCH),
                Some(state) => up(&state).map(|up| u64::from(up).into()).ok_or(UNKNOWN),
            },
            ("nodeward.check.certificate_expiry", 1) => match self.state(key.param(0)) {
                None => Err(NO_SUCH),
                Some(state) => state.certificate_end.map(Into::into).ok_or(UNSEEN),
            },
            ("nodeward.check" | "nodeward.check.certificate_expiry", _) => {
                Err(Unsupported::TOO_MANY)
            }
            ("nodeward.check.discovery", 0) => {
                let mut found = Vec::new();
                self.look(|name, check, _| {
                    found.push(json!({
                        "{#CHECK}": name,
                        "{#KIND}": check.probe.kind(),
                        "{#CRITICAL}": u8::from(check.critical).to_string(),
                        "{#DESCRIPTION}": check.description.as_deref().unwrap_or_default(),
                    }));
                });
                Ok(serde_json::Value::from(found).to_string().into())
            }
            ("nodeward.check.discovery", _) => Err(Unsupported::NO_PARAMETERS),
            _ => return None,
        })
    }
}
