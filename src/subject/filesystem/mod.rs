//! File systems: /proc/1/mountinfo and statfs(2).
//!
//! Owns which mounts there are and how full they are. It never reads the disks below them. statfs may hang for ever
//! on a dead network mount: it is called where that costs only its mount, and only for the mounts the asker needs.
//! The table of mounts is kept while mountinfo stays the same, byte for byte, since matching patterns costs more
//! than all the rest. The file itself is read each time: poll(2) on it tells of mounts that come and go, and says
//! nothing when an error makes a file system read-only.

mod local;
mod locks;
mod mounts;
mod otlp;
pub mod parse;
mod prometheus;
mod selection;
mod space;
#[cfg(test)]
mod tests;
mod zabbix;

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::host::{CallKey, Called, Pass, ReadError, Root, Text, own_mounts};
use crate::model::duration::Period;
use crate::model::pattern::Pattern;
use crate::subject::{
    Absent, Asker, Chosen, Flag, Invalid, Item, ItemError, Lane, Machine, Past, Subject, Taken,
    Want as Wanted,
};

use locks::Locks;
use mounts::{Mount, Mounts};
use selection::Selection;
use space::Stat;

/// The subject.
pub struct Filesystem {
    selection: Selection,
    timeout: Duration,
    mounts: Arc<Mounts>,
}

/// Options of file systems.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Mount points to tell Prometheus, all others left out; not together with `mount_points_exclude`. Default: all
    /// that are not excluded.
    pub mount_points_include: Option<Pattern>,
    /// Mount points not to tell Prometheus; an empty text excludes none. Default:
    /// `^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`, and none if
    /// `mount_points_include` is set.
    pub mount_points_exclude: Option<Pattern>,
    /// Types of file systems to tell Prometheus, all others left out; not together with `fs_types_exclude`. Default:
    /// all that are not excluded.
    pub fs_types_include: Option<Pattern>,
    /// Types of file systems not to tell Prometheus; an empty text excludes none. Default: those of the kernel's own,
    /// images and overlays; none if `fs_types_include` is set.
    pub fs_types_exclude: Option<Pattern>,
    /// How long a scrape waits for a mount that does not answer; later scrapes do not wait for it. Never longer than
    /// the scrape itself may take. Default: 5s.
    pub mount_timeout: Period,
    /// Instruments to tell over OTLP beside those that always are. Default: none.
    pub instruments: Chosen<Filesystem>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mount_points_include: None,
            mount_points_exclude: None,
            fs_types_include: None,
            fs_types_exclude: None,
            mount_timeout: Period::secs(5),
            instruments: Chosen::default(),
        }
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading {
    mounts: Arc<Mounts>,
    /// Of each path of the table what statfs said, if it was asked.
    stats: Vec<Option<Stat>>,
    /// Of each path that a key named what statfs said.
    asked: HashMap<String, Stat>,
    /// Locks of files, if they were asked for.
    locks: Option<Locks>,
}

/// Which mounts to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Want {
    /// Those the patterns let Prometheus see.
    shown: bool,
    /// Those that are devices.
    devices: bool,
    /// Every one.
    every: bool,
    /// Locks of files.
    locks: bool,
    /// Single paths, mount points or not.
    paths: BTreeSet<String>,
}

impl Wanted for Want {
    fn merge(&mut self, other: &Self) {
        self.shown |= other.shown;
        self.devices |= other.devices;
        self.every |= other.every;
        self.locks |= other.locks;
        self.paths.extend(other.paths.iter().cloned());
    }

    fn covers(&self, other: &Self) -> bool {
        self.shown >= other.shown
            && self.devices >= other.devices
            && self.every >= other.every
            && self.locks >= other.locks
            && self.paths.is_superset(&other.paths)
    }
}

/// The mounts of the first process, or our own where it cannot be seen.
fn mountinfo(pass: &mut Pass<'_>) -> Result<Text, ReadError> {
    match pass.file(Root::Proc, "1/mountinfo") {
        Err(e)
            if matches!(
                e.source.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied
            ) =>
        {
            pass.file(Root::Proc, "self/mountinfo")
        }
        read => read,
    }
}

