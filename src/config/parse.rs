//! YAML text to a tree with places.
//!
//! Owns the reading of YAML: scalars by the core schema of YAML 1.2 (`yes` and `off` are texts),
//! duplicate keys refused with both places, aliases expanded within a budget. It knows no key of
//! nodeward. It stands on the event parser alone, and not on a serde YAML library, because only
//! events carry the place of every key and value; this is the only file that imports it.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::fault::{Fault, Faults, Source};
use super::tree::{Entry, Node, Path, Place, Step, Style, Value, quote};

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
                let value = scalar(text.into_owned(), style);
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
        let path = self.path();
        let Some(Open {
            inside: Inside::Map { seen, key, .. },
            ..
        }) = self.open.last_mut()
        else {
            return Ok(());
        };
        let mut wanted = true;
        if matches!(text.as_str(), "" | "~") && style == ScalarStyle::Plain {
            self.faults
                .push(Fault::at(place, "a key is missing before the colon"));
            wanted = false;
        } else if text == "<<" && style == ScalarStyle::Plain {
            let message = "merge keys (<<) are not read; an alias can stand for a whole value only";
            self.faults.push(Fault::at(place, message));
            wanted = false;
        } else if let Some(first) = seen.get(&text) {
            let parent = if path.0.is_empty() {
                String::new()
            } else {
                format!(" in {path}")
            };
            let (line, column) = (first.line, first.column);
            let name = quote(&text);
            let message = format!(
                "key {name} is given twice{parent}; the first is at line {line}, column {column}"
            );
            self.faults.push(Fault::at(place, message));
            wanted = false;
        } else {
            seen.insert(text.clone(), place);
        }
        *key = Some((text, place, wanted));
        Ok(())
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

/// Resolves a scalar by the core schema (YAML 1.2.2, section 10.3.2), but for whole numbers with a
/// leading zero: YAML 1.1 reads them as octal and 1.2 as decimal, so they stay texts here and are
/// refused where a number is wanted.
fn scalar(text: String, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text, Style::Quoted);
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Some(number) = whole(&text) {
        return Value::Int(number);
    }
    match fraction(&text) {
        Some(number) => Value::Float(number),
        None => Value::Text(text, Style::Plain),
    }
}

fn whole(text: &str) -> Option<i128> {
    if let Some(digits) = text.strip_prefix("0x") {
        return digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| i128::from_str_radix(digits, 16).ok())?;
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| i128::from_str_radix(digits, 8).ok())?;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if leading_zero || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn fraction(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    let leading_zero = unsigned.len() > 1
        && unsigned.starts_with('0')
        && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let shaped = unsigned
        .bytes()
        .all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    if leading_zero || !begins || !shaped {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::fault::Sources;
    use super::*;

    fn read(text: &str) -> Result<Node, String> {
        let source = Source {
            path: PathBuf::from("n.yml"),
            text: text.to_owned(),
        };
        let mut faults = Faults::default();
        let node = parse(0, &source, &mut 0, &mut faults);
        match node {
            Some(node) if faults.is_empty() => Ok(node),
            _ => Err(faults.into_errors(Sources(vec![source])).to_string()),
        }
    }

    fn first_line(text: &str) -> String {
        read(text).unwrap_err().lines().next().unwrap().to_owned()
    }

    #[test]
    fn every_key_and_value_has_its_place() {
        let node = read("a:\n  - x\n  - {é: 'yes', c: off}\n").unwrap();
        let entry = &node.entries()[0];
        assert_eq!((entry.at.line, entry.at.column, entry.at.width), (1, 1, 1));
        let path = Path(vec![
            Step::Key("a".to_owned()),
            Step::Index(1),
            Step::Key("é".to_owned()),
        ]);
        let found = node.find(&path).unwrap();
        assert_eq!(
            (found.place.line, found.place.column, found.place.width),
            (3, 9, 5)
        );
        assert_eq!(found.value, Value::Text("yes".to_owned(), Style::Quoted));
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, value) in [
            ("~", Value::Null),
            ("", Value::Null),
            ("True", Value::Bool(true)),
            ("yes", Value::Text("yes".to_owned(), Style::Plain)),
            ("0x1F", Value::Int(31)),
            ("0o17", Value::Int(15)),
            ("-5", Value::Int(-5)),
            ("0600", Value::Text("0600".to_owned(), Style::Plain)),
            ("1e3", Value::Float(1000.0)),
            (".5", Value::Float(0.5)),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
            ("1.2.3", Value::Text("1.2.3".to_owned(), Style::Plain)),
            ("0x", Value::Text("0x".to_owned(), Style::Plain)),
            ("-", Value::Text("-".to_owned(), Style::Plain)),
            ("e5", Value::Text("e5".to_owned(), Style::Plain)),
        ] {
            let resolved = scalar(text.to_owned(), ScalarStyle::Plain);
            assert_eq!(resolved, value, "{text}");
        }
    }

    #[test]
    fn what_yaml_allows_and_a_config_does_not_is_refused() {
        for (text, message) in [
            (
                "a: 1\nb: 2\na: 3",
                "n.yml:3:1: key \"a\" is given twice; the first is at line 1, column 1",
            ),
            (
                "x:\n  - {b: 1, b: 2}",
                "n.yml:2:12: key \"b\" is given twice in x[0]; the first is at line 2, column 6",
            ),
            (
                "a: 1\n---\nb: 2",
                "n.yml:2:1: a second document begins here; a config is one",
            ),
            (
                "[a]: 1",
                "n.yml:1:1: a key must be one word, not a list or a map",
            ),
            (": 1", "n.yml:1:1: a key is missing before the colon"),
            (
                "a: &x {b: 1}\nc:\n  <<: *x",
                "n.yml:3:3: merge keys (<<) are not read; an alias can stand for a whole value only",
            ),
            (
                "a: !!str 1",
                "n.yml:1:10: tags (!) are not read; write the value alone",
            ),
            (
                "a: &x [*x]",
                "n.yml:1:8: this alias stands inside the value it repeats",
            ),
        ] {
            assert_eq!(first_line(text), message, "{text}");
        }
        assert!(first_line("a: [1").starts_with("n.yml:"));
        assert!(first_line("%YAML 1.1\n---\na: 1").contains("this is no YAML"));
        assert!(first_line("a: *nowhere").contains("this is no YAML"));
    }

    #[test]
    fn aliases_are_expanded_but_never_a_billion_times() {
        let node = read("a: &x {b: [1]}\nc: *x\n").unwrap();
        assert_eq!(node.entries()[0].node, node.entries()[1].node);
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = level - 1;
            let items = vec![format!("*a{below}"); 10].join(", ");
            laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(first_line(&laughs).contains("more than 100000 values"));
        let mut deep = String::from("a0: &a0 [x]\n");
        for level in 1..100 {
            deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert!(first_line(&deep).contains("nested deeper than 64 levels"));
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
