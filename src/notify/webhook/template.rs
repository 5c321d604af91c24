//! A body of somebody else's form: JSON whose texts have placeholders.
//!
//! The template is JSON before anything is put into it, and what is put into it are values: whatever an alert wrote, it stays within its text, and
//! what is sent is JSON of the form that the config has.

use serde_json::{Map, Value};

use crate::model::nearest::nearest;
use crate::model::secret::Secret;

/// The longest template, and the deepest.
const LONGEST: usize = 16 << 10;
const DEEPEST: usize = 16;
/// Bytes of one value, and how many labels there are at most.
const VALUE: usize = 4096;
const LABELS: usize = 64;
/// Stands where something was cut.
const CUT: &str = "…(cut)";
/// What stands for the content of `body_key_file`.
const KEY: &str = "key";
/// What begins the name of a label.
const LABEL: &str = "labels.";

/// What can stand in `${}`.
pub(super) const NAMES: [&str; 20] = [
    "id", "time", "what", "severity", "node", "incident", "playbook", "target", "state", "attempt",
    "cause", "outcome", "by", "from", "summary", "labels", "seq", "chain", "action", KEY,
];

/// A template that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// A value as it stands.
    Plain(Value),
    /// A text that is one placeholder: the value itself, which may be a number or an object.
    Whole(String),
    Text(Vec<Piece>),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Name(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes"));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
        node(value, 0).map(Self)
    }

    /// Whether it asks for the content of `body_key_file`.
    pub(super) fn asks_for_key(&self) -> bool {
        self.0.asks_for_key()
    }

    /// The body; `values` by name.
    pub(super) fn fill(&self, values: &Map<String, Value>, key: Option<&Secret>) -> Value {
        let known = Known { values, key };
        self.0.fill(&known)
    }
}

struct Known<'a> {
    values: &'a Map<String, Value>,
    key: Option<&'a Secret>,
}

impl Known<'_> {
    fn value(&self, name: &str) -> Value {
        let labels = || self.values.get("labels").and_then(Value::as_object);
        let value = match (name, name.strip_prefix(LABEL)) {
            (KEY, _) => return self.key.map_or(Value::Null, |key| key.reveal().into()),
            ("action", _) => action(self.values.get("what")).into(),
            (_, Some(label)) => labels()
                .and_then(|labels| labels.get(label))
                .cloned()
                .unwrap_or_default(),
            _ => self.values.get(name).cloned().unwrap_or_default(),
        };
        match value {
            Value::String(text) => cut(&text).into(),
            Value::Object(labels) => {
                let labels = labels.into_iter().take(LABELS);
                let labels = labels.map(|(name, value)| {
                    (
                        cut(&name),
                        value.as_str().map_or(Value::Null, |text| cut(text).into()),
                    )
                });
                Value::Object(labels.collect())
            }
            other => other,
        }
    }

    fn text(&self, name: &str) -> String {
        match self.value(name) {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => cut(&other.to_string()),
        }
    }
}

/// What a service that keeps incidents is to do.
fn action(what: Option<&Value>) -> &'static str {
    match what.and_then(Value::as_str) {
        Some("recovered") => "resolve",
        Some("acknowledged") => "acknowledge",
        _ => "trigger",
    }
}

fn cut(text: &str) -> String {
    match text.len() > VALUE {
        true => {
            let end = text.floor_char_boundary(VALUE - CUT.len());
            format!("{}{CUT}", text.get(..end).unwrap_or_default())
        }
        false => text.to_owned(),
    }
}

impl Node {
    fn asks_for_key(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Whole(name) => name == KEY,
            Self::Text(pieces) => pieces
                .iter()
                .any(|piece| *piece == Piece::Name(KEY.to_owned())),
            Self::List(items) => items.iter().any(Self::asks_for_key),
            Self::Map(entries) => entries.iter().any(|(_, node)| node.asks_for_key()),
        }
    }

    fn fill(&self, known: &Known<'_>) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Whole(name) => known.value(name),
            Self::Text(pieces) => {
                let pieces = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Name(name) => known.text(name),
                });
                Value::String(pieces.collect())
            }
            Self::List(items) => items.iter().map(|item| item.fill(known)).collect(),
            Self::Map(entries) => {
                let entries = entries.iter();
                Value::Object(
                    entries
                        .map(|(key, node)| (key.clone(), node.fill(known)))
                        .collect(),
                )
            }
        }
    }
}

