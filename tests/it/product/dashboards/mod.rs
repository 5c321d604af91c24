//! Dashboards made from `dashboards/source`: the series by short names, and one file a dashboard. `NODEWARD_WRITE=1` writes
//! `dashboards/*.json` anew. What the files may say is in docs/DASHBOARDS.md.

mod panel;
mod variable;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use super::{files, list, promql, root, text, yaml};

const SOURCE: &str = "dashboards/source";
/// Files of the source that are no dashboards.
const SERIES: &str = "series";
const UNUSED: &str = "unused";
/// The oldest Grafana that is served, 11, writes this; later ones migrate it when they load it.
const SCHEMA: u32 = 39;

/// Short names of series.
pub struct Series(BTreeMap<String, String>);

impl Series {
    pub fn read() -> Self {
        let file = yaml(&root().join(SOURCE).join(format!("{SERIES}.yml")));
        let pairs = file.as_object().unwrap().iter();
        Self(
            pairs
                .map(|(name, metric)| (name.clone(), text(metric).to_owned()))
                .collect(),
        )
    }

    /// The query with its `@name` and `@name{...}` written out, each with what the dashboard selects.
    fn expand(&self, query: &str, select: &str) -> String {
        let mut said = String::new();
        let mut parts = query.split('@');
        said.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (name, rest) = split_name(part);
            let metric = self.0.get(name);
            let metric = metric.unwrap_or_else(|| panic!("@{name} is not in series.yml: {query}"));
            match rest.strip_prefix('{') {
                Some(more) => said.push_str(&format!("{metric}{{{select},{more}")),
                None => said.push_str(&format!("{metric}{{{select}}}{rest}")),
            }
        }
        said
    }
}

fn split_name(part: &str) -> (&str, &str) {
    let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    part.split_at(end.unwrap_or(part.len()))
}

/// The source of a dashboard.
pub struct Dashboard {
    pub name: String,
    pub source: Value,
}

impl Dashboard {
    pub fn all() -> Vec<Self> {
        let read = |path: std::path::PathBuf| Self {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            source: yaml(&path),
        };
        let mut all: Vec<Self> = files(SOURCE, ".yml").into_iter().map(read).collect();
        all.retain(|dashboard| ![SERIES, UNUSED].contains(&&*dashboard.name));
        all
    }

    /// What it puts into the braces of every series.
    pub fn select(&self) -> &str {
        text(&self.source["select"])
    }

    fn panels(&self) -> impl Iterator<Item = &Value> {
        let rows = list(&self.source["rows"]).iter();
        rows.flat_map(|row| list(&row["panels"]))
    }

    /// Every query as it is written.
    pub fn queries(&self) -> Vec<&str> {
        let asked = self.panels().flat_map(|panel| list(&panel["ask"]));
        let annotations = list(&self.source["annotations"]).iter().map(|a| &a["ask"]);
        let queries = asked.map(|ask| match ask.as_str() {
            Some(query) => query,
            None => text(&ask["q"]),
        });
        queries.chain(annotations.map(text)).collect()
    }

    /// The JSON of Grafana.
    fn made(&self, series: &Series) -> Value {
        let source = &self.source;
        for key in source.as_object().unwrap().keys() {
            assert!(
                [
                    "title",
                    "uid",
                    "about",
                    "tags",
                    "refresh",
                    "select",
                    "variables",
                    "annotations",
                    "rows"
                ]
                .contains(&&**key),
                "{}: {key}",
                self.name
            );
        }
        let select = self.select();
        let expand = |query: &str| series.expand(query, select);
        let annotations: Vec<Value> = list(&source["annotations"])
            .iter()
            .map(|annotation| variable::annotation(annotation, &expand))
            .collect();
        let variables = variable::all(list(&source["variables"]), select, series);
        let mut panels = Vec::new();
        let mut floor = 0;
        for row in list(&source["rows"]) {
            panels.push(json!({
                "type": "row", "title": row["title"], "collapsed": false, "panels": [],
                "gridPos": {"x": 0, "y": floor, "w": 24, "h": 1},
            }));
            let mut levels = [floor + 1; 24];
            for one in list(&row["panels"]) {
                let mut made = panel::made(one, &expand);
                made["gridPos"] = place(one, &mut levels);
                panels.push(made);
            }
            floor = levels.into_iter().max().unwrap_or(floor);
        }
        for (panel, id) in panels.iter_mut().zip(1..) {
            panel["id"] = json!(id);
        }
        json!({
            "id": null, "uid": source["uid"], "title": source["title"], "description": source["about"],
            "tags": source["tags"], "schemaVersion": SCHEMA, "version": 1, "editable": true, "graphTooltip": 1,
            "fiscalYearStartMonth": 0, "timezone": "browser", "weekStart": "", "refresh": source["refresh"],
            "time": {"from": "now-3h", "to": "now"}, "timepicker": {},
            "annotations": {"list": annotations},
            "templating": {"list": variables},
            "links": [{
                "title": "nodeward", "type": "dashboards", "tags": ["nodeward"], "asDropdown": false, "icon": "external link",
                "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": "", "url": "",
            }],
            "panels": panels,
        })
    }
}

