//! alert-rules/: names, labels and texts of the rules, that each number stands in one place, that each alert has a test,
//! and that no alert keeps alive what it is about.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Known, Told, expect_told, files, list, promql, root, text, yaml};

/// What Prometheus itself writes of each target.
const OF_PROMETHEUS: &str = "up";
/// The numbers that alerts compare with, and what takes their place.
const NUMBERS: &str = "threshold:";
const OVERRIDES: &str = "override:";

/// Every rule that is shipped, file by file.
pub fn all() -> Vec<(String, Value)> {
    let files = files("alert-rules", ".yml").into_iter();
    files
        .flat_map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let groups = list(&yaml(&path)["groups"]).to_vec();
            let rules = groups.into_iter().flat_map(|g| list(&g["rules"]).to_vec());
            rules.map(move |rule| (name.clone(), rule))
        })
        .collect()
}

pub fn alerts() -> Vec<(String, Value)> {
    let mut all = all();
    all.retain(|(_, rule)| rule["record"].is_null());
    all
}

/// What rules record, and what overrides are called.
pub fn known() -> Known {
    let records = all();
    let records = records
        .iter()
        .filter_map(|(_, rule)| rule["record"].as_str());
    let overrides = records
        .clone()
        .filter_map(|name| name.strip_prefix(NUMBERS))
        .map(|name| format!("{OVERRIDES}{name}"));
    let own = records
        .clone()
        .map(str::to_owned)
        .chain([OF_PROMETHEUS.to_owned()]);
    own.chain(overrides).map(|name| (name, None)).collect()
}

#[test]
fn rules_ask_for_nothing_that_is_not_told() {
    let (told, known) = (Told::new(), known());
    for (_, rule) in all() {
        let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap();
        expect_told(text(&rule["expr"]), &known, &told, name);
    }
}

#[test]
fn what_is_recorded_is_used_in_a_rule_or_a_dashboard() {
    let mut used = super::grafana::metrics();
    for (_, rule) in all() {
        used.append(&mut promql::metrics(text(&rule["expr"])));
    }
    for (_, rule) in all() {
        if let Some(name) = rule["record"].as_str() {
            assert!(used.contains(name), "{name} is recorded and not used");
        }
    }
}

/// The names of thresholds, in the order of their file.
pub fn thresholds() -> Vec<(String, String)> {
    let rules = all();
    let rules = rules.iter().filter(|(file, _)| file == "thresholds.yml");
    rules
        .filter_map(|(_, rule)| {
            let name = text(&rule["record"]).strip_prefix(NUMBERS)?;
            let expression = text(&rule["expr"]);
            let (before, _) = expression.rsplit_once(" * nodeward:node").expect(name);
            let number = before.rsplit([' ', '(']).next().unwrap();
            assert!(number.parse::<f64>().is_ok(), "{name}: {number}");
            Some((name.to_owned(), number.to_owned()))
        })
        .collect()
}

/// Numbers that are no thresholds: a state that is or is not, something that happened at all, and units of time.
fn is_a_fact(number: &str) -> bool {
    ["0", "1", "60"].contains(&number)
}

#[test]
fn every_number_that_an_alert_compares_with_is_a_threshold_that_can_be_overridden() {
    let names: BTreeSet<String> = thresholds().into_iter().map(|(name, _)| name).collect();
    let mut used = BTreeSet::new();
    for (_, rule) in alerts() {
        let (name, expression) = (text(&rule["alert"]), text(&rule["expr"]));
        for metric in promql::metrics(expression) {
            if let Some(threshold) = metric.strip_prefix(NUMBERS) {
                assert!(names.contains(threshold), "{name}: {threshold}");
                used.insert(threshold.to_owned());
            }
        }
        for side in expression.split(['<', '>']).skip(1) {
            let side = side.trim_start_matches(['=', ' ']);
            let end = side.find(|c: char| !c.is_ascii_digit() && c != '.');
            let number = &side[..end.unwrap_or(side.len())];
            assert!(
                number.is_empty() || is_a_fact(number),
                "{name} compares with {number}, which nobody can override"
            );
        }
    }
    assert_eq!(used, names, "a threshold of no alert");
    for (file, rule) in all() {
        let name = rule["record"].as_str().unwrap_or_default();
        if let Some(threshold) = name.strip_prefix(NUMBERS) {
            assert_eq!(file, "thresholds.yml", "{name}");
            let overridden = format!("{OVERRIDES}{threshold}");
            let override_first = promql::named(text(&rule["expr"])).selectors[0].name == overridden;
            assert!(override_first, "{name} cannot be overridden");
        }
    }
}

