//! What is shipped beside the program tells of nothing that the program does not tell: dashboards, rules, templates,
//! the compose file. Whether their own programs take them is asked of those, in the peer tests.

mod alerts;
mod compose;
mod dashboards;
mod grafana;
mod promql;
mod rules;
mod zabbix;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use nodeward::config::fault::{Faults, Source};
use nodeward::config::parse::parse;
use nodeward::config::tree::{Node, Value as Tree};
use nodeward::dialect::otlp::InstrumentKind;
use nodeward::dialect::prometheus::{Declared, Kind};
use nodeward::subject::TABLE;
use serde_json::{Map, Value};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a directory whose names end so, sorted.
fn files(directory: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(end))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{directory} holds no *{end}");
    files
}

/// A YAML file as JSON.
fn yaml(path: &Path) -> Value {
    parsed(path, &fs::read_to_string(path).unwrap())
}

/// The same of a text that stands, or is to stand, at `path`.
fn parsed(path: &Path, text: &str) -> Value {
    let source = Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let mut faults = Faults::default();
    let node = parse(0, &source, &mut 0, &mut faults);
    assert!(faults.is_empty(), "{}: {faults:?}", path.display());
    json(&node.unwrap())
}

fn json(node: &Node) -> Value {
    match &node.value {
        Tree::Null | Tree::Dropped => Value::Null,
        Tree::Bool(yes) => Value::from(*yes),
        Tree::Int(number) => Value::from(i64::try_from(*number).unwrap()),
        Tree::Float(number) => Value::from(*number),
        Tree::Text(text, _) => Value::from(text.as_str()),
        Tree::List(list) => list.iter().map(json).collect(),
        Tree::Map(map) => Value::Object(
            map.iter()
                .map(|entry| (entry.key.clone(), json(&entry.node)))
                .collect::<Map<_, _>>(),
        ),
    }
}

/// The elements of a list; none if there is no list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text but {value}"))
}

/// What a page of ours may hold: metrics with their labels.
struct Told {
    exact: BTreeMap<String, BTreeSet<&'static str>>,
    /// Families whose names come from the machine. Not those of the textfiles, which may have any name.
    rules: Vec<&'static dyn Declared>,
}

impl Told {
    fn new() -> Self {
        let subjects = TABLE.iter().flat_map(|entry| entry.families);
        let own = nodeward::app::told::families();
        let mut told = Self {
            exact: BTreeMap::new(),
            rules: Vec::new(),
        };
        for family in subjects.chain(own.into_iter().flatten()) {
            let described = family.descriptor();
            let labels = described.labels.iter().copied();
            let mut add = |suffix: &str, more: &'static [&'static str]| {
                let labels = labels.clone().chain(more.iter().copied()).collect();
                told.exact
                    .insert(format!("{}{suffix}", described.name), labels);
            };
            match described.kind {
                _ if described.name == "*" => {}
                _ if described.name.contains('*') => told.rules.push(*family),
                Kind::Histogram => {
                    add("_bucket", &["le"]);
                    add("_sum", &[]);
                    add("_count", &[]);
                }
                _ => add("", &[]),
            }
        }
        told
    }

    /// Under the names of OpenTelemetry too, as Prometheus spells them (its guide to OpenTelemetry: dots as underscores, then the
    /// unit in full, then `_total` for what only grows).
    fn in_both_worlds() -> Self {
        let mut told = Self::new();
        let subjects = TABLE.iter().flat_map(|entry| entry.instruments).copied();
        for instrument in subjects.chain(nodeward::app::told::instruments()) {
            let named = instrument.descriptor();
            let unit = match (named.unit, named.kind) {
                ("s", _) => "_seconds",
                ("By", _) => "_bytes",
                ("Cel", _) => "_celsius",
                ("Hz", _) => "_hertz",
                ("1", InstrumentKind::Gauge) => "_ratio",
                (unit, _) => {
                    assert!(
                        unit == "1" || unit.starts_with('{'),
                        "{}: {unit}",
                        named.name
                    );
                    ""
                }
            };
            let kinds: &[&str] = match named.kind {
                InstrumentKind::Counter => &["_total"],
                InstrumentKind::Histogram => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            for kind in kinds {
                let name = format!("{}{unit}{kind}", named.name.replace('.', "_"));
                let labels = instrument.attributes().iter().copied();
                let labels = labels.chain((*kind == "_bucket").then_some("le"));
                told.exact.entry(name).or_default().extend(labels);
            }
        }
        told
    }

    /// The labels of a metric, if there is such a metric.
    fn labels(&self, name: &str) -> Option<BTreeSet<&'static str>> {
        self.exact.get(name).cloned().or_else(|| {
            let rule = self.rules.iter().find(|rule| rule.tells(name))?;
            Some(rule.descriptor().labels.iter().copied().collect())
        })
    }
}

/// Labels that whoever scrapes puts on every series.
const OF_THE_SCRAPE: [&str; 2] = ["instance", "job"];

/// Panics unless every metric of `expression` is told with the labels that are asked for, or is one of `known`.
fn expect_told(expression: &str, known: &Known, told: &Told, place: &str) {
    let named = promql::named(expression);
    assert!(
        !named.selectors.is_empty(),
        "{place}: no metric is named in {expression}"
    );
    let mut all: BTreeSet<&str> = OF_THE_SCRAPE.into();
    let mut anything = false;
    for selector in &named.selectors {
        let name = &selector.name;
        let labels: BTreeSet<&str> = match (told.labels(name), known.get(name)) {
            (Some(labels), _) => labels,
            // What is recorded has the labels of what it is made from.
            (None, Some(None)) => {
                anything = true;
                continue;
            }
            (None, Some(Some(labels))) => labels.iter().map(|label| &**label).collect(),
            (None, None) => panic!("{place}: nothing tells {name}, which is named in {expression}"),
        };
        all.extend(labels);
        for matcher in &selector.matchers {
            let label = matcher.label.as_str();
            assert!(
                all.contains(label),
                "{place}: {name} has no label {label}: {expression}"
            );
        }
    }
    for label in &named.labels {
        assert!(
            anything || all.contains(&**label),
            "{place}: no label {label} is in {expression}"
        );
    }
}

/// Metrics that others tell, with their labels; none where those are not known.
type Known = BTreeMap<String, Option<Vec<String>>>;
