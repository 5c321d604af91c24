//! Files kept open and read again with pread.
//!
//! The fixed files of /proc are opened once: opening costs more than reading. At most
//! [`KEPT`] are kept, the least recently used is closed first. Per-device files are opened as
//! they are needed and never kept. Buffers are small and reused: a large read buffer makes reads of
//! /proc/sys many times slower.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Root;
use super::netlink::Netlink;

/// How many files one lane keeps open at most.
pub const KEPT: usize = 128;
/// The most bytes taken of one file; the rest is an error, so that an absurd file costs a bound.
pub const LARGEST: usize = 64 << 20;
const FIRST: usize = 4096;
/// The longest line of a file that is read line by line.
const LONGEST: usize = 64 << 10;

/// Why a file could not be read, with its path.
#[derive(Debug, thiserror::Error)]
#[error("read {}: {source}", path.display())]
pub struct ReadError {
    /// The path as opened, root included.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl ReadError {
    /// Whether the file is simply not there on this machine.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether it is there, and this kernel does not do what it stands for.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        let code = self.source.raw_os_error();
        self.source.kind() == io::ErrorKind::Unsupported
            || code == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error())
    }
}

struct Kept {
    root: Root,
    name: String,
    file: File,
    used: u64,
}

/// The open files of one lane.
pub struct Files {
    kept: Vec<Kept>,
    clock: u64,
    pub(super) netlink: Netlink,
    pub(super) diagnosis: Netlink,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            clock: 0,
            netlink: Netlink::ROUTE,
            diagnosis: Netlink::SOCKETS,
        }
    }
}

impl Files {
    /// Reads `name` below `dir`, which is the directory of `root`, into `into`, keeping it open for the next time.
    pub(super) fn read_kept(
        &mut self,
        root: Root,
        dir: &Path,
        name: &str,
        into: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        self.clock += 1;
        let clock = self.clock;
        if let Some(at) = self
            .kept
            .iter()
            .position(|k| k.root == root && k.name == name)
        {
            if let Some(kept) = self.kept.get_mut(at) {
                kept.used = clock;
                if fill(&kept.file, into).is_ok() {
                    return Ok(());
                }
            }
            // A vanished device or a remounted tree: what was open is worth nothing any more.
            self.kept.swap_remove(at);
        }
        let path = dir.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) => return Err(ReadError { path, source }),
        };
        fill(&file, into).map_err(|source| ReadError { path, source })?;
        if self.kept.len() >= KEPT
            && let Some(oldest) = self
                .kept
                .iter()
                .enumerate()
                .min_by_key(|(_, k)| k.used)
                .map(|(i, _)| i)
        {
            self.kept.swap_remove(oldest);
        }
        self.kept.push(Kept {
            root,
            name: name.to_owned(),
            file,
            used: clock,
        });
        Ok(())
    }
}

/// Opens, reads and closes one file.
pub(super) fn read_once(path: &Path, into: &mut Vec<u8>) -> Result<(), ReadError> {
    File::open(path)
        .and_then(|file| fill(&file, into))
        .map_err(|source| ReadError {
            path: path.to_owned(),
            source,
        })
}

/// Opens one file and hands over its lines one by one, so that a file of any length costs one buffer. A longer line
/// than [`LONGEST`] is left out, and what is not read by the deadline is an error.
pub(super) fn read_lines(
    path: &Path,
    deadline: Instant,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), ReadError> {
    let mut read = || -> io::Result<()> {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; LONGEST];
        let mut held = 0;
        // Whether the line that is being read is too long, and has lost its beginning.
        let mut lost = false;
        loop {
            let free = buffer.get_mut(held..).unwrap_or_default();
            let end = match file.read(free) {
                Ok(read) => held + read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if end == held {
                let last = buffer.get(..end).unwrap_or_default();
                if !last.is_empty() && !lost {
                    each(last);
                }
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut rest = buffer.get(..end).unwrap_or_default();
            while let Some((line, after)) = rest
                .iter()
                .position(|b| *b == b'\n')
                .and_then(|at| rest.split_at_checked(at))
            {
                if !std::mem::take(&mut lost) {
                    each(line);
                }
                rest = after.get(1..).unwrap_or_default();
            }
            held = rest.len();
            buffer.copy_within(end - held..end, 0);
            if held == LONGEST {
                (held, lost) = (0, true);
            }
        }
    };
    read().map_err(|source| ReadError {
        path: path.to_owned(),
        source,
    })
}

fn fill(file: &File, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    let mut end = 0;
    loop {
        if into.len() == end {
            if end >= LARGEST {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    "more than 64 MiB",
                ));
            }
            let grown = (end * 2).max(into.capacity()).max(FIRST);
            into.resize(grown, 0);
        }
        let Some(free) = into.get_mut(end..) else {
            break;
        };
        match file.read_at(free, end as u64) {
            Ok(0) => break,
            Ok(n) => end += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                into.clear();
                return Err(e);
            }
        }
    }
    into.truncate(end);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_again_what_changed_in_place_and_keeps_one_descriptor() {
        let dir = std::env::temp_dir().join(format!("nodeward-file-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("a"), "one").unwrap();
        let mut files = Files::default();
        let mut text = Vec::new();
        files.read_kept(Root::Proc, &dir, "a", &mut text).unwrap();
        assert_eq!(text, b"one");
        std::fs::write(dir.join("a"), "three").unwrap();
        files.read_kept(Root::Proc, &dir, "a", &mut text).unwrap();
        assert_eq!(text, b"three");
        assert_eq!(files.kept.len(), 1);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn lines_come_whole_whatever_the_length_of_the_file_and_too_long_ones_not_at_all() {
        let path = std::env::temp_dir().join(format!("nodeward-lines-{}", std::process::id()));
        let long = "x".repeat(LONGEST);
        let almost = "y".repeat(LONGEST - 1);
        let mut text: String = (0..30_000).map(|i| format!("{i}\n")).collect();
        text += &format!("\n{long}\n{almost}\n{long}{long}\nlast");
        std::fs::write(&path, text).unwrap();
        let mut seen: Vec<String> = Vec::new();
        let soon = Instant::now() + std::time::Duration::from_secs(20);
        let mut each = |line: &[u8]| seen.push(String::from_utf8(line.to_vec()).unwrap());
        read_lines(&path, soon, &mut each).unwrap();
        let numbers = seen.iter().take(30_000).enumerate();
        assert!(numbers.into_iter().all(|(i, line)| *line == i.to_string()));
        assert_eq!(seen.get(30_000..).unwrap(), ["", &almost, "last"]);
        let late = read_lines(&path, Instant::now(), &mut |_| {});
        assert!(late.is_err());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn closes_the_least_recently_used_beyond_the_bound() {
        let dir = std::env::temp_dir().join(format!("nodeward-lru-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut files = Files::default();
        let mut text = Vec::new();
        for i in 0..KEPT + 5 {
            let name = format!("f{i}");
            std::fs::write(dir.join(&name), "x").unwrap();
            files.read_kept(Root::Proc, &dir, &name, &mut text).unwrap();
        }
        assert_eq!(files.kept.len(), KEPT);
        assert!(!files.kept.iter().any(|k| k.name == "f0"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
