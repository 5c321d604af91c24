//! Metrics that others write to files: `*.prom` in the directories of the options, in text 0.0.4.
//!
//! A file counts whole or not at all: what is half-written or wrong costs that file, is told with its line in the log, and sets
//! `node_textfile_scrape_error`. Families of one name are put together over all files; the first help text and type count. A family that
//! nodeward tells itself is refused, and so is a name under which it tells of itself.

mod glob;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::dialect::prometheus::{Declared, Foreign, Kind, Page, Series as Told, joined};
use crate::host::{CallKey, Called, Found, Pass, names, open_regular};
use crate::subject::{Absent, Asker, Flag, Invalid, ItemError, Lane, Machine, Subject, Taken};

use crate::dialect::prometheus::parse::families::{self, Families, Family, Series};

/// The largest file that is read.
const LARGEST: u64 = 16 << 20;
/// How long a directory may take, at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// Names under which nodeward tells of itself, and of this subject.
const OWN: [&str; 13] = [
    "nodeward_",
    "node_exporter_build_info",
    "node_scrape_collector_",
    "node_textfile_",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_network_",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_",
    "go_",
];

/// The subject.
pub struct Textfile {
    directories: Vec<String>,
}

/// Options of files of metrics.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Directories whose files `*.prom` are told; `*`, `?` and `[a-z]` stand for names. Paths of this process, not below `rootfs`.
    /// Default: none.
    pub directories: Vec<String>,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading {
    families: BTreeMap<String, Family>,
    /// When each good file was written, in whole seconds.
    written: BTreeMap<String, i64>,
    failed: bool,
}

crate::families! { Textfile:
    WRITTEN gauge "node_textfile_mtime_seconds" ["file"] "When a file that was read well was written, in Unix seconds";
    FAILED gauge "node_textfile_scrape_error" [] "Whether a file or a directory could not be read";
}
static OTHERS: Foreign<Textfile> =
    Foreign::new("Families of the files, with the types, help texts and labels that these have");
static DECLARED: [&dyn Declared; 3] = joined(&[FAMILIES, &[&OTHERS]]);

/// One file as it was read.
struct File {
    path: String,
    read: Result<(Families, i64), String>,
}

/// The files of a directory or pattern, or what is wrong with it.
fn files(pattern: &OsStr) -> Vec<Result<File, (String, String)>> {
    let mut files = Vec::new();
    for dir in glob::expand(&pattern.to_string_lossy()) {
        let shown = dir.display().to_string();
        let names = match names(&dir) {
            Ok(names) => names,
            Err(e) => {
                files.push(Err((shown, format!("read the directory: {e}"))));
                continue;
            }
        };
        for name in names
            .iter()
            .filter(|name| name.as_encoded_bytes().ends_with(b".prom"))
        {
            let path = dir.join(name);
            files.push(Ok(File {
                read: file(&path),
                path: clean(&path).display().to_string(),
            }));
        }
    }
    files
}

fn file(path: &Path) -> Result<(Families, i64), String> {
    let found = match open_regular(path).map_err(|e| e.to_string())? {
        Found::Regular(found) => found,
        Found::Other(what) => return Err(format!("it is {what}")),
    };
    let (written, _) = found.stamp.modified;
    let text = found.bytes(LARGEST).map_err(|e| e.to_string())?;
    let families =
        families::families(&text).map_err(|(line, why)| format!("line {line}: {why}"))?;
    Ok((families, written))
}

/// A path without parts that mean nothing.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

/// Puts the families of the files together, in their order.
#[derive(Default)]
struct Merge {
    reading: Reading,
    errors: Vec<ItemError>,
    /// The first help text of a name, and whether another was told since.
    help: BTreeMap<String, (String, bool)>,
    /// The files that have a name.
    from: BTreeMap<String, Vec<String>>,
    /// Families in the order they came.
    parts: Vec<(String, String, Family)>,
}

impl Merge {
    fn error(&mut self, kind: &'static str, item: &str, why: String) {
        self.errors.push(ItemError {
            kind,
            item: item.to_owned(),
            why,
        });
    }

    fn file(&mut self, file: File) {
        let (families, written) = match file.read {
            Ok(read) => read,
            Err(why) => {
                self.reading.failed = true;
                return self.error("file", &file.path, why);
            }
        };
        for (name, family) in families {
            if OWN.iter().any(|own| name.starts_with(own)) {
                self.reading.failed = true;
                let why = format!("{name} is a name under which nodeward tells of itself");
                self.error("file", &file.path, why);
                continue;
            }
            if let Some((first, conflict)) = self.help.get_mut(&name) {
                let other = family.help.as_ref().is_some_and(|help| help != first);
                if other || *conflict {
                    *conflict = true;
                    self.reading.failed = true;
                    let why = format!("the help text of {name} is another than in an earlier file");
                    self.error("file", &file.path, why);
                    continue;
                }
            } else if let Some(help) = &family.help {
                self.help.insert(name.clone(), (help.clone(), false));
            }
            self.from
                .entry(name.clone())
                .or_default()
                .push(file.path.clone());
            self.parts.push((name, file.path.clone(), family));
        }
        self.reading.written.insert(file.path, written);
    }

