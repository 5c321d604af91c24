//! Directories of numbers: /proc, and the threads of a process below it.
//!
//! Files in them are opened relative to the directory's handle and read into one small buffer: with ten thousand
//! processes a path walk and an allocation for each would cost as much as the reading itself. The file `stat` of the
//! first few hundred processes, and of as many threads, stays open, since opening it costs more than reading it.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, PROC_SUPER_MAGIC, RawDir};

use super::file::ReadError;
use super::parse::signed;

/// The most bytes read of one file of a process.
const LARGEST: usize = 1 << 20;
/// What a file of a process nearly always fits in.
const FIRST: usize = 4096;
const ENTRIES: usize = 32 << 10;
/// Files held open at most: each takes a descriptor here, and 4 KiB in the kernel.
const HELD: usize = 256;

/// A directory whose entries are ids.
#[derive(Debug)]
pub struct Pids {
    dir: OwnedFd,
    ids: Vec<i64>,
    live: bool,
}

/// What reading [`Pids`] works with; reused from read to read.
#[derive(Debug, Default)]
pub struct PidBuffers {
    entries: Vec<u8>,
    text: Vec<u8>,
    name: String,
    /// The files `stat` of live processes or threads, by id, and whether each was read since [`PidBuffers::let_go`].
    held: HashMap<i64, (OwnedFd, bool)>,
}

impl Pids {
    /// Lists a directory: every name that reads as a number, whatever it is.
    pub(super) fn open(path: &Path, buffers: &mut PidBuffers) -> Result<Self, ReadError> {
        let listed = open_dir(CWD, path).and_then(|dir| Self::list(dir, buffers));
        let mut pids = listed.map_err(|source| ReadError {
            path: path.to_owned(),
            source,
        })?;
        pids.live =
            rustix::fs::fstatfs(&pids.dir).is_ok_and(|stat| stat.f_type == PROC_SUPER_MAGIC);
        Ok(pids)
    }

    fn list(dir: OwnedFd, buffers: &mut PidBuffers) -> io::Result<Self> {
        let mut ids = Vec::new();
        buffers.entries.clear();
        buffers.entries.reserve_exact(ENTRIES);
        let mut entries = RawDir::new(dir.as_fd(), buffers.entries.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            ids.extend(signed(entry?.file_name().to_bytes()));
        }
        Ok(Self {
            dir,
            ids,
            live: false,
        })
    }

    /// The ids, in the order of the directory.
    #[must_use]
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// Whether the kernel makes up this directory, so that a process is whole or not there at all.
    #[must_use]
    pub const fn are_live(&self) -> bool {
        self.live
    }

    /// The text of a file of one id, at most 1 MiB of it; valid until the next call with these buffers.
    pub fn read<'b>(
        &self,
        id: i64,
        file: &str,
        buffers: &'b mut PidBuffers,
    ) -> io::Result<&'b [u8]> {
        let file = self.open_file(id, file, buffers)?;
        let len = fill(&file, &mut buffers.text)?;
        Ok(buffers.text.get(..len).unwrap_or_default())
    }

    /// As [`Pids::read`] of the file `stat`, which is held open until it is let go of.
    pub fn stat<'b>(&self, id: i64, buffers: &'b mut PidBuffers) -> io::Result<&'b [u8]> {
        if let Some((file, read)) = buffers.held.get_mut(&id) {
            // The file of a process that has ended has nothing to tell, and the id may be another's by now.
            if let Ok(len) = fill(&*file, &mut buffers.text) {
                *read = true;
                return Ok(buffers.text.get(..len).unwrap_or_default());
            }
            buffers.held.remove(&id);
        }
        let file = self.open_file(id, "stat", buffers)?;
        let len = fill(&file, &mut buffers.text)?;
        if self.live && buffers.held.len() < HELD {
            buffers.held.insert(id, (file, true));
        }
        Ok(buffers.text.get(..len).unwrap_or_default())
    }

    fn open_file(&self, id: i64, file: &str, buffers: &mut PidBuffers) -> io::Result<OwnedFd> {
        buffers.name_of(id, file);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(
            &self.dir,
            buffers.name.as_str(),
            flags,
            Mode::empty(),
        )?)
    }

    /// Whether one id has a file or directory of that name; an error if that cannot be told.
    pub fn has(&self, id: i64, name: &str, buffers: &mut PidBuffers) -> io::Result<bool> {
        buffers.name_of(id, name);
        match rustix::fs::statat(&self.dir, buffers.name.as_str(), AtFlags::empty()) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory of numbers below one id, such as its `task`.
    pub fn below(&self, id: i64, name: &str, buffers: &mut PidBuffers) -> io::Result<Self> {
        buffers.name_of(id, name);
        let dir = open_dir(self.dir.as_fd(), buffers.name.as_str())?;
        let mut pids = Self::list(dir, buffers)?;
        pids.live = self.live;
        Ok(pids)
    }
}

impl PidBuffers {
    /// Closes what was not read since the last time: it has ended, or is of no interest any more.
    pub fn let_go(&mut self) {
        self.held.retain(|_, (_, read)| std::mem::take(read));
    }

