//! Walks a tree beside the schema of the config types, and finds everything wrong in one go.
//!
//! Owns keys, kinds of values, words of enums and limits. What only a type can tell (is this text a
//! duration?) is left to the reading that follows. Whatever is refused here is dropped from the
//! tree, so that the reading goes on over the rest and finds its own faults in the same run.

pub mod words;

use std::collections::BTreeMap;

use super::fault::{Fault, Faults};
use super::schema::{Fields, Items, Number, Schema, Shape};
use super::secret::Near;
use super::tree::{Entry, Node, Path, Place, Step, Value, quote};
use crate::model::nearest::{fold, nearest};

/// Checks `root`, drops what is wrong from it and turns the names of files into what the types
/// take: a path that begins at the config's directory, or the content of a secret's file.
/// Returns the paths that were dropped.
pub fn walk(schema: &Schema, near: &Near, root: &mut Node, faults: &mut Faults) -> Vec<Path> {
    let mut walk = Walk {
        schema,
        near,
        faults,
        dropped: Vec::new(),
        path: Path::default(),
        index: None,
    };
    if !walk.value(schema.root(), root) {
        root.value = Value::Dropped;
        walk.dropped.push(Path::default());
    }
    walk.dropped
}

struct Walk<'a> {
    schema: &'a Schema,
    near: &'a Near,
    faults: &'a mut Faults,
    dropped: Vec<Path>,
    path: Path,
    /// Every declared key with the paths where it may stand; made when first needed.
    index: Option<BTreeMap<String, Vec<String>>>,
}

impl<'a> Walk<'a> {
    /// Checks one value. False: drop it, its fault is noted.
    fn value(&mut self, schema: &'a serde_json::Value, node: &mut Node) -> bool {
        let shapes = self.schema.shapes(schema);
        if shapes.iter().any(|shape| matches!(shape, Shape::Anything)) {
            return true;
        }
        let place = node.place;
        match &mut node.value {
            Value::Map(entries) => {
                let maps: Vec<_> = shapes.iter().filter_map(fields_of).collect();
                match maps.as_slice() {
                    [] => self.mismatch(&shapes, node),
                    [fields] => self.map(fields, entries, place),
                    _ => self.tagged(&shapes, entries, place),
                }
            }
            Value::List(items) => match shapes.iter().find_map(items_of) {
                Some(shape) => self.list(shape, items, place),
                None => self.mismatch(&shapes, node),
            },
            Value::Text(..) => self.text(&shapes, node),
            Value::Int(_) | Value::Float(_) => match shapes.iter().find_map(number_of) {
                Some(limits) => self.number(limits, &shapes, node),
                None if matches!(node.value, Value::Int(0..)) && words::tell_units(&shapes) => true,
                None => self.mismatch(&shapes, node),
            },
            Value::Bool(_) => {
                shapes.iter().any(|shape| matches!(shape, Shape::Bool))
                    || self.mismatch(&shapes, node)
            }
            Value::Null => {
                shapes.iter().any(|shape| matches!(shape, Shape::Null))
                    || self.mismatch(&shapes, node)
            }
            Value::Dropped => true,
        }
    }

    fn map(&mut self, fields: &Fields<'a>, entries: &mut [Entry], place: Place) -> bool {
        let mut meant = Vec::new();
        for entry in entries.iter_mut() {
            match fields.get(&entry.key) {
                None => {
                    let known = fields.known.iter().map(|(name, _)| *name);
                    meant.extend(self.unknown(&entry.key, entry.at, known));
                    self.drop_entry(entry);
                }
                Some(schema) => self.entry(schema, entry),
            }
        }
        let mut complete = true;
        for required in &fields.required {
            match entries.iter().find(|entry| entry.key == *required) {
                Some(entry) if entry.node.value != Value::Dropped => continue,
                // It was there and wrong, or misspelt: that is one fault, not two.
                Some(_) => {}
                None if meant.contains(required) => {}
                None => self.wrong(place, format!("key {} is missing", quote(required))),
            }
            complete = false;
        }
        complete
    }

