//! From files to a valid config: read, parse, lay drop-ins over, walk the keys, read the types.
//!
//! Owns the order of these steps and the gathering of faults over all of them: one broken file,
//! key or value never hides another. It knows no key. The surprising decision: when a type refuses
//! a value, the value is dropped and the types are read again, until no new fault appears; serde
//! alone would stop at its first.

use std::io::Read as _;
use std::path::{Path as FilePath, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::cross::{Cross, Origin};
use super::de;
use super::fault::{Errors, Fault, Faults, Source, Sources};
use super::fingerprint::fingerprint;
use super::keys;
use super::parse::{LARGEST_FILE, parse};
use super::schema::Schema;
use super::secret::Near;
use super::tree::{Node, Path, Place, Value, quote};

/// More drop-ins than this are refused: the directory was named by mistake.
const MOST_DROP_INS: usize = 256;

/// A config of type `T` and where it came from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Read<T> {
    /// The config.
    pub config: T,
    /// The main file and the drop-ins, in the order they were laid over each other.
    pub files: Vec<PathBuf>,
    /// Changes when a key or value changes, in whatever file; comments, layout and the content of
    /// secret files do not count. For "did it change" only: no protection against forgery.
    pub fingerprint: u64,
    /// What is worth a warning and no more.
    pub warnings: Vec<String>,
    /// What the files said, for faults that are found only when the config is put to use.
    pub origin: Origin,
}

/// Reads `main` and its drop-ins: `nodeward.d/*.yml` beside `nodeward.yml`, in the order of their
/// names. What cannot be read is a fault, but where drop-ins are there, `main` need not be.
pub fn sources(main: &FilePath, faults: &mut Faults) -> Sources {
    let mut sources = Sources::default();
    let mut add = |path: PathBuf, faults: &mut Faults| match text_of(&path, sources.0.len()) {
        Ok((text, fault)) => {
            sources.0.push(Source { path, text });
            if let Some(fault) = fault {
                faults.push(fault);
            }
        }
        Err(fault) => faults.push(fault),
    };
    let directory = main.with_extension("d");
    let found = drop_ins(&directory);
    let alone = found.as_ref().is_ok_and(|found| !found.is_empty());
    if !alone || main.try_exists().unwrap_or(true) {
        add(main.to_owned(), faults);
    }
    match found {
        Ok(paths) if paths.len() > MOST_DROP_INS => faults.push(Fault::of_file(format!(
            "{}: more than {MOST_DROP_INS} files in a directory of drop-ins",
            directory.display()
        ))),
        Ok(paths) => paths.into_iter().for_each(|path| add(path, faults)),
        Err(error) => {
            let message = format!("{}: cannot list the drop-ins: {error}", directory.display());
            faults.push(Fault::of_file(message));
        }
    }
    sources
}

/// Reads a file that has no drop-ins.
pub(super) fn source(path: &FilePath, faults: &mut Faults) -> Sources {
    let mut sources = Sources::default();
    match text_of(path, 0) {
        Ok((text, fault)) => {
            let path = path.to_owned();
            sources.0.push(Source { path, text });
            fault.into_iter().for_each(|fault| faults.push(fault));
        }
        Err(fault) => faults.push(fault),
    }
    sources
}

/// Whether there is something to read: the file itself, or drop-ins of it. What may not be looked at is there: reading it will say why it
/// cannot be.
pub(super) fn is_there(main: &FilePath) -> bool {
    let alone = || drop_ins(&main.with_extension("d")).map_or(true, |found| !found.is_empty());
    main.try_exists().unwrap_or(true) || alone()
}

