//! Fields of a file of counters that a pattern selects, and the families that tell them.
//!
//! A kernel writes its fields in one order: whether a field is told, and as what, is decided once and remembered by its
//! place. Those that somebody is known to ask for have a family of their own, all others one made by rule.

use std::sync::Arc;

use super::Invalid;
use crate::dialect::prometheus::{Family, Page, Rule};
use crate::host::parse::{float, label, unsigned};
use crate::model::pattern::Pattern;

/// More fields than any file has.
const MOST: usize = 4096;

/// The families of the fields of one file, or of several that are told alike.
pub(super) struct Names<S: 'static> {
    /// What all names begin with.
    pub(super) prefix: &'static str,
    pub(super) known: &'static [&'static Family<S, 0>],
    pub(super) rule: &'static Rule<S, 0>,
}

/// As what a field is told.
pub enum Told<S: 'static> {
    Known(&'static Family<S, 0>),
    Made(Arc<str>),
}

impl<S> Clone for Told<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Known(family) => Self::Known(family),
            Self::Made(name) => Self::Made(Arc::clone(name)),
        }
    }
}

struct Seen<S: 'static> {
    group: Box<[u8]>,
    name: Box<[u8]>,
    told: Option<Told<S>>,
}

/// Which fields are told.
pub(super) struct Fields<S: 'static> {
    names: &'static Names<S>,
    pattern: Pattern,
    seen: Vec<Seen<S>>,
}

impl<S> Fields<S> {
    /// The fields that the pattern of the option `fields` selects, or `default` where there is none.
    pub(super) fn new(
        subject: &'static str,
        names: &'static Names<S>,
        fields: Option<&Pattern>,
        default: &str,
    ) -> Result<Self, Invalid> {
        let pattern = match fields {
            Some(pattern) => Ok(pattern.clone()),
            None => Pattern::new(default),
        };
        Ok(Self {
            names,
            pattern: pattern.map_err(|e| Invalid {
                subject,
                why: e.to_string(),
            })?,
            seen: Vec::new(),
        })
    }

    /// As what the field `at` of those read in a pass is told; none if it is not. Its name follows that of its group, if
    /// it has one, and an underscore.
    pub(super) fn told(&mut self, at: usize, group: &[u8], name: &[u8]) -> Option<Told<S>> {
        if let Some(seen) = self.seen.get(at)
            && *seen.group == *group
            && *seen.name == *name
        {
            return seen.told.clone();
        }
        let told = self.decide(group, name);
        self.seen.truncate(at);
        if self.seen.len() == at && at < MOST {
            self.seen.push(Seen {
                group: group.into(),
                name: name.into(),
                told: told.clone(),
            });
        }
        told
    }

    fn decide(&self, group: &[u8], name: &[u8]) -> Option<Told<S>> {
        let mut key = label(group).into_owned();
        if !group.is_empty() {
            key.push('_');
        }
        key.push_str(&label(name));
        if !self.pattern.matches(&key) {
            return None;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == ':';
        let clean = key.chars().map(|c| if word(c) { c } else { '_' });
        let name: String = self.names.prefix.chars().chain(clean).collect();
        let known = self.names.known.iter().find(|f| f.name() == name);
        Some(match known {
            Some(family) => Told::Known(family),
            None => Told::Made(name.into()),
        })
    }
}

/// Writes what was read of some fields.
pub(super) fn tell<S>(names: &Names<S>, values: &[(Told<S>, f64)], page: &mut Page<'_, S>) {
    for (told, value) in values {
        match told {
            Told::Known(family) => page.value(family, *value),
            Told::Made(name) => page.made(names.rule, name).push([], *value),
        }
    }
}

/// A count as the kernel writes it, or any other number.
#[expect(clippy::cast_precision_loss, reason = "every sample is a double")]
pub(super) fn count(field: &[u8]) -> Option<f64> {
    match unsigned(field) {
        Some(whole) => Some(whole as f64),
        None => float(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::prometheus::Kind;

    struct Owner;
    static KNOWN: Family<Owner, 0> = Family::new("n_A_b", Kind::Untyped, [], "Known");
    static RULE: Rule<Owner, 0> = Rule::new("n_*", Kind::Untyped, [], "Made");
    static NAMES: Names<Owner> = Names {
        prefix: "n_",
        known: &[&KNOWN],
        rule: &RULE,
    };

    #[test]
    fn a_field_is_remembered_by_its_place_and_looked_at_again_when_another_stands_there() {
        let mut fields = Fields::new("x", &NAMES, None, "^(A_|c)").unwrap();
        let mut name = |at, group: &str, name: &str| {
            let told = fields.told(at, group.as_bytes(), name.as_bytes());
            told.map(|told| match told {
                Told::Known(family) => format!("known {}", family.name()),
                Told::Made(name) => name.to_string(),
            })
        };
        for _ in 0..2 {
            assert_eq!(name(0, "A", "b").unwrap(), "known n_A_b");
            assert_eq!(name(1, "", "b"), None);
            assert_eq!(name(2, "", "c-\u{fc}d:").unwrap(), "n_c__d:");
        }
        assert_eq!(name(1, "A", "b").unwrap(), "known n_A_b");
        assert_eq!(name(usize::MAX, "", "c").unwrap(), "n_c");
        assert_eq!(name(2, "", "x"), None);
    }
}