    fn name_of(&mut self, id: i64, file: &str) {
        self.name.clear();
        self.name.push_str(itoa::Buffer::new().format(id));
        self.name.push('/');
        self.name.push_str(file);
    }
}

/// Reads a file from its start, at most 1 MiB of it; how long it was.
fn fill(file: &OwnedFd, text: &mut Vec<u8>) -> io::Result<usize> {
    if text.is_empty() {
        text.resize(FIRST, 0);
    }
    let mut end = 0;
    loop {
        let most = LARGEST.min(text.len());
        let Some(free) = text.get_mut(end..most).filter(|free| !free.is_empty()) else {
            return Ok(end);
        };
        let room = free.len();
        match rustix::io::pread(file, free, end as u64) {
            Ok(read) => {
                end += read;
                // A file of a process comes whole in one read that has room for it.
                if read < room {
                    return Ok(end);
                }
                text.resize((end * 2).max(text.len()), 0);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn open_dir<P: rustix::path::Arg>(at: BorrowedFd<'_>, path: P) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, path, flags, Mode::empty())?)
}

/// Whether an error means that the process has ended meanwhile.
#[must_use]
pub fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_numbers_and_reads_files_of_any_size_below_them() {
        let dir = std::env::temp_dir().join(format!("nodeward-pids-{}", std::process::id()));
        for name in ["7", "-5", "self", "1e3", "12x", "99999999999999999999"] {
            std::fs::create_dir_all(dir.join(name)).unwrap();
        }
        std::fs::create_dir_all(dir.join("7/task/8")).unwrap();
        std::fs::write(dir.join("9"), "").unwrap();
        let mut buffers = PidBuffers::default();
        let pids = Pids::open(&dir, &mut buffers).unwrap();
        let mut ids = pids.ids().to_vec();
        ids.sort_unstable();
        assert_eq!(ids, [-5, 7, 9]);
        assert!(!pids.are_live());
        for size in [
            0,
            1,
            FIRST - 1,
            FIRST,
            FIRST + 1,
            LARGEST - 1,
            LARGEST,
            LARGEST + 1,
        ] {
            std::fs::write(dir.join("7/stat"), vec![b'x'; size]).unwrap();
            let read = pids.read(7, "stat", &mut buffers).unwrap();
            assert_eq!(read.len(), size.min(LARGEST));
        }
        assert_eq!(pids.below(7, "task", &mut buffers).unwrap().ids(), [8]);
        assert!(pids.has(7, "task/8", &mut buffers).unwrap());
        assert!(!pids.has(7, "task/7", &mut buffers).unwrap());
        assert!(pids.has(9, "task/7", &mut buffers).is_err());
        let gone = pids.read(-5, "stat", &mut buffers).unwrap_err();
        assert!(has_ended(&gone));
        let no_process = pids.read(9, "stat", &mut buffers).unwrap_err();
        assert!(!has_ended(&no_process));
        assert!(Pids::open(&dir.join("none"), &mut buffers).is_err());
        assert!(buffers.held.is_empty());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_stat_of_live_processes_is_held_and_let_go_once_they_end() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let id = i64::from(child.id());
        let proc = Path::new("/proc");
        let mut buffers = PidBuffers::default();
        let pids = Pids::open(proc, &mut buffers).unwrap();
        assert!(pids.are_live() && pids.ids().contains(&id));
        for _ in 0..2 {
            let text = pids.stat(id, &mut buffers).unwrap();
            assert!(text.starts_with(format!("{id} (").as_bytes()));
        }
        assert_eq!(buffers.held.len(), 1);
        // Read since the last time: it is held over the next, and over no other.
        buffers.let_go();
        assert_eq!(buffers.held.len(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(has_ended(&pids.stat(id, &mut buffers).unwrap_err()));
        assert!(buffers.held.is_empty());
        let own = i64::from(std::process::id());
        pids.stat(own, &mut buffers).unwrap();
        buffers.let_go();
        buffers.let_go();
        assert!(buffers.held.is_empty());
    }

    #[test]
    fn a_thread_that_is_held_is_gone_once_it_has_ended() {
        let own = i64::from(std::process::id());
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let me = std::fs::read_link("/proc/thread-self").unwrap();
            tell.send(me.file_name().unwrap().to_str().unwrap().parse::<i64>())
                .unwrap();
            ended.recv().ok();
        });
        let id = told.recv().unwrap().unwrap();
        let mut buffers = PidBuffers::default();
        let pids = Pids::open(Path::new("/proc"), &mut buffers).unwrap();
        let threads = pids.below(own, "task", &mut buffers).unwrap();
        assert!(threads.are_live() && threads.ids().contains(&id));
        for _ in 0..2 {
            let text = threads.stat(id, &mut buffers).unwrap();
            assert!(text.starts_with(format!("{id} (").as_bytes()));
        }
        assert_eq!(buffers.held.len(), 1);
        drop(end);
        thread.join().unwrap();
        // The kernel takes a thread out of its lists a moment after whoever waits for it has been told.
        while threads.stat(id, &mut buffers).is_ok() {
            std::thread::yield_now();
        }
        assert!(buffers.held.is_empty());
    }
}