fn ask(pass: &Pass<'_>, paths: Vec<CallKey>, limit: Instant) -> Vec<Called<Stat>> {
    if paths.is_empty() {
        return Vec::new();
    }
    let calls = pass.host().calls();
    calls.each("statfs", paths, limit, Stat::of)
}

/// What a call that did not come back is taken for.
fn stat(called: Called<Stat>) -> Stat {
    match called {
        Called::Done(stat) => stat,
        Called::Parked | Called::Busy => Stat::Stuck,
    }
}

/// Finds the mounts on devices, if that was not done for this table yet.
fn find_devices(pass: &mut Pass<'_>, mounts: &Mounts) -> Result<(), ReadError> {
    if mounts.devices.get().is_none() {
        let text = pass.file(Root::Proc, "filesystems")?;
        let types = parse::device_types(&text);
        let devices = mounts.on_devices(&types, |name, mount| resolve(pass, name, mount));
        mounts.devices.get_or_init(|| devices);
    }
    Ok(())
}

/// The device behind a name that is only a link.
fn resolve(pass: &Pass<'_>, device: &str, mount: &Mount) -> Box<str> {
    let link = if device.starts_with("/dev/mapper/") {
        pass.link(Root::Rootfs, device)
    } else if device == "/dev/root" {
        let number = format!("dev/block/{}:{}", mount.major, mount.minor);
        pass.link(Root::Sys, &number)
    } else {
        None
    };
    let name = link.as_deref().and_then(|l| l.file_name()?.to_str());
    name.map_or_else(|| device.into(), |name| format!("/dev/{name}").into())
}

impl Filesystem {
    /// Asks about the paths that keys named. A path on a mount that is stuck is not asked about.
    fn paths(
        &self,
        pass: &Pass<'_>,
        want: &BTreeSet<String>,
        stats: &mut [Option<Stat>],
        limit: Instant,
    ) -> HashMap<String, Stat> {
        let rootfs = &pass.host().roots().rootfs;
        let entries = &self.mounts.entries;
        let mut covers = BTreeSet::new();
        let mut found = Vec::new();
        for path in want {
            let mount = entries
                .iter()
                .find(|e| *e.mount.raw_point == **path || *e.mount.real_point == **path);
            let full = mount.map_or_else(
                || mounts::asked(rootfs, path),
                |e| CallKey::clone(&e.mount.path),
            );
            let cover = entries
                .iter()
                .filter(|e| std::path::Path::new(&*full).starts_with(&*e.mount.path))
                .max_by_key(|e| e.mount.path.len())
                .map(|e| e.at);
            covers.extend(cover.filter(|at| stats.get(*at).is_some_and(Option::is_none)));
            found.push((path, full, cover));
        }
        self.fill(pass, covers, stats, limit);
        let of = |at: Option<usize>| at.and_then(|at| stats.get(at).copied().flatten());
        let mut asked = HashMap::new();
        let mut rest = Vec::new();
        for (path, full, cover) in found {
            let itself = cover.and_then(|at| self.mounts.paths.get(at)) == Some(&full);
            match of(cover) {
                Some(stat) if itself || stat == Stat::Stuck => {
                    asked.insert(path.clone(), stat);
                }
                _ => rest.push((path, full)),
            }
        }
        let keys = rest.iter().map(|(_, full)| CallKey::clone(full)).collect();
        let answers = ask(pass, keys, limit);
        let answers = answers.into_iter().map(stat);
        asked.extend(rest.into_iter().map(|(p, _)| p.clone()).zip(answers));
        asked
    }

    /// Asks about paths of the table: here where statfs comes back at once, on threads of its own elsewhere. When dead
    /// mounts hold every thread, those that should not hang are asked here too.
    fn fill(
        &self,
        pass: &Pass<'_>,
        which: impl IntoIterator<Item = usize>,
        stats: &mut [Option<Stat>],
        limit: Instant,
    ) {
        let mounts = &self.mounts;
        let mut places = Vec::new();
        let mut keys = Vec::new();
        for at in which {
            let (Some(path), Some(place)) = (mounts.paths.get(at), stats.get_mut(at)) else {
                continue;
            };
            if mounts.prompt.get(at) == Some(&true) {
                *place = Some(Stat::of(path));
            } else {
                places.push(at);
                keys.push(CallKey::clone(path));
            }
        }
        for (at, called) in places.into_iter().zip(ask(pass, keys, limit)) {
            let path = mounts.paths.get(at);
            let stat = match (called, path, mounts.local.get(at)) {
                (Called::Busy, Some(path), Some(true)) => Stat::of(path),
                (called, ..) => stat(called),
            };
            if let Some(place) = stats.get_mut(at) {
                *place = Some(stat);
            }
        }
    }

