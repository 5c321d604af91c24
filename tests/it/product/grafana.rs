//! dashboards/: queries, variables, units, titles and the layout of the panels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::dashboards::{Dashboard, unused};
use super::{Known, Told, expect_told, files, list, promql, root, text};

/// Panels that come with Grafana; any other needs a plugin.
const BUILT_IN: &[&str] = &[
    "bargauge",
    "gauge",
    "heatmap",
    "row",
    "stat",
    "state-timeline",
    "table",
    "text",
    "timeseries",
];

fn dashboards() -> Vec<(PathBuf, Value)> {
    let read = |path: PathBuf| {
        let json = serde_json::from_str(&fs::read_to_string(&path).unwrap());
        let json = json.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, json)
    };
    files("dashboards", ".json").into_iter().map(read).collect()
}

/// The panels of a dashboard, those in closed rows as well.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let top = list(&dashboard["panels"]);
    top.iter()
        .chain(top.iter().flat_map(|panel| list(&panel["panels"])))
        .collect()
}

/// Every metric that a dashboard asks for.
pub fn metrics() -> BTreeSet<String> {
    let dashboards = dashboards();
    let panels = dashboards
        .iter()
        .flat_map(|(_, dashboard)| panels(dashboard));
    let targets = panels.flat_map(|panel| list(&panel["targets"]));
    targets
        .flat_map(|target| promql::metrics(text(&target["expr"])))
        .collect()
}

/// What Prometheus itself writes.
fn known() -> Known {
    let of_alerts = [
        "alertname",
        "alertstate",
        "severity",
        "name",
        "check",
        "device",
        "mountpoint",
    ];
    let of_alerts = of_alerts.map(str::to_owned).to_vec();
    Known::from([
        ("ALERTS".to_owned(), Some(of_alerts)),
        ("up".to_owned(), Some(Vec::new())),
    ])
}

#[test]
fn dashboards_ask_for_nothing_that_is_not_told() {
    let (told, known) = (Told::in_both_worlds(), known());
    for (path, dashboard) in dashboards() {
        let mut queries = 0;
        for panel in panels(&dashboard) {
            for target in list(&panel["targets"]) {
                let place = format!("{} {}", path.display(), panel["title"]);
                expect_told(text(&target["expr"]), &known, &told, &place);
                queries += 1;
            }
        }
        for annotation in list(&dashboard["annotations"]["list"]) {
            expect_told(text(&annotation["expr"]), &known, &told, "an annotation");
        }
        for variable in list(&dashboard["templating"]["list"]) {
            if let Some(query) = variable["query"]["query"].as_str() {
                let asked = match query.strip_prefix("label_values(") {
                    Some(inside) => {
                        let (metric, label) = inside.rsplit_once(", ").expect(query);
                        format!("count by ({label} ({metric})")
                    }
                    None => query.strip_prefix("query_result(").expect(query).to_owned(),
                };
                expect_told(&asked, &known, &told, "a variable");
            }
        }
        assert!(queries > 0, "{} asks for nothing", path.display());
    }
}

#[test]
fn every_metric_that_is_told_is_used_or_has_a_reason_not_to_be() {
    let mut used = metrics();
    for (_, rule) in super::rules::all() {
        used.append(&mut promql::metrics(text(&rule["expr"])));
    }
    let unused = unused();
    let covers = |name: &str, metric: &str| match name.strip_suffix('*') {
        Some(start) => metric.starts_with(start),
        None => name == metric,
    };
    let told = Told::in_both_worlds();
    let mut open = Vec::new();
    let mut named = BTreeSet::new();
    for metric in told.exact.keys() {
        let of_histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| metric.strip_suffix(suffix))
            .any(|base| used.contains(&format!("{base}_bucket")));
        if used.contains(metric) || of_histogram {
            continue;
        }
        match unused.iter().find(|(name, _)| covers(name, metric)) {
            Some((name, _)) => drop(named.insert(name)),
            None => open.push(metric),
        }
    }
    assert!(open.is_empty(), "neither used nor in unused.yml: {open:#?}");
    for (name, _) in &unused {
        assert!(named.contains(name), "{name} is used, or is not told");
        let exact = used.contains(name.as_str());
        assert!(!exact, "{name} is used");
    }
}

