//! What dashboards and rules ask for.

use std::collections::BTreeSet;

use libtest_mimic::Failed;
use serde_json::Value;

use super::list;
use crate::product::{files, root};

#[allow(
    clippy::panic,
    clippy::expect_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails by panicking"
)]
#[path = "../../it/product/promql.rs"]
pub mod promql;

use promql::{Matcher, Selector};

/// What the variables of Grafana stand for in a query, but for job and instance.
const VARIABLES: &[(&str, &str)] = &[
    ("$__rate_interval", "1m"),
    ("$__range", "5m"),
    ("$device", ".+"),
    ("$playbook", ".+"),
];

/// A target of Prometheus.
pub struct Node {
    pub job: String,
    pub instance: String,
}

/// A query of a panel, about one node.
pub struct Query {
    pub place: String,
    pub number: usize,
    pub title: String,
    pub expression: String,
}

/// The queries of every panel, annotation and variable, as they are in the files.
fn written() -> Result<Vec<Query>, Failed> {
    let mut all = Vec::new();
    for file in files("dashboards", ".json")? {
        let dashboard: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let mut add = |title: &Value, id: &Value, number, expression: &Value| {
            let title = title.as_str().unwrap_or_default().to_owned();
            all.push(Query {
                place: format!("{name}: {title} ({id})"),
                number,
                title,
                expression: expression.as_str().unwrap_or_default().to_owned(),
            });
        };
        for panel in list(&dashboard["panels"]) {
            for (number, target) in list(&panel["targets"]).iter().enumerate() {
                add(&panel["title"], &panel["id"], number, &target["expr"]);
            }
        }
        for annotation in list(&dashboard["annotations"]["list"]) {
            add(&annotation["name"], &Value::Null, 0, &annotation["expr"]);
        }
    }
    Ok(all)
}

pub fn queries(node: &Node) -> Result<Vec<Query>, Failed> {
    let mut all = written()?;
    for query in &mut all {
        let mut expression = query.expression.replace("$instance", &node.instance);
        expression = expression.replace("$job", &node.job);
        for (name, value) in VARIABLES {
            expression = expression.replace(name, value);
        }
        query.expression = expression;
    }
    Ok(all)
}

/// The query without its comparisons: `> 0` and the like are there to be empty most of the time.
pub fn unconditional(expression: &str) -> String {
    [" > 0", " == 0", " == 1", " < 1e9"]
        .iter()
        .fold(expression.to_owned(), |text, condition| {
            text.replace(condition, "")
        })
}

/// Every selector of dashboards and rules.
pub fn selectors() -> Result<BTreeSet<Selector>, Failed> {
    let mut all = BTreeSet::new();
    for query in written()? {
        all.extend(promql::named(&query.expression).selectors);
    }
    for file in files("alert-rules", ".yml")? {
        let text = std::fs::read_to_string(root().join(file))?;
        for expression in expressions(&text) {
            all.extend(promql::named(&expression).selectors);
        }
    }
    Ok(all)
}

/// What stands behind `expr:` in a file of rules.
fn expressions(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(said) = line.trim_start().strip_prefix("expr: ") else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let mut whole = said.trim_start_matches('|').to_owned();
        while let Some(more) = lines.next_if(|l| l.len() - l.trim_start().len() > indent) {
            whole.push(' ');
            whole.push_str(more.trim());
        }
        all.push(whole);
    }
    all
}

/// The values that a matcher asks for, as far as they are spelled out.
pub fn values(matcher: &Matcher) -> Vec<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-|".contains(c);
    match matcher.op.as_str() {
        "=" | "=~" if !matcher.value.is_empty() && matcher.value.chars().all(plain) => {
            matcher.value.split('|').map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
