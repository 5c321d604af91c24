//! YAML text to a tree with places.
//!
//! Owns the reading of YAML: scalars by the core schema of YAML 1.2 (`yes` and `off` are texts),
//! duplicate keys refused with both places, aliases expanded within a budget. It knows no key of
//! nodeward. It stands on the event parser alone, and not on a serde YAML library, because only
//! events carry the place of every key and value; this is the only file that imports it.

mod scalar;

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use scalar::scalar;

use super::fault::{Fault, Faults, Source};
use super::tree::{Entry, Node, Path, Place, Step, Value, quote};

/// The largest file read, in bytes.
pub const LARGEST_FILE: usize = 1 << 20;

/// Values in all files together, expanded aliases counted each time: what stops a "billion laughs".
pub const MOST_VALUES: usize = 100_000;

/// The deepest nesting.
pub const DEEPEST: usize = 64;

/// Parses one file. Whatever is wrong goes to `faults`; `None` when nothing useful is left.
/// `values` counts over all files of a config and is held to [`MOST_VALUES`].
pub fn parse(
    file: usize,
    source: &Source,
    values: &mut usize,
    faults: &mut Faults,
) -> Option<Node> {
    let options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut builder = Builder {
        file,
        values,
        faults,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
    };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        let outcome = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                let place = builder.place(&Span::empty(*error.marker()));
                Err(Fault::at(
                    place,
                    format!("this is no YAML: {}", error.info()),
                ))
            }
        };
        if let Err(fault) = outcome {
            builder.faults.push(fault);
            return None;
        }
    }
    builder.root
}

/// The last faults of a file: what follows would make no sense.
type Fatal = Fault;

struct Builder<'a> {
    file: usize,
    values: &'a mut usize,
    faults: &'a mut Faults,
    open: Vec<Open>,
    /// Finished anchored values with how deep and how large they are.
    anchors: HashMap<usize, (Node, usize, usize)>,
    root: Option<Node>,
    documents: usize,
}

/// A collection whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    inside: Inside,
    /// Nesting below, and values inside, this one included.
    depth: usize,
    size: usize,
}

