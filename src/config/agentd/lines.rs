//! The lines of an agent's file and of those that it includes.
//!
//! Owns the syntax (`Name=value`, `#` comments, `Include`) and its bounds: files, their size, how deep they include one another, and
//! that none includes itself.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::bounded;
use super::super::fault::{Errors, Fault, Faults, Source, Sources};
use super::super::tree::Place;

/// Files of one config, at most.
const MOST_FILES: usize = 256;
/// Lines of all files, at most.
const MOST_LINES: usize = 20_000;
/// How deep files include one another, as the agent has it.
const DEEPEST: usize = 10;
const INCLUDE: &str = "Include";

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its name as written.
    pub name: String,
    /// What it is set to, without white space around it; may be empty.
    pub value: String,
    /// Where the name stands.
    pub place: Place,
}

/// Reads a file and what it includes; faults are noted.
pub(super) fn read(path: &Path, sources: &mut Sources, faults: &mut Faults) -> Vec<Line> {
    let mut reading = Reading {
        sources,
        faults,
        open: Vec::new(),
        lines: Vec::new(),
    };
    if let Err(why) = reading.file(path) {
        reading.faults.push(Fault::of_file(why));
    }
    reading.lines
}

/// Reads the lines of a text that is no file: `Include` is an error there.
///
/// # Errors
/// What is no line.
pub fn of_text(text: &str) -> Result<Vec<Line>, Errors> {
    let (mut sources, mut faults) = (Sources::default(), Faults::default());
    let mut reading = Reading {
        sources: &mut sources,
        faults: &mut faults,
        // As if it were as deep as may be.
        open: vec![PathBuf::new(); DEEPEST],
        lines: Vec::new(),
    };
    reading.text(Path::new("text"), text.to_owned());
    let lines = reading.lines;
    match faults.is_empty() {
        true => Ok(lines),
        false => Err(faults.into_errors(sources)),
    }
}

struct Reading<'a> {
    sources: &'a mut Sources,
    faults: &'a mut Faults,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    lines: Vec<Line>,
}

impl Reading<'_> {
    /// Reads one file; why it cannot be.
    fn file(&mut self, path: &Path) -> Result<(), String> {
        let cannot = |why: &dyn std::fmt::Display| format!("read {}: {why}", path.display());
        let real = path.canonicalize().map_err(|why| cannot(&why))?;
        if self.open.contains(&real) {
            return Err(format!("{} includes itself", path.display()));
        }
        if self.open.len() > DEEPEST {
            return Err(cannot(&format!(
                "it is included through more than {DEEPEST} files"
            )));
        }
        if self.sources.0.len() >= MOST_FILES {
            return Err(cannot(&format!(
                "more than {MOST_FILES} files are included"
            )));
        }
        let text = bounded::text(path)?;
        self.open.push(real);
        self.text(path, text);
        self.open.pop();
        Ok(())
    }

    fn text(&mut self, path: &Path, text: String) {
        let file = self.sources.0.len();
        self.sources.0.push(Source {
            path: path.to_owned(),
            text: text.clone(),
        });
        for (at, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let before = line.len() - line.trim_start().len();
            let (name, value) = match trimmed.split_once('=') {
                Some((name, value)) => (name.trim_end(), value.trim()),
                None => (trimmed, ""),
            };
            let place = Place {
                file,
                line: at + 1,
                column: before + 1,
                width: name.chars().count().max(1),
            };
            if !trimmed.contains('=') || name.is_empty() {
                self.faults
                    .push(Fault::at(place, "no setting: write Name=value"));
            } else if name == INCLUDE {
                if let Err(why) = self.include(path, value) {
                    self.faults
                        .push(Fault::at(place, format!("{INCLUDE}: {why}")));
                }
            } else if self.lines.len() >= MOST_LINES {
                self.faults
                    .push(Fault::at(place, format!("more than {MOST_LINES} settings")));
                return;
            } else {
                self.lines.push(Line {
                    name: name.to_owned(),
                    value: value.to_owned(),
                    place,
                });
            }
        }
    }

    /// A file, all files of a directory, or those of a directory that fit a pattern.
    fn include(&mut self, from: &Path, value: &str) -> Result<(), String> {
        if value.is_empty() {
            return Ok(());
        }
        if self.open.len() >= DEEPEST
            && self
                .open
                .first()
                .is_some_and(|first| first.as_os_str().is_empty())
        {
            return Err("only a file can include others".to_owned());
        }
        let near = from.parent().unwrap_or(Path::new("."));
        let path = near.join(value);
        let (directory, pattern) = match path.file_name().and_then(OsStr::to_str) {
            _ if path.is_dir() => (path.clone(), "*".to_owned()),
            Some(pattern) if pattern.contains('*') => {
                let directory = path.parent().unwrap_or(near).to_owned();
                (directory, pattern.to_owned())
            }
            _ => return self.file(&path),
        };
        let entries = std::fs::read_dir(&directory);
        let entries = entries.and_then(|entries| {
            let paths = entries.map(|entry| Ok(entry?.path()));
            paths.collect::<std::io::Result<Vec<PathBuf>>>()
        });
        let mut files = entries.map_err(|why| format!("read {}: {why}", directory.display()))?;
        files.sort();
        let named = |file: &PathBuf| {
            let name = file.file_name().and_then(OsStr::to_str);
            name.is_some_and(|name| {
                !name.starts_with('.') && crate::dialect::zabbix::rules::fits(&pattern, name)
            })
        };
        for file in files.iter().filter(|file| named(file)) {
            // One that cannot be looked at may hold rules, and is not passed over.
            let found = file.metadata();
            let found = found.map_err(|why| format!("read {}: {why}", file.display()))?;
            if found.is_file() {
                self.file(file)?;
            }
        }
        Ok(())
    }
}