/// The lowest place with room for a panel, the leftmost of those.
fn place(panel: &Value, levels: &mut [u64; 24]) -> Value {
    let size = |key: &str| {
        panel[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{panel} has no {key}"))
    };
    let (w, h) = (size("w"), size("h"));
    let width = usize::try_from(w).unwrap();
    let (y, x) = levels
        .windows(width)
        .map(|window| window.iter().copied().max().unwrap_or(0))
        .zip(0..)
        .min()
        .expect("no wider than 24");
    let from: usize = x;
    for level in &mut levels[from..from + width] {
        *level = y + h;
    }
    json!({"x": x, "y": y, "w": w, "h": h})
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn the_dashboards_are_made_from_their_source() {
    let series = Series::read();
    let mut made = BTreeSet::new();
    for dashboard in Dashboard::all() {
        let path = root().join(format!("dashboards/{}.json", dashboard.name));
        let page = pretty(&dashboard.made(&series));
        if std::env::var_os("NODEWARD_WRITE").is_some() {
            fs::write(&path, &page).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == page,
            "{} is not what its source makes it; NODEWARD_WRITE=1 cargo test --test it dashboards",
            path.display()
        );
        made.insert(path);
    }
    for file in files("dashboards", ".json") {
        assert!(made.contains(&file), "{} has no source", file.display());
    }
}

#[test]
fn the_name_of_a_metric_stands_once() {
    let series = Series::read();
    let metrics: BTreeSet<&String> = series.0.values().collect();
    assert_eq!(
        metrics.len(),
        series.0.len(),
        "a metric has two short names"
    );
    let mut used = BTreeSet::new();
    for dashboard in Dashboard::all() {
        let of_variables = list(&dashboard.source["variables"]).iter();
        let anchors = of_variables.flat_map(|v| v.as_object().unwrap().values());
        used.extend(anchors.filter_map(Value::as_str).map(str::to_owned));
        for query in dashboard.queries() {
            let mut plain = String::new();
            for (at, part) in query.split('@').enumerate() {
                let (name, rest) = if at == 0 {
                    ("", part)
                } else {
                    split_name(part)
                };
                used.insert(name.to_owned());
                // Any name keeps braces and brackets of the series in their place.
                plain.push_str(if at == 0 { "" } else { "x" });
                plain.push_str(rest);
            }
            for selector in promql::named(&plain).selectors {
                assert_eq!(selector.name, "x", "{}: {query}", dashboard.name);
            }
        }
    }
    for name in series.0.keys() {
        assert!(used.contains(name), "no dashboard asks for {name}");
    }
}

/// Metrics that are told and that no dashboard and no rule asks for: names, or beginnings that end in `*`.
pub fn unused() -> Vec<(String, String)> {
    let file = yaml(&root().join(SOURCE).join(format!("{UNUSED}.yml")));
    let reasons = list(&file["unused"]).iter();
    reasons
        .flat_map(|reason| {
            let why = text(&reason["why"]);
            assert!(why.ends_with('.'), "{why}");
            let names = list(&reason["metrics"]).iter();
            names.map(move |name| (text(name).to_owned(), why.to_owned()))
        })
        .collect()
}
