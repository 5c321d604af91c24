//! What takes most of the live machine, as another library sees it (`sysinfo`), and the environment of a process.
//!
//! For evidence alone: it walks all of /proc twice, which nothing that is asked often may do.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::{CallKey, Called, Host};

/// Processes of each list.
const MOST: usize = 15;
/// Most bytes of a command line that are kept: more than are shown, since a secret that is cut is not known as one any more.
const COMMAND: usize = 64 << 10;
/// Most bytes of an environment that are read.
const ENVIRONMENT: u64 = 256 << 10;

/// What takes most.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Memory and swap; none where /proc/meminfo could not be read.
    pub memory: Option<Memory>,
    /// How many processes there are.
    pub processes: usize,
    /// Those that take most memory, the first first.
    pub by_memory: Vec<Process>,
    /// Those that take most CPU.
    pub by_cpu: Vec<Process>,
    /// Those that have most descriptors open, of those that may be looked at.
    pub by_descriptors: Vec<Process>,
}

/// Memory and swap, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What of it is used.
    pub used: u64,
    /// Swap.
    pub swap: u64,
    /// What of it is used.
    pub swap_used: u64,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its command line with its secrets, and with a bound; its name where it has none.
    pub command: String,
    /// Bytes resident.
    pub memory: u64,
    /// Percent of one CPU, over a fifth of a second.
    pub cpu: f32,
    /// Descriptors that are open; none where that may not be looked at.
    pub descriptors: Option<usize>,
}

impl Host {
    /// What takes most of this machine. Blocks for a fifth of a second, and for as long as /proc takes.
    ///
    /// # Errors
    /// The roots are not those of the machine that this runs on, which is all that can be looked at; or no process can be seen.
    pub fn summary(&self) -> Result<Summary, String> {
        let procfs = &self.roots().procfs;
        if procfs != Path::new("/proc") {
            return Err(format!(
                "only processes of the machine that nodeward runs on can be told, and --path.procfs is {}",
                procfs.display()
            ));
        }
        look()
    }

    /// The environment of a process, a setting each; empty where it may not be read, or the process is no more. Blocks until `by` at most: the
    /// kernel answers once nobody holds the memory of that process, which may be never.
    ///
    /// # Errors
    /// It was not answered in time, now or when it was asked before.
    pub fn environment(&self, pid: u64, by: Instant) -> Result<Vec<String>, String> {
        let path = self.roots().procfs.join(pid.to_string()).join("environ");
        let shown = path.display().to_string();
        let keys = vec![CallKey::from(path.as_os_str())];
        let called = self
            .evidence_calls()
            .each("environ", keys, by, |path| settings(Path::new(path)));
        match called.into_iter().next() {
            Some(Called::Done(settings)) => Ok(settings),
            Some(Called::Parked) => Err(format!("{shown}: the kernel has not answered in time")),
            Some(Called::Busy) | None => Err(format!(
                "{shown}: every thread that gathers evidence is held by something that hangs"
            )),
        }
    }
}

fn settings(path: &Path) -> Vec<String> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(ENVIRONMENT).read_to_end(&mut bytes));
    if read.is_err() {
        return Vec::new();
    }
    let settings = bytes.split(|b| *b == 0).filter(|s| !s.is_empty());
    settings
        .map(|s| String::from_utf8_lossy(s).into_owned())
        .collect()
}

fn look() -> Result<Summary, String> {
    let mut system = System::new().map_err(|e| format!("the sysinfo library: {e}"))?;
    system.refresh_memory();
    let all = processes(&mut system);
    // The library says of nothing that it could not be read: there is always this process, and memory.
    if all.is_empty() {
        return Err("no process can be seen in /proc".into());
    }
    Ok(Summary {
        memory: memory(&system),
        processes: all.len(),
        by_memory: most(&all, |a, b| a.memory.cmp(&b.memory)),
        by_cpu: most(&all, |a, b| a.cpu.total_cmp(&b.cpu)),
        by_descriptors: most(&all, |a, b| a.descriptors.cmp(&b.descriptors)),
    })
}

fn memory(system: &System) -> Option<Memory> {
    (system.total_memory() > 0).then(|| Memory {
        total: system.total_memory(),
        used: system.used_memory(),
        swap: system.total_swap(),
        swap_used: system.used_swap(),
    })
}

