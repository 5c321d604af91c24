//! The JSON schema of the config types, read back as the few shapes a config value can have.
//!
//! Owns the reading of schemas that `schemars` makes from our structs and enums; it is no general
//! schema validator and never reads a schema from outside. The walk over keys, CONFIG.md and the sample
//! all go by these shapes, so that none of them can disagree with the types.

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// References and alternatives nested deeper than this are not followed.
const DEEPEST: usize = 32;

/// The schema of one config type.
#[derive(Debug, Clone)]
pub struct Schema(Value);

/// One way a value may look. A schema offers one or several.
#[derive(Debug, Clone)]
pub enum Shape<'a> {
    /// Whatever.
    Anything,
    /// Nothing: the key may be null.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number(Number),
    /// Exactly this text; its meaning.
    Word(&'a str, Option<&'a str>),
    /// A text; `x-nodeward-type` where the type gives one, and whether it may be empty.
    Text(Option<&'a str>, bool),
    /// A list.
    List(Items<'a>),
    /// A map.
    Map(Fields<'a>),
}

/// Limits of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// No fraction.
    pub whole: bool,
    /// The smallest one allowed.
    pub least: Option<f64>,
    /// The largest one allowed.
    pub most: Option<f64>,
}

/// What a list holds.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    /// The schema of each item; `None` leaves it to the type.
    pub of: Option<&'a Value>,
    /// The fewest items.
    pub least: usize,
    /// The most items.
    pub most: Option<usize>,
}

/// What a map holds.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    /// The declared keys, by name.
    pub known: Vec<(&'a str, &'a Value)>,
    /// The schema of values under free names; `None` where only declared keys are allowed.
    pub free: Option<&'a Value>,
    /// Keys that must be there.
    pub required: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// The schema of a key, declared or free.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        let known = self
            .known
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, schema)| *schema);
        known.or(self.free)
    }
}

impl Schema {
    /// The schema of `T`.
    pub fn of<T: JsonSchema>() -> Self {
        let mut settings = schemars::generate::SchemaSettings::draft2020_12();
        // Every section's type is called Options; as definitions they would be Options2, Options3.
        settings.inline_subschemas = true;
        let mut root = settings
            .into_generator()
            .into_root_schema_for::<T>()
            .to_value();
        name_variants(&mut root);
        Self(root)
    }

    /// The whole schema.
    pub fn root(&self) -> &Value {
        &self.0
    }

    /// The ways a value of `schema` (a part of this one) may look.
    pub fn shapes<'a>(&'a self, schema: &'a Value) -> Vec<Shape<'a>> {
        let mut shapes = Vec::new();
        self.gather(schema, None, &mut shapes, DEEPEST);
        shapes
    }

    /// What the doc comment says about `schema`, on a field or on the type it refers to.
    pub fn description<'a>(&'a self, schema: &'a Value) -> Option<&'a str> {
        let own = |schema: &'a Value| schema.get("description").and_then(Value::as_str);
        own(schema).or_else(|| self.target(schema).and_then(own))
    }

    fn target<'a>(&'a self, schema: &'a Value) -> Option<&'a Value> {
        let reference = schema.get("$ref")?.as_str()?;
        self.0.pointer(reference.strip_prefix('#')?)
    }

    fn gather<'a>(
        &'a self,
        schema: &'a Value,
        kind: Option<&'a str>,
        shapes: &mut Vec<Shape<'a>>,
        depth: usize,
    ) {
        let (Some(object), Some(depth)) = (schema.as_object(), depth.checked_sub(1)) else {
            shapes.push(Shape::Anything);
            return;
        };
        let kind = kind
            .or(text(object, "x-nodeward-type"))
            .or(text(object, "format"));
        if let Some(target) = self.target(schema) {
            return self.gather(target, kind, shapes, depth);
        }
        for alternatives in ["oneOf", "anyOf"] {
            if let Some(list) = object.get(alternatives).and_then(Value::as_array) {
                return list
                    .iter()
                    .for_each(|part| self.gather(part, kind, shapes, depth));
            }
        }
        let about = text(object, "description");
        if let Some(word) = object.get("const") {
            return shapes.push(
                word.as_str()
                    .map_or(Shape::Anything, |w| Shape::Word(w, about)),
            );
        }
        if let Some(words) = object.get("enum").and_then(Value::as_array) {
            return shapes.extend(words.iter().map(|word| match word {
                Value::String(word) => Shape::Word(word, None),
                Value::Null => Shape::Null,
                _ => Shape::Anything,
            }));
        }
        match object.get("type") {
            Some(Value::String(name)) => shapes.push(shape(name, object, kind)),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                shapes.extend(names.map(|name| shape(name, object, kind)));
            }
            _ => shapes.push(Shape::Anything),
        }
    }
}

/// Gives the key of an enum's variant the comment of the variant: schemars puts it on the map that holds the key alone.
fn name_variants(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(name_variants),
        Value::Object(object) => {
            let about = object.get("description").cloned();
            let properties = object.get_mut("properties").and_then(Value::as_object_mut);
            if let (Some(about), Some(properties)) = (about, properties)
                && properties.len() == 1
            {
                for property in properties.values_mut().filter_map(Value::as_object_mut) {
                    property
                        .entry("description")
                        .or_insert_with(|| about.clone());
                }
            }
            object.values_mut().for_each(name_variants);
        }
        _ => {}
    }
}

fn shape<'a>(name: &str, object: &'a Map<String, Value>, kind: Option<&'a str>) -> Shape<'a> {
    let count = |key: &str| {
        let number = object.get(key).and_then(Value::as_u64);
        number.and_then(|number| usize::try_from(number).ok())
    };
    match name {
        "null" => Shape::Null,
        "boolean" => Shape::Bool,
        "integer" => Shape::Number(number(object, true)),
        "number" => Shape::Number(number(object, false)),
        "string" => Shape::Text(kind, count("minLength").unwrap_or(0) == 0),
        "array" => Shape::List(Items {
            of: object.get("items"),
            least: count("minItems").unwrap_or(0),
            most: count("maxItems"),
        }),
        "object" => Shape::Map(fields(object)),
        _ => Shape::Anything,
    }
}

fn number(object: &Map<String, Value>, whole: bool) -> Number {
    let limit = |key: &str| object.get(key).and_then(Value::as_f64);
    // schemars writes the limits of 8 and 16 bits and leaves the wider ones to `format`.
    let (least, most) = match text(object, "format") {
        Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
        Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        Some("uint64" | "uint") => (Some(0.0), Some(18_446_744_073_709_551_615.0)),
        _ => (None, None),
    };
    Number {
        whole,
        least: limit("minimum").or(least),
        most: limit("maximum").or(most),
    }
}

fn fields(object: &Map<String, Value>) -> Fields<'_> {
    let known = object
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let free = match object.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(schema) => Some(schema),
        // A struct without `deny_unknown_fields` says nothing; a typo in it must not pass.
        None if object.contains_key("properties") => None,
        None => Some(&Value::Bool(true)),
    };
    let required = object
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    Fields {
        known: known
            .map(|(name, schema)| (name.as_str(), schema))
            .collect(),
        free,
        required: required.filter_map(Value::as_str).collect(),
    }
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}