#[test]
fn every_query_is_about_what_is_chosen_in_the_chosen_data_source() {
    for source in Dashboard::all() {
        let path = root().join(format!("dashboards/{}.json", source.name));
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let variables: BTreeSet<&str> = list(&dashboard["templating"]["list"])
            .iter()
            .map(|variable| text(&variable["name"]))
            .collect();
        assert!(variables.contains("datasource"));
        for panel in panels(&dashboard) {
            for target in list(&panel["targets"]) {
                let (title, expression) = (&panel["title"], text(&target["expr"]));
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
                let selectors = promql::named(expression).selectors.len();
                let chosen = format!("{{{}", source.select());
                assert_eq!(
                    expression.matches(&chosen).count(),
                    selectors,
                    "{title}: {expression}"
                );
                for variable in variables_of(expression) {
                    assert!(
                        OF_GRAFANA.contains(&variable) || variables.contains(variable),
                        "{title}: ${variable} is no variable"
                    );
                }
            }
        }
    }
}

/// Variables that Grafana has by itself.
const OF_GRAFANA: &[&str] = &["__rate_interval", "__interval", "__range"];

#[test]
fn dashboards_lead_to_one_another_with_what_was_chosen() {
    let all = dashboards();
    let uids: BTreeSet<&str> = all.iter().map(|(_, d)| text(&d["uid"])).collect();
    assert_eq!(uids.len(), all.len(), "a uid stands twice");
    let mut links = 0;
    for (path, dashboard) in &all {
        let place = path.display();
        let tags = list(&dashboard["tags"]);
        let link = &dashboard["links"][0];
        assert!(
            list(&link["tags"]).iter().all(|tag| tags.contains(tag)),
            "{place}"
        );
        assert!(
            link["includeVars"] == true && link["keepTime"] == true,
            "{place}"
        );
        for panel in panels(dashboard) {
            for property in list(&panel["fieldConfig"]["overrides"])
                .iter()
                .flat_map(|o| list(&o["properties"]))
                .filter(|property| property["id"] == "links")
            {
                let url = text(&property["value"][0]["url"]);
                let (uid, query) = url
                    .strip_prefix("/d/")
                    .and_then(|u| u.split_once('?'))
                    .expect(url);
                assert!(uids.contains(uid), "{place}: {url}");
                for part in [
                    "var-datasource=",
                    "var-job=",
                    "var-instance=",
                    "__url_time_range",
                ] {
                    assert!(query.contains(part), "{place}: {url}");
                }
                links += 1;
            }
        }
    }
    assert!(links > 0);
}

fn variables_of(expression: &str) -> impl Iterator<Item = &str> {
    expression.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[test]
fn every_panel_has_a_title_a_description_and_a_unit_and_comes_with_grafana() {
    for (path, dashboard) in dashboards() {
        assert!(
            dashboard["uid"].is_string() && dashboard["id"].is_null(),
            "{} has a stable uid and no id",
            path.display()
        );
        let mut ids = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = text(&panel["title"]);
            let kind = text(&panel["type"]);
            assert!(!title.is_empty() && BUILT_IN.contains(&kind), "{panel}");
            assert!(
                ids.insert(panel["id"].as_u64().expect(title)),
                "{title}: id twice"
            );
            if kind != "row" {
                let description = text(&panel["description"]);
                assert!(description.ends_with('.'), "{title}: {description}");
                let unit = text(&panel["fieldConfig"]["defaults"]["unit"]);
                assert!(!unit.is_empty(), "{title}");
                let refs: BTreeSet<_> = list(&panel["targets"])
                    .iter()
                    .map(|target| text(&target["refId"]))
                    .collect();
                assert_eq!(refs.len(), list(&panel["targets"]).len(), "{title}: refId");
                let legend = |target: &Value| target["legendFormat"] != "__auto";
                let named = list(&panel["targets"]).iter().all(legend);
                assert!(
                    named || ["stat", "table"].contains(&kind),
                    "{title}: legends"
                );
            }
        }
    }
}

#[test]
fn panels_lie_within_the_width_and_none_over_another() {
    for (path, dashboard) in dashboards() {
        let mut taken = BTreeMap::new();
        for panel in list(&dashboard["panels"]) {
            let title = text(&panel["title"]);
            let at = |name: &str| panel["gridPos"][name].as_u64().expect(title);
            let (x, y, width, height) = (at("x"), at("y"), at("w"), at("h"));
            assert!(
                width > 0 && height > 0 && x + width <= 24,
                "{title} is too wide"
            );
            for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
                if let Some(other) = taken.insert(cell, title) {
                    panic!("{}: {title} lies over {other}", path.display());
                }
            }
        }
    }
}
