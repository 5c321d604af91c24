//! What a comparison found, grouped, and how it is told: a short table for people, or JSON.
//!
//! It knows neither collectors nor pages: another kind of program that can be compared fills the same report.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::terminal;

/// The most findings that the table shows of a kind.
const SHOWN: usize = 20;
/// The most characters of a finding's line in the table.
const WIDTH: usize = 200;

/// What things are called that are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Things {
    one: &'static str,
    many: &'static str,
    /// What they have.
    parts: &'static str,
    /// What they are grouped by.
    group: &'static str,
}

impl Things {
    /// Of exporters.
    pub(super) const FAMILIES: Self = Self {
        one: "family",
        many: "families",
        parts: "series",
        group: "collector",
    };
    /// Of Zabbix agents.
    pub(super) const KEYS: Self = Self {
        one: "key",
        many: "keys",
        parts: "values",
        group: "subject",
    };

    fn count(self, number: usize) -> String {
        match number {
            1 => format!("1 {}", self.one),
            _ => format!("{number} {}", self.many),
        }
    }
}

impl Default for Things {
    fn default() -> Self {
        Self::FAMILIES
    }
}

/// One of the two that are compared.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    /// What it is and where.
    pub name: String,
    /// How many families it tells.
    pub families: usize,
    /// How many series.
    pub series: usize,
}

/// What is to be known of one group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// How many families the other tells.
    pub families: usize,
    /// Why things are missing, and what to do.
    pub note: Option<String>,
    /// What is missing, differs or is here only.
    pub findings: Vec<Finding>,
}

/// What a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// It is not here.
    Missing,
    /// It is here, and not the same.
    Differs,
    /// It is here only.
    Extra,
}

/// One family that is not the same.
#[derive(Debug)]
pub(super) struct Finding {
    /// What it is.
    pub class: Class,
    /// The same more exactly, a word for programs.
    pub kind: &'static str,
    /// The family's name.
    pub name: String,
    /// The same in words.
    pub what: String,
    /// The series it is about, a few of them: name, and what each side says.
    pub examples: Vec<Example>,
    /// How many series it is about.
    pub series: usize,
}

/// One series of a finding.
#[derive(Debug)]
pub(super) struct Example {
    /// Name and labels.
    pub series: String,
    /// What the other says.
    pub there: Option<String>,
    /// What is said here.
    pub here: Option<String>,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What is compared.
    pub things: Things,
    /// The program that runs today.
    pub there: Side,
    /// nodeward.
    pub here: Side,
    /// Groups by their names.
    pub groups: BTreeMap<String, Group>,
    /// What is worth knowing of the whole.
    pub notes: Vec<String>,
}

impl Report {
    fn findings(&self, class: Class) -> impl Iterator<Item = &Finding> {
        let all = self.groups.values().flat_map(|group| &group.findings);
        all.filter(move |finding| finding.class == class)
    }

    /// Whether everything of theirs is here and the same.
    pub(super) fn is_same(&self) -> bool {
        self.findings(Class::Missing).next().is_none()
            && self.findings(Class::Differs).next().is_none()
    }

