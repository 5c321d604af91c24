//! Starts the nodeward under test.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;

use crate::process::Running;
use crate::scratch::Scratch;

/// The program under test: what cargo has built, or what `NODEWARD_PROGRAM` names, such as a release.
pub fn program() -> OsString {
    std::env::var_os("NODEWARD_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_nodeward").into())
}

/// A `nodeward` command with an environment of its own: nothing of the machine's configuration, and
/// sockets and state in the scratch directory.
pub fn command(subcommand: &str, scratch: &Scratch) -> Command {
    let mut command = Command::new(program());
    command
        .arg(subcommand)
        .env_clear()
        .env("RUNTIME_DIRECTORY", scratch.path())
        .env("STATE_DIRECTORY", scratch.path());
    command
}

/// `nodeward run` on a free loopback port, with more flags.
pub fn run<I>(flags: I, scratch: &Scratch) -> Result<Running, Failed>
where
    I: IntoIterator,
    I::Item: AsRef<std::ffi::OsStr>,
{
    let mut command = command("run", scratch);
    command.arg("--web.listen-address=127.0.0.1:0").args(flags);
    Running::start("nodeward", &mut command, scratch)
}

/// `nodeward run` with a configuration file of this text, which must say where to listen.
pub fn configured(yaml: &str, scratch: &Scratch) -> Result<Running, Failed> {
    let file = scratch.path().join("nodeward.yml");
    std::fs::write(&file, yaml)?;
    let mut command = command("run", scratch);
    command.arg("--config").arg(&file);
    Running::start("nodeward", &mut command, scratch)
}

/// Threads and open descriptors of a process, from /proc.
pub fn threads_and_descriptors(pid: u32) -> Result<(usize, usize), Failed> {
    let home = Path::new("/proc").join(pid.to_string());
    let count = |name: &str| std::fs::read_dir(home.join(name)).map(Iterator::count);
    Ok((count("task")?, count("fd")?))
}