    fn errors(&self, stats: &[Option<Stat>]) -> Vec<ItemError> {
        let mut errors = self.mounts.errors.clone();
        for (path, stat) in self.mounts.paths.iter().zip(stats) {
            let why = match stat {
                None | Some(Stat::Told(_)) => continue,
                Some(Stat::Failed(errno)) => format!("statfs: {}", space::text(*errno)),
                Some(Stat::Stuck) => "statfs does not come back".into(),
            };
            errors.push(ItemError {
                kind: "mount",
                item: path.to_string_lossy().into_owned(),
                why,
            });
        }
        errors
    }
}

impl Subject for Filesystem {
    const NAME: &'static str = "filesystem";
    const ON: bool = true;
    const LANE: Lane = Lane::Own;
    const FLAGS: &'static [Flag<Options>] = selection::FLAGS;
    const FAMILIES: &'static [&'static dyn Declared] = prometheus::FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = otlp::INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = Options;
    type Want = Want;
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self {
            selection: Selection::new(options)?,
            timeout: options.mount_timeout.get(),
            mounts: Arc::default(),
        })
    }

    fn want(options: &Options, asker: Asker) -> Want {
        Want {
            shown: asker == Asker::Prometheus,
            devices: asker == Asker::Otlp,
            locks: asker == Asker::Otlp && otlp::wants_locks(options),
            ..Want::default()
        }
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Want) -> Result<Taken<Reading>, Absent> {
        let text = mountinfo(pass)?;
        if !self.mounts.is_of(&text) {
            let rootfs = &pass.host().roots().rootfs;
            let shows = |point: &str, fstype: &str| self.selection.shows(point, fstype);
            let own = own_mounts().unwrap_or_default();
            self.mounts = Arc::new(Mounts::new(&text, &own, rootfs, shows, &self.mounts));
        }
        let mounts = Arc::clone(&self.mounts);
        let unknown = want
            .devices
            .then(|| find_devices(pass, &mounts))
            .and_then(Result::err);
        let mut needed = vec![want.every; mounts.paths.len()];
        let mut need = |at: usize| {
            if let Some(needed) = needed.get_mut(at) {
                *needed = true;
            }
        };
        if want.shown {
            let shown = mounts.entries.iter().filter(|e| e.mount.shown);
            shown.for_each(|e| need(e.told_at));
        }
        if want.devices {
            let devices = mounts.devices.get().into_iter().flatten();
            let entries = devices.filter_map(|d| mounts.entries.get(d.at));
            entries.for_each(|e| need(e.at));
        }
        let mut stats = vec![None; mounts.paths.len()];
        let limit = pass.limit(self.timeout);
        let which = (0..needed.len()).filter(|at| needed.get(*at) == Some(&true));
        self.fill(pass, which, &mut stats, limit);
        let asked = self.paths(pass, &want.paths, &mut stats, limit);
        let mut errors = self.errors(&stats);
        errors.extend(unknown.map(|e| ItemError {
            kind: "types",
            item: "filesystems".into(),
            why: e.to_string(),
        }));
        let mut locks = None;
        if want.locks {
            match pass.file(Root::Proc, "locks") {
                Ok(text) => locks = Some(Locks::parse(&text)),
                Err(e) => errors.push(ItemError::new("file", b"locks", e.to_string())),
            }
        }
        Ok(Taken {
            errors,
            complete: mounts.errors.is_empty(),
            reading: Reading {
                mounts,
                stats,
                asked,
                locks,
            },
        })
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        prometheus::tell(reading, page);
    }

    fn otlp(options: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        otlp::tell(options, past.now, batch);
    }
}
