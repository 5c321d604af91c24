//! What is shipped beside the program tells of nothing that the program does not tell: dashboards, rules, templates,
//! the compose file. Whether their own programs take them is asked of those, in the peer tests.

mod compose;
mod grafana;
mod promql;
mod rules;
mod zabbix;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nodeward::config::fault::{Faults, Source};
use nodeward::config::parse::parse;
use nodeward::config::tree::{Node, Value as Tree};
use nodeward::dialect::prometheus::Kind;
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
    let text = fs::read_to_string(path).unwrap();
    let source = Source {
        path: path.to_owned(),
        text,
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

/// Every metric that a page of ours may hold.
fn told() -> BTreeSet<String> {
    let subjects = TABLE.iter().flat_map(|entry| entry.families);
    let own = nodeward::app::told::families();
    subjects
        .chain(own.into_iter().flatten())
        .map(|family| family.descriptor())
        .flat_map(|family| {
            let suffixes: &[&str] = match family.kind {
                Kind::Histogram => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            suffixes.iter().map(move |s| format!("{}{s}", family.name))
        })
        .collect()
}

/// Panics unless every metric of `expression` is told, or is one of `known`.
fn expect_told(expression: &str, known: &BTreeSet<String>, told: &BTreeSet<String>, place: &str) {
    let names = promql::metrics(expression);
    assert!(
        !names.is_empty(),
        "{place}: no metric is named in {expression}"
    );
    for name in names {
        assert!(
            told.contains(&name) || known.contains(&name),
            "{place}: nothing tells {name}, which is named in {expression}"
        );
    }
}
