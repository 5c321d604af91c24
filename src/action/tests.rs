//! An attempt to test with, and what all kinds have in common.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::host::Roots;
use crate::model::id::IncidentId;
use crate::peer::systemd::Verb;

/// An attempt on `unit:web.service`.
pub(super) struct Case {
    pub(super) stop: Stop,
    pub(super) attempt: AttemptId,
    pub(super) target: Target,
    pub(super) labels: Labels,
    pub(super) timeout: Duration,
    pub(super) host: Arc<Host>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            attempt: AttemptId {
                incident: IncidentId::new("01JD"),
                number: 1,
            },
            target: "unit:web.service".parse().unwrap(),
            labels: label("name", "web.service"),
            timeout: Duration::from_secs(60),
            host: Arc::default(),
            stop: Stop::never(),
        }
    }
}

impl Case {
    /// One on a machine whose /proc is `proc`.
    pub(super) fn reading(proc: &Path) -> Self {
        let roots = Roots {
            procfs: proc.to_owned(),
            ..Roots::default()
        };
        Self {
            host: Arc::new(Host::new(roots)),
            ..Self::default()
        }
    }

    pub(super) fn order(&self) -> Order<'_> {
        Order {
            attempt: &self.attempt,
            playbook: "web-down",
            target: &self.target,
            labels: &self.labels,
            timeout: self.timeout,
            stop: &self.stop,
        }
    }

    pub(super) fn world(&self) -> World {
        World {
            host: Arc::clone(&self.host),
            systemd: None,
            container: None,
            resolver: Resolver::default(),
            state: None,
        }
    }
}

pub(super) fn label(name: &str, value: &str) -> Labels {
    Labels::from([(name.to_owned(), value.to_owned())])
}

fn written(value: Value) -> Do {
    serde_json::from_value(value).unwrap()
}

#[test]
fn each_kind_is_written_as_the_config_shows() {
    for value in [
        json!({"systemd": "restart"}),
        json!({"systemd": {"verb": "reset-failed"}}),
        json!({"systemd": {"verb": "start", "unit": "a@b.service", "reset_failed": true}}),
        json!({"command": {"argv": ["/bin/x", {"from": "name"}]}}),
        json!({"clean": {"directories": ["/var/cache/x"], "older_than": "7d"}}),
        json!({"container": "restart"}),
        json!({"container": {"verb": "stop", "name": "api", "stop_wait": "30s"}}),
        json!({"http": {"url": "http://api/restart", "method": "PUT", "path": [{"from": "name"}]}}),
    ] {
        let read = written(value.clone());
        assert_eq!(
            written(serde_json::to_value(&read).unwrap()),
            read,
            "{value}"
        );
    }
    for value in [
        json!({"systemd": "explode"}),
        json!({"systemd": {"verb": "start", "mode": "x"}}),
        json!({"reboot": {}}),
    ] {
        assert!(
            serde_json::from_value::<Do>(value.clone()).is_err(),
            "{value}"
        );
    }
}

#[test]
fn a_unit_comes_from_the_target_or_is_written_out() {
    let wrong = |value: Value, target: &str| {
        let site = Site {
            target,
            labels: &[],
        };
        written(value).check(&site)
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(wrong(json!({"systemd": "restart"}), "unit"), none);
    let fixed = json!({"systemd": {"verb": "start", "unit": "a@b.service"}});
    assert_eq!(wrong(fixed, "node"), none);
    for (value, says) in [
        (json!({"systemd": "restart"}), "target is a node"),
        (
            json!({"systemd": {"verb": "start", "unit": "a@.service"}}),
            "a@one.service",
        ),
        (json!({"systemd": {"verb": "start", "unit": "a"}}), "suffix"),
        (
            json!({"systemd": {"verb": "stop", "unit": "a.service", "reset_failed": true}}),
            "before a start",
        ),
    ] {
        let said = wrong(value, "node");
        assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
    }
}

#[test]
fn a_unit_is_rendered_and_needs_leave_for_just_its_verbs() {
    let case = Case::default();
    let act = written(json!({"systemd": {"verb": "restart", "reset_failed": true}}));
    assert_eq!(
        act.render(&case.order()).unwrap(),
        json!({"systemd": {"verb": "restart", "unit": "web.service", "reset_failed": true}})
    );
    let may = |verb| Permission::Unit {
        verb,
        unit: "web.service".to_owned(),
    };
    assert_eq!(
        act.permissions(&case.target),
        [may(Verb::Restart), may(Verb::ResetFailed)]
    );
}

#[tokio::test]
async fn without_systemd_nothing_is_done_and_the_setting_is_named() {
    let case = Case::default();
    let act = written(json!({"systemd": "restart"}));
    let outcome = act
        .act(&case.world(), &case.order(), |_| panic!("started"))
        .await;
    assert!(
        matches!(&outcome, Outcome::Failed { why, .. } if why.contains("subjects.systemd.bus")),
        "{outcome:?}"
    );
    assert!(
        act.look(&case.world(), &case.order())
            .await
            .witness
            .is_err()
    );
}

#[test]
fn acting_can_be_handed_to_another_thread() {
    fn sendable<T: Send>(_: &T) {}
    let case = Case::default();
    let world = case.world();
    let order = case.order();
    for value in [
        json!({"systemd": "stop"}),
        json!({"container": "stop"}),
        json!({"http": {"url": "http://a"}}),
        json!({"command": {"argv": ["/bin/x"]}}),
    ] {
        let act = written(value);
        sendable(&act.act(&world, &order, |_| ()));
        sendable(&act.look(&world, &order));
    }
}

#[test]
fn what_runs_here_can_be_told_to_end_and_what_others_do_goes_on() {
    for (text, here) in [
        (r#"{"command": {"argv": ["/bin/x"]}}"#, true),
        (r#"{"clean": {"page_cache": true}}"#, true),
        (r#"{"http": {"url": "http://a"}}"#, true),
        (r#"{"systemd": "restart"}"#, false),
        (r#"{"container": "restart"}"#, false),
    ] {
        let action: Do = serde_json::from_str(text).unwrap();
        assert_eq!(action.runs_here(), here, "{text}");
    }
}
