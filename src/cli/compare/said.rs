//! What two agents say to one key, and whether it is the same.

use std::collections::BTreeSet;

use serde_json::Value;

use super::differ::is_beside;
use super::report::Class;

/// What is said to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A value.
    Value(String),
    /// None, and why.
    Unsupported(String),
}

/// How the two are apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Apart {
    pub(super) class: Class,
    /// A word for it.
    pub(super) kind: &'static str,
    pub(super) there: String,
    pub(super) here: String,
}

impl Apart {
    /// Whether another look would tell nothing else.
    pub(super) fn stays(&self) -> bool {
        self.kind != "value" && self.kind != "elements"
    }

    /// What is behind a key that is missing.
    pub(super) fn note(&self) -> Option<String> {
        let unknown = self.here.contains("Unsupported item key");
        unknown.then(|| "nodeward has no such key, or a rule of zabbix.rules denies it".to_owned())
    }
}

/// How what is said here is apart from all that was said there, from the first to the last; none if it is not. Numbers may lie anywhere
/// between, or beside that by as much: some are told here up to a second old, and rounded otherwise there.
pub(super) fn apart(key: &str, there: &[Said], here: &Said) -> Option<Apart> {
    let found = |class, kind, there: &str, here: &str| {
        Some(Apart {
            class,
            kind,
            there: there.to_owned(),
            here: here.to_owned(),
        })
    };
    let refused = |why: &str| format!("not supported ({why})");
    let (first, last) = (there.first()?, there.last()?);
    let (before, here) = match (last, here) {
        (Said::Unsupported(_), Said::Unsupported(_)) => return None,
        (Said::Value(value), Said::Unsupported(why)) => {
            return found(Class::Missing, "unsupported", value, &refused(why));
        }
        (Said::Unsupported(why), Said::Value(value)) => {
            return found(Class::Extra, "supported", &refused(why), value);
        }
        (Said::Value(before), Said::Value(here)) => (before, here),
    };
    let same = |said: &Said| matches!(said, Said::Value(said) if said == here);
    if there.iter().any(same) {
        return None;
    }
    let kinds = [kind(before), kind(here)];
    if kinds[0] != kinds[1] {
        let words = kinds.map(|kind| format!("{kind:?}").to_lowercase());
        let [theirs, ours] = words;
        let (theirs, ours) = (format!("{before} ({theirs})"), format!("{here} ({ours})"));
        return found(Class::Differs, "type", &theirs, &ours);
    }
    match kinds[0] {
        // The windows of two programs are never the same, nor what runs this very moment: who looks is among it.
        Kind::Whole | Kind::Decimal if key.contains(".util") || key == "proc.num[,,run]" => None,
        Kind::Whole | Kind::Decimal => {
            let number = |text: &str| text.trim().parse::<f64>().ok();
            let ours = number(here)?;
            let all = there.iter().filter_map(|said| match said {
                Said::Value(text) => number(text),
                Said::Unsupported(_) => None,
            });
            let (least, most) = all.fold((f64::MAX, f64::MIN), |(least, most), number| {
                (least.min(number), most.max(number))
            });
            let held = is_beside((least, most), (ours, ours));
            let span = match first {
                Said::Value(first) if first != before => format!("{first} to {before}"),
                _ => before.clone(),
            };
            match held {
                true => None,
                false => found(Class::Differs, "value", &span, here),
            }
        }
        Kind::Json => {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
            let lacking = lacking(&read(before), &read(here));
            let (kind, lacking) = lacking?;
            found(Class::Differs, kind, &lacking, "lacking")
        }
        Kind::Text => found(Class::Differs, "value", before, here),
    }
}

/// What a value is to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Decimal,
    Json,
    Text,
}

fn kind(value: &str) -> Kind {
    let text = value.trim();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, part)) if digits(whole) && digits(part) => Kind::Decimal,
        None if digits(unsigned) => Kind::Whole,
        _ if text.starts_with(['[', '{']) && serde_json::from_str::<Value>(text).is_ok() => {
            Kind::Json
        }
        _ => Kind::Text,
    }
}

