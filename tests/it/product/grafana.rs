//! dashboards/: queries, variables, units, titles and the layout of the panels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{Known, Told, expect_told, files, list, promql, text};

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

#[test]
fn dashboards_ask_for_nothing_that_is_not_told() {
    let (told, known) = (Told::new(), Known::new());
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
                let inside = query.strip_prefix("label_values(").expect(query);
                let (metric, _) = inside.rsplit_once(',').expect(query);
                expect_told(metric, &known, &told, "a variable");
            }
        }
        assert!(queries > 0, "{} asks for nothing", path.display());
    }
}

#[test]
fn every_query_is_about_the_chosen_node_in_the_chosen_data_source() {
    for (_, dashboard) in dashboards() {
        let variables: BTreeSet<&str> = list(&dashboard["templating"]["list"])
            .iter()
            .map(|variable| text(&variable["name"]))
            .collect();
        assert!(variables.contains("datasource"));
        for panel in panels(&dashboard) {
            for target in list(&panel["targets"]) {
                let (title, expression) = (&panel["title"], text(&target["expr"]));
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
                let selectors = expression.matches('{').count();
                let chosen = expression.matches("job=\"$job\",instance=\"$instance\"");
                assert_eq!(chosen.count(), selectors, "{title}: {expression}");
                for variable in variables_of(expression) {
                    assert!(
                        variable == "__rate_interval" || variables.contains(variable),
                        "{title}: ${variable} is no variable"
                    );
                }
            }
        }
    }
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