    fn entry(&mut self, schema: &'a serde_json::Value, entry: &mut Entry) {
        if entry.node.value == Value::Null && self.is_section(schema) {
            // `http:` with nothing under it, because every key below is commented out.
            entry.node.value = Value::Map(Vec::new());
            entry.node.place = entry.at;
        }
        self.path.0.push(Step::Key(entry.key.clone()));
        let mut keep = self.value(schema, &mut entry.node);
        if keep && entry.key.ends_with("_file") {
            keep = self.resolve(schema, &mut entry.node);
        }
        self.path.0.pop();
        if !keep {
            self.drop_entry(entry);
        }
    }

    /// A plain text under a key that ends in `_file` is a path by the rule of names, or a systemd credential.
    fn resolve(&mut self, schema: &'a serde_json::Value, node: &mut Node) -> bool {
        let shapes = self.schema.shapes(schema);
        if let Value::Text(text, _) = &mut node.value
            && shapes
                .iter()
                .any(|shape| matches!(shape, Shape::Text(None, _)))
        {
            match self.near.file(text) {
                Ok(path) => *text = path.display().to_string(),
                Err(error) => {
                    self.wrong(node.place, error.to_string());
                    return false;
                }
            }
        }
        true
    }

    fn is_section(&self, schema: &'a serde_json::Value) -> bool {
        let shapes = self.schema.shapes(schema);
        shapes.iter().any(|shape| matches!(shape, Shape::Map(_)))
            && !shapes.iter().any(|shape| matches!(shape, Shape::Null))
    }

    fn drop_entry(&mut self, entry: &mut Entry) {
        self.dropped.push(self.path.key(&entry.key));
        entry.node.value = Value::Dropped;
    }

