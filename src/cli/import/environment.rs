//! Files of variables, as systemd reads them (`EnvironmentFile=` of systemd.exec(5)), and as they lie in /etc/default.

use super::words::{Variables, Word, is_name, split};
use super::{Imported, exporter};

/// Variables that packages of node_exporter have its arguments in, before any other.
const KNOWN: [&str; 4] = [
    "ARGS",
    "OPTIONS",
    "NODE_EXPORTER_OPTS",
    "NODE_EXPORTER_ARGS",
];

#[derive(Clone, Copy, PartialEq)]
enum State {
    Before,
    Name,
    BeforeValue,
    Value,
    ValueEscape,
    Single,
    Double,
    DoubleEscape,
    Comment,
    CommentEscape,
}

/// The variables of a file; of one that is there twice the last counts.
#[must_use]
pub fn variables(text: &str) -> Variables {
    let mut all = Variables::new();
    let (mut name, mut value) = (String::new(), String::new());
    let mut state = State::Before;
    let blank = |c: char| matches!(c, ' ' | '\t' | '\r');
    // Where white space that belongs to the end of a value may begin.
    let mut kept = 0;
    // A line that the end of the file cuts off is whole.
    for c in text.chars().chain(['\n']) {
        state = match (state, c) {
            (State::Before, '#' | ';') => State::Comment,
            (State::Before, c) if blank(c) || c == '\n' => State::Before,
            (State::Before, c) => {
                name = c.to_string();
                State::Name
            }
            (State::Name, '\n') => State::Before,
            (State::Name, '=') => {
                value.clear();
                kept = 0;
                State::BeforeValue
            }
            (State::Name, c) => {
                name.push(c);
                State::Name
            }
            (State::BeforeValue | State::Value, '\n') => {
                let trimmed = value.trim_end_matches(blank).len().max(kept);
                value.truncate(trimmed);
                let value = std::mem::take(&mut value);
                if is_name(name.trim_end()) {
                    all.insert(name.trim_end().to_owned(), value);
                }
                State::Before
            }
            (State::BeforeValue, '\'') => State::Single,
            (State::BeforeValue, '"') => State::Double,
            (State::BeforeValue | State::Value, '\\') => State::ValueEscape,
            (State::BeforeValue, c) if blank(c) => State::BeforeValue,
            (State::BeforeValue | State::Value, c) => {
                value.push(c);
                State::Value
            }
            (State::ValueEscape, c) => {
                if c != '\n' {
                    value.push(c);
                    kept = value.len();
                }
                State::Value
            }
            (State::Single, '\'') | (State::Double, '"') => {
                kept = value.len();
                State::BeforeValue
            }
            (State::Double, '\\') => State::DoubleEscape,
            (State::Single | State::Double, c) => {
                value.push(c);
                state
            }
            (State::DoubleEscape, c) => {
                match c {
                    '"' | '\\' | '`' | '$' => value.push(c),
                    '\n' => {}
                    c => value.extend(['\\', c]),
                }
                State::Double
            }
            (State::Comment, '\\') => State::CommentEscape,
            (State::Comment, '\n') => State::Before,
            (State::Comment | State::CommentEscape, _) => State::Comment,
        };
    }
    all
}

/// The variable that has the arguments: one of a package, else any with flags; one of a package may be empty.
fn chosen(variables: &Variables) -> Option<(&str, &str)> {
    let known = || {
        let known = KNOWN.iter();
        known.filter_map(|name| variables.get_key_value(*name))
    };
    let told = known().chain(variables).find(|(_, value)| is_flags(value));
    let (name, value) = told.or_else(|| known().find(|(_, value)| value.is_empty()))?;
    Some((name, value))
}

/// Whether a text is a file of variables that has arguments.
pub(super) fn takes(_: &std::path::Path, text: &str) -> bool {
    chosen(&variables(text)).is_some()
}

fn is_flags(value: &str) -> bool {
    value.split_whitespace().any(|word| word.starts_with("--"))
}

/// Reads the arguments from the variable that has them.
pub(super) fn import(_: &std::path::Path, text: &str) -> Result<Imported, String> {
    let variables = variables(text);
    let (name, value) = chosen(&variables).ok_or("no variable in it has flags")?;
    let words = split(value).map_err(|why| format!("the value of {name}: {why}"))?;
    let mut imported = exporter::import(words.into_iter().map(Word::plain).collect());
    imported
        .notes
        .insert(0, format!("The arguments are those of {name}."));
    let others = variables
        .iter()
        .filter(|(other, value)| *other != name && is_flags(value));
    imported.left.extend(
        others.map(|(other, _)| format!("{other}: it has flags too, and {name} was taken")),
    );
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_systemd_reads_them() {
        let text = "# c \\\nA=not\n;c\n  A = b c  \nB=\"x\\\"y\\d\\\\\" \nC='a\\'\"b\"\nD=a\\\nb\\ \nE=\nF=a\"b\"\nG=\"two\nlines\"\nno value\n==x\n1A=x\nH=#x\r\nI=last";
        let read = variables(text);
        let told: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            told,
            [
                ("A", "b c"),
                ("B", "x\"y\\d\\"),
                ("C", "a\\b"),
                ("D", "ab "),
                ("E", ""),
                ("F", "a\"b\""),
                ("G", "two\nlines"),
                ("H", "#x"),
                ("I", "last"),
            ]
        );
    }

    #[test]
    fn the_variable_with_flags_is_taken() {
        let text = "PATH=/bin\nOTHER=--no-collector.cpu\nARGS=\"--collector.systemd --no-collector.wifi\"\n";
        assert!(takes("x".as_ref(), text));
        let imported = import("x".as_ref(), text).unwrap();
        assert_eq!(imported.config.subjects.enable, ["systemd"]);
        assert_eq!(imported.notes, ["The arguments are those of ARGS."]);
        assert!(imported.left[0].starts_with("OTHER: "));
        assert!(!takes("x".as_ref(), "A=b\n") && !takes("x".as_ref(), "ARGS=b\n"));
        // As Debian ships it.
        let empty =
            "# Set the command-line arguments\nARGS=\"\"\n# Prometheus-node-exporter supports:\n";
        let imported = import("x".as_ref(), empty).unwrap();
        assert_eq!(imported.config.http.listen, [":9100"]);
        assert!(imported.left.is_empty());
    }
}
