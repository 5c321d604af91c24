//! A summary made by hand, told in each dialect.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::*;
use crate::dialect::Distribution;
use crate::dialect::otlp::Cumulative;
use crate::dialect::prometheus::Format;
use crate::heal::plan::Mode;
use crate::heal::runner::{HeldBy, Listed, NodeState, Pool, Tally};
use crate::model::id::IncidentId;
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;

fn summary() -> Summary {
    let mut spread = Distribution::default();
    for seconds in [0.2, 45.0, 4000.0] {
        spread.add(&STAGE_BOUNDS, seconds);
    }
    let web = || "web".to_owned();
    let open = Listed {
        id: IncidentId::new("01J"),
        playbook: web(),
        target: "unit:web.service".into(),
        severity: Severity::Warning,
        state: "waiting",
        opened: Timestamp(1),
        changed: Timestamp(2),
        attempts: 1,
        refused_by: Vec::new(),
        question: None,
        reminders: None,
        acknowledged: None,
    };
    let modes = [(web(), Mode::Auto), ("db".to_owned(), Mode::Observe)];
    Summary {
        node: NodeState::Unhealthy,
        paused: Some("ann".into()),
        windows: BTreeMap::new(),
        maintenance: None,
        isolated: true,
        pools: pools(),
        storm: None,
        states: [("acting", 0), ("escalated", 2), ("waiting", 1)].into(),
        open: vec![open],
        firing: [("critical", 1), ("info", 3)].into(),
        alerts: Vec::new(),
        playbooks: modes.into(),
        tally: Tally {
            attempts: [(web(), 4), ("gone".to_owned(), 1)].into(),
            ended: [((web(), "healed"), 2), ((web(), "cancelled"), 1)].into(),
            escalated: [((web(), "exhausted"), 1), ((web(), "flapping"), 2)].into(),
            relapses: [(web(), 1)].into(),
            refusals: [("cooldown".to_owned(), 6)].into(),
            stages: [((web(), "waiting"), spread)].into(),
        },
    }
}

/// One that an incident and an operator hold, and one that nothing does.
fn pools() -> BTreeMap<String, Pool> {
    let held = |owner: &str| HeldBy {
        owner: owner.parse().unwrap(),
        why: "patch".into(),
        since: Timestamp(1),
        easing: false,
        left: false,
    };
    let web = Pool {
        holds: vec![held("incident:01J"), held("operator:ann")],
        ..Pool::default()
    };
    [("web".to_owned(), web), ("db".to_owned(), Pool::default())].into()
}

fn shown(summary: &Summary) -> Shown<impl Fn() -> Arc<Summary> + Send + Sync> {
    let summary = Arc::new(summary.clone());
    Shown(move || Arc::clone(&summary))
}

fn page(summary: &Summary) -> String {
    let mut out = Out::new(Format::Text, 0);
    shown(summary).prometheus(&mut out);
    assert_eq!(out.duplicates(), 0);
    String::from_utf8(out.finish()).unwrap()
}

/// The points of a batch as name, attributes in the order of their keys, and the point.
fn points(summary: &Summary) -> BTreeMap<String, Json> {
    let mut cumulative = Cumulative::default();
    let mut metrics = Metrics::new(&mut cumulative, 10, 20);
    shown(summary).otlp(&mut metrics);
    assert_eq!(metrics.duplicates(), 0);
    let mut all = BTreeMap::new();
    for metric in serde_json::to_value(metrics.metrics())
        .unwrap()
        .as_array()
        .unwrap()
    {
        let kinds = ["gauge", "sum", "histogram"];
        let data = kinds.iter().find_map(|kind| metric.get(*kind)).unwrap();
        for point in data["dataPoints"].as_array().unwrap() {
            let attributes = point["attributes"].as_array().unwrap().iter();
            let values: Vec<&str> = attributes
                .map(|a| a["value"]["stringValue"].as_str().unwrap())
                .collect();
            let name = format!("{}{values:?}", metric["name"].as_str().unwrap());
            assert!(all.insert(name, point.clone()).is_none());
        }
    }
    all
}

fn ask(summary: &Summary, key: &str) -> String {
    let said = shown(summary).zabbix(&Key::parse(key).unwrap());
    match said.unwrap_or_else(|| panic!("{key} is not known")) {
        Ok(value) => value.into_string(),
        Err(why) => format!("! {why}"),
    }
}