    fn finish(mut self) -> Taken<Reading> {
        let mut seen: BTreeMap<String, BTreeSet<BTreeMap<String, String>>> = BTreeMap::new();
        for (name, path, mut family) in std::mem::take(&mut self.parts) {
            let from = || {
                self.from
                    .get(&name)
                    .map(|from| from.join(", "))
                    .unwrap_or_default()
            };
            let help = family
                .help
                .take()
                .unwrap_or_else(|| format!("Metric read from {}", from()));
            let known = self.reading.families.get(&name);
            let why = match known {
                Some(known) if known.kind != family.kind => Some(format!(
                    "the type of {name} is another than in an earlier file"
                )),
                Some(known) if known.help.as_ref() != Some(&help) => Some(format!(
                    "the help text of {name} is another than in an earlier file"
                )),
                None => self.collides(&name, family.kind),
                Some(_) => None,
            };
            if let Some(why) = why {
                self.error("file", &path, why);
                continue;
            }
            let before = seen.entry(name.clone()).or_default();
            let all = family.series.len();
            // A label without a value is none to whoever reads the page.
            let key = |series: &Series| {
                let labels = series.labels.iter().filter(|(_, value)| !value.is_empty());
                labels.map(|(n, v)| (n.clone(), v.clone())).collect()
            };
            family.series.retain(|series| before.insert(key(series)));
            if family.series.len() < all {
                let why = format!(
                    "{} series of {name} are there already",
                    all - family.series.len()
                );
                self.error("file", &path, why);
            }
            match self.reading.families.get_mut(&name) {
                Some(known) => known.series.append(&mut family.series),
                None => {
                    family.help = Some(help);
                    self.reading.families.insert(name, family);
                }
            }
        }
        Taken {
            reading: self.reading,
            errors: self.errors,
            complete: true,
        }
    }

    /// Whether a family's samples would be called as those of another.
    fn collides(&self, name: &str, kind: Kind) -> Option<String> {
        let parts = |kind| match kind {
            Kind::Histogram => &["_sum", "_count", "_bucket"][..],
            Kind::Summary => &["_sum", "_count"][..],
            _ => &[][..],
        };
        let families = &self.reading.families;
        let below = |part: &&str| families.contains_key(&format!("{name}{part}"));
        let above = |suffix: &&str| {
            let base = name.strip_suffix(suffix);
            base.and_then(|base| families.get(base))
                .is_some_and(|family| parts(family.kind).contains(suffix))
        };
        let of = parts(kind).iter().any(below);
        let in_ = ["_sum", "_count", "_bucket"].iter().any(above);
        (of || in_).then(|| format!("samples of {name} are called as those of another family"))
    }
}

impl Subject for Textfile {
    const NAME: &'static str = "textfile";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FLAGS: &'static [Flag<Options>] = &[Flag::value(
        "collector.textfile.directory",
        "Directory whose files *.prom are told, a pattern; may be repeated",
        |o: &mut Options, v| {
            if !v.is_empty() {
                o.directories.push(v.to_owned());
            }
            Ok(())
        },
    )];
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    type Options = Options;
    type Want = ();
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self {
            directories: options.directories.clone(),
        })
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let keys = self
            .directories
            .iter()
            .map(|dir| CallKey::from(OsStr::new(dir)));
        let limit = pass.limit(PATIENCE);
        let called = pass
            .host()
            .calls()
            .each("textfile", keys.collect(), limit, files);
        let mut merge = Merge::default();
        for (dir, called) in self.directories.iter().zip(called) {
            let files = match called {
                Called::Done(files) => files,
                Called::Parked => vec![Err((dir.clone(), "it did not answer in time".into()))],
                Called::Busy => {
                    let why = "all threads for calls that can hang are held";
                    vec![Err((dir.clone(), why.into()))]
                }
            };
            for file in files {
                match file {
                    Ok(file) => merge.file(file),
                    Err((dir, why)) => {
                        merge.reading.failed = true;
                        merge.error("directory", &dir, why);
                    }
                }
            }
        }
        Ok(merge.finish())
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut written = page.family(&WRITTEN);
        for (path, at) in &reading.written {
            written.push([path], *at);
        }
        page.value(&FAILED, reading.failed);
        for (name, family) in &reading.families {
            let help = family.help.as_deref().unwrap_or_default();
            let mut told = page.foreign(&OTHERS, name, family.kind, help);
            for series in &family.series {
                let names: Vec<&str> = series.labels.keys().map(String::as_str).collect();
                let values: Vec<&str> = series.labels.values().map(String::as_str).collect();
                told.push(&names, &values, said(family.kind, series));
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast of a count saturates"
)]
fn said(kind: Kind, series: &Series) -> Told<'_> {
    match kind {
        Kind::Histogram => Told::Distribution {
            buckets: &series.places,
            sum: series.sum,
            count: series.count,
        },
        Kind::Summary => Told::Quantiles {
            quantiles: &series.places,
            sum: series.sum,
            count: series.count as u64,
        },
        Kind::Counter | Kind::Gauge | Kind::Untyped => Told::Number(series.value),
    }
}
