//! A machine that does not answer, for tests.

use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, mkfifoat};

/// A file whose opening hangs until this goes: a pipe with nobody at its other end.
pub(crate) struct Hanging(PathBuf);

impl Hanging {
    pub(crate) fn new(path: &Path) -> Self {
        mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
        Self(path.to_owned())
    }
}

impl Drop for Hanging {
    /// Lets go of whoever waits, also of a test that failed: its runtime does not end before its threads.
    fn drop(&mut self) {
        let both_ends = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.0);
        // Who comes between the two would wait for ever.
        std::fs::remove_file(&self.0).ok();
        drop(both_ends);
    }
}
