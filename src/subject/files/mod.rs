//! Files and directories that Zabbix keys ask for by path: contents, checksums, sizes, times, owners, counts.
//!
//! A path is not believed: what a key may have beside a file's existence, size and times is bounded by lists of patterns
//! ([`Allowed`]), which are held against the path without `..` and against where its links lead. Nothing is read unless a key asks.

mod allowed;
mod look;
mod walk;
mod zabbix;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use crate::dialect::prometheus::{Declared, Page};
use crate::dialect::zabbix::answer::Unsupported;
use crate::host::{Accounts, CallKey, Called, Pass};
use crate::subject::{Absent, Asker, Invalid, Item, Lane, Machine, Subject, Taken};

use allowed::Allowed;
use look::{Looked, Looking};
use walk::Filter;

/// The subject.
pub struct Files {
    contents: Arc<Allowed>,
    details: Arc<Allowed>,
}

/// Which paths Zabbix keys may ask for.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Files whose contents `vfs.file.contents` tells: absolute paths in which `*` is any part of one name and `/**` at the end all that
    /// lies below. Default: what the templates of Zabbix for Linux read.
    pub contents: Vec<String>,
    /// Files and directories of which checksums, lines, owners, permissions, and counts and sizes of what is in a directory are told,
    /// written as `contents`, and beside those. Default: `/etc/passwd`, of which the templates of Zabbix want a checksum.
    pub details: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let contents = [
            "/sys/class/net/*/operstate",
            "/sys/class/net/*/speed",
            "/sys/class/net/*/type",
            "/sys/block/*/stat",
            "/proc/pressure/*",
        ];
        Self {
            contents: contents.map(str::to_owned).into(),
            details: vec!["/etc/passwd".into()],
        }
    }
}

/// What is wanted of one path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    path: String,
    what: What,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// What stands there, and where a link leads.
    Kind,
    /// Size and times of where it leads.
    Status,
    /// Owner and permissions; a link's own, unless it is followed.
    Owner {
        follow: bool,
    },
    Contents,
    Sum(Sum),
    Lines,
    /// How many entries a directory has.
    Count(Box<Filter>),
    /// How many bytes they have, or take on the disk.
    Size(Box<Filter>, bool),
}

/// A checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sum {
    /// That of POSIX cksum.
    Cksum,
    Md5,
    Sha256,
}

/// What was found.
#[derive(Default)]
pub struct Reading {
    found: BTreeMap<Ask, Result<Looked, Unsupported>>,
    /// If an owner was asked for.
    accounts: Accounts,
}

impl What {
    /// Its name among calls that can hang.
    const fn name(&self) -> &'static str {
        match self {
            Self::Kind => "kind of a file",
            Self::Status => "status of a file",
            Self::Owner { .. } => "owner of a file",
            Self::Contents => "contents of a file",
            Self::Sum(_) => "checksum of a file",
            Self::Lines => "lines of a file",
            Self::Count(_) => "entries of a directory",
            Self::Size(..) => "size of a directory",
        }
    }

    /// Whether it takes long by nature.
    const fn is_long(&self) -> bool {
        matches!(
            self,
            Self::Sum(_) | Self::Lines | Self::Count(_) | Self::Size(..)
        )
    }
}

impl Subject for Files {
    const NAME: &'static str = "files";
    const ON: bool = false;
    const LANE: Lane = Lane::Own;
    const FAMILIES: &'static [&'static dyn Declared] = &[];
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = Options;
    type Want = BTreeSet<Ask>;
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let list = |name: &str, patterns: &[String]| {
            Allowed::new(patterns).map(Arc::new).map_err(|why| Invalid {
                subject: Self::NAME,
                why: format!("{name}: {why}"),
            })
        };
        let contents = list("contents", &options.contents)?;
        let more: Vec<String> = [&options.contents[..], &options.details].concat();
        Ok(Self {
            contents,
            details: list("details", &more)?,
        })
    }

    fn want(_: &Options, _: Asker) -> BTreeSet<Ask> {
        BTreeSet::new()
    }

    fn read(
        &mut self,
        pass: &mut Pass<'_>,
        want: &BTreeSet<Ask>,
    ) -> Result<Taken<Reading>, Absent> {
        let mut reading = Reading::default();
        if want
            .iter()
            .any(|ask| matches!(ask.what, What::Owner { .. }))
        {
            reading.accounts = Accounts::read(pass);
        }
        for ask in want {
            let allowed = match ask.what {
                What::Contents => &self.contents,
                _ => &self.details,
            };
            let looking = Looking {
                roots: pass.host().roots().clone(),
                allowed: Arc::clone(allowed),
                limit: pass.deadline(),
                ask: ask.clone(),
            };
            let calls = match ask.what.is_long() {
                true => pass.host().long_calls(),
                false => pass.host().calls(),
            };
            let key = CallKey::from(Path::new(&ask.path).as_os_str());
            let look = move |_: &OsStr| looking.look();
            let called = calls.each(ask.what.name(), vec![key], pass.deadline(), look);
            let said = match called.into_iter().next() {
                Some(Called::Done(said)) => said,
                _ => Err(Unsupported::TIMED_OUT),
            };
            reading.found.insert(ask.clone(), said);
        }
        Ok(reading.into())
    }

    fn prometheus(_: &Options, _: &Reading, _: &mut Page<'_, Self>) {}
}

#[cfg(test)]
mod tests;