fn processes(system: &mut System) -> Vec<Process> {
    // Threads are processes of their own here unless one says so.
    let kind = ProcessRefreshKind::nothing()
        .without_tasks()
        .with_cpu()
        .with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    std::thread::sleep(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
    let kind = kind.with_cmd(UpdateKind::OnlyIfNotSet);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    system.processes().values().map(process).collect()
}

fn process(seen: &sysinfo::Process) -> Process {
    let words: Vec<_> = seen
        .cmd()
        .iter()
        .map(|word| word.to_string_lossy())
        // Whoever writes its title over them leaves many.
        .filter(|word| !word.is_empty())
        .collect();
    let mut command = match words.is_empty() {
        true => format!("[{}]", seen.name().to_string_lossy()),
        false => command_line(words),
    };
    if command.len() > COMMAND {
        command.truncate(command.floor_char_boundary(COMMAND));
    }
    Process {
        pid: seen.pid().as_u32(),
        command,
        memory: seen.memory(),
        cpu: seen.cpu_usage(),
        descriptors: seen.open_files(),
    }
}

/// The words of a command as one line: those that hold blanks or quotes are quoted, of `name=value` the value alone.
pub fn command_line<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    let bare = |text: &str| {
        let parts = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '\\');
        !text.is_empty() && !text.contains(parts)
    };
    let quoted = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", text.replace('\n', "\\n").replace('\r', "\\r"))
    };
    let words = words.into_iter().map(|word| {
        let word = word.as_ref();
        match word.split_once('=') {
            _ if bare(word) => word.to_owned(),
            Some((name, value)) if bare(name) => format!("{name}={}", quoted(value)),
            _ => quoted(word),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Those that have most of something, the first first; of equals the older one.
fn most(all: &[Process], by: impl Fn(&Process, &Process) -> std::cmp::Ordering) -> Vec<Process> {
    let mut all: Vec<&Process> = all.iter().collect();
    all.sort_by(|a, b| by(b, a).then(a.pid.cmp(&b.pid)));
    all.into_iter().take(MOST).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Roots;

    #[test]
    fn this_process_is_among_those_of_the_machine() {
        let summary = Host::default().summary().unwrap();
        let memory = summary.memory.unwrap();
        assert!(memory.total >= memory.used && summary.processes > 0);
        let own: Vec<_> = summary
            .by_memory
            .iter()
            .chain(&summary.by_descriptors)
            .collect();
        assert!(
            own.iter()
                .all(|process| process.pid > 0 && !process.command.is_empty())
        );
        assert!(summary.by_memory.is_sorted_by(|a, b| a.memory >= b.memory));
        let by = Instant::now() + std::time::Duration::from_secs(60);
        let environment = Host::default().environment(std::process::id().into(), by);
        let environment = environment.unwrap();
        assert!(
            environment
                .iter()
                .any(|setting| setting.starts_with("PATH=")),
            "{}",
            environment.len()
        );
    }

    #[test]
    fn processes_are_listed_and_their_threads_are_not() {
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        let own = std::process::id();
        let threads = || -> Vec<u32> {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            let names = tasks.map(|task| task.unwrap().file_name());
            names
                .map(|name| name.to_str().unwrap().parse().unwrap())
                .collect()
        };
        let before = threads();
        assert!(before.len() > 1, "{before:?}");
        let all = processes(&mut System::new().unwrap());
        let seen = all.iter().filter(|process| before.contains(&process.pid));
        let seen: Vec<u32> = seen.map(|process| process.pid).collect();
        assert_eq!(seen, [own]);
        drop(end);
        assert!(thread.join().unwrap().is_err());
    }

    #[test]
    fn what_nobody_read_is_nothing_and_not_zero() {
        assert_eq!(memory(&System::new().unwrap()), None);
    }

    #[test]
    fn an_environment_that_hangs_is_waited_for_once_and_takes_no_thread_of_readings() {
        // A pipe that nobody writes to blocks whoever opens it, as a process does whose memory is held.
        let proc = tempfile::tempdir().unwrap();
        for pid in ["7", "8"] {
            std::fs::create_dir(proc.path().join(pid)).unwrap();
        }
        let pipe = proc.path().join("7/environ");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        std::fs::write(proc.path().join("8/environ"), "A=b\0").unwrap();
        let host = Host::new(Roots {
            procfs: proc.path().into(),
            ..Roots::default()
        });
        let soon = || Instant::now() + std::time::Duration::from_millis(50);
        let late = host.environment(7, soon()).unwrap_err();
        assert!(late.contains("7/environ: the kernel has not"), "{late}");
        let parked = || {
            let parked = &host.calls().counters().parked;
            parked.load(std::sync::atomic::Ordering::Relaxed)
        };
        assert_eq!(parked(), 1);
        assert!(host.environment(7, soon()).is_err());
        assert_eq!(parked(), 1, "not asked a second time");
        let long = Instant::now() + std::time::Duration::from_secs(60);
        assert_eq!(host.environment(8, long).unwrap(), ["A=b"]);
        // Lets go of whoever waits.
        drop(std::fs::OpenOptions::new().write(true).open(&pipe));
    }

    #[test]
    fn words_of_a_command_can_be_told_apart() {
        let words = [
            "run",
            "--password",
            "correct horse",
            "A=b c",
            "x=1",
            "",
            "it\"s\\\nme",
        ];
        assert_eq!(
            command_line(words),
            r#"run --password "correct horse" A="b c" x=1 "" "it\"s\\\nme""#
        );
    }

    #[test]
    fn another_machine_has_no_processes_here() {
        let procfs = "tests/fixtures/hosts/server/proc".into();
        let host = Host::new(Roots {
            procfs,
            ..Roots::default()
        });
        assert!(host.summary().unwrap_err().contains("--path.procfs"));
        let by = Instant::now() + std::time::Duration::from_secs(60);
        assert_eq!(host.environment(1, by), Ok(Vec::new()));
    }
}