#[test]
fn a_page_has_each_fact_and_zeros_for_what_has_not_happened() {
    let page = page(&summary());
    for line in [
        "nodeward_node_state{state=\"healthy\"} 0",
        "nodeward_node_state{state=\"unhealthy\"} 1",
        "nodeward_incidents{state=\"acting\"} 0",
        "nodeward_isolated 1",
        "nodeward_holds{pool=\"web\",owner=\"incident\"} 1",
        "nodeward_holds{pool=\"web\",owner=\"window\"} 0",
        "nodeward_holds{pool=\"db\",owner=\"operator\"} 0",
        "nodeward_incidents{state=\"escalated\"} 2",
        "nodeward_incident_info{incident=\"01J\",playbook=\"web\",target=\"unit:web.service\",state=\"waiting\"} 1",
        "nodeward_heal_attempts_total{playbook=\"web\"} 4",
        "nodeward_heal_attempts_total{playbook=\"db\"} 0",
        "nodeward_heal_attempts_total{playbook=\"gone\"} 1",
        "nodeward_heals_total{playbook=\"web\",outcome=\"healed\"} 2",
        "nodeward_heals_total{playbook=\"web\",outcome=\"cancelled\"} 1",
        "nodeward_heals_total{playbook=\"web\",outcome=\"escalated\"} 3",
        "nodeward_heals_total{playbook=\"db\",outcome=\"resolved_alone\"} 0",
        "nodeward_escalations_total{playbook=\"web\",cause=\"flapping\"} 2",
        "nodeward_escalations_total{playbook=\"db\",cause=\"exhausted\"} 0",
        "nodeward_relapses_total{playbook=\"web\"} 1",
        "nodeward_relapses_total{playbook=\"db\"} 0",
        "nodeward_guard_refusals_total{guard=\"cooldown\"} 6",
        "nodeward_guard_refusals_total{guard=\"storm\"} 0",
        "nodeward_heal_duration_seconds_bucket{playbook=\"web\",stage=\"waiting\",le=\"0.25\"} 1",
        "nodeward_heal_duration_seconds_bucket{playbook=\"web\",stage=\"waiting\",le=\"60\"} 2",
        "nodeward_heal_duration_seconds_bucket{playbook=\"web\",stage=\"waiting\",le=\"+Inf\"} 3",
        "nodeward_heal_duration_seconds_sum{playbook=\"web\",stage=\"waiting\"} 4045.2",
        "nodeward_alerts_firing{severity=\"critical\"} 1",
        "nodeward_alerts_firing{severity=\"warning\"} 0",
        "nodeward_alerts_firing{severity=\"info\"} 3",
        "nodeward_paused 1",
        "nodeward_maintenance 0",
    ] {
        assert!(page.lines().any(|told| told == line), "{line}\n{page}");
    }
    let headers: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let declared = FAMILIES.iter().map(|family| family.descriptor().name);
    assert_eq!(headers, declared.collect(), "every family is told");
}

#[test]
fn a_batch_says_the_same() {
    let points = points(&summary());
    for (point, value) in [
        ("nodeward.node.state[\"unhealthy\"]", "1"),
        ("nodeward.node.state[\"degraded\"]", "0"),
        ("nodeward.incidents[\"escalated\"]", "2"),
        (
            "nodeward.incident.info[\"01J\", \"web\", \"unit:web.service\", \"waiting\"]",
            "1",
        ),
        ("nodeward.heal.attempts[\"db\"]", "0"),
        ("nodeward.heals[\"web\", \"healed\"]", "2"),
        ("nodeward.escalations[\"web\", \"exhausted\"]", "1"),
        ("nodeward.relapses[\"web\"]", "1"),
        ("nodeward.guard.refusals[\"cooldown\"]", "6"),
        ("nodeward.alerts.firing[\"info\"]", "3"),
        ("nodeward.paused[]", "1"),
        ("nodeward.maintenance[]", "0"),
    ] {
        assert_eq!(points[point]["asInt"], value, "{point}");
    }
    let took = &points["nodeward.heal.duration[\"web\", \"waiting\"]"];
    assert_eq!(
        (&took["count"], &took["sum"]),
        (&"3".into(), &4045.2.into())
    );
    let names: BTreeSet<&str> = points
        .keys()
        .filter_map(|point| point.split('[').next())
        .collect();
    let declared = INSTRUMENTS.iter().map(|i| i.descriptor().name);
    assert_eq!(names, declared.collect(), "every instrument is told");
}

#[test]
fn keys_are_answered_for_one_or_for_all() {
    let summary = summary();
    for (key, value) in [
        ("nodeward.state", "unhealthy"),
        ("nodeward.incidents", "3"),
        ("nodeward.incidents[]", "3"),
        ("nodeward.incidents[escalated]", "2"),
        ("nodeward.incidents[probation]", "0"),
        ("nodeward.incidents[healed]", "! Invalid first parameter."),
        ("nodeward.incidents[acting,x]", "! Too many parameters."),
        ("nodeward.heals[web]", "2"),
        ("nodeward.heals[web,escalated]", "3"),
        ("nodeward.heals[db]", "0"),
        ("nodeward.heals[,cancelled]", "1"),
        ("nodeward.heals[web,lost]", "! Invalid second parameter."),
        ("nodeward.heals[none]", "! There is no such playbook."),
        ("nodeward.heal.attempts", "5"),
        ("nodeward.heal.attempts[web]", "4"),
        (
            "nodeward.heal.attempts[none]",
            "! There is no such playbook.",
        ),
        ("nodeward.paused", "1"),
        ("nodeward.paused[x]", "! Item does not allow parameters."),
        (
            "nodeward.playbook.discovery",
            r##"[{"{#MODE}":"observe","{#PLAYBOOK}":"db"},{"{#MODE}":"auto","{#PLAYBOOK}":"web"}]"##,
        ),
    ] {
        assert_eq!(ask(&summary, key), value, "{key}");
    }
    assert!(
        shown(&summary)
            .zabbix(&Key::parse("nodeward.check[web]").unwrap())
            .is_none()
    );
}

#[test]
fn without_healing_the_node_is_healthy() {
    let nothing = Summary::default();
    assert_eq!(
        page(&nothing)
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>(),
        [
            "nodeward_node_state{state=\"healthy\"} 1",
            "nodeward_node_state{state=\"degraded\"} 0",
            "nodeward_node_state{state=\"unhealthy\"} 0",
            "nodeward_node_state{state=\"maintenance\"} 0",
            "nodeward_alerts_firing{severity=\"critical\"} 0",
            "nodeward_alerts_firing{severity=\"warning\"} 0",
            "nodeward_paused 0",
            "nodeward_isolated 0",
            "nodeward_maintenance 0",
        ]
    );
    assert_eq!(points(&nothing).len(), 9);
    for item in KEYS {
        let value = match item.name {
            "nodeward.state" => "healthy",
            "nodeward.playbook.discovery" => "[]",
            _ => "0",
        };
        assert_eq!(ask(&nothing, item.name), value, "{}", item.name);
    }
}
