//! The config as a tree that remembers where each key and value stands.
//!
//! Owns the tree, its places, paths through it and the merging of drop-ins. It knows no key. The
//! surprising decision: a value that was found wrong is not removed but becomes
//! [`Value::Dropped`], so that paths with list indexes stay true while the rest is still checked.

use std::collections::HashMap;
use std::fmt;

/// Where something stands: file (index into the sources), line and column from 1, both counted in
/// characters, and how many characters to underline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index of the file among the [`Sources`](super::fault::Sources).
    pub file: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters to underline on that line, at least 1.
    pub width: usize,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where the value begins.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// A YAML 1.2 (core schema) value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A text, and whether it was written without quotes.
    Text(String, Style),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
    /// A value that was refused; readers skip it as if it were not there.
    Dropped,
}

/// How a text was written; only messages care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In quotes or as a block.
    Quoted,
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text; numbers and the like are taken as they are written.
    pub key: String,
    /// Where the key stands.
    pub at: Place,
    /// The value.
    pub node: Node,
}

/// One step from a value into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// The way from the root to a value; displays as `http.listen[1]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// A path of keys.
    pub fn of(keys: &[&str]) -> Self {
        Self(
            keys.iter()
                .map(|key| Step::Key((*key).to_owned()))
                .collect(),
        )
    }

    /// Whether `self` leads through `ancestor` to something further down.
    pub fn is_inside(&self, ancestor: &Path) -> bool {
        self.0.len() > ancestor.0.len() && self.0.starts_with(&ancestor.0)
    }

    /// This path and one key more.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut longer = self.clone();
        longer.0.push(Step::Key(key.to_owned()));
        longer
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/');
                    if !key.is_empty() && key.len() <= 60 && key.chars().all(plain) {
                        f.write_str(key)?;
                    } else {
                        f.write_str(&quote(key))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Node {
    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value at `path`, unless nothing is there.
    pub fn find(&self, path: &Path) -> Option<&Node> {
        path.0
            .iter()
            .try_fold(self, |node, step| match (step, &node.value) {
                (Step::Index(index), Value::List(items)) => items.get(*index),
                (Step::Key(key), Value::Map(entries)) => entries
                    .iter()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &entry.node),
                _ => None,
            })
    }

    /// Marks the value at `path` as refused. False where nothing is there.
    pub fn drop_at(&mut self, path: &Path) -> bool {
        let found = path
            .0
            .iter()
            .try_fold(self, |node, step| match (step, &mut node.value) {
                (Step::Index(index), Value::List(items)) => items.get_mut(*index),
                (Step::Key(key), Value::Map(entries)) => entries
                    .iter_mut()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &mut entry.node),
                _ => None,
            });
        found.map(|node| node.value = Value::Dropped).is_some()
    }

    /// Lays a drop-in over this value: mappings merge key by key, anything else is replaced.
    pub fn lay_over(&mut self, upper: Node) {
        match (&mut self.value, upper.value) {
            (Value::Map(entries), Value::Map(more)) => {
                let mut known: HashMap<String, usize> = entries
                    .iter()
                    .enumerate()
                    .map(|(index, entry)| (entry.key.clone(), index))
                    .collect();
                for entry in more {
                    match known
                        .get(&entry.key)
                        .and_then(|index| entries.get_mut(*index))
                    {
                        Some(there) => {
                            there.at = entry.at;
                            there.node.lay_over(entry.node);
                        }
                        None => {
                            known.insert(entry.key.clone(), entries.len());
                            entries.push(entry);
                        }
                    }
                }
            }
            (value, upper_value) => {
                *value = upper_value;
                self.place = upper.place;
            }
        }
    }

    /// The value in a sentence: `the number 9100`, `the text "yes"`, `a list`.
    pub fn described(&self) -> String {
        match &self.value {
            Value::Null | Value::Dropped => "nothing".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::Text(text, _) => format!("the text {}", quote(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// A text in quotes for a message: escaped, and cut where it is long.
pub fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let mut quoted = String::from("\"");
    for c in shown.chars() {
        match c {
            '\'' => quoted.push(c),
            _ => quoted.extend(c.escape_debug()),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_people_write_it() {
        let path = Path(vec![
            Step::Key("checks".to_owned()),
            Step::Key("a b".to_owned()),
            Step::Index(2),
            Step::Key("url".to_owned()),
        ]);
        assert_eq!(path.to_string(), "checks.\"a b\"[2].url");
        assert!(path.is_inside(&Path::of(&["checks"])));
        assert!(!path.is_inside(&path));
    }

    #[test]
    fn a_quoted_text_is_escaped_and_cut() {
        assert_eq!(quote("it's\n\u{1b}"), "\"it's\\n\\u{1b}\"");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), 63);
    }
}