/// What nodeward tells of what it makes of alerts. An alert on it that nodeward were told of would go on for ever.
#[test]
fn no_alert_on_what_alerts_lead_to_goes_back_to_the_node() {
    let led_to: BTreeSet<&str> = nodeward::heal::told::FAMILIES
        .iter()
        .map(|family| family.descriptor().name)
        .collect();
    for (_, rule) in alerts() {
        let name = text(&rule["alert"]);
        let people = rule["labels"]["audience"] == "people";
        let asked = promql::metrics(text(&rule["expr"]));
        if asked.iter().any(|metric| led_to.contains(&**metric)) {
            assert!(people, "{name} has no audience: people");
        }
        if let Some(audience) = rule["labels"].get("audience") {
            assert_eq!(audience, "people", "{name}");
        }
    }
    let routes = yaml(&root().join("packaging/alertmanager/alertmanager.yml"));
    let routes = list(&routes["route"]["routes"]);
    let to = |route: &&Value, word: &str| text(&route["receiver"]).starts_with(word);
    let of_people = |route: &Value| {
        let matchers = list(&route["matchers"]);
        route["continue"].is_null() && matchers == [Value::from("audience=\"people\"")]
    };
    let stop = routes
        .iter()
        .position(of_people)
        .expect("a route to people alone");
    let node = routes.iter().position(|route| to(&route, "nodeward-"));
    assert!(node.is_some_and(|node| stop < node), "{routes:?}");
}

#[test]
fn the_labels_that_shipped_playbooks_match_are_on_an_alert() {
    let shipped = files("packaging/playbooks", ".yml");
    let mut matched = 0;
    for file in shipped {
        let playbooks = yaml(&file)["playbooks"].clone();
        for (playbook, said) in playbooks.as_object().into_iter().flatten() {
            let names = list(&said["match"]["alertname"]["in"]).iter().map(text);
            for name in names.filter(|name| *name != "CheckFailed") {
                let all = alerts();
                let rule = all.iter().find(|(_, rule)| rule["alert"] == *name);
                let (_, rule) = rule.unwrap_or_else(|| panic!("{playbook}: {name} is no alert"));
                assert!(rule["labels"]["audience"].is_null(), "{name}");
                let value = text(&said["match"]["check"]["in"][0]);
                let said = format!("check=\"{value}\"");
                let labelled = rule["labels"]["check"] == *value;
                assert!(
                    labelled || text(&rule["expr"]).contains(&said),
                    "{name} has not check={value}, which {playbook} matches"
                );
                matched += 1;
            }
        }
    }
    assert!(matched >= 3);
}

#[test]
fn every_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do() {
    let mut names = BTreeSet::new();
    for (_, rule) in alerts() {
        let name = text(&rule["alert"]);
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(name.starts_with("Node"), "{name}");
        let severity = text(&rule["labels"]["severity"]);
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}"
        );
        let say = &rule["annotations"];
        let summary = text(&say["summary"]);
        assert!(
            summary.starts_with("{{ $labels.instance }}") && !summary.ends_with('.'),
            "{name}: {summary}"
        );
        for each in ["description", "action"] {
            let said = text(&say[each]);
            assert!(said.ends_with(['.', '?']), "{name}: {said}");
        }
        let anchor = format!("docs/ALERTS.md#{}", name.to_lowercase());
        assert_eq!(say["runbook"], anchor.as_str(), "{name}");
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
    let minutes = |test: &Value| -> u32 {
        let time = text(&test["eval_time"]).strip_suffix('m').unwrap();
        time.parse().unwrap()
    };
    for (_, rule) in alerts() {
        let of = |fires: bool| -> Vec<u32> {
            tests
                .iter()
                .filter(|test| test["alertname"] == rule["alert"])
                .filter(|test| list(&test["exp_alerts"]).is_empty() != fires)
                .map(minutes)
                .collect()
        };
        let (fires, silent) = (of(true), of(false));
        let at = *fires
            .first()
            .unwrap_or_else(|| panic!("no test sees {} fire", rule["alert"]));
        assert!(
            silent.iter().any(|time| *time < at) && silent.iter().any(|time| *time > at),
            "no test sees {} before and after",
            rule["alert"]
        );
    }
}
