//! Panels: what the source says in a line, as Grafana has it.

use serde_json::{Map, Value, json};

use crate::product::{list, text};

const KEYS: &[&str] = &[
    "kind",
    "title",
    "w",
    "h",
    "about",
    "unit",
    "decimals",
    "min",
    "max",
    "steps",
    "base",
    "words",
    "stack",
    "names",
    "ask",
    "columns",
    "sort",
    "ascending",
];
const COLUMN: &[&str] = &[
    "name", "as", "unit", "decimals", "steps", "base", "words", "texts", "link", "hide",
];

/// A panel without its place and number.
pub(super) fn made(panel: &Value, expand: &impl Fn(&str) -> String) -> Value {
    for key in panel.as_object().unwrap().keys() {
        assert!(KEYS.contains(&&**key), "{}: {key}", panel["title"]);
    }
    let kind = text(&panel["kind"]);
    let mut defaults = appearance(panel);
    let custom = custom(kind, panel);
    if !custom.is_null() {
        defaults.insert("custom".into(), custom);
    }
    let mut made = json!({
        "type": kind, "title": panel["title"], "description": panel["about"],
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "fieldConfig": {"defaults": defaults, "overrides": overrides(panel)},
        "options": options(kind, panel),
        "targets": targets(kind, panel, expand),
    });
    if kind == "table" {
        made["transformations"] = transformations(panel);
    }
    made
}

fn targets(kind: &str, panel: &Value, expand: &impl Fn(&str) -> String) -> Value {
    let series = matches!(kind, "timeseries" | "state-timeline");
    let made = list(&panel["ask"]).iter().zip('A'..).map(|(ask, id)| {
        let query = ask.as_str().unwrap_or_else(|| text(&ask["q"]));
        json!({
            "refId": id.to_string(), "datasource": {"type": "prometheus", "uid": "${datasource}"}, "editorMode": "code",
            "expr": expand(query), "legendFormat": ask["as"].as_str().unwrap_or("__auto"),
            "format": if kind == "table" { "table" } else { "time_series" },
            "range": series || kind == "stat", "instant": !(series || kind == "stat"),
        })
    });
    made.collect()
}

/// Unit, bounds, colours and words of a value.
fn appearance(of: &Value) -> Map<String, Value> {
    let mut said = Map::new();
    said.insert("unit".into(), json!(of["unit"].as_str().unwrap_or("short")));
    for key in ["min", "max", "decimals"] {
        if !of[key].is_null() {
            said.insert(key.into(), of[key].clone());
        }
    }
    let base = of["base"].as_str().unwrap_or("green");
    let mut steps = vec![json!({"color": base, "value": null})];
    for step in list(&of["steps"]) {
        steps.push(json!({"value": step[0], "color": step[1]}));
    }
    let colored = steps.len() > 1 || !of["words"].is_null() || !of["texts"].is_null();
    let mode = match colored {
        true => "thresholds",
        false if matches!(of["kind"].as_str(), Some("stat" | "bargauge")) => "thresholds",
        false => "palette-classic",
    };
    if mode == "thresholds" && steps.len() == 1 && of["kind"] == "stat" {
        steps = vec![json!({"color": "text", "value": null})];
    }
    said.insert("color".into(), json!({"mode": mode}));
    said.insert(
        "thresholds".into(),
        json!({"mode": "absolute", "steps": steps}),
    );
    let mut words = Map::new();
    for (word, index) in list(&of["words"]).iter().zip(0..) {
        let value = json!({"text": word[1], "color": word[2], "index": index});
        words.insert(word[0].to_string(), value);
    }
    for (word, index) in list(&of["texts"]).iter().zip(0..) {
        words.insert(
            text(&word[0]).to_owned(),
            json!({"color": word[1], "index": index}),
        );
    }
    let mappings = match words.is_empty() {
        true => json!([]),
        false => json!([{"type": "value", "options": words}]),
    };
    said.insert("mappings".into(), mappings);
    said
}

fn custom(kind: &str, panel: &Value) -> Value {
    match kind {
        "timeseries" => json!({
            "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "showPoints": "never", "spanNulls": false,
            "fillOpacity": if panel["stack"] == true { 25 } else { 8 }, "gradientMode": "none", "axisPlacement": "auto",
            "stacking": {"mode": if panel["stack"] == true { "normal" } else { "none" }, "group": "A"},
        }),
        "state-timeline" => json!({"lineWidth": 0, "fillOpacity": 80}),
        "table" => {
            json!({"align": "auto", "cellOptions": {"type": "auto"}, "inspect": false, "filterable": true})
        }
        "stat" | "bargauge" => Value::Null,
        other => panic!("{other} is no kind of panel"),
    }
}

