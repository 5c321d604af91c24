//! Faults that no single value shows, given their places.
//!
//! Owns the way from a path to a place, during the load and after it. It decides nothing.

use super::fault::{Errors, Fault, Faults, Sources};
use super::tree::{Node, Path, Place, Step, Value};

/// What a check across fields sees and says.
#[derive(Debug)]
pub struct Cross<'a> {
    pub(super) root: &'a Node,
    pub(super) dropped: &'a [Path],
    pub(super) faults: &'a mut Faults,
}

impl Cross<'_> {
    /// Notes a fault at `path`, or at the nearest value above it that the files hold. Nothing is
    /// said where a value was refused at this path, above or below it: one may follow from the other.
    pub fn fault(&mut self, path: &Path, message: impl std::fmt::Display) {
        self.fault_as(path, format!("{path}: {message}"));
    }

    /// The same, where the message names what it is about itself.
    pub fn fault_as(&mut self, path: &Path, message: String) {
        let related =
            |dropped: &Path| dropped == path || dropped.is_inside(path) || path.is_inside(dropped);
        if self.dropped.iter().any(related) {
            return;
        }
        let mut above = path.clone();
        let place = loop {
            match self.root.find(&above) {
                Some(node) => break node.place,
                None if above.0.pop().is_none() => break self.root.place,
                None => {}
            }
        };
        self.faults.push(Fault::at(place, message));
    }

    /// Gives a component's own complaint its place. By convention its text begins with the key of its section that it
    /// is about.
    pub fn complaint(&mut self, section: &Path, text: &str) {
        let word = text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default();
        let key = section.key(word);
        let path = if self.has(&key) {
            self.named_in(&key, text)
        } else {
            section.clone()
        };
        self.fault_as(&path, format!("{section}: {text}"));
    }

    /// The item of a list or the name in a map at `path` that `text` quotes; else `path` itself.
    pub fn named_in(&self, path: &Path, text: &str) -> Path {
        let quoted = |word: &String| text.contains(&format!("{word:?}"));
        let step = match self.value(path) {
            Some(Value::List(items)) => items
                .iter()
                .position(|item| matches!(&item.value, Value::Text(item, _) if quoted(item)))
                .map(Step::Index),
            Some(Value::Map(entries)) => entries
                .iter()
                .find(|entry| quoted(&entry.key))
                .map(|entry| Step::Key(entry.key.clone())),
            _ => None,
        };
        let mut path = path.clone();
        path.0.extend(step);
        path
    }

    /// The value that the files give at `path`.
    pub fn value(&self, path: &Path) -> Option<&Value> {
        self.root.find(path).map(|node| &node.value)
    }

    /// Whether the files give a value at `path`.
    pub fn has(&self, path: &Path) -> bool {
        self.value(path)
            .is_some_and(|value| *value != Value::Dropped)
    }

    /// The path of the list item at `index` under `keys`.
    pub fn item(keys: &[&str], index: usize) -> Path {
        let mut path = Path::of(keys);
        path.0.push(Step::Index(index));
        path
    }
}

/// The files behind a config, secrets not included.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    pub(super) root: Node,
    pub(super) sources: Sources,
}

impl Default for Origin {
    fn default() -> Self {
        let start = Place {
            file: 0,
            line: 1,
            column: 1,
            width: 1,
        };
        Self {
            root: Node {
                place: start,
                value: Value::Map(Vec::new()),
            },
            sources: Sources::default(),
        }
    }
}

impl Origin {
    /// Complaints of components that were found later, each with the section it is about, shown as those of the load.
    /// What the files say nothing of has no place.
    pub fn errors<'a>(&self, found: impl IntoIterator<Item = (&'a [&'a str], String)>) -> Errors {
        let mut faults = Faults::default();
        for (section, text) in found {
            let section = Path::of(section);
            if !self.holds(&section) {
                faults.push(Fault::of_file(format!("{section}: {text}")));
                continue;
            }
            let mut cross = Cross {
                root: &self.root,
                dropped: &[],
                faults: &mut faults,
            };
            cross.complaint(&section, &text);
        }
        faults.into_errors(self.sources.clone())
    }

    /// Whether the files say anything at `section`.
    pub fn has(&self, section: &[&str]) -> bool {
        self.holds(&Path::of(section))
    }

    fn holds(&self, section: &Path) -> bool {
        self.root.find(section).is_some()
    }
}
