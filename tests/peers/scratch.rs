//! A directory of its own for a test, gone when the test ends, however it ends.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use libtest_mimic::Failed;

/// A temporary directory, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes an empty directory that nobody else uses.
    pub fn new() -> Result<Self, Failed> {
        Self::below(&std::env::temp_dir())
    }

    /// The same where nobody but root can write, for programs that nodeward is to trust.
    pub fn trusted() -> Result<Self, Failed> {
        Self::below(Path::new("/run"))
    }

    fn below(parent: &Path) -> Result<Self, Failed> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nodeward-peers-{}-{number}", std::process::id());
        let path = parent.join(name);
        // A leftover of a killed run that had the same process id.
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self {
            path: path.canonicalize()?,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing to do about a failure here: the test's own result is what counts.
        drop(std::fs::remove_dir_all(&self.path));
    }
}
