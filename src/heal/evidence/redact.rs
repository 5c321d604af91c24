//! Takes secrets out of what others wrote. docs/EVIDENCE.md lists what counts as one; the list here and the one there are the same.
//!
//! Pure and linear in the text. It would rather take too much than too little: of what it takes nothing but the place is left. What
//! has no name, no known shape and no place of its own (a bare password in a sentence) nobody can tell from a word.

mod addresses;
mod bytes;
mod markup;
mod names;
mod value;

use std::ops::Range;

use addresses::addresses;
use bytes::{byte, is_name, run};
use names::issued;
use value::{Line, Word};

/// Stands where a secret was.
pub const MARK: &str = "[redacted]";

/// A value of the environment that is shorter is not looked for elsewhere: it would be found in every other word.
const SHORT: usize = 6;
/// Values that are looked for.
const KNOWN: usize = 256;
/// Lines of a private key at most, where its end or its beginning is missing.
const KEY_LINES: usize = 200;

/// Takes secrets out of texts, those among them that are known.
#[derive(Debug, Default)]
pub struct Redactor {
    /// The longest first: one may be a part of another.
    known: Vec<String>,
}

impl Redactor {
    /// One that knows these values of an environment.
    pub fn knowing(values: impl IntoIterator<Item = String>) -> Self {
        let mut known: Vec<String> = values
            .into_iter()
            .map(|value| value.trim().to_owned())
            .filter(|value| value.len() >= SHORT && !MARK.contains(value.as_str()))
            .collect();
        known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        known.dedup();
        known.truncate(KNOWN);
        Self { known }
    }

    /// The text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.lines(text, false)
    }

    /// Command lines without secrets: what is set there for a program's environment (`NAME=value`) goes too.
    #[must_use]
    pub fn commands(&self, text: &str) -> String {
        self.lines(text, true)
    }

    fn lines(&self, text: &str, commands: bool) -> String {
        let mut text = text.to_owned();
        for known in self.known.iter().filter(|known| known.contains('\n')) {
            text = text.replace(known.as_str(), MARK);
        }
        let line = |text| self.line(text, commands);
        let mut lines: Vec<String> = text.split('\n').map(line).collect();
        keys(&mut lines);
        lines.join("\n")
    }

    /// One line without secrets.
    fn line(&self, text: &str, commands: bool) -> String {
        // Names are read as they stand: a known value may be a part of one.
        let mut found: Vec<Range<usize>> = Vec::new();
        for known in &self.known {
            let places = text.match_indices(known.as_str());
            found.extend(places.map(|(at, known)| at..at + known.len()));
        }
        let bytes = text.as_bytes();
        let before = Line::of(text);
        addresses(bytes, &mut found);
        let mut at = 0;
        while at < bytes.len() {
            if !is_name(byte(bytes, at)) {
                at += 1;
                continue;
            }
            let end = run(bytes, at, is_name);
            // As it stands, and without what belongs to an escape before it.
            let readings = [Some(at), unescaped(bytes, at, end)];
            let readings = readings.into_iter().flatten();
            let value = readings.clone().find_map(|from| {
                let text = text.get(from..end)?;
                let word = Word {
                    bytes,
                    text,
                    end,
                    line: before,
                    commands,
                };
                word.value()
            });
            let issued = |from: usize| {
                let issued = issued(text.get(from..end)?)?;
                Some(from + issued.start..from + issued.end)
            };
            let value = value.or_else(|| readings.clone().find_map(issued));
            at = end;
            if let Some(value) = value {
                at = at.max(value.end);
                found.push(value);
            }
        }
        without(text, found)
    }
}

/// A setting of an environment: its name alone.
#[must_use]
pub fn setting(text: &str) -> String {
    match text.split_once('=') {
        Some((name, _)) => format!("{name}={MARK}"),
        None => MARK.to_owned(),
    }
}

/// Settings whose values are no secrets and may be in every other line: they are looked for nowhere. So are those that begin with `LC_`,
/// `LISTEN_`, `SYSTEMD_` or `MEMORY_PRESSURE_`, and those that end with `_DIRECTORY`.
pub const COMMON: &[&str] = &[
    "container",
    "HOME",
    "HOSTNAME",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LANG",
    "LOGNAME",
    "MAINPID",
    "NOTIFY_SOCKET",
    "PATH",
    "PWD",
    "SHELL",
    "SHLVL",
    "TERM",
    "TZ",
    "USER",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "_",
];

/// The value of a setting that is to stand nowhere.
#[must_use]
pub fn value_of(text: &str) -> Option<String> {
    let (name, value) = text.split_once('=')?;
    let begins = ["LC_", "LISTEN_", "SYSTEMD_", "MEMORY_PRESSURE_"];
    let common = COMMON.contains(&name)
        || begins.iter().any(|begin| name.starts_with(begin))
        || name.ends_with("_DIRECTORY");
    (!common).then(|| value.to_owned())
}

/// Takes what lies between the first and the last line of a private key, and those lines' own rest.
fn keys(lines: &mut [String]) {
    let begins = |line: &str| line.contains("-----BEGIN ") && line.contains("PRIVATE KEY");
    let ends = |line: &str| line.contains("-----END ") && line.contains("PRIVATE KEY");
    let mut within: Option<usize> = None;
    let mut blank = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let (begin, end) = (begins(line), ends(line));
        if end && within.is_none() && !begin {
            // Its beginning was left out.
            blank.extend(at.saturating_sub(KEY_LINES)..=at);
        } else if begin || within.is_some() {
            blank.push(at);
        }
        if begin {
            within = Some(at);
        }
        if end || within.is_some_and(|from| at >= from + KEY_LINES) {
            within = None;
        }
    }
    for at in blank {
        if let Some(line) = lines.get_mut(at) {
            MARK.clone_into(line);
        }
    }
}

/// The text without these parts.
fn without(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.retain(|part| part.start < part.end);
    found.sort_by_key(|part| part.start);
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    for part in found {
        // What reaches into one that was taken goes with it.
        if part.start >= at {
            left.push_str(text.get(at..part.start).unwrap_or_default());
            left.push_str(MARK);
        }
        at = at.max(part.end);
    }
    left.push_str(text.get(at..).unwrap_or_default());
    left
}

/// Where a word begins whose first letters belong to an escape, as in `\nkey`, `\u001bkey` or `%26key`.
fn unescaped(bytes: &[u8], at: usize, end: usize) -> Option<usize> {
    match byte(bytes, at.checked_sub(1)?) {
        b'\\' => {}
        b'%' => {
            let digits = bytes.get(at..at + 2)?;
            let spelled = digits.iter().all(u8::is_ascii_hexdigit);
            return (spelled && at + 2 < end).then_some(at + 2);
        }
        _ => return None,
    }
    let whole = match byte(bytes, at) {
        b'u' => 5,
        b'x' | b'0'..=b'3' => 3,
        _ => 1,
    };
    let digits = bytes.get(at + 1..at + whole);
    let spelled = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let past = at + if spelled { whole } else { 1 };
    (past < end).then_some(past)
}

#[cfg(test)]
mod tests;