fn drop_ins(directory: &FilePath) -> std::io::Result<Vec<PathBuf>> {
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for file in listing {
        let path = file?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let yaml = path
            .extension()
            .is_some_and(|end| end == "yml" || end == "yaml");
        if yaml && !hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The text of a file, with a fault where it is no UTF-8.
fn text_of(path: &FilePath, file: usize) -> Result<(String, Option<Fault>), Fault> {
    let cannot = |error: std::io::Error| {
        Fault::of_file(format!(
            "{}: cannot read the config: {error}",
            path.display()
        ))
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(LARGEST_FILE + 1).unwrap_or(u64::MAX);
    let opened = std::fs::File::open(path).map_err(cannot)?;
    opened.take(limit).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > LARGEST_FILE {
        let message = format!("{}: larger than 1MiB; this is no config", path.display());
        return Err(Fault::of_file(message));
    }
    Ok(decode(&bytes, file))
}

/// Bytes as text; a fault at the first that is no UTF-8, after which nothing is read.
pub fn decode(bytes: &[u8], file: usize) -> (String, Option<Fault>) {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        // A lone CR ends a line too (YAML 1.2.2, section 5.4); places and shown lines count LFs.
        Ok(text) => (text.replace("\r\n", "\n").replace('\r', "\n"), None),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let good = String::from_utf8_lossy(good).into_owned();
            let last = good.rsplit('\n').next().unwrap_or_default();
            let place = Place {
                file,
                line: good.matches('\n').count() + 1,
                column: last.chars().count() + 1,
                width: 1,
            };
            let message = "this is no UTF-8 text; save the file as UTF-8";
            (String::new(), Some(Fault::at(place, message)))
        }
    }
}

/// Makes a config out of texts that were read before. `cross` looks at the finished config for
/// what no single value shows.
pub fn read<T: DeserializeOwned + JsonSchema>(
    sources: Sources,
    near: &Near,
    mut faults: Faults,
    cross: impl FnOnce(&T, &mut Cross<'_>),
) -> Result<Read<T>, Errors> {
    let (mut root, minor) = laid(&sources, &mut faults);
    faults.append(minor);
    let fingerprint = fingerprint(&root);
    let as_written = root.clone();
    let schema = Schema::of::<T>();
    let mut dropped = keys::walk(&schema, near, &mut root, &mut faults);
    let config = types::<T>(&mut root, &mut dropped, &mut faults);
    if let Some(config) = &config {
        cross(
            config,
            &mut Cross {
                root: &root,
                dropped: &dropped,
                faults: &mut faults,
            },
        );
    }
    match config {
        Some(config) if faults.is_empty() => {
            let files = sources.0.iter().map(|source| source.path.clone()).collect();
            let origin = Origin {
                root: as_written,
                sources,
            };
            Ok(Read {
                config,
                files,
                fingerprint,
                warnings: near.warnings(),
                origin,
            })
        }
        _ => Err(faults.into_errors(sources)),
    }
}

/// The files laid over each other, and what is wrong inside them. A file that makes no map of sections is left out, and is a fault.
fn laid(sources: &Sources, faults: &mut Faults) -> (Node, Faults) {
    let start = Place {
        file: 0,
        line: 1,
        column: 1,
        width: 1,
    };
    let mut root = Node {
        place: start,
        value: Value::Map(Vec::new()),
    };
    let (mut minor, mut values) = (Faults::default(), 0);
    for (file, source) in sources.0.iter().enumerate() {
        let mut found = Faults::default();
        let Some(node) = parse(file, source, &mut values, &mut found) else {
            // The last is what nothing could be read behind.
            found.pop().into_iter().for_each(|last| faults.push(last));
            minor.append(found);
            continue;
        };
        minor.append(found);
        match node.value {
            Value::Map(_) => root.lay_over(node),
            Value::Null => {}
            _ => {
                let found = node.described();
                let message = format!("expected a map of sections, found {found}");
                faults.push(Fault::at(node.place, message));
            }
        }
    }
    (root, minor)
}

/// Some sections alone, whatever is wrong with the others; with why they may say something else, where a file could not be read or
/// one of them is wrong.
pub fn sections<T: DeserializeOwned + JsonSchema + Default>(
    sources: Sources,
    names: &[&str],
    near: &Near,
    mut faults: Faults,
    cross: impl FnOnce(&T, &mut Cross<'_>),
) -> (T, Option<Errors>) {
    let (mut root, _) = laid(&sources, &mut faults);
    if let Value::Map(entries) = &mut root.value {
        entries.retain(|entry| names.contains(&&*entry.key));
    }
    let mut dropped = keys::walk(&Schema::of::<T>(), near, &mut root, &mut faults);
    let config = types::<T>(&mut root, &mut dropped, &mut faults).unwrap_or_default();
    let mut seen = Cross {
        root: &root,
        dropped: &dropped,
        faults: &mut faults,
    };
    cross(&config, &mut seen);
    let wrong = (!faults.is_empty()).then(|| faults.into_errors(sources));
    (config, wrong)
}

/// Reads the types; each value that its type refuses is noted, dropped, and the rest tried again.
fn types<T: DeserializeOwned>(
    root: &mut Node,
    dropped: &mut Vec<Path>,
    faults: &mut Faults,
) -> Option<T> {
    loop {
        let refused = match T::deserialize(de::From(root)) {
            Ok(config) => return Some(config),
            Err(refused) => refused,
        };
        let path = refused.path();
        // A value that misses something only because that was dropped is no fault of its own.
        if !dropped.iter().any(|below| below.is_inside(&path)) {
            let place = root.find(&path).map_or(root.place, |node| node.place);
            let message = in_our_words(refused.message, root.find(&path));
            let named = if path.0.is_empty() {
                message
            } else {
                format!("{path}: {message}")
            };
            faults.push(Fault::at(place, named));
        }
        if path.0.is_empty() || faults.is_full() || !root.drop_at(&path) {
            return None;
        }
        dropped.push(path);
    }
}

/// The standard library's refusals say neither what was found nor what would be right.
fn in_our_words(message: String, node: Option<&Node>) -> String {
    let Some(Value::Text(text, _)) = node.map(|node| &node.value) else {
        return message;
    };
    let right = match message.as_str() {
        "invalid socket address syntax" => "an address and a port, such as 127.0.0.1:9100",
        "invalid IP address syntax" => "an IP address, such as 10.0.0.5",
        "invalid IPv4 address syntax" => "an IPv4 address, such as 10.0.0.5",
        "invalid IPv6 address syntax" => "an IPv6 address, such as fd00::5",
        _ => return message,
    };
    format!("{} cannot be read; write {right}", quote(text))
}
