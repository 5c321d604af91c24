//! alert-rules/: names, labels and texts of the rules, and that each alert has a test.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{expect_told, files, list, promql, root, text, told, yaml};

/// What Prometheus itself writes of each target.
const OF_PROMETHEUS: &str = "up";

fn all() -> Vec<Value> {
    let groups = files("alert-rules", ".yml").into_iter().map(|f| yaml(&f));
    groups
        .flat_map(|file| list(&file["groups"]).to_vec())
        .flat_map(|group| list(&group["rules"]).to_vec())
        .collect()
}

#[test]
fn rules_ask_for_nothing_that_is_not_told() {
    let rules = all();
    let mut known: BTreeSet<String> = rules
        .iter()
        .filter_map(|rule| rule["record"].as_str().map(str::to_owned))
        .collect();
    let records = known.clone();
    known.insert(OF_PROMETHEUS.to_owned());
    let told = told();
    let mut used = BTreeSet::new();
    for rule in &rules {
        let expression = text(&rule["expr"]);
        expect_told(expression, &known, &told, &rule["alert"].to_string());
        used.append(&mut promql::metrics(expression));
    }
    let unused: Vec<_> = records.difference(&used).collect();
    assert!(unused.is_empty(), "recorded and not used: {unused:?}");
}

#[test]
fn every_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do() {
    let mut names = BTreeSet::new();
    for rule in all().iter().filter(|rule| rule["record"].is_null()) {
        let name = text(&rule["alert"]);
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(name.starts_with("Node"), "{name}");
        let severity = text(&rule["labels"]["severity"]);
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}"
        );
        let summary = text(&rule["annotations"]["summary"]);
        assert!(
            summary.starts_with("{{ $labels.instance }}") && !summary.ends_with('.'),
            "{name}: {summary}"
        );
        let description = text(&rule["annotations"]["description"]);
        assert!(description.ends_with('.'), "{name}: {description}");
    }
    assert!(!names.is_empty());
}

#[test]
fn every_alert_has_a_test_that_sees_it_fire_and_one_that_sees_it_silent() {
    let tests: Vec<Value> = files("alert-rules/tests", ".yml")
        .iter()
        .flat_map(|file| {
            let file = yaml(file);
            for rules in list(&file["rule_files"]) {
                let path = root().join("alert-rules/tests").join(text(rules));
                assert!(path.is_file(), "there is no {}", path.display());
            }
            list(&file["tests"]).to_vec()
        })
        .flat_map(|test| list(&test["alert_rule_test"]).to_vec())
        .collect();
    for rule in all().iter().filter(|rule| rule["record"].is_null()) {
        let of = |fires: bool| {
            tests
                .iter()
                .filter(|test| test["alertname"] == rule["alert"])
                .filter(|test| list(&test["exp_alerts"]).is_empty() != fires)
                .count()
        };
        assert!(of(true) >= 1, "no test sees {} fire", rule["alert"]);
        assert!(
            of(false) >= 2,
            "no test sees {} before and after",
            rule["alert"]
        );
    }
}
