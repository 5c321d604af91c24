//! A rendered action in plain words, for people: the JSON stays in the journal and the API.

use serde_json::Value;

/// What would be, or was, done: `restart unit web.service`, `run /usr/local/sbin/rebuild-cache --all`. What is of no known kind is
/// shown as it is.
#[must_use]
pub fn plain(action: &Value) -> String {
    told(action).unwrap_or_else(|| action.to_string())
}

fn told(action: &Value) -> Option<String> {
    let text = |at: &str| action.pointer(at).and_then(Value::as_str);
    let words = |at: &str| {
        let list = action.pointer(at).and_then(Value::as_array)?;
        let words: Vec<String> = list.iter().filter_map(Value::as_str).map(word).collect();
        Some(words.join(" "))
    };
    Some(match action.as_object()?.keys().next()?.as_str() {
        "systemd" => format!("{} unit {}", text("/systemd/verb")?, text("/systemd/unit")?),
        "container" => format!(
            "{} container {}",
            text("/container/verb")?,
            text("/container/name")?
        ),
        "command" => format!("run {}", words("/command/argv")?),
        "http" => format!("send {} {}", text("/http/method")?, text("/http/url")?),
        "clean" => clean(action.get("clean")?),
        _ => return None,
    })
}

fn clean(clean: &Value) -> String {
    let text = |name: &str| clean.get(name).and_then(Value::as_str);
    let directories = clean.get("directories").and_then(Value::as_array);
    let directories: Vec<&str> = directories
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut said = Vec::new();
    if !directories.is_empty() {
        let older = text("older_than").map_or_else(String::new, |age| format!(" older than {age}"));
        let largest = text("max_size").map(|size| format!(" until no more than {size} are left"));
        let free = text("until_free").map(|size| format!(" until {size} are free"));
        said.push(format!(
            "delete files{older} in {}{}{}",
            directories.join(", "),
            largest.unwrap_or_default(),
            free.unwrap_or_default()
        ));
    }
    if clean.get("page_cache") == Some(&Value::Bool(true)) {
        said.push("have the kernel forget its file pages".to_owned());
    }
    said.join(", and ")
}

/// An argument; in quotes where it would else be taken for none or for several.
fn word(text: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"';
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::action::Do;
    use crate::action::tests::Case;

    fn rendered(target: &str, written: Value) -> Value {
        let case = Case {
            target: target.parse().unwrap(),
            ..Case::default()
        };
        let action: Do = serde_json::from_value(written).unwrap();
        action.render(&case.order()).unwrap()
    }

    #[test]
    fn each_kind_is_told_as_people_say_it() {
        for (target, written, said) in [
            (
                "unit:web.service",
                json!({"systemd": "restart"}),
                "restart unit web.service",
            ),
            (
                "container:api",
                json!({"container": "restart"}),
                "restart container api",
            ),
            (
                "unit:web.service",
                json!({"command": {"argv": ["/bin/rebuild", "--unit", {"from": "name"}, "a b", ""]}}),
                "run /bin/rebuild --unit web.service \"a b\" \"\"",
            ),
            (
                "node",
                json!({"http": {"url": "http://api/restart", "method": "PUT"}}),
                "send PUT http://api:80/...",
            ),
            (
                "node",
                json!({"clean": {"directories": ["/var/cache/x", "/var/cache/y"], "older_than": "7d", "page_cache": true}}),
                "delete files older than 7d in /var/cache/x, /var/cache/y, and have the kernel forget its file pages",
            ),
        ] {
            assert_eq!(plain(&rendered(target, written)), said);
        }
        assert_eq!(plain(&json!({"other": 1})), "{\"other\":1}");
    }
}
