//! The room as a whole, over made-up trees on the live disk.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, mpsc};

use super::*;
use crate::dialect::otlp::{Cumulative, Metrics};
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::host::{Files, Host, Roots};
use crate::subject::tests::captured::points;
use crate::subject::{Answer, Said};

struct Tree {
    dir: PathBuf,
    machine: Machine,
}

impl Tree {
    fn new(process: &str, mountinfo: &str, directories: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodeward-fs-{}-{id}", std::process::id()));
        std::fs::create_dir_all(dir.join("proc").join(process)).unwrap();
        std::fs::write(dir.join("proc").join(process).join("mountinfo"), mountinfo).unwrap();
        std::fs::write(dir.join("proc/filesystems"), "nodev\ttmpfs\n\text4\n").unwrap();
        for directory in directories {
            std::fs::create_dir_all(dir.join(directory)).unwrap();
        }
        let roots = Roots {
            procfs: dir.join("proc"),
            sysfs: dir.join("sys"),
            rootfs: dir.clone(),
            ..Roots::default()
        };
        let machine = Machine {
            host: Arc::new(Host::new(roots)),
            runtime: None,
        };
        Self { dir, machine }
    }

    fn read(&self, want: &Want) -> Taken<Reading> {
        let mut subject = Filesystem::new(&Options::default(), &self.machine).unwrap();
        let mut files = Files::default();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut pass = Pass::new(&self.machine.host, &mut files, deadline);
        subject.read(&mut pass, want).unwrap()
    }

    fn page(&self) -> String {
        let want = Filesystem::want(&Options::default(), Asker::Prometheus);
        let mut out = Out::new(Format::Text, 0);
        let taken = self.read(&want);
        Filesystem::prometheus(&Options::default(), &taken.reading, &mut out.page());
        String::from_utf8(out.finish()).unwrap()
    }

