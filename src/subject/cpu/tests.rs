use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::dialect::otlp::{Cumulative, Metrics};
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::host::{Files, Host, Roots};
use crate::subject::tests::captured::points;
use crate::subject::{Answer, Ring};

/// A tree of a test's own.
struct Tree(PathBuf);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodeward-cpu-{}-{id}", std::process::id()));
        let tree = Self(dir);
        for (name, text) in files {
            tree.put(name, text);
        }
        tree
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn take(&self, cpu: &mut Cpu, want: Wanted) -> Taken<Reading> {
        let host = Host::new(Roots {
            procfs: self.0.join("proc"),
            sysfs: self.0.join("sys"),
            ..Roots::default()
        });
        let mut files = Files::default();
        let deadline = Instant::now() + Duration::from_secs(20);
        cpu.read(&mut Pass::new(&host, &mut files, deadline), &want)
            .unwrap()
    }

    fn page(&self, options: &Options) -> (String, Taken<Reading>) {
        let want = Cpu::want(options, Asker::Prometheus);
        let taken = self.take(&mut Cpu::default(), want);
        (page(options, &taken.reading), taken)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn page(options: &Options, reading: &Reading) -> String {
    let mut out = Out::new(Format::Text, 0);
    Cpu::prometheus(options, reading, &mut out.page());
    let page = String::from_utf8(out.finish()).unwrap();
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}

const CPU: &str = "sys/devices/system/cpu";

#[test]
fn the_first_cpu_by_name_tells_the_throttles_of_its_core_and_package() {
    let tree = Tree::new(&[("proc/stat", "")]);
    for (cpu, package, core, throttles) in [
        (0, "0\n", "0", "5"),
        (2, "0", "1", "22"),
        (10, "0", "1", "10"),
        (3, "-1", "0", "3"),
        (4, "7", "4", "many"),
        (5, "7", "4", "  18446744073709551615 \n"),
    ] {
        tree.put(
            &format!("{CPU}/cpu{cpu}/topology/physical_package_id"),
            package,
        );
        tree.put(&format!("{CPU}/cpu{cpu}/topology/core_id"), core);
        tree.put(
            &format!("{CPU}/cpu{cpu}/thermal_throttle/core_throttle_count"),
            throttles,
        );
    }
    tree.put(
        &format!("{CPU}/cpu2/thermal_throttle/package_throttle_count"),
        "31",
    );
    tree.put(&format!("{CPU}/cpufreq/online"), "1");
    let (page, taken) = tree.page(&Options::default());
    assert_eq!(
        page,
        "node_cpu_core_throttles_total{core=\"0\",package=\"0\"} 5\n\
         node_cpu_core_throttles_total{core=\"1\",package=\"0\"} 10\n\
         node_cpu_core_throttles_total{core=\"4\",package=\"7\"} 18446744073709551615\n\
         node_cpu_package_throttles_total{package=\"0\"} 31\n"
    );
    assert!(taken.complete);
}

#[test]
fn online_is_told_of_every_cpu_or_of_none() {
    let tree = Tree::new(&[("proc/stat", "")]);
    tree.put(&format!("{CPU}/cpu1/online"), "1");
    tree.put(&format!("{CPU}/cpu0/nothing"), "");
    assert_eq!(tree.page(&Options::default()).0, "");
    tree.put(&format!("{CPU}/cpu0/online"), "perhaps\n");
    tree.put(&format!("{CPU}/cpu5x/online"), " 1 \n");
    tree.put(&format!("{CPU}/cpu7/online/a"), "");
    assert_eq!(
        tree.page(&Options::default()).0,
        "node_cpu_online{cpu=\"0\"} 0\nnode_cpu_online{cpu=\"1\"} 1\n\
         node_cpu_online{cpu=\"5x\"} 1\nnode_cpu_online{cpu=\"7\"} 0\n"
    );
}

#[test]
fn isolated_cpus_are_told_once_and_garbage_is_counted() {
    let tree = Tree::new(&[("proc/stat", "")]);
    tree.put(&format!("{CPU}/isolated"), "1,70000,1-2\n");
    let (page, _) = tree.page(&Options::default());
    assert_eq!(
        page,
        "node_cpu_isolated{cpu=\"1\"} 1\nnode_cpu_isolated{cpu=\"4464\"} 1\nnode_cpu_isolated{cpu=\"2\"} 1\n"
    );
    tree.put(&format!("{CPU}/isolated"), "1-2-3, five\n");
    let (page, taken) = tree.page(&Options::default());
    assert_eq!(
        (page.as_str(), taken.complete, taken.errors.len()),
        ("", false, 1)
    );
}

#[test]
fn seconds_guests_and_chosen_words_follow_the_options() {
    let tree = Tree::new(&[
        ("proc/stat", "cpu  9 9\ncpu3 4 0 0 0 0 0 0 0 7\n"),
        ("proc/cpuinfo", "processor : 3\nflags : ab bc b\nbugs : x\n"),
    ]);
    let (page, _) = tree.page(&Options::default());
    assert!(
        page.starts_with("node_cpu_seconds_total{cpu=\"3\",mode=\"user\"} 0.04\n"),
        "{page}"
    );
    assert!(page.contains("guest_seconds_total{cpu=\"3\",mode=\"user\"} 0.07\n"));
    assert_eq!(page.lines().count(), 10);
    let mut options = Options::default();
    for (flag, value) in [
        ("collector.cpu.guest", "false"),
        ("collector.cpu.info.flags-include", "^b"),
        ("collector.cpu.info.bugs-include", ""),
    ] {
        let flag = Cpu::FLAGS
            .iter()
            .find(|f| f.descriptor.name == flag)
            .unwrap();
        (flag.set)(&mut options, value).unwrap();
    }
    let (page, _) = tree.page(&options);
    assert!(
        page.contains("node_cpu_info{cachesize=\"\",core=\"\",cpu=\"3\","),
        "{page}"
    );
    assert!(page.contains("node_cpu_flag_info{flag=\"bc\"} 1\nnode_cpu_flag_info{flag=\"b\"} 1\n"));
    assert!(!page.contains("guest") && !page.contains("bug"));
    let bad = Cpu::FLAGS
        .iter()
        .find(|f| f.descriptor.name.ends_with("bugs-include"))
        .unwrap();
    assert!((bad.set)(&mut options, "(").is_err());
}

#[test]
fn without_stat_what_cpuinfo_says_is_told_and_success_is_not() {
    let tree = Tree::new(&[("proc/cpuinfo", "processor : 0\n")]);
    let info = Options {
        info: true,
        ..Options::default()
    };
    let (page, taken) = tree.page(&info);
    assert!(page.starts_with("node_cpu_info{"));
    assert!(!taken.complete);
}

#[test]
fn the_batch_sums_the_cpus_own_lines() {
    let tree = Tree::new(&[(
        "proc/stat",
        "cpu  900 9\ncpu0 100 0 0 0 50\ncpu1 250 0 0 0 0\n",
    )]);
    let reading = tree.take(&mut Cpu::default(), Wanted::default()).reading;
    let tell = |options: &Options| {
        let mut cumulative = Cumulative::default();
        let mut metrics = Metrics::new(&mut cumulative, 1, 2);
        let past = Past {
            now: &reading,
            before: None,
        };
        Cpu::otlp(options, past, &mut metrics.batch());
        format!("{:?}", metrics.metrics())
    };
    let told = tell(&Options::default());
    assert!(
        told.contains("AsInt(2)")
            && told.contains("AsDouble(3.5)")
            && told.contains("AsDouble(0.5)"),
        "{told}"
    );
    assert!(told.contains("(\"wait\")") && !told.contains("(\"cpu0\")"));
    let told = tell(&Options {
        per_cpu: true,
        ..Options::default()
    });
    assert!(told.contains("(\"cpu1\")") && told.contains("AsDouble(2.5)"));
}

#[test]
fn what_is_asked_for_by_name_is_told_too() {
    let tree = Tree::new(&[
        (
            "proc/cpuinfo",
            "processor : 0\ncpu MHz : 1500.5\n\nprocessor : 1\n",
        ),
        (
            "sys/devices/system/cpu/cpu0/topology/core_cpus_list",
            "0-1\n",
        ),
        (
            "sys/devices/system/cpu/cpu1/topology/core_cpus_list",
            "0-1\n",
        ),
        (
            "sys/devices/system/cpu/cpu2/topology/thread_siblings_list",
            "2\n",
        ),
    ]);
    let options = Options {
        instruments: Chosen::all(),
        ..Options::default()
    };
    let mut cpu = Cpu::default();
    let mut read = |stat: &str| {
        tree.put("proc/stat", stat);
        let want = Cpu::want(&options, Asker::Otlp);
        tree.take(&mut cpu, want).reading
    };
    let before = read("cpu0 100 0 0 0 50\ncpu1 250 0 0 0 0\n");
    let now = read("cpu0 130 0 0 60 60\ncpu1 350 0 0 0 0\n");
    let told = |before, options: &Options| {
        let mut cumulative = Cumulative::default();
        let mut metrics = Metrics::new(&mut cumulative, 1, 2);
        let past = Past { now: &now, before };
        Cpu::otlp(options, past, &mut metrics.batch());
        points(metrics.metrics())
    };
    let first = told(None, &options);
    assert_eq!(first["system.cpu.physical.count"], 2.0);
    assert_eq!(first["system.cpu.frequency cpu0"], 1_500_500_000.0);
    assert!(
        !first
            .keys()
            .any(|name| name.starts_with("system.cpu.frequency cpu1"))
    );
    let is_share = |name: &&String| name.starts_with("system.cpu.utilization");
    assert_eq!(first.keys().filter(is_share).count(), 0, "there is no past");
    let shares = told(Some(&before), &options);
    assert_eq!(shares["system.cpu.utilization user"], 0.65);
    assert_eq!(shares["system.cpu.utilization idle"], 0.3);
    assert_eq!(shares["system.cpu.utilization wait"], 0.05);
    assert_eq!(shares.keys().filter(is_share).count(), 8);
    let options = Options {
        per_cpu: true,
        ..options.clone()
    };
    let shares = told(Some(&before), &options);
    assert_eq!(shares["system.cpu.utilization user cpu0"], 0.3);
    assert_eq!(shares["system.cpu.utilization user cpu1"], 1.0);
    let none = told(Some(&before), &Options::default());
    assert_eq!(none.len(), 9, "{none:?}");
}

fn key(text: &str) -> (&'static Item<Cpu>, Key<'_>) {
    let key = Key::parse(text).unwrap();
    let item = zabbix::KEYS.iter().find(|i| i.name == key.name()).unwrap();
    (item, key)
}

#[test]
fn utilisation_is_told_over_kept_ticks_without_guest_time_twice() {
    let tree = Tree::new(&[]);
    let (item, all) = key("system.cpu.util");
    let Answer::Over {
        pick, say, keep, ..
    } = &item.answer
    else {
        unreachable!()
    };
    let mut ring = Ring::default();
    let start = Instant::now();
    assert_eq!(
        say(&ring, &all).unwrap_err().as_str(),
        "Cannot obtain CPU information."
    );
    for (second, line) in [
        (0, "cpu  0 0 0 0 0 0 0 0 0 0\n"),
        (239, "cpu  100 0 0 100 0 0 0 0 0 0\n"),
        (240, "cpu  130 0 0 160 10 0 0 0 20 0\n"),
        (300, "cpu  190 0 0 190 20 0 0 0 50 0\n"),
    ] {
        tree.put("proc/stat", line);
        let reading = tree.take(&mut Cpu::default(), Wanted::default()).reading;
        ring.push(
            start + Duration::from_secs(second),
            pick(&reading, &all).unwrap(),
            *keep,
        );
        assert!(pick(&reading, &key("system.cpu.util[0]").1).is_none());
    }
    for (asked, said) in [
        ("system.cpu.util", "30.000000"),
        ("system.cpu.util[all,user,avg1]", "30.000000"),
        ("system.cpu.util[,guest]", "30.000000"),
        ("system.cpu.util[,iowait]", "10.000000"),
        ("system.cpu.util[,idle]", "30.000000"),
        ("system.cpu.util[,idle,avg5]", "47.500000"),
        ("system.cpu.util[,idle,avg15]", "47.500000"),
        ("system.cpu.util[,steal]", "0.000000"),
    ] {
        assert_eq!(say(&ring, &key(asked).1).unwrap().as_str(), said, "{asked}");
    }
    for (asked, why) in [
        ("system.cpu.util[x,bad,bad]", "Invalid first parameter."),
        ("system.cpu.util[-1]", "Invalid first parameter."),
        ("system.cpu.util[99,irq]", "Invalid second parameter."),
        ("system.cpu.util[,,avg2]", "Invalid third parameter."),
        ("system.cpu.num[Max]", "Invalid first parameter."),
    ] {
        let (item, key) = key(asked);
        assert_eq!(
            (item.want)(&Options::default(), &key).unwrap_err().as_str(),
            why,
            "{asked}"
        );
    }
}

#[test]
fn the_other_keys_answer_as_the_agent_does() {
    let tree = Tree::new(&[
        (
            "proc/stat",
            "cpu  1 1\ncpu0 1 1\ncpu2 1 1\nintr 5 1 2\nctxt 6\n",
        ),
        ("sys/devices/system/cpu/online", "0,2\n"),
        ("sys/devices/system/cpu/possible", "0-2\n"),
    ]);
    let ask = |asked: &str| {
        let (item, key) = key(asked);
        let want = (item.want)(&Options::default(), &key).unwrap();
        let reading = tree.take(&mut Cpu::default(), want).reading;
        match &item.answer {
            Answer::Now(say) => say(&Options::default(), &reading, &key),
            Answer::Over { .. } | Answer::Either { .. } => unreachable!(),
        }
        .map_or_else(|why| why.to_string(), |value| value.to_string())
    };
    for (asked, said) in [
        ("system.cpu.num", "2"),
        ("system.cpu.num[online]", "2"),
        ("system.cpu.num[max]", "3"),
        ("system.cpu.intr", "5"),
        ("system.cpu.switches", "6"),
        (
            "system.cpu.discovery",
            "[{\"{#CPU.NUMBER}\":0,\"{#CPU.STATUS}\":\"online\"},{\"{#CPU.NUMBER}\":1,\"{#CPU.STATUS}\":\"offline\"},\
             {\"{#CPU.NUMBER}\":2,\"{#CPU.STATUS}\":\"online\"}]",
        ),
    ] {
        assert_eq!(ask(asked), said, "{asked}");
    }
}

#[test]
fn a_want_covers_what_it_was_merged_with() {
    let mut want = Wanted::default();
    let info = Wanted { info: true, ..want };
    assert!(info.covers(&want) && !want.covers(&info));
    want.merge(&info);
    assert_eq!(want, info);
}
