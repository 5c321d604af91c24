//! What is wrong with a config, shown as a compiler shows it.
//!
//! Owns the texts of the files, single faults and their list with its layout. It decides nothing.
//! Source lines are cleaned before they are shown: a config may hold terminal escapes.

use std::fmt;
use std::path::PathBuf;

use super::excerpt::excerpt;
use super::tree::Place;

/// More faults than this are counted but not kept: nobody reads them, and a hostile file could
/// otherwise make any number.
const KEPT: usize = 100;

/// The files that make up one config, in the order they are laid over each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(pub Vec<Source>);

/// One file of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it was read from; also how messages name it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Sources {
    /// `file:line:column` of a place; `None` where there is no such file, because there is none.
    pub fn locate(&self, place: Place) -> Option<String> {
        let name = self.0.get(place.file)?.path.display();
        Some(format!("{name}:{}:{}", place.line, place.column))
    }

    fn line(&self, place: Place) -> Option<&str> {
        self.0
            .get(place.file)?
            .text
            .lines()
            .nth(place.line.checked_sub(1)?)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where; `None` where it is about a whole file, which the message then names.
    pub place: Option<Place>,
    /// One sentence without a full stop.
    pub message: String,
    /// What would be allowed there.
    pub allowed: Option<String>,
}

impl Fault {
    /// A fault at a place.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Self {
            place: Some(place),
            message: message.into(),
            allowed: None,
        }
    }

    /// A fault of a whole file.
    pub fn of_file(message: impl Into<String>) -> Self {
        Self {
            place: None,
            message: message.into(),
            allowed: None,
        }
    }

    /// The same fault, saying what is allowed.
    #[must_use]
    pub fn allowing(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }
}

/// The faults found so far; at most a hundred are kept, the rest is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    kept: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// Notes one more fault.
    pub fn push(&mut self, fault: Fault) {
        if self.is_full() {
            self.more += 1;
        } else if !self.kept.contains(&fault) {
            self.kept.push(fault);
        }
    }

    /// Notes what was found elsewhere too.
    pub fn append(&mut self, other: Self) {
        other.kept.into_iter().for_each(|fault| self.push(fault));
        self.more = self.more.saturating_add(other.more);
    }

    /// Takes the last that was noted.
    pub fn pop(&mut self) -> Option<Fault> {
        self.kept.pop()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether further faults are only counted.
    pub fn is_full(&self) -> bool {
        self.kept.len() >= KEPT
    }

    /// The kept faults in the order of the files.
    pub fn into_errors(mut self, sources: Sources) -> Errors {
        self.kept.sort_by_key(|fault| fault.place);
        Errors {
            faults: self.kept,
            more: self.more,
            sources,
        }
    }
}

/// Everything that is wrong with a config. Displays one paragraph a fault, with the source line
/// and a caret, and ends with their number. No line break at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors {
    faults: Vec<Fault>,
    more: usize,
    sources: Sources,
}

impl Errors {
    /// The faults in the order of the files; never empty.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many faults there are, those not kept included.
    pub fn count(&self) -> usize {
        self.faults.len().saturating_add(self.more)
    }

    /// The same without a line of the files, for those that hold secrets.
    #[must_use]
    pub fn without_lines(&self) -> String {
        let said = self.faults.iter().map(|fault| {
            let place = fault.place.and_then(|place| self.sources.locate(place));
            match place {
                Some(place) => format!("{place}: {}", fault.message),
                None => fault.message.clone(),
            }
        });
        said.collect::<Vec<_>>().join("\n")
    }

    fn fault(&self, f: &mut fmt::Formatter<'_>, fault: &Fault) -> fmt::Result {
        let located = fault
            .place
            .and_then(|place| Some((place, self.sources.locate(place)?)));
        let Some((place, located)) = located else {
            return writeln!(f, "{}", fault.message);
        };
        writeln!(f, "{located}: {}", fault.message)?;
        let gutter = place.line.to_string().len();
        if let Some(line) = self.sources.line(place) {
            let (shown, before, width) = excerpt(line, place);
            writeln!(f, "  {} | {shown}", place.line)?;
            writeln!(f, "  {:gutter$} | {:before$}{}", "", "", "^".repeat(width))?;
        }
        if let Some(allowed) = &fault.allowed {
            writeln!(f, "  {:gutter$} = allowed: {allowed}", "")?;
        }
        Ok(())
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            self.fault(f, fault)?;
        }
        if self.more > 0 {
            writeln!(f, "... and {} more", self.more)?;
        }
        match self.count() {
            1 => f.write_str("1 error"),
            count => write!(f, "{count} errors"),
        }
    }
}

impl std::error::Error for Errors {}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize, width: usize) -> Place {
        Place {
            file: 0,
            line,
            column,
            width,
        }
    }

    fn errors(text: &str, faults: Vec<Fault>) -> String {
        let mut kept = Faults::default();
        faults.into_iter().for_each(|fault| kept.push(fault));
        let source = Source {
            path: PathBuf::from("n.yml"),
            text: text.to_owned(),
        };
        kept.into_errors(Sources(vec![source])).to_string()
    }

    #[test]
    fn shows_the_line_with_a_caret_in_the_order_of_the_file() {
        let shown = errors(
            "a: 1\n\tbé: \u{1b}[31mred\n",
            vec![
                Fault::at(place(2, 6, 99), "second").allowing("blue"),
                Fault::at(place(1, 1, 1), "first"),
                Fault::of_file("n.yml: zeroth"),
            ],
        );
        assert_eq!(
            shown,
            "n.yml: zeroth\n\
             n.yml:1:1: first\n  1 | a: 1\n    | ^\n\
             n.yml:2:6: second\n  2 |  bé: \u{fffd}[31mred\n    |      ^^^^^^^^\n    = allowed: blue\n\
             3 errors"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault_and_a_flood_is_counted() {
        let text = "x".repeat(1000);
        let shown = errors(&text, vec![Fault::at(place(1, 900, 3), "here")]);
        assert!(shown.lines().nth(1).unwrap().len() < 130);
        assert_eq!(
            shown.lines().nth(2).unwrap(),
            format!("    | {}^^^", " ".repeat(20))
        );
        let flood = (1..=250)
            .map(|line| Fault::at(place(line, 1, 1), "wrong"))
            .collect();
        let shown = errors("", flood);
        assert!(shown.ends_with("... and 150 more\n250 errors"), "{shown}");
    }
}
