//! Processes that are told in odd ways: one with a name longer than the kernel keeps, one of a user without a name, and one that has
//! ended and is not waited for.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use libtest_mimic::Failed;

use crate::process::{Running, until};
use crate::scratch::Scratch;

/// They run until it is dropped.
#[derive(Debug)]
pub struct Odd {
    name: String,
    ended_name: String,
    _runs: Vec<Running>,
    ended: Child,
}

impl Odd {
    /// Starts them, under a name that no others have.
    pub fn start(scratch: &Scratch) -> Result<Self, Failed> {
        // The kernel keeps 15 letters of it, which tell it from those of other tests, and of one that has ended no more is known.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let this = format!("{}-{number}", std::process::id());
        let (name, ended_name) = (format!("odd{this}-of-nodeward"), format!("ended{this}"));
        // A link, since a copy may be held open for writing by what another test starts meanwhile.
        let called = |of: &str, name: &str| -> Result<PathBuf, Failed> {
            let path = scratch.path().join(name);
            symlink(of, &path)?;
            Ok(path)
        };
        let sleep = called("/bin/sleep", &name)?;
        let mut plain = Command::new(&sleep);
        plain.arg("3600");
        let mut working = Command::new(&sleep);
        working
            .arg0(format!("{}: works", sleep.display()))
            .arg("3600");
        let mut runs = vec![
            Running::start("plain", &mut plain, scratch)?,
            Running::start("working", &mut working, scratch)?,
        ];
        // Only root may take another name; anybody can do without one.
        let mut nobody = Command::new("/bin/sleep");
        nobody.arg0(&name).arg("3600");
        if rustix::process::geteuid().is_root() {
            nobody.uid(54_321).gid(54_322);
        }
        runs.push(Running::start("nobody", &mut nobody, scratch)?);
        Ok(Self {
            ended: ended(&called("/bin/true", &ended_name)?)?,
            _runs: runs,
            name,
            ended_name,
        })
    }

    /// What those that run are called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the one is called that has ended.
    pub fn ended(&self) -> &str {
        &self.ended_name
    }
}

/// A process that has ended, and stays as long as nobody waits for it.
fn ended(program: &Path) -> Result<Child, Failed> {
    let child = Command::new(program).stdin(Stdio::null()).spawn()?;
    let stat = format!("/proc/{}/stat", child.id());
    until("a process to end", || {
        let text = fs::read_to_string(&stat).ok()?;
        text.contains(") Z ").then_some(())
    })?;
    Ok(child)
}

impl Drop for Odd {
    fn drop(&mut self) {
        drop(self.ended.wait());
    }
}
