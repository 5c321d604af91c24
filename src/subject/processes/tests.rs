use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::dialect::otlp::{Cumulative, Metrics};
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::host::{Files, Host, Roots};
use crate::subject::Answer;
use crate::subject::tests::captured::Captured;

/// A tree of a test's own.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodeward-proc-{}-{id}", std::process::id()));
        let tree = Self(dir);
        tree.put("proc/sys/kernel/threads-max", "1000\n");
        tree.put("proc/sys/kernel/pid_max", " 4194304\n");
        tree
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn process(&self, id: i64, comm: &str, state: &str, threads: i64) {
        self.put(&format!("proc/{id}/stat"), &line(id, comm, state, threads));
    }

    fn take(&self, want: &Wanted) -> Result<Taken<Reading>, Absent> {
        let host = Host::new(Roots {
            procfs: self.0.join("proc"),
            rootfs: self.0.clone(),
            ..Roots::default()
        });
        let mut files = Files::default();
        let deadline = Instant::now() + Duration::from_secs(20);
        Processes::default().read(&mut Pass::new(&host, &mut files, deadline), want)
    }

    fn page(&self) -> (String, Taken<Reading>) {
        let taken = self
            .take(&Processes::want(&Options::default(), Asker::Prometheus))
            .unwrap();
        (page(&taken.reading), taken)
    }

    fn ask(&self, key: &str) -> String {
        let key = Key::parse(key).unwrap();
        let item = zabbix::KEYS.iter().find(|i| i.name == key.name()).unwrap();
        let said = (item.want)(&Options::default(), &key).and_then(|want| {
            let reading = self.take(&want).unwrap().reading;
            match &item.answer {
                Answer::Now(say) => say(&Options::default(), &reading, &key),
                Answer::Over { .. } | Answer::Either { .. } => unreachable!(),
            }
        });
        said.map_or_else(|why| why.to_string(), |value| value.to_string())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn line(id: i64, comm: &str, state: &str, threads: i64) -> String {
    format!("{id} ({comm}) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 {threads} 18\n")
}

fn page(reading: &Reading) -> String {
    let mut out = Out::new(Format::Text, 0);
    Processes::prometheus(&Options::default(), reading, &mut out.page());
    let page = String::from_utf8(out.finish()).unwrap();
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{}\n", line.trim_start_matches("node_processes_")))
        .collect()
}

#[test]
fn processes_threads_and_limits_are_told_as_the_reference_tells_them() {
    let tree = Tree::new();
    tree.process(1, "init", "S", 1);
    tree.process(7, "(x) Z", "R", 3);
    tree.process(-5, "odd", "running", -1);
    // The main thread's own file is not looked at; a thread without a file is gone.
    tree.put("proc/7/task/7/stat", "garbage");
    tree.put("proc/7/task/8/stat", &line(8, "t", "D", 3));
    tree.put("proc/7/task/9/nothing", "");
    tree.put("proc/7/task/x1/stat", "no thread");
    // No processes: gone meanwhile, and names that are no ids.
    tree.put("proc/40/nothing", "");
    tree.put("proc/self/stat", "no process");
    let (page, taken) = tree.page();
    assert_eq!(
        page,
        "threads 3\nmax_threads 1000\nstate{state=\"R\"} 1\nstate{state=\"S\"} 1\nstate{state=\"running\"} 1\n\
         threads_state{thread_state=\"D\"} 1\nthreads_state{thread_state=\"R\"} 1\n\
         pids 3\nmax_processes 4194304\n"
    );
    assert!(taken.complete && taken.errors.is_empty());
}

#[test]
fn what_cannot_be_read_of_one_process_costs_that_process_and_is_counted() {
    let tree = Tree::new();
    tree.process(1, "init", "S", 1);
    tree.put("proc/2/stat", "");
    tree.put("proc/3/stat/directory", "");
    tree.put("proc/4", "a file");
    tree.put("proc/5/stat", "5 (cut) S 1 2");
    tree.process(6, "threads", "R", 2);
    tree.put("proc/6/task/6/stat", "");
    tree.put("proc/6/task/7/stat", "cut");
    tree.process(8, "file", "R", 2);
    tree.put("proc/8/task", "a file");
    let (page, taken) = tree.page();
    assert!(
        page.starts_with("threads 5\n") && page.contains("pids 3\n"),
        "{page}"
    );
    assert!(page.contains("threads_state{thread_state=\"R\"} 1\n"));
    let kinds: Vec<_> = taken.errors.iter().map(|e| e.kind).collect();
    assert_eq!(kinds.iter().filter(|k| **k == "process").count(), 4);
    assert_eq!(kinds.iter().filter(|k| **k == "thread").count(), 2);
    assert!(!taken.complete);
}

#[test]
fn without_a_limit_the_rest_is_told_and_success_is_not() {
    let tree = Tree::new();
    std::fs::remove_file(tree.0.join("proc/sys/kernel/pid_max")).unwrap();
    tree.put("proc/sys/kernel/threads-max", "many");
    let (page, taken) = tree.page();
    assert_eq!((page.as_str(), taken.complete), ("threads 0\n", false));
    std::fs::remove_dir_all(tree.0.join("proc")).unwrap();
    let want = Processes::want(&Options::default(), Asker::Otlp);
    assert!(matches!(tree.take(&want), Err(Absent::NotHere(_))));
    tree.put("proc/sys/kernel/ostype", "");
}

#[test]
fn the_lesser_of_two_limits_is_told_if_it_is_asked_for() {
    let machine = Captured::new(&[
        ("proc/stat", "processes 3\n"),
        ("proc/sys/kernel/threads-max", "9000\n"),
        ("proc/sys/kernel/pid_max", "4194304\n"),
    ]);
    let asked = Options {
        instruments: Chosen::all(),
    };
    let limit = |options: &Options| {
        let told = machine.batch::<Processes>(options);
        told.get("system.process.limit").copied()
    };
    assert_eq!(limit(&asked), Some(9000.0));
    assert_eq!(limit(&Options::default()), None);
}

#[test]
fn the_batch_takes_running_and_blocked_from_the_kernel_and_the_rest_is_unknown() {
    let tree = Tree::new();
    for (id, state) in ["S", "S", "t", "Z", "I", "D", "R", "R", "X"]
        .iter()
        .enumerate()
    {
        tree.process(1 + i64::try_from(id).unwrap(), "a", state, 1);
    }
    tree.put(
        "proc/stat",
        "cpu  1\nprocesses 99\nprocs_running 1\nprocs_blocked 0\n",
    );
    let want = Processes::want(&Options::default(), Asker::Otlp);
    let reading = tree.take(&want).unwrap().reading;
    let mut cumulative = Cumulative::default();
    let mut metrics = Metrics::new(&mut cumulative, 1, 2);
    let past = Past {
        now: &reading,
        before: None,
    };
    Processes::otlp(&Options::default(), past, &mut metrics.batch());
    let told = format!("{:?}", metrics.metrics());
    let value = |status: &str| {
        let at = told.find(&format!("(\"{status}\")"))?;
        let rest = told.get(at..)?;
        let number = rest.split("AsInt(").nth(1)?;
        number.split(')').next()?.parse::<i64>().ok()
    };
    for (status, count) in [
        ("sleeping", Some(2)),
        ("stopped", Some(1)),
        ("zombies", Some(1)),
        ("idle", Some(1)),
        ("blocked", Some(0)),
        ("running", Some(1)),
        // X, the one that was blocked, the one that ran.
        ("unknown", Some(3)),
        ("paging", None),
    ] {
        assert_eq!(value(status), count, "{status}");
    }
    assert!(told.contains("AsInt(99)"));
}

#[test]
fn processes_are_counted_by_the_filters_of_the_agent() {
    let tree = Tree::new();
    tree.put("etc/passwd", "root:x:0:0::/:\nwww:x:33:33::/:\n");
    for (id, comm, state, uid, cmdline) in [
        (1, "init", "S", 0, "/sbin/init\0"),
        (2, "kworker/0:1", "I", 0, ""),
        (3, "nginx", "S", 33, "nginx: worker process\0"),
        (
            4,
            "averylongprogra",
            "R",
            33,
            "/opt/a/averylongprogram\0-x\0one two\0",
        ),
        (5, "new\nline", "D", 0, "a\nb\0"),
    ] {
        tree.process(id, comm, state, 1);
        tree.put(
            &format!("proc/{id}/status"),
            &format!("Name:\tx\nUid:\t{uid}\t7\t7\t7\n"),
        );
        tree.put(&format!("proc/{id}/cmdline"), cmdline);
    }
    tree.put("proc/6/nothing", "");
    for (key, said) in [
        ("proc.num", "5"),
        ("proc.num[]", "5"),
        ("proc.num[,,all]", "5"),
        ("proc.num[init]", "1"),
        ("proc.num[ini]", "0"),
        ("proc.num[averylongprogram]", "1"),
        ("proc.num[averylongprogra]", "1"),
        ("proc.num[new\\nline]", "1"),
        ("proc.num[kworker/0:1]", "1"),
        ("proc.num[,root]", "3"),
        ("proc.num[,www]", "2"),
        ("proc.num[,0]", "0"),
        ("proc.num[,nosuch]", "0"),
        ("proc.num[,,run]", "1"),
        ("proc.num[,,sleep]", "2"),
        ("proc.num[,,disk]", "1"),
        ("proc.num[,,zomb]", "0"),
        ("proc.num[,,trace]", "0"),
        ("proc.num[,,Run]", "Invalid third parameter."),
        ("proc.num[,nosuch,bad]", "Invalid third parameter."),
        ("proc.num[,,,worker]", "1"),
        ("proc.num[,,,-x one two$]", "1"),
        ("proc.num[,,,^b]", "1"),
        ("proc.num[,,,.*]", "5"),
        ("proc.num[,,,^$]", "1"),
        (
            "proc.num[,,,(]",
            "Invalid regular expression in fourth parameter: bad regular expression \"(\": found open group without closing ')'",
        ),
        ("proc.num[nginx,www,sleep,worker]", "1"),
        ("proc.num[nginx,root,sleep,worker]", "0"),
        ("kernel.maxproc", "4194304"),
    ] {
        assert_eq!(tree.ask(key), said, "{key}");
    }
    std::fs::remove_file(tree.0.join("proc/sys/kernel/pid_max")).unwrap();
    assert_eq!(
        tree.ask("kernel.maxproc"),
        "Cannot obtain data from /proc/sys/kernel/pid_max."
    );
}

// What is expected is what the agents of 7.0 told of such processes.
#[test]
fn what_has_no_memory_is_told_with_minus_one_and_takes_the_sum_along() {
    let tree = Tree::new();
    tree.put("proc/meminfo", "MemTotal: 1000 kB\n");
    let memory = "VmSize:\t 30 kB\nVmRSS:\t 10 kB\nVmData:\t 4 kB\nVmStk:\t 2 kB\nVmExe:\t 1 kB\n";
    for (id, comm, status, cmdline) in [
        (2, "worker", "", ""),
        (
            3,
            "fifteen-letters",
            memory,
            "/a/fifteen-letters-and-more\0-x\0",
        ),
        (4, "worker", memory, "worker: idle\0"),
    ] {
        // The tenth field is minor faults, the twelfth major ones.
        let fields = "0 0 0 0 0 0 700 0 9 0 250 50 0 0 20 0 1 0 5";
        tree.put(
            &format!("proc/{id}/stat"),
            &format!("{id} ({comm}) S {fields}\n"),
        );
        tree.put(
            &format!("proc/{id}/status"),
            &format!("Name:\t{comm}\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nThreads:\t1\n{status}"),
        );
        tree.put(&format!("proc/{id}/cmdline"), cmdline);
    }
    tree.put("proc/4/smaps_rollup", "head\nPss:   3 kB\n");
    let told = |key: &str| -> serde_json::Value { serde_json::from_str(&tree.ask(key)).unwrap() };
    let of = |key: &str, name: &str| told(key)[0][name].clone();
    let kernel = "proc.get[worker,,^$]";
    for name in ["vsize", "rss", "size", "swap", "pmem"] {
        assert_eq!(of(kernel, name), -1, "{name}");
    }
    assert_eq!(of(kernel, "pss"), 0);
    // The share may not be read: it is all of it.
    let whole = "proc.get[fifteen-letters-and-more]";
    for (name, value) in [
        ("pss", 10_240),
        ("rss", 10_240),
        ("size", 7_168),
        ("swap", -1),
    ] {
        assert_eq!(of(whole, name), value, "{name}");
    }
    assert_eq!(of(whole, "page_faults"), 9);
    assert_eq!(of(whole, "pmem"), 1.0);
    assert_eq!(told("proc.get[fifteen-letters]"), serde_json::json!([]));
    assert_eq!(told("proc.get[,,,summary]").as_array().unwrap().len(), 2);
    let sums = "proc.get[worker,,,summary]";
    for (name, value) in [
        ("processes", 2),
        ("vsize", -1),
        ("pss", 3_584),
        ("page_faults", 18),
    ] {
        assert_eq!(of(sums, name), value, "{name}");
    }
    assert_eq!(
        tree.ask("proc.get[,,x,summary]"),
        "Invalid fourth parameter."
    );
    assert_eq!(tree.ask("proc.get[,,x,thread]"), "[]");
    assert_eq!(tree.ask("proc.mem[,,max,,size]"), "7168");
    // A thread has a name of its own, and that of its process.
    for (tid, comm) in [(4, "worker"), (5, "helper")] {
        let fields = "0 0 0 0 0 0 700 0 9 0 250 50 0 0 20 0 1 0 5";
        tree.put(
            &format!("proc/4/task/{tid}/stat"),
            &format!("{tid} ({comm}) S {fields}\n"),
        );
        let status = format!("Name:\t{comm}\n");
        tree.put(&format!("proc/4/task/{tid}/status"), &status);
    }
    let threads = told("proc.get[worker,,idle,thread]");
    let text = |thread: &serde_json::Value, name: &str| thread[name].as_str().unwrap().to_owned();
    let of_both = |thread| (text(thread, "name"), text(thread, "tname"));
    let mut names: Vec<_> = threads.as_array().unwrap().iter().map(of_both).collect();
    names.sort_unstable();
    let same = |(name, own): (&str, &str)| (name.to_owned(), own.to_owned());
    assert_eq!(
        names,
        [("worker", "helper"), ("worker", "worker")].map(same)
    );
}

#[test]
fn a_want_covers_what_it_was_merged_with() {
    let page = Processes::want(&Options::default(), Asker::Prometheus);
    let batch = Processes::want(&Options::default(), Asker::Otlp);
    assert!(!page.covers(&batch) && !batch.covers(&page));
    let mut both = page.clone();
    both.merge(&batch);
    assert!(both.covers(&page) && both.covers(&batch));
}

#[test]
fn the_live_machine_has_this_process_and_its_threads() {
    let host = Host::default();
    let mut files = Files::default();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut pass = Pass::new(&host, &mut files, deadline);
    let want = Processes::want(&Options::default(), Asker::Prometheus);
    let taken = Processes::default().read(&mut pass, &want).unwrap();
    let summary = taken.reading.summary.unwrap();
    let threads: u64 = summary.thread_states.0.values().sum();
    assert!(summary.pids >= 1 && threads >= summary.pids / 2);
    assert_eq!(summary.states.0.values().sum::<u64>(), summary.pids);
}
