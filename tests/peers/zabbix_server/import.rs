//! A template or a media type of `zabbix-templates/` comes into a real server, and is then what its file says.

use std::path::Path;

use libtest_mimic::Failed;
use serde_json::{Map, Value, json};

use super::house::{Release, Zabbix};

/// Imports a file twice: the second time the server finds everything there, by the uuids.
pub fn import(zabbix: &Zabbix, file: &Path) -> Result<(), Failed> {
    let groups: &[&str] = match zabbix.release {
        Release::Six => &["groups"],
        Release::Seven => &["template_groups", "host_groups"],
    };
    let parts = [
        "templates",
        "items",
        "discoveryRules",
        "triggers",
        "graphs",
        "valueMaps",
        "templateDashboards",
        "mediaTypes",
    ];
    let both = json!({"createMissing": true, "updateExisting": true});
    let mut rules = Map::new();
    for part in groups.iter().chain(&parts) {
        rules.insert((*part).to_owned(), both.clone());
    }
    rules.insert("templateLinkage".to_owned(), json!({"createMissing": true}));
    let source = std::fs::read_to_string(file)?;
    let request = json!({"format": "yaml", "source": source, "rules": rules});
    for _ in 0..2 {
        zabbix.call("configuration.import", &request)?;
    }
    let mut compared = zabbix.call("configuration.importcompare", &request)?;
    if zabbix.release == Release::Seven {
        settle(&mut compared);
    }
    match is_empty(&compared) {
        true => Ok(()),
        false => Err(format!(
            "imported, it is not what {} says: {compared:#}",
            file.display()
        )
        .into()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Takes out of a comparison by 7.0 what is no difference. The file is of 6.0 and says what was no default then; what the
/// server has, it writes without what has become a default since. And it writes widgets in an order of its own.
fn settle(value: &mut Value) {
    match value {
        Value::Array(list) => {
            list.iter_mut().for_each(settle);
            list.retain(|left| !is_empty(left));
        }
        Value::Object(map) => {
            let defaults = [
                ("history", "31d"),
                ("lifetime", "7d"),
                ("type", "ZABBIX_PASSIVE"),
            ];
            for (name, default) in defaults {
                if map.get(name).is_some_and(|value| value == default) {
                    map.remove(name);
                }
            }
            if let Some(Value::Array(widgets)) = map.get_mut("widgets") {
                widgets.sort_by_key(Value::to_string);
            }
            map.values_mut().for_each(settle);
            if map.get("before") == map.get("after") {
                map.remove("before");
                map.remove("after");
            }
            map.retain(|_, left| !is_empty(left));
        }
        _ => {}
    }
}