fn options(kind: &str, panel: &Value) -> Value {
    let last = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
    let legend =
        json!({"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []});
    match kind {
        "timeseries" => json!({
            "legend": {"showLegend": true, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
        "state-timeline" => json!({
            "mergeValues": true, "showValue": "never", "alignValue": "left", "rowHeight": 0.9, "legend": legend,
            "tooltip": {"mode": "single", "sort": "none"},
        }),
        "stat" => json!({
            "reduceOptions": last, "colorMode": "value", "orientation": "auto", "justifyMode": "auto", "wideLayout": true,
            "graphMode": if panel["names"] == true || !panel["words"].is_null() { "none" } else { "area" },
            "textMode": if panel["names"] == true { "name" } else { "auto" },
        }),
        "bargauge" => json!({
            "reduceOptions": last, "orientation": "horizontal", "displayMode": "gradient", "valueMode": "color",
            "namePlacement": "auto", "showUnfilled": true, "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16,
            "maxVizHeight": 300,
        }),
        _ => {
            let sort = panel["sort"].as_str().map(|by| shown(panel, by));
            let sort =
                sort.map(|by| json!({"displayName": by, "desc": panel["ascending"] != true}));
            json!({
                "showHeader": true, "cellHeight": "sm", "sortBy": sort.into_iter().collect::<Vec<_>>(),
                "footer": {"show": false, "reducer": ["sum"], "countRows": false, "fields": ""},
            })
        }
    }
}

/// What a column is called in the table.
fn shown<'a>(panel: &'a Value, name: &'a str) -> &'a str {
    let column = list(&panel["columns"]).iter().find(|c| c["name"] == name);
    column.and_then(|c| c["as"].as_str()).unwrap_or(name)
}

fn overrides(panel: &Value) -> Value {
    let made = list(&panel["columns"]).iter().filter_map(|column| {
        for key in column.as_object().unwrap().keys() {
            assert!(COLUMN.contains(&&**key), "{}: {key}", panel["title"]);
        }
        let mut properties = Vec::new();
        let mut set = |id: &str, value: Value| properties.push(json!({"id": id, "value": value}));
        let looks = appearance(column);
        for key in ["unit", "decimals"] {
            if !column[key].is_null() {
                set(key, looks[key].clone());
            }
        }
        if ["steps", "words", "texts"].iter().any(|key| !column[*key].is_null()) {
            set("thresholds", looks["thresholds"].clone());
            set("color", looks["color"].clone());
            set("mappings", looks["mappings"].clone());
            set("custom.cellOptions", json!({"type": "color-text"}));
        }
        if let Some(uid) = column["link"].as_str() {
            let field = |label: &str| format!("${{__data.fields.{label}}}");
            // Fields are called as the table shows them.
            let hidden = |c: &&Value| c["hide"] == true && c["name"] == "job";
            assert!(
                !list(&panel["columns"]).iter().any(|c| hidden(&c)),
                "{}: a link needs the job",
                panel["title"]
            );
            let (job, node) = (shown(panel, "job"), shown(panel, "instance"));
            let url = format!(
                "/d/{uid}?var-datasource=${{datasource}}&var-job={}&var-instance={}&${{__url_time_range}}",
                field(job),
                field(node)
            );
            set("links", json!([{"title": "This node", "url": url, "targetBlank": false}]));
        }
        let name = shown(panel, text(&column["name"]));
        let matcher = json!({"id": "byName", "options": name});
        (!properties.is_empty()).then(|| json!({"matcher": matcher, "properties": properties}))
    });
    made.collect()
}

/// Joins the queries of a table by their labels, and names, orders and hides its columns.
fn transformations(panel: &Value) -> Value {
    let asks = list(&panel["ask"]);
    let mut renamed = Map::new();
    let mut hidden = Map::from_iter([("Time".to_owned(), json!(true))]);
    let mut order = Map::new();
    let value_of = |name: &str| {
        let named = asks.iter().zip('A'..).find(|(ask, _)| ask["as"] == name);
        match (named, asks.len()) {
            (Some(_), 1) => "Value".to_owned(),
            (Some((_, id)), _) => format!("Value #{id}"),
            (None, _) => name.to_owned(),
        }
    };
    for (column, at) in list(&panel["columns"]).iter().zip(0..) {
        let name = text(&column["name"]);
        let field = value_of(name);
        order.insert(field.clone(), json!(at));
        if column["hide"] == true {
            hidden.insert(field, json!(true));
        } else if field != shown(panel, name) {
            renamed.insert(field, json!(shown(panel, name)));
        }
    }
    json!([
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "includeByName": {}, "indexByName": order, "renameByName": renamed}},
    ])
}
