//! What takes most of the live machine, as another library sees it (`sysinfo`), and the environment of a process.
//!
//! For evidence alone: it walks all of /proc twice, which nothing that is asked often may do.

use std::io::Read;
use std::path::Path;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::Host;

/// Processes of each list.
const MOST: usize = 15;
/// Most bytes of a command line.
const COMMAND: usize = 512;
/// Most bytes of an environment that are read.
const ENVIRONMENT: u64 = 256 << 10;

/// What takes most.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes that are used.
    pub memory_used: u64,
    /// Bytes of swap.
    pub swap: u64,
    /// Bytes that are used.
    pub swap_used: u64,
    /// How many processes there are.
    pub processes: usize,
    /// Those that take most memory, the first first.
    pub by_memory: Vec<Process>,
    /// Those that take most CPU.
    pub by_cpu: Vec<Process>,
    /// Those that have most descriptors open, of those that may be looked at.
    pub by_descriptors: Vec<Process>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its command line, cut; its name where it has none.
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
    /// The roots are not those of the machine that this runs on, which is all that can be looked at.
    pub fn summary(&self) -> Result<Summary, String> {
        let procfs = &self.roots().procfs;
        if procfs != Path::new("/proc") {
            return Err(format!(
                "only processes of the machine that nodeward runs on can be told, and --path.procfs is {}",
                procfs.display()
            ));
        }
        Ok(look())
    }

    /// The environment of a process, a setting each; empty where it may not be read.
    #[must_use]
    pub fn environment(&self, pid: u64) -> Vec<String> {
        let path = self.roots().procfs.join(pid.to_string()).join("environ");
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(ENVIRONMENT).read_to_end(&mut bytes));
        match read {
            Ok(_) => {
                let settings = bytes.split(|b| *b == 0).filter(|s| !s.is_empty());
                settings
                    .map(|s| String::from_utf8_lossy(s).into_owned())
                    .collect()
            }
            Err(_) => Vec::new(),
        }
    }
}

fn look() -> Summary {
    let Ok(mut system) = System::new() else {
        return Summary::default();
    };
    system.refresh_memory();
    let all = processes(&mut system);
    Summary {
        memory: system.total_memory(),
        memory_used: system.used_memory(),
        swap: system.total_swap(),
        swap_used: system.used_swap(),
        processes: all.len(),
        by_memory: most(&all, |a, b| a.memory.cmp(&b.memory)),
        by_cpu: most(&all, |a, b| a.cpu.total_cmp(&b.cpu)),
        by_descriptors: most(&all, |a, b| a.descriptors.cmp(&b.descriptors)),
    }
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
        command.push_str("...");
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
        assert!(summary.memory >= summary.memory_used && summary.processes > 0);
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
        let environment = Host::default().environment(std::process::id().into());
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
        assert!(host.environment(1).is_empty());
    }
}
