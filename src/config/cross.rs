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
    /// Faults that were found later, each with the path it is about, shown as those of the load.
    pub fn errors(self, found: impl IntoIterator<Item = (Path, String)>) -> Errors {
        let mut faults = Faults::default();
        let mut cross = Cross {
            root: &self.root,
            dropped: &[],
            faults: &mut faults,
        };
        for (path, message) in found {
            cross.fault(&path, message);
        }
        faults.into_errors(self.sources)
    }
}
