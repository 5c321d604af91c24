//! Packages that are installed: the list of dpkg, /var/lib/dpkg/status (dpkg(1), deb-control(5)), the database of rpm, and the
//! directory of pacman, /var/lib/pacman/local.
//!
//! The lists are megabytes, so that they are read only when a key asks, and no program is run for them. The database of rpm, tens of
//! megabytes, is read again only once it has changed.

mod dpkg;
mod pacman;
mod rpm;
mod zabbix;

use std::sync::Arc;

use crate::dialect::prometheus::{Declared, Page};
use crate::host::Pass;
use crate::model::moment::Timestamp;
use crate::subject::{Absent, Asker, Invalid, Item, Lane, Machine, NoOptions, Subject, Taken};

/// The subject.
#[derive(Default)]
pub struct Packages {
    rpm: Option<rpm::Kept>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Package {
    /// With its architecture behind a colon, where that tells it from others of the name.
    full_name: String,
    name: String,
    version: String,
    architecture: String,
    /// In bytes.
    size: u64,
    /// When it was built and installed, in seconds of the epoch; 0 where nobody knows.
    built: i64,
    installed: i64,
    /// Whether it is to stay, as opposed to one that is marked for removal.
    selected: bool,
    /// Whether all of it is there.
    complete: bool,
}

/// The packages of one manager.
type List = (&'static str, Arc<Vec<Package>>);

/// In seconds of the epoch.
fn now() -> i64 {
    i64::try_from(Timestamp::now().seconds()).unwrap_or(i64::MAX)
}

/// Those of each manager that is there.
#[derive(Debug)]
pub struct Reading(Vec<List>);

impl Subject for Packages {
    const NAME: &'static str = "packages";
    const ON: bool = false;
    const LANE: Lane = Lane::Own;
    const FAMILIES: &'static [&'static dyn Declared] = &[];
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = NoOptions;
    type Want = bool;
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self::default())
    }

    fn want(_: &NoOptions, _: Asker) -> bool {
        false
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &bool) -> Result<Taken<Reading>, Absent> {
        if !want {
            return Ok(Reading(Vec::new()).into());
        }
        let mut errors = Vec::new();
        let lists = [
            dpkg::read(pass, &mut errors),
            rpm::read(pass, &mut errors, &mut self.rpm, now()),
            pacman::read(pass, &mut errors),
        ];
        Ok(Taken::lacking(
            Reading(lists.into_iter().flatten().collect()),
            errors,
        ))
    }

    fn prometheus(_: &NoOptions, _: &Reading, _: &mut Page<'_, Self>) {}
}

#[cfg(test)]
mod tests;
