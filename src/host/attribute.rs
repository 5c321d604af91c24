//! Attributes: the small files of sysfs (sysfs(5)), read once each.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// The most bytes of an attribute that are taken, as the reference takes no more.
const LONGEST: usize = 128;
/// The most entries of a directory of attributes that are looked at.
const MOST: usize = 65_536;

/// One attribute, white space at its ends included. A single read: a broken driver that says "again" for ever is an error.
///
/// # Errors
/// What the system says.
pub fn attribute(path: &Path) -> io::Result<Vec<u8>> {
    first(&File::open(path)?)
}

fn first(file: &File) -> io::Result<Vec<u8>> {
    let mut text = [0; LONGEST];
    let length = loop {
        match file.read_at(&mut text, 0) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    Ok(text.get(..length).unwrap_or_default().to_vec())
}

/// The directory of a device, held while its attributes are read: each is looked up from here, and not by the whole path and the link in it.
#[derive(Debug)]
pub struct Device {
    directory: OwnedFd,
    held: Vec<(&'static str, File)>,
}

impl Device {
    /// Finds the directory; a link is followed.
    ///
    /// # Errors
    /// What the system says; `NotADirectory` for anything else.
    pub fn find(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            directory: openat(CWD, path, flags, Mode::empty())?,
            held: Vec::new(),
        })
    }

    /// One attribute, as [`attribute`], without white space at its ends.
    ///
    /// # Errors
    /// What the system says.
    pub fn attribute(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(first(&self.open(name)?)?.trim_ascii().to_vec())
    }

    /// As [`Device::attribute`], of a file that stays open, since opening costs more than reading. It goes on telling of the device that it
    /// was opened for, whatever that is called by now.
    ///
    /// # Errors
    /// What the system says.
    pub fn held(&mut self, name: &'static str) -> io::Result<Vec<u8>> {
        if !self.held.iter().any(|(known, _)| *known == name) {
            let file = self.open(name)?;
            self.held.push((name, file));
        }
        let file = self.held.iter().find(|(known, _)| *known == name);
        let (_, file) = file.ok_or(io::ErrorKind::NotFound)?;
        Ok(first(file)?.trim_ascii().to_vec())
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(File::from(openat(
            &self.directory,
            name,
            flags,
            Mode::empty(),
        )?))
    }
}

/// The names in a directory in rising order, at most 65,536; links and directories too.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_that_is_held_is_read_anew_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let put = |text: &str| std::fs::write(directory.path().join("speed"), text).unwrap();
        let mut device = Device::find(directory.path()).unwrap();
        assert!(device.held("speed").is_err());
        for text in ["1000", " 10000\n", ""] {
            put(text);
            assert_eq!(device.held("speed").unwrap(), text.trim().as_bytes());
            assert_eq!(device.attribute("speed").unwrap(), text.trim().as_bytes());
        }
        assert_eq!(device.held.len(), 1);
    }
}