    /// One of several maps with one key each: `{systemd: ...}` or `{command: ...}`.
    fn tagged(&mut self, shapes: &[Shape<'a>], entries: &mut [Entry], place: Place) -> bool {
        let known = shapes
            .iter()
            .filter_map(fields_of)
            .flat_map(|fields| fields.known.iter());
        let fields = Fields {
            known: known.copied().collect(),
            free: None,
            required: Vec::new(),
        };
        let tags = || words::list(fields.known.iter().map(|(name, _)| *name));
        match entries {
            [] => self.wrong(
                place,
                format!("expected one of {}, found an empty map", tags()),
            ),
            [entry]
                if shapes
                    .iter()
                    .filter_map(word_of)
                    .any(|word| word == entry.key) =>
            {
                let word = quote(&entry.key);
                self.wrong(
                    entry.at,
                    format!("{word} takes no settings; write the word alone"),
                );
            }
            [entry] => {
                self.map(&fields, std::slice::from_mut(entry), place);
                return entry.node.value != Value::Dropped;
            }
            [first, second, ..] => {
                let found = format!("{} and {}", quote(&first.key), quote(&second.key));
                let message = format!("expected exactly one of {}, found {found}", tags());
                self.wrong(second.at, message);
            }
        }
        false
    }

    fn list(&mut self, shape: &Items<'a>, items: &mut [Node], place: Place) -> bool {
        if items.len() < shape.least {
            let message = format!(
                "needs at least {} of them, found {}",
                shape.least,
                items.len()
            );
            self.wrong(place, message);
            return false;
        }
        if let Some(most) = shape.most.filter(|most| items.len() > *most) {
            self.wrong(
                place,
                format!("takes at most {most} of them, found {}", items.len()),
            );
            return false;
        }
        let Some(schema) = shape.of else {
            return true;
        };
        for (index, item) in items.iter_mut().enumerate() {
            self.path.0.push(Step::Index(index));
            if !self.value(schema, item) {
                self.dropped.push(self.path.clone());
                item.value = Value::Dropped;
            }
            self.path.0.pop();
        }
        true
    }

    fn text(&mut self, shapes: &[Shape<'a>], node: &mut Node) -> bool {
        let place = node.place;
        let Value::Text(text, _) = &mut node.value else {
            return true;
        };
        let free = shapes.iter().find_map(|shape| match shape {
            Shape::Text(kind, may_be_empty) => Some((*kind, *may_be_empty)),
            _ => None,
        });
        let mut words = shapes.iter().filter_map(word_of);
        match free {
            _ if words.any(|word| word == text) => true,
            Some((_, false)) if text.is_empty() => {
                self.wrong(place, "must not be empty".to_owned());
                false
            }
            Some((Some("file"), _)) => {
                *text = self.near.path(text).display().to_string();
                true
            }
            Some((Some("secret-file"), _)) => match self.near.secret(text) {
                Ok(content) => {
                    *text = content;
                    true
                }
                Err(error) => {
                    self.wrong(place, error.to_string());
                    false
                }
            },
            Some(_) => true,
            None => {
                let message = words::no_such_word(shapes, text);
                match message {
                    Some(message) => self.wrong(place, message),
                    None => return self.mismatch(shapes, node),
                }
                false
            }
        }
    }

    fn number(&mut self, limits: Number, shapes: &[Shape<'a>], node: &Node) -> bool {
        let value = match node.value {
            Value::Int(value) => value as f64,
            // No setting means infinity, and NaN passes every limit.
            Value::Float(value) if !limits.whole && value.is_finite() => value,
            _ => return self.mismatch(shapes, node),
        };
        let inside = limits.least.is_none_or(|least| value >= least)
            && limits.most.is_none_or(|most| value <= most);
        inside || self.mismatch(shapes, node)
    }

    fn mismatch(&mut self, shapes: &[Shape<'a>], node: &Node) -> bool {
        let mut message = format!(
            "expected {}, found {}",
            words::expected(shapes),
            node.described()
        );
        if let Some(hint) = words::hint(self.schema, shapes, &node.value) {
            message.push_str("; ");
            message.push_str(&hint);
        }
        let mut fault = Fault::at(node.place, self.named(message));
        if let [Shape::Map(fields)] = shapes
            && !fields.known.is_empty()
        {
            fault = fault.allowing(words::list(fields.known.iter().map(|(name, _)| *name)));
        }
        self.faults.push(fault);
        false
    }

    /// Notes an unknown key and returns the one here that was probably meant.
    fn unknown(
        &mut self,
        key: &str,
        at: Place,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<&'a str> {
        let place = match self.path.to_string() {
            path if path.is_empty() => " at the top level".to_owned(),
            path => format!(" in {path}"),
        };
        let mut message = format!("unknown key {}{place}", quote(key));
        let meant = if self.faults.is_full() {
            None
        } else {
            nearest(key, known.clone())
        };
        if let Some(meant) = meant {
            message.push_str(&format!("; did you mean {}?", quote(meant)));
        } else if let Some(paths) = self.elsewhere(key) {
            message.push_str(&format!("; did you mean {paths}?"));
        }
        self.faults
            .push(Fault::at(at, message).allowing(words::list(known)));
        meant
    }

    /// Where else in the config a key of this name may stand.
    fn elsewhere(&mut self, key: &str) -> Option<String> {
        let index = self.index.get_or_insert_with(|| words::index(self.schema));
        let paths = index.get(&fold(key))?;
        let shown: Vec<&str> = paths.iter().take(3).map(String::as_str).collect();
        Some(shown.join(" or "))
    }

    fn wrong(&mut self, place: Place, message: String) {
        let message = self.named(message);
        self.faults.push(Fault::at(place, message));
    }

    /// The message behind the path it is about.
    fn named(&self, message: String) -> String {
        match self.path.to_string() {
            path if path.is_empty() => message,
            path => format!("{path}: {message}"),
        }
    }
}

fn fields_of<'s, 'a>(shape: &'s Shape<'a>) -> Option<&'s Fields<'a>> {
    match shape {
        Shape::Map(fields) => Some(fields),
        _ => None,
    }
}

fn items_of<'s, 'a>(shape: &'s Shape<'a>) -> Option<&'s Items<'a>> {
    match shape {
        Shape::List(items) => Some(items),
        _ => None,
    }
}

fn number_of(shape: &Shape<'_>) -> Option<Number> {
    match shape {
        Shape::Number(limits) => Some(*limits),
        _ => None,
    }
}

fn word_of<'a>(shape: &Shape<'a>) -> Option<&'a str> {
    match shape {
        Shape::Word(word, _) => Some(word),
        _ => None,
    }
}