enum Inside {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: HashMap<String, Place>,
        key: Option<(String, Place, bool)>,
    },
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fatal> {
        let place = self.place(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Fault::at(
                        place,
                        "a second document begins here; a config is one",
                    ));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    self.refuse_tag(place);
                }
                if self.awaits_key() {
                    return self.key(text.into_owned(), style, place);
                }
                let value = scalar(text.into_owned(), style == ScalarStyle::Plain);
                self.count(place, 1)?;
                self.finish(Node { place, value }, anchor, 0, 1)
            }
            Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag)
                if self.awaits_key() =>
            {
                let _ = (anchor, tag);
                Err(Fault::at(
                    place,
                    "a key must be one word, not a list or a map",
                ))
            }
            Event::SequenceStart(_, anchor, tag) => {
                if tag.is_some() {
                    self.refuse_tag(place);
                }
                self.begin(place, anchor, Inside::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                if tag.is_some() {
                    self.refuse_tag(place);
                }
                let inside = Inside::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                };
                self.begin(place, anchor, inside)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let value = match open.inside {
                        Inside::List(items) => Value::List(items),
                        Inside::Map { entries, .. } => Value::Map(entries),
                    };
                    let node = Node {
                        place: open.place,
                        value,
                    };
                    self.finish(node, open.anchor, open.depth, open.size)
                }
                None => Ok(()),
            },
            Event::Alias(id) => self.alias(id, place),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, inside: Inside) -> Result<(), Fatal> {
        self.count(place, 1)?;
        self.open.push(Open {
            place,
            anchor,
            inside,
            depth: 0,
            size: 1,
        });
        Ok(())
    }

    fn alias(&mut self, id: usize, place: Place) -> Result<(), Fatal> {
        if self.awaits_key() {
            return Err(Fault::at(place, "a key must be one word, not an alias"));
        }
        let Some((_, depth, size)) = self.anchors.get(&id) else {
            return Err(Fault::at(
                place,
                "this alias stands inside the value it repeats",
            ));
        };
        let (depth, size) = (*depth, *size);
        if self.open.len().saturating_add(depth) > DEEPEST {
            return Err(Fault::at(
                place,
                format!("nested deeper than {DEEPEST} levels"),
            ));
        }
        self.count(place, size)?;
        match self.anchors.get(&id).cloned() {
            Some((node, ..)) => self.finish(node, 0, depth, size),
            None => Ok(()),
        }
    }

    /// Whether the next value is a key of the innermost mapping.
    fn awaits_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                inside: Inside::Map { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: String, style: ScalarStyle, place: Place) -> Result<(), Fatal> {
        let plain = style == ScalarStyle::Plain;
        let fault = if plain && matches!(text.as_str(), "" | "~") {
            Some("a key is missing before the colon".to_owned())
        } else if plain && text == "<<" {
            let refused = "merge keys (<<) are not read; an alias can stand for a whole value only";
            Some(refused.to_owned())
        } else {
            let first = match self.open.last_mut().map(|open| &mut open.inside) {
                Some(Inside::Map { seen, .. }) => seen.insert(text.clone(), place),
                _ => None,
            };
            first.map(|first| self.twice(&text, first))
        };
        let wanted = fault.is_none();
        if let Some(message) = fault {
            self.faults.push(Fault::at(place, message));
        }
        if let Some(Inside::Map { key, .. }) = self.open.last_mut().map(|open| &mut open.inside) {
            *key = Some((text, place, wanted));
        }
        Ok(())
    }

    fn twice(&self, key: &str, first: Place) -> String {
        if self.faults.is_full() {
            return String::new();
        }
        let above = match self.path().to_string() {
            path if path.is_empty() => path,
            path => format!(" in {path}"),
        };
        let (name, line, column) = (quote(key), first.line, first.column);
        format!("key {name} is given twice{above}; the first is at line {line}, column {column}")
    }

    /// Puts a finished value where it belongs.
    fn finish(
        &mut self,
        node: Node,
        anchor: usize,
        depth: usize,
        size: usize,
    ) -> Result<(), Fatal> {
        if anchor != 0 {
            // Kept aside whole, and anchors can stand inside one another.
            self.count(node.place, size)?;
            self.anchors.insert(anchor, (node.clone(), depth, size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.depth = open.depth.max(depth.saturating_add(1));
        open.size = open.size.saturating_add(size);
        match &mut open.inside {
            Inside::List(items) => items.push(node),
            Inside::Map { entries, key, .. } => {
                if let Some((key, at, true)) = key.take() {
                    entries.push(Entry { key, at, node });
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, place: Place, more: usize) -> Result<(), Fatal> {
        *self.values = self.values.saturating_add(more);
        if *self.values > MOST_VALUES {
            let message = format!("more than {MOST_VALUES} values (aliases count each time)");
            return Err(Fault::at(place, message));
        }
        if self.open.len() > DEEPEST {
            return Err(Fault::at(
                place,
                format!("nested deeper than {DEEPEST} levels"),
            ));
        }
        Ok(())
    }

    fn refuse_tag(&mut self, place: Place) {
        self.faults.push(Fault::at(
            place,
            "tags (!) are not read; write the value alone",
        ));
    }

    /// The path of the innermost open collection.
    fn path(&self) -> Path {
        let above = self.open.len().saturating_sub(1);
        let step = |open: &Open| match &open.inside {
            Inside::List(items) => Some(Step::Index(items.len())),
            Inside::Map { key, .. } => key.as_ref().map(|(key, ..)| Step::Key(key.clone())),
        };
        Path(self.open.iter().take(above).filter_map(step).collect())
    }

    fn place(&self, span: &Span) -> Place {
        let (start, end) = (span.start, span.end);
        let width = if start.line() == end.line() {
            end.col().saturating_sub(start.col()).max(1)
        } else {
            1
        };
        Place {
            file: self.file,
            line: start.line().max(1),
            column: start.col() + 1,
            width,
        }
    }
}

#[cfg(test)]
mod tests;
