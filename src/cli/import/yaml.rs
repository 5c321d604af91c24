//! A config as YAML: the keys that differ from their defaults, in the order of the config.

use serde_json::{Map, Value};

/// Keys of `given` whose values are not those of `default`, as YAML.
pub(super) fn changed(given: &Value, default: &Value) -> String {
    let mut text = String::new();
    if let Some(Value::Object(keys)) = apart(given, default) {
        write(&keys, 0, &mut text);
    }
    text
}

/// What of `given` is not in `default`.
fn apart(given: &Value, default: &Value) -> Option<Value> {
    match (given, default) {
        (Value::Object(given), Value::Object(default)) => {
            let keys: Map<String, Value> = given
                .iter()
                .filter_map(|(key, value)| {
                    let default = default.get(key).unwrap_or(&Value::Null);
                    Some((key.clone(), apart(value, default)?))
                })
                .collect();
            (!keys.is_empty()).then_some(Value::Object(keys))
        }
        _ => (given != default).then(|| given.clone()),
    }
}

/// Scalars and lists are written as JSON writes them, which YAML reads the same (YAML 1.2, section 1.3).
fn write(keys: &Map<String, Value>, depth: usize, into: &mut String) {
    for (key, value) in keys {
        into.push_str(&"  ".repeat(depth));
        into.push_str(key);
        match value {
            Value::Object(keys) if !keys.is_empty() => {
                into.push_str(":\n");
                write(keys, depth + 1, into);
            }
            value => into.push_str(&format!(": {value}\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_written() {
        let default = json!({"a": 1, "b": {"c": [], "d": {"e": "x"}}, "f": null});
        let given =
            json!({"a": 1, "b": {"c": ["^/(a|b)($|/)\\d"], "d": {"e": "y: \"z\""}}, "f": null});
        let text = "b:\n  c: [\"^/(a|b)($|/)\\\\d\"]\n  d:\n    e: \"y: \\\"z\\\"\"\n";
        assert_eq!(changed(&given, &default), text);
        assert_eq!(changed(&default, &default), "");
    }
}
