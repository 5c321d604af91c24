//! Variables and annotations.

use serde_json::{Value, json};

use super::Series;
use crate::product::text;

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// The data source, then those that are named: `{job: SERIES}` has the values of the label `job` of that series. `many: true`
/// lets several be chosen, `from` says more of which series, `days` has those too that were there within so many days: a node that is down
/// has no series in the time shown.
pub(super) fn all(named: &[Value], select: &str, series: &Series) -> Vec<Value> {
    let mut all = vec![json!({
        "name": "datasource", "type": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1,
        "current": {}, "hide": 0, "includeAll": false, "multi": false, "options": [], "regex": "", "skipUrlSync": false,
    })];
    // What is chosen before narrows what there is to choose.
    let chosen: Vec<&str> = select.split(',').collect();
    for variable in named {
        let map = variable.as_object().unwrap();
        let (name, of) = map
            .iter()
            .find(|(key, _)| !["many", "from", "days"].contains(&&***key))
            .unwrap();
        let before: Vec<&str> = chosen
            .iter()
            .copied()
            .filter(|matcher| !matcher.starts_with(name.as_str()))
            .filter(|matcher| {
                all.iter()
                    .any(|v| matcher.contains(&format!("${}", text(&v["name"]))))
            })
            .chain(variable["from"].as_str())
            .collect();
        let metric = &series.0[text(of)];
        let metric = match before.is_empty() {
            true => metric.clone(),
            false => format!("{metric}{{{}}}", before.join(",")),
        };
        let (query, regex) = match variable["days"].as_u64() {
            None => (format!("label_values({metric}, {name})"), String::new()),
            Some(days) => (
                format!("query_result(group by ({name}) (last_over_time({metric}[{days}d])))"),
                format!("/{name}=\"([^\"]+)\"/"),
            ),
        };
        let many = variable["many"] == true || variable["from"].is_string();
        let current = match many {
            true => json!({"selected": true, "text": ["All"], "value": ["$__all"]}),
            false => json!({}),
        };
        // All of these are those that are scraped: what the same node pushes by OTLP has another instance, and would count twice.
        let listed = ["job", "instance"].contains(&name.as_str());
        let label = match name.as_str() {
            "instance" => "Node".to_owned(),
            "device" => "Interface".to_owned(),
            name => name[..1].to_uppercase() + &name[1..],
        };
        all.push(json!({
            "name": name, "type": "query", "label": label, "datasource": source(), "definition": query,
            "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "includeAll": many, "multi": many,
            "allValue": if many && !listed { json!(".*") } else { Value::Null }, "current": current, "hide": 0, "options": [],
            "regex": regex, "skipUrlSync": false,
        }));
    }
    all
}

/// `time: true`: the value is when it happened, in milliseconds.
pub(super) fn annotation(one: &Value, expand: &impl Fn(&str) -> String) -> Value {
    json!({
        "name": one["name"], "datasource": source(), "enable": true, "hide": false, "iconColor": one["color"],
        "expr": expand(text(&one["ask"])), "titleFormat": one["title"], "step": "60s",
        "useValueForTime": one["time"] == true,
    })
}
