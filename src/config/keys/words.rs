//! The words of the walk over the keys: what was expected, how to write it right, where a key belongs.
//!
//! Owns wording alone; it decides nothing about a value.

use std::collections::BTreeMap;

use super::super::schema::{Number, Schema, Shape};
use super::super::tree::{Style, Value, quote};
use crate::model::nearest::{fold, nearest};

/// More names than this are not listed in a message.
const LISTED: usize = 24;

/// The index of keys stops at this depth and number of entries; recursive types have no end.
const INDEX_DEPTH: usize = 8;
const INDEX_ENTRIES: usize = 10_000;

/// `a, b, c`, cut where it is long.
pub fn list<'a>(names: impl Iterator<Item = &'a str> + Clone) -> String {
    let more = names.clone().count().saturating_sub(LISTED);
    let mut text = names.take(LISTED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// What a type calls itself in messages and in CONFIG.md, by its `x-nodeward-type`.
pub fn kind(name: &str) -> Option<&'static str> {
    Some(match name {
        "duration" => "a duration such as 30s",
        "crontab time" => "a time as crontab writes it, such as 0 3 * * sun",
        "time zone" => "the name of a time zone, such as Europe/Berlin",
        "size" => "a size such as 4MiB",
        "address" => "an address such as 127.0.0.1:9100",
        "regex" => "a regular expression",
        "ip" | "ipv4" | "ipv6" => "an IP address",
        "url" | "uri" => "a URL",
        "socket" => "off or an absolute path",
        "file" => "the path of a file",
        "secret-file" => "the path of a file that holds a secret",
        _ => return None,
    })
}

/// What one of `shapes` would look like: `a list or a duration such as 30s`.
pub fn expected(shapes: &[Shape<'_>]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut add = |part: String| {
        if !parts.contains(&part) {
            parts.push(part);
        }
    };
    let words = shapes.iter().filter_map(super::word_of);
    match words.clone().count() {
        0 => {}
        1 => add(list(words)),
        _ => add(format!("one of {}", list(words))),
    }
    for shape in shapes {
        match shape {
            Shape::Bool => add("true or false".to_owned()),
            Shape::Number(limits) => add(number(*limits)),
            Shape::Text(kind_name, _) => {
                add(kind_name.and_then(kind).unwrap_or("a text").to_owned());
            }
            Shape::List(_) => add("a list".to_owned()),
            Shape::Map(_) => add("a map".to_owned()),
            Shape::Anything | Shape::Null | Shape::Word(..) => {}
        }
    }
    parts.join(" or ")
}

/// A number's kind and limits: `a whole number from 0 to 65535`.
pub fn number(limits: Number) -> String {
    let kind = if limits.whole {
        "a whole number"
    } else {
        "a number"
    };
    // The limits of 32 and 64 bits tell nobody anything.
    let told = |limit: &f64| limit.abs() < f64::from(i32::MAX);
    match (limits.least.filter(told), limits.most.filter(told)) {
        (Some(least), Some(most)) => format!("{kind} from {least} to {most}"),
        (Some(least), None) => format!("{kind} of at least {least}"),
        (None, Some(most)) => format!("{kind} of at most {most}"),
        (None, None) => kind.to_owned(),
    }
}

/// Whether a bare number may pass to the type, whose own refusal names the units.
pub fn tell_units(shapes: &[Shape<'_>]) -> bool {
    shapes
        .iter()
        .any(|shape| matches!(shape, Shape::Text(Some("duration" | "size"), _)))
}

/// What to say of a text that is none of the words (or tags of maps) among `shapes`.
/// `None` where there are no words at all.
pub fn no_such_word(shapes: &[Shape<'_>], text: &str) -> Option<String> {
    let words = shapes.iter().filter_map(super::word_of);
    let maps = shapes
        .iter()
        .filter(|shape| matches!(shape, Shape::Map(_)))
        .count();
    // A map with more keys than one holds settings, and its keys are no words.
    let tags = shapes
        .iter()
        .filter_map(super::fields_of)
        .filter(|fields| maps > 1 || fields.known.len() == 1)
        .flat_map(|fields| fields.required.iter());
    let tagged = maps > 1 || (maps == 1 && words.clone().next().is_some());
    let tags: Vec<&str> = if tagged {
        tags.copied().collect()
    } else {
        Vec::new()
    };
    if tags.contains(&text) {
        return Some(format!(
            "{} needs settings; write {{{text}: ...}}",
            quote(text)
        ));
    }
    let known: Vec<&str> = words.chain(tags).collect();
    if known.is_empty() {
        return None;
    }
    let mut message = format!(
        "{} is not one of {}",
        quote(text),
        list(known.iter().copied())
    );
    if let Some(meant) = nearest(text, known) {
        message.push_str(&format!("; did you mean {}?", quote(meant)));
    }
    Some(message)
}

/// How to write `value` so that one of `shapes` takes it, where that is plain to see.
pub fn hint(schema: &Schema, shapes: &[Shape<'_>], value: &Value) -> Option<String> {
    let wants = |test: fn(&Shape<'_>) -> bool| shapes.iter().any(test);
    match value {
        Value::Text(text, style) if wants(|shape| matches!(shape, Shape::Number(_))) => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            let digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            match style {
                Style::Quoted if digits => Some("write it without quotes".to_owned()),
                Style::Plain if digits => {
                    Some("write it without the leading zero, or as octal with 0o".to_owned())
                }
                _ => None,
            }
        }
        Value::Text(text, style) if wants(|shape| matches!(shape, Shape::Bool)) => {
            match (text.to_ascii_lowercase().as_str(), style) {
                ("yes" | "on" | "y", _) => Some("write true".to_owned()),
                ("no" | "off" | "n", _) => Some("write false".to_owned()),
                ("true" | "false", Style::Quoted) => Some("write it without quotes".to_owned()),
                _ => None,
            }
        }
        Value::Int(_) | Value::Float(_) | Value::Bool(_)
            if wants(|shape| matches!(shape, Shape::Text(None, _))) =>
        {
            Some("put it in quotes if a text is meant".to_owned())
        }
        Value::Text(text, _) => {
            let items = shapes.iter().find_map(|shape| match shape {
                Shape::List(items) => items.of,
                _ => None,
            })?;
            let of_texts = schema
                .shapes(items)
                .iter()
                .any(|shape| matches!(shape, Shape::Text(..) | Shape::Word(..)));
            of_texts.then(|| format!("write [{}]", quote(text)))
        }
        _ => None,
    }
}

/// Every declared key, folded, with the paths where it may stand; free names are `NAME`.
pub fn index(schema: &Schema) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let mut left = INDEX_ENTRIES;
    walk(
        schema,
        schema.root(),
        "",
        INDEX_DEPTH,
        &mut left,
        &mut found,
    );
    // The nearest to the top first: that is where a lost key most often belongs.
    for paths in found.values_mut() {
        paths.sort_by_key(|path| path.matches('.').count());
        paths.dedup();
    }
    found
}

fn walk(
    schema: &Schema,
    part: &serde_json::Value,
    path: &str,
    depth: usize,
    left: &mut usize,
    found: &mut BTreeMap<String, Vec<String>>,
) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let join = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    for shape in schema.shapes(part) {
        match shape {
            Shape::Map(fields) => {
                for (name, below) in fields.known {
                    if *left == 0 {
                        return;
                    }
                    *left -= 1;
                    let deeper = join(name);
                    walk(schema, below, &deeper, depth, left, found);
                    found.entry(fold(name)).or_default().push(deeper);
                }
                if let Some(below) = fields.free {
                    walk(schema, below, &join("NAME"), depth, left, found);
                }
            }
            Shape::List(items) => {
                if let Some(below) = items.of {
                    walk(schema, below, &format!("{path}[]"), depth, left, found);
                }
            }
            _ => {}
        }
    }
}