    fn say(&self, key: &str) -> Said {
        let key = Key::parse(key).unwrap();
        let item = Filesystem::KEYS.iter().find(|i| i.name == key.name());
        let item = item.unwrap();
        let want = (item.want)(&Options::default(), &key)?;
        let taken = self.read(&want);
        match item.answer {
            Answer::Now(say) => say(&Options::default(), &taken.reading, &key),
            Answer::Over { .. } | Answer::Either { .. } => unreachable!(),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

const LOCKS: &str = "1: POSIX  ADVISORY  READ  3568 08:01:2531452 0 EOF
2: POSIX  ADVISORY  READ  3569 08:01:2531453 0 EOF
3: FLOCK  ADVISORY  WRITE 3517 00:05:2531448 0 EOF
";
const MOUNTS: &str = "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
    2 1 8:2 / /gone ro - ext4 /dev/sdb1 rw\n\
    3 1 8:3 / /with\\040blank rw - ext4 /dev/sdc1 rw\n\
    4 1 8:1 /sub /bind rw - ext4 /dev/sda1 rw\n\
    5 1 0:5 / /run rw - tmpfs tmpfs rw\n";

#[test]
fn a_mount_that_cannot_be_asked_tells_why_and_nothing_else() {
    let page = Tree::new("1", MOUNTS, &["with blank", "bind", "run"]).page();
    let labels = |point: &str| format!("mountpoint=\"{point}\"}}");
    for point in ["/", "/with blank", "/bind", "/run"] {
        assert_eq!(page.matches(&labels(point)).count(), 9, "{point}: {page}");
    }
    let gone = "device=\"/dev/sdb1\",device_error=\"no such file or directory\",fstype=\"ext4\",mountpoint=\"/gone\"";
    assert_eq!(page.matches(&labels("/gone")).count(), 2, "{page}");
    assert!(page.contains(&format!("node_filesystem_device_error{{{gone}}} 1\n")));
    assert!(page.contains(&format!("node_filesystem_readonly{{{gone}}} 1\n")));
}

#[test]
fn our_own_mounts_are_read_where_the_first_process_cannot_be_seen() {
    let page = Tree::new("self", MOUNTS, &[]).page();
    assert!(page.contains("mountpoint=\"/\"} "), "{page}");
}

#[test]
fn a_batch_has_the_devices_alone_each_once() {
    let twice = format!("{MOUNTS}6 1 8:1 / / ro - ext4 /dev/sda1 rw\n");
    let tree = Tree::new("1", &twice, &["with blank", "bind", "run"]);
    let want = Filesystem::want(&Options::default(), Asker::Otlp);
    let taken = tree.read(&want);
    let mut cumulative = Cumulative::default();
    let mut metrics = Metrics::new(&mut cumulative, 1, 2);
    let past = Past {
        now: &taken.reading,
        before: None,
    };
    Filesystem::otlp(&Options::default(), past, &mut metrics.batch());
    assert_eq!(metrics.duplicates(), 0);
    let text = format!("{:?}", metrics.metrics());
    // Usage has three states and inodes have two, of two mounts.
    assert_eq!(text.matches("\"mountpoint\"").count(), 10, "{text}");
    assert!(text.contains("/with blank"), "{text}");
}

#[test]
fn size_and_share_are_told_if_they_are_asked_for() {
    let tree = Tree::new("1", MOUNTS, &["with blank"]);
    std::fs::write(tree.dir.join("proc/locks"), LOCKS).unwrap();
    let asked = Options {
        instruments: Chosen::all(),
        ..Options::default()
    };
    let mut taken = tree.read(&Filesystem::want(&asked, Asker::Otlp));
    let space = space::Space {
        block: 512,
        fragment: 512,
        blocks: 1000,
        free: 700,
        available: 600,
        files: 0,
        files_free: 0,
    };
    for stat in taken.reading.stats.iter_mut().flatten() {
        *stat = Stat::Told(space);
    }
    let told = |options: &Options| {
        let mut cumulative = Cumulative::default();
        let mut metrics = Metrics::new(&mut cumulative, 1, 2);
        let past = Past {
            now: &taken.reading,
            before: None,
        };
        Filesystem::otlp(options, past, &mut metrics.batch());
        points(metrics.metrics())
    };
    let mut all = told(&asked);
    let plain = told(&Options::default());
    all.retain(|name, _| !plain.contains_key(name));
    assert!(!all.is_empty());
    for (name, value) in all {
        let expected = match name.split(' ').next() {
            Some("system.filesystem.limit") => 512_000.0,
            Some("system.filesystem.utilization") => 1.0 / 3.0,
            Some("system.filesystem.lock.count") => match name.split(' ').nth(1) {
                Some("/dev/sda1") => 2.0,
                Some("tmpfs") => 1.0,
                _ => unreachable!("{name}"),
            },
            _ => unreachable!("{name}"),
        };
        assert_eq!(value, expected, "{name}");
    }
}

#[test]
fn only_what_a_key_names_is_asked() {
    let tree = Tree::new("1", MOUNTS, &["with blank", "plain"]);
    let total = tree.say("vfs.fs.size[/,total]").unwrap();
    for spelling in ["/with blank", "/with\\040blank", "/plain"] {
        assert_eq!(
            tree.say(&format!("vfs.fs.size[{spelling}]")),
            Ok(total.clone())
        );
    }
    let missing = tree.say("vfs.fs.inode[/missing]").unwrap_err();
    let text = "Cannot obtain filesystem information: [2] No such file or directory";
    assert_eq!(missing.as_str(), text);
    let want = Want {
        paths: ["/with blank".to_owned()].into(),
        ..Want::default()
    };
    let asked = tree.read(&want).reading.stats;
    assert_eq!(asked.iter().flatten().count(), 1);
}

#[test]
fn dead_mounts_that_hold_every_thread_leave_local_ones_told() {
    let remote = format!("{MOUNTS}7 1 0:7 / /net rw - nfs4 server:/ rw\n");
    let tree = Tree::new("1", &remote, &["with blank", "bind", "run", "net"]);
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let keys = ["a", "b", "c", "d"].map(|k| std::ffi::OsStr::new(k).into());
    let soon = Instant::now() + Duration::from_millis(600);
    let calls = tree.machine.host.calls();
    let answers = calls.each("hold", keys.into(), soon, move |_| {
        held.lock().map(|held| held.recv().is_ok()).is_ok()
    });
    assert!(answers.iter().all(|a| *a == Called::Parked));
    let page = tree.page();
    assert_eq!(page.matches("mountpoint=\"/run\"}").count(), 9, "{page}");
    assert!(
        page.contains(
            "device_error=\"mountpoint timeout\",fstype=\"nfs4\",mountpoint=\"/net\"} 1\n"
        )
    );
    drop(release);
}

#[test]
fn a_want_covers_what_it_asks_for() {
    let all = |paths: &[&str]| Want {
        shown: true,
        devices: true,
        locks: true,
        every: true,
        paths: paths.iter().map(|p| (*p).to_owned()).collect(),
    };
    assert!(all(&["/"]).covers(&Want::default()));
    assert!(!Want::default().covers(&all(&[])));
    assert!(!all(&["/"]).covers(&all(&["/x"])));
    let mut merged = all(&["/"]);
    merged.merge(&all(&["/x"]));
    assert!(merged.covers(&all(&["/x", "/"])));
}