/// What theirs has and ours has not: things that are discovered, or fields. More than they have is nothing that a template would miss.
fn lacking(theirs: &Value, ours: &Value) -> Option<(&'static str, String)> {
    let list = |value: &Value| -> Vec<Value> {
        let within = value.get("data").unwrap_or(value);
        within.as_array().cloned().unwrap_or_default()
    };
    let macros = |one: &Value| {
        let fields = one.as_object();
        fields.is_some_and(|fields| fields.keys().all(|name| name.starts_with("{#")))
    };
    let (their_list, our_list) = (list(theirs), list(ours));
    if !their_list.is_empty() && their_list.iter().all(macros) {
        let within = |theirs: &Value, ours: &Value| {
            let fields = theirs.as_object().into_iter().flatten();
            fields
                .into_iter()
                .all(|(name, value)| ours.get(name) == Some(value))
        };
        let lost = their_list
            .iter()
            .find(|one| !our_list.iter().any(|ours| within(one, ours)));
        return lost.map(|lost| ("elements", lost.to_string()));
    }
    let (mut there, mut here) = (BTreeSet::new(), BTreeSet::new());
    fields(theirs, "", &mut there);
    fields(ours, "", &mut here);
    let lost: Vec<&str> = there.difference(&here).map(String::as_str).collect();
    (!lost.is_empty()).then(|| ("fields", lost.join(", ")))
}

/// The names of all fields, by their way from the top.
fn fields(value: &Value, way: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| fields(one, way, found)),
        Value::Object(all) => {
            for (name, value) in all {
                let way = format!("{way}.{name}");
                found.insert(way.trim_start_matches('.').to_owned());
                fields(value, &way, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Said {
        Said::Value(text.to_owned())
    }

    fn between(key: &str, before: &str, after: &str, here: &str) -> Option<&'static str> {
        let found = apart(key, &[value(before), value(after)], &value(here));
        found.map(|found| found.kind)
    }

    #[test]
    fn what_moves_is_held_between_two_answers_and_what_does_not_is_compared_as_it_is() {
        for (key, before, after, here, expected) in [
            ("k", "5", "9", "7", None),
            ("k", "9", "5", "7", None),
            ("k", "5", "9", "13", None),
            ("k", "5", "9", "14", Some("value")),
            ("k", "5", "9", "0", Some("value")),
            ("k", "5", "9", "7.0", Some("type")),
            ("k", "0.5", "0.5", "0.50", None),
            ("k", "-1", "-1", "1", Some("value")),
            ("system.cpu.util", "1.000000", "2.000000", "90.000000", None),
            (
                "system.cpu.util",
                "1.000000",
                "2.000000",
                "90",
                Some("type"),
            ),
            ("k", "Linux a", "Linux a", "Linux b", Some("value")),
            ("k", "1", "1", "[]", Some("type")),
            (
                "k",
                "[]",
                r#"[{"{#A}":"1"}]"#,
                r#"[{"{#A}":"2"},{"{#A}":"1","{#B}":"x"}]"#,
                None,
            ),
            (
                "k",
                "[]",
                r#"[{"{#A}":"1"}]"#,
                r#"[{"{#A}":"2"}]"#,
                Some("elements"),
            ),
            (
                "k",
                "[]",
                r#"[{"a":{"b":1}}]"#,
                r#"[{"a":{"b":2,"c":3}}]"#,
                None,
            ),
            (
                "k",
                "[]",
                r#"[{"a":{"b":1}}]"#,
                r#"[{"a":{"c":2}}]"#,
                Some("fields"),
            ),
        ] {
            assert_eq!(
                between(key, before, after, here),
                expected,
                "{before} {after} {here}"
            );
        }
    }

    #[test]
    fn what_only_one_of_them_says_is_missing_or_extra() {
        let none = Said::Unsupported("Unsupported item key.".to_owned());
        let class = |there: &Said, here: &Said| {
            apart("k", std::slice::from_ref(there), here).map(|a| a.class)
        };
        assert_eq!(class(&value("1"), &none), Some(Class::Missing));
        assert_eq!(class(&none, &value("1")), Some(Class::Extra));
        assert_eq!(class(&none, &none), None);
    }
}
