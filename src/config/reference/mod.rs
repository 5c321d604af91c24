//! The reference of the config, made from its types: CONFIG.md, the JSON schema, a sample file.
//!
//! Owns the tree of keys behind all three and how a type is named to people. It knows no key: names,
//! meanings and defaults come from the schema, so that a page cannot tell what the types do not.

mod page;
mod sample;

use schemars::JsonSchema;
use serde_json::Value;

use super::keys::words;
use super::schema::{Fields, Schema, Shape};

pub use page::page;
pub use sample::sample;

/// Keys nested deeper than this are not told.
const DEEPEST: usize = 12;

/// The name of the file that the sample's first line points editors at.
pub const SCHEMA_FILE: &str = "nodeward.schema.json";

/// The JSON schema of the config, for editors and for other programs. Ends with a line break.
pub fn schema<T: JsonSchema>() -> String {
    let mut text = serde_json::to_string_pretty(Schema::of::<T>().root()).unwrap_or_default();
    text.push('\n');
    text
}

/// One key of the config with all it may hold.
#[derive(Debug, Clone)]
struct Key {
    /// As it is written in a file; `NAME` where it is free, `[]` for the items of a list.
    name: String,
    /// From the root: `http.listen`.
    path: String,
    /// What may stand there, in words.
    kind: String,
    /// The value it has when it is not there; `None` for none.
    default: Option<Value>,
    required: bool,
    /// The doc comment, one paragraph.
    about: String,
    /// Words it may be, where they have a meaning of their own: word, meaning.
    words: Vec<(String, String)>,
    part: Part,
    children: Vec<Key>,
}

/// How a key's children relate to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It has none.
    Leaf,
    /// A map that is always there, with declared keys.
    Section,
    /// A map that is there only when it is written.
    Optional,
    /// Names of the user's own, or a list: as many as are written.
    Many,
    /// One of several, by its name.
    OneOf,
}

/// The keys at the top level; those of `first` before the others.
fn keys<T: JsonSchema>(first: &[&str]) -> Vec<Key> {
    let schema = Schema::of::<T>();
    let mut keys = Vec::new();
    for shape in schema.shapes(schema.root()) {
        if let Shape::Map(fields) = shape {
            keys.extend(below(&schema, &fields, "", DEEPEST));
        }
    }
    let rank = |key: &Key| first.iter().position(|name| *name == key.name);
    keys.sort_by_key(|key| rank(key).unwrap_or(first.len()));
    keys
}

fn below(schema: &Schema, fields: &Fields<'_>, path: &str, depth: usize) -> Vec<Key> {
    let Some(depth) = depth.checked_sub(1) else {
        return Vec::new();
    };
    let known = fields.known.iter().map(|(name, part)| {
        key(
            schema,
            name,
            path,
            part,
            fields.required.contains(name),
            depth,
        )
    });
    let free = fields.free.filter(|free| free.is_object());
    let free = free.map(|part| key(schema, "NAME", path, part, false, depth));
    known.chain(free).collect()
}

fn key(
    schema: &Schema,
    name: &str,
    above: &str,
    part: &Value,
    required: bool,
    depth: usize,
) -> Key {
    let path = match (above.is_empty(), name) {
        (true, _) => name.to_owned(),
        (false, "[]") => format!("{above}[]"),
        (false, _) => format!("{above}.{name}"),
    };
    let shapes = schema.shapes(part);
    let maps: Vec<&Fields<'_>> = shapes
        .iter()
        .filter_map(|shape| match shape {
            Shape::Map(fields) => Some(fields),
            _ => None,
        })
        .collect();
    let items = shapes.iter().find_map(|shape| match shape {
        Shape::List(items) => items.of,
        _ => None,
    });
    let nullable = shapes.iter().any(|shape| matches!(shape, Shape::Null));
    let (part_of, children) = match maps.as_slice() {
        [] => match items.map(|items| key(schema, "[]", &path, items, false, depth)) {
            Some(item) if item.part != Part::Leaf => (Part::Many, vec![item]),
            _ => (Part::Leaf, Vec::new()),
        },
        [fields] if fields.free.is_some() => {
            let mut children = below(schema, fields, &path, depth);
            // "Map of names to text" says it all.
            children.retain(|child| child.part != Part::Leaf || !child.about.is_empty());
            (Part::Many, children)
        }
        [fields] => {
            let part = if nullable || required {
                Part::Optional
            } else {
                Part::Section
            };
            (part, below(schema, fields, &path, depth))
        }
        several => {
            let each = several
                .iter()
                .flat_map(|fields| below(schema, fields, &path, depth));
            (
                Part::OneOf,
                each.map(|key| Key {
                    required: false,
                    ..key
                })
                .collect(),
            )
        }
    };
    let words = shapes.iter().filter_map(|shape| match shape {
        Shape::Word(word, Some(about)) => Some(((*word).to_owned(), one_line(about))),
        _ => None,
    });
    Key {
        name: name.to_owned(),
        kind: match kind(schema, &shapes) {
            text if text == "text" && name.ends_with("_file") => "path of a file".to_owned(),
            kind => kind,
        },
        default: part
            .get("default")
            .filter(|default| !default.is_null())
            .cloned(),
        required,
        about: one_line(schema.description(part).unwrap_or_default()),
        words: words.collect(),
        part: part_of,
        children,
        path,
    }
}

/// What may stand there, in as few words as name it.
fn kind(schema: &Schema, shapes: &[Shape<'_>]) -> String {
    let mut kinds: Vec<String> = Vec::new();
    let mut tagged = false;
    for shape in shapes {
        let kind = match shape {
            Shape::Anything => "anything".to_owned(),
            Shape::Null => continue,
            Shape::Bool => "`true` or `false`".to_owned(),
            Shape::Number(limits) => words::number(*limits),
            Shape::Word(word, _) => format!("`{word}`"),
            Shape::Text(kind, _) => kind.and_then(words::kind).unwrap_or("a text").to_owned(),
            Shape::List(items) => match items.of {
                Some(of) => format!("list of {}", kind_of_item(schema, of)),
                None => "list".to_owned(),
            },
            Shape::Map(fields) if fields.free.is_some() => {
                let free = fields.free.filter(|free| free.is_object());
                let of = free.map(|free| kind_of_item(schema, free));
                format!(
                    "map of names to {}",
                    of.unwrap_or_else(|| "anything".to_owned())
                )
            }
            Shape::Map(_) if tagged => continue,
            Shape::Map(_) => {
                tagged = true;
                "a map".to_owned()
            }
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let short: Vec<&str> = kinds.iter().map(|kind| bare(kind)).collect();
    match short.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => short.concat(),
    }
}

fn kind_of_item(schema: &Schema, part: &Value) -> String {
    kind(schema, &schema.shapes(part))
}

/// Without its article and its example: a column is narrow.
fn bare(kind: &str) -> &str {
    let kind = kind
        .strip_prefix("an ")
        .or_else(|| kind.strip_prefix("a "))
        .unwrap_or(kind);
    let kind = kind.strip_prefix("the ").unwrap_or(kind);
    kind.split_once(" such as ").map_or(kind, |(kind, _)| kind)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
