//! What is in a directory: entries that a filter lets through, counted or summed.

use super::look::Looked;
use crate::dialect::zabbix::answer::Unsupported;
use crate::host::{Kind, Led, Status, numbered};
use crate::model::moment::Timestamp;
use crate::model::pattern::Pattern;

type Found = Result<Looked, Unsupported>;

/// Which entries are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Filter {
    pub name: Option<String>,
    pub not_name: Option<String>,
    /// Directories of such names are not gone into, and not counted.
    pub not_directory: Option<String>,
    pub kinds: Kinds,
    pub not_kinds: Kinds,
    /// How many directories deep; none for all.
    pub depth: Option<u32>,
    pub min_size: Option<u64>,
    pub max_size: Option<u64>,
    /// Seconds since the content changed last.
    pub min_age: Option<u64>,
    pub max_age: Option<u64>,
}

/// Kinds of things; none for every one.
pub(super) type Kinds = Option<Vec<Kind>>;

/// The word of each kind.
pub(super) const WORDS: [(&str, &[Kind]); 9] = [
    ("file", &[Kind::File]),
    ("dir", &[Kind::Directory]),
    ("sym", &[Kind::Link]),
    ("sock", &[Kind::Socket]),
    ("bdev", &[Kind::Block]),
    ("cdev", &[Kind::Character]),
    ("fifo", &[Kind::Pipe]),
    ("dev", &[Kind::Block, Kind::Character]),
    (
        "all",
        &[
            Kind::File,
            Kind::Directory,
            Kind::Link,
            Kind::Socket,
            Kind::Block,
            Kind::Character,
            Kind::Pipe,
        ],
    ),
];

/// Words between commas; none for none.
pub(super) fn kinds(text: &str) -> Result<Kinds, Unsupported> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut all = Vec::new();
    for word in text.split(',') {
        let word = word.trim_matches(' ');
        let known = WORDS.iter().find(|(known, _)| *known == word);
        let (_, kinds) = known.ok_or_else(|| format!("Invalid type \"{word}\"."))?;
        all.extend_from_slice(kinds);
    }
    Ok(Some(all))
}

pub(super) fn no_directory(error: std::io::Error) -> Unsupported {
    match error.kind() {
        std::io::ErrorKind::NotADirectory => "First parameter is not a directory.".into(),
        _ => format!("Cannot obtain directory information: {}", numbered(&error)).into(),
    }
}

struct Compiled<'a> {
    filter: &'a Filter,
    name: Option<Pattern>,
    not_name: Option<Pattern>,
    not_directory: Option<Pattern>,
    now: i64,
}

impl Filter {
    /// Patterns were held to be some before: one that is none lets nothing through.
    fn compiled(&self) -> Result<Compiled<'_>, Unsupported> {
        let pattern = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => Pattern::new(text)
                .map(Some)
                .map_err(|why| Unsupported::from(why.to_string())),
        };
        let now = i64::try_from(Timestamp::now().seconds()).unwrap_or(i64::MAX);
        Ok(Compiled {
            filter: self,
            name: pattern(&self.name)?,
            not_name: pattern(&self.not_name)?,
            not_directory: pattern(&self.not_directory)?,
            now,
        })
    }

    pub(super) fn count(&self, directory: &Led, wanted: &dyn Fn() -> bool) -> Found {
        let mut count = 0;
        self.walk(directory, wanted, &mut |_| count += 1)?;
        Ok(Looked::Number(count))
    }

    /// The directory itself is counted unless names are chosen, as by the classic agent.
    pub(super) fn size(&self, directory: &Led, on_disk: bool, wanted: &dyn Fn() -> bool) -> Found {
        let of = |status: &Status| match on_disk {
            true => status.on_disk,
            false => status.size,
        };
        let mut size = 0u64;
        self.walk(directory, wanted, &mut |status| {
            size = size.saturating_add(of(status));
        })?;
        if self.name.is_none() {
            let itself = directory.status().map_err(no_directory)?;
            size = size.saturating_add(of(&itself));
        }
        Ok(Looked::Number(size))
    }

    fn walk(
        &self,
        directory: &Led,
        wanted: &dyn Fn() -> bool,
        each: &mut dyn FnMut(&Status),
    ) -> Result<(), Unsupported> {
        let compiled = self.compiled()?;
        let enter = |name: &str| {
            let not = compiled.not_directory.as_ref();
            !not.is_some_and(|not| not.matches(name))
        };
        let whole = directory.walk(wanted, self.depth, &enter, &mut |name, status| {
            if compiled.takes(name, status) {
                each(status);
            }
        });
        match whole.map_err(no_directory)? {
            true => Ok(()),
            false => Err(Unsupported::TIMED_OUT),
        }
    }
}

impl Compiled<'_> {
    fn takes(&self, name: &str, status: &Status) -> bool {
        let filter = self.filter;
        let age = u64::try_from(self.now.saturating_sub(status.modified)).unwrap_or_default();
        let among = |kinds: &Vec<Kind>| status.kind.is_some_and(|kind| kinds.contains(&kind));
        self.name.as_ref().is_none_or(|one| one.matches(name))
            && !self.not_name.as_ref().is_some_and(|one| one.matches(name))
            && filter.kinds.as_ref().is_none_or(among)
            && !filter.not_kinds.as_ref().is_some_and(among)
            && filter.min_size.is_none_or(|least| status.size >= least)
            && filter.max_size.is_none_or(|most| status.size <= most)
            && filter.min_age.is_none_or(|least| age >= least)
            && filter.max_age.is_none_or(|most| age <= most)
    }
}