    /// The verdict, a line.
    pub(super) fn verdict(&self) -> String {
        let many = |class, word: &str| match self.findings(class).count() {
            0 => None,
            some => Some(format!("{word}: {}", self.things.count(some))),
        };
        let [missing, extra] = match self.things.parts {
            "series" => [
                "missing, or with series that are",
                "told here only, or with series that are",
            ],
            _ => ["missing", "told here only"],
        };
        let parts = [
            many(Class::Missing, missing),
            many(Class::Differs, "different"),
            many(Class::Extra, extra),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let parts = parts.join("; ");
        match self.is_same() {
            true => format!(
                "nothing missing: {} with {} {} told there are told here, and the same{}{parts}",
                self.things.count(self.there.families),
                self.there.series,
                self.things.parts,
                if parts.is_empty() { "" } else { "; " }
            ),
            false => format!("not the same: {parts}"),
        }
    }

    /// A table and lines for people, the verdict last.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (side, word) in [(&self.there, "there"), (&self.here, "here")] {
            let (name, series) = (&side.name, side.series);
            let families = self.things.count(side.families);
            let parts = self.things.parts;
            text.push_str(&format!("{word:<6} {name}: {families}, {series} {parts}\n"));
        }
        let lines = self.notes.iter().map(|note| format!("{note}\n"));
        text.extend(lines);
        text.push('\n');
        self.table(&mut text);
        for class in [Class::Missing, Class::Differs, Class::Extra] {
            let all: Vec<&Finding> = self.findings(class).collect();
            for finding in all.iter().take(SHOWN) {
                text.push_str(&finding.line());
            }
            let left = all.len().saturating_sub(SHOWN);
            if left > 0 {
                let word = class.word();
                text.push_str(&format!(
                    "{word:<8} {} more, shown by --format json\n",
                    self.things.count(left)
                ));
            }
        }
        text.push_str(&self.verdict());
        text.push('\n');
        text
    }

    /// The groups in which something is to be told, and the names of the others.
    fn table(&self, text: &mut String) {
        let told = |group: &Group| !group.findings.is_empty() || group.note.is_some();
        let shown: Vec<_> = self.groups.iter().filter(|(_, g)| told(g)).collect();
        let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let Things { many, group, .. } = self.things;
        let width = width.max(group.len());
        if !shown.is_empty() {
            text.push_str(&format!(
                "{group:<width$}  {many:>8}  missing  differs  extra\n"
            ));
        }
        for (name, group) in shown {
            let [missing, differs, extra] =
                [Class::Missing, Class::Differs, Class::Extra].map(|class| {
                    let all = group.findings.iter();
                    all.filter(|finding| finding.class == class).count()
                });
            let line = format!(
                "{name:<width$}  {:>8}  {missing:>7}  {differs:>7}  {extra:>5}  {}",
                group.families,
                group.note.as_deref().unwrap_or_default()
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let same = self.groups.iter().filter(|(_, g)| !told(g));
        let same: Vec<&str> = same.map(|(name, _)| name.as_str()).collect();
        if !same.is_empty() {
            text.push_str(&format!("the same: {}\n", same.join(", ")));
        }
        text.push('\n');
    }

    /// All of it for programs.
    pub(super) fn json(&self) -> Value {
        let side = |side: &Side| json!({"name": side.name, "families": side.families, "series": side.series});
        let example = |example: &Example| json!({"series": example.series, "there": example.there, "here": example.here});
        let finding = |finding: &Finding| {
            let examples: Vec<Value> = finding.examples.iter().map(example).collect();
            json!({
                "class": finding.class.word(), "kind": finding.kind, "family": finding.name, "what": finding.what,
                "series": finding.series, "examples": examples,
            })
        };
        let group = |(name, group): (&String, &Group)| {
            let findings: Vec<Value> = group.findings.iter().map(finding).collect();
            json!({"name": name, "families": group.families, "note": group.note, "findings": findings})
        };
        json!({
            "same": self.is_same(),
            "verdict": self.verdict(),
            "missing": self.findings(Class::Missing).count(),
            "different": self.findings(Class::Differs).count(),
            "extra": self.findings(Class::Extra).count(),
            "there": side(&self.there),
            "here": side(&self.here),
            "notes": self.notes,
            "groups": self.groups.iter().map(group).collect::<Vec<Value>>(),
        })
    }
}

impl Class {
    fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Extra => "extra",
        }
    }
}

impl Finding {
    /// It and its first example, a line that is not too long.
    fn line(&self) -> String {
        let mut line = format!("{:<8} ", self.class.word());
        match self.examples.first() {
            None => line.push_str(&format!("{}: {}", self.name, self.what)),
            Some(first) => {
                line.push_str(&first.series);
                match (&first.there, &first.here) {
                    (Some(there), Some(here)) => {
                        line.push_str(&format!(" is {there} there, {here} here"));
                    }
                    (Some(one), None) | (None, Some(one)) => line.push_str(&format!(" {one}")),
                    (None, None) => {}
                }
                let more = self.series.saturating_sub(1);
                if more > 0 {
                    line.push_str(&format!("; {more} series more of this family"));
                }
            }
        }
        // What others wrote is not to write lines of its own.
        let line = terminal::line(&line);
        let cut: String = line.chars().take(WIDTH).collect();
        let dots = if cut.len() < line.len() { "..." } else { "" };
        format!("{cut}{dots}\n")
    }
}