fn node(value: Value, depth: usize) -> Result<Node, String> {
    if depth > DEEPEST {
        return Err(format!("is more than {DEEPEST} deep"));
    }
    Ok(match value {
        Value::String(text) => match pieces(&text)?.as_slice() {
            [Piece::Name(name)] => Node::Whole(name.clone()),
            pieces => Node::Text(pieces.to_vec()),
        },
        Value::Array(items) => {
            let items = items.into_iter().map(|item| node(item, depth + 1));
            Node::List(items.collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| {
                if key.contains("${") {
                    return Err(format!(
                        "has a placeholder in the name of a member, {key:?}: only values have them"
                    ));
                }
                Ok((key, node(value, depth + 1)?))
            });
            Node::Map(entries.collect::<Result<_, _>>()?)
        }
        plain => Node::Plain(plain),
    })
}

/// A text, parted at its placeholders; `$${` is the text `${`.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            plain.push_str(before);
            plain.push_str("${");
            rest = after;
            continue;
        }
        plain.push_str(before);
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| format!("has a placeholder without its end in {text:?}"))?;
        known(name)?;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Name(name.to_owned()));
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// Whether there is such a placeholder.
fn known(name: &str) -> Result<(), String> {
    if NAMES.contains(&name)
        || name
            .strip_prefix(LABEL)
            .is_some_and(|label| !label.is_empty())
    {
        return Ok(());
    }
    let meant = nearest(name, NAMES);
    let meant = meant.map_or_else(
        || format!("there are {}, and labels.NAME", NAMES.join(", ")),
        |meant| format!("did you mean {meant:?}?"),
    );
    Err(format!("has an unknown placeholder {name:?}; {meant}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str, values: Value) -> Value {
        let template = Template::read(template).unwrap();
        template.fill(values.as_object().unwrap(), Some(&Secret::new("k\"")))
    }

    #[test]
    fn values_stay_within_their_texts() {
        let hostile = "x\", \"admin\": true}\n${key} {{ . }} \\";
        let values = json!({"summary": hostile, "what": "escalated", "seq": 7, "attempt": null, "labels": {"a": hostile}});
        let body = filled(
            r#"{"t": "!${summary}!", "n": "${seq}", "m": "no ${seq}", "l": "${labels}", "one": ["${labels.a}", "${labels.b}"],
                "none": "${attempt}.", "a": "${action}", "k": "${key}", "plain": [1, true, null, ""], "esc": "$${seq}"}"#,
            values,
        );
        assert_eq!(
            body,
            json!({"t": format!("!{hostile}!"), "n": 7, "m": "no 7", "l": {"a": hostile}, "one": [hostile, null], "none": ".", "a": "trigger",
                "k": "k\"", "plain": [1, true, null, ""], "esc": "${seq}"})
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_the_nearest_name() {
        let deep = format!("{}{}", "[".repeat(20), "]".repeat(20));
        for (template, why) in [
            (
                r#"{"a": "${sumary}"}"#,
                "unknown placeholder \"sumary\"; did you mean \"summary\"?",
            ),
            (r#"{"a": ["${labels.}"]}"#, "unknown placeholder"),
            (r#"{"a": "${id"}"#, "without its end"),
            (r#"{"${id}": 1}"#, "only values have them"),
            (r#"{"a": ${id}}"#, "is no JSON"),
            ("", "is no JSON"),
            (&deep, "deep"),
            (&format!("\"{}\"", "x".repeat(20_000)), "longer than"),
        ] {
            let said = Template::read(template).unwrap_err();
            assert!(said.contains(why), "{template}: {said}");
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        let long = "é".repeat(1 << 20);
        let labels: Map<String, Value> = (0..1000)
            .map(|n| (format!("{n:04}"), long.clone().into()))
            .collect();
        let body = filled(
            r#"{"a": "${summary}", "b": "${labels}"}"#,
            json!({"summary": long, "labels": labels}),
        );
        assert!(body.to_string().len() < VALUE * (LABELS + 2));
        assert!(body["a"].as_str().unwrap().ends_with(CUT));
    }
}
