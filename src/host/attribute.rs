//! Attributes: the small files of sysfs (sysfs(5)), read once each.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The most bytes of an attribute that are taken, as the reference takes no more.
const LONGEST: usize = 128;
/// The most entries of a directory of attributes that are looked at.
const MOST: usize = 4096;

/// One attribute, white space at its ends included. A single read: a broken driver that says "again" for ever is an error.
///
/// # Errors
/// What the system says.
pub fn attribute(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = vec![0; LONGEST];
    let length = loop {
        match File::open(path)?.read(&mut text) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    text.truncate(length);
    Ok(text)
}

/// The names in a directory in rising order, at most 4096; links and directories too.
///
/// # Errors
/// What the system says.
pub fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    let mut names: Vec<OsString> = std::fs::read_dir(dir)?
        .take(MOST)
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Where a path leads when all links on the way are followed; none if nothing is there.
#[must_use]
pub fn resolved(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

/// The last part of where a link leads; none if it is no link.
#[must_use]
pub fn linked(path: &Path) -> Option<String> {
    std::fs::read_link(path).ok().map(|target| last(&target))
}

/// The last part of a path as text.
#[must_use]
pub fn last(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    super::parse::label(name.as_bytes()).into_owned()
}
