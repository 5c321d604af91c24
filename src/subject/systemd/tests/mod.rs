//! The room as a whole: captured trees, trees of this file's own, readings made by hand, a bus that never answers.

mod groups;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::unit::Field;
use super::*;
use crate::dialect::prometheus::{Format, Out};
use crate::host::{Files, Host, Roots};
use crate::model::pattern::Pattern;

/// A machine below `dir`, without a bus.
pub(super) fn machine(dir: &Path) -> Machine {
    let roots = Roots {
        procfs: dir.join("proc"),
        sysfs: dir.join("sys"),
        ..Roots::default()
    };
    Machine {
        host: Arc::new(Host::new(roots)),
        runtime: None,
    }
}

fn captured(name: &str) -> Machine {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts");
    machine(&hosts.join(name))
}

fn pass<T>(machine: &Machine, run: impl FnOnce(&mut Pass<'_>) -> T) -> T {
    let (mut files, soon) = (Files::default(), Instant::now() + Duration::from_secs(20));
    run(&mut Pass::new(&machine.host, &mut files, soon))
}

fn read(machine: &Machine, options: &Options, want: &Want) -> Result<Taken<Reading>, Absent> {
    let mut subject = Systemd::new(options, machine).unwrap();
    pass(machine, |pass| subject.read(pass, want))
}

fn page_of(options: &Options, reading: &Reading) -> String {
    let mut out = Out::new(Format::Text, 0);
    prometheus::tell(options, reading, &mut out.page());
    assert_eq!(out.duplicates(), 0);
    String::from_utf8(out.finish()).unwrap()
}

/// Everything but comments.
fn samples(page: &str) -> Vec<&str> {
    page.lines().filter(|line| !line.starts_with('#')).collect()
}

fn page(options: &Options) -> Want {
    Want::page(options, Asker::Prometheus)
}

/// Writes files into a directory of their own.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path: PathBuf = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn used<'a>(reading: &'a Reading, name: &str) -> &'a Figures {
    let found = reading.used.iter().find(|used| used.name == name);
    &found.unwrap_or_else(|| panic!("no {name}")).figures
}

#[test]
fn with_neither_bus_nor_groups_the_subject_is_absent() {
    let options = Options::default();
    let absent = read(&captured("bare"), &options, &page(&options)).unwrap_err();
    assert!(matches!(absent, Absent::Failed(_)));
}

#[tokio::test]
async fn a_bad_address_stops_the_start_only_if_the_config_says_it() {
    let machine = Machine {
        runtime: Some(tokio::runtime::Handle::current()),
        ..captured("bare")
    };
    let with = |address: Option<&str>| Options {
        bus: peer::Options {
            address: address.map(str::to_owned),
            private: false,
        },
        ..Options::default()
    };
    let Err(invalid) = Systemd::new(&with(Some("nonsense")), &machine) else {
        panic!("a bad address was taken")
    };
    assert!(invalid.to_string().contains("nonsense"), "{invalid}");
    assert!(Systemd::new(&with(None), &machine).is_ok());
}

#[test]
fn patterns_are_anchored_and_both_apply() {
    let options = Options {
        unit_include: Pattern::new("a.*|b").unwrap(),
        unit_exclude: Pattern::new("ab").unwrap(),
        ..Options::default()
    };
    let selection = Selection::new(&options).unwrap();
    let taken: Vec<_> = ["a", "ab", "abc", "b", "bc", "xa"]
        .into_iter()
        .filter(|unit| selection.takes(unit))
        .collect();
    assert_eq!(taken, ["a", "abc", "b"]);
    // The same again, from memory.
    assert!(selection.takes("abc") && !selection.takes("ab"));
    for unit in 0..10_000 {
        assert!(!selection.takes(&unit.to_string()));
    }
    assert!(selection.takes("abc") && !selection.takes("ab"));
    let defaults = Selection::new(&Options::default()).unwrap();
    assert!(defaults.takes("a.service") && defaults.takes("scope") && !defaults.takes("a.scope"));
}

#[test]
fn old_flags_set_the_same_options_unless_they_are_empty() {
    let mut options = Options::default();
    for (name, value) in [
        ("collector.systemd.unit-whitelist", "a"),
        ("collector.systemd.unit-blacklist", ""),
        ("collector.systemd.private", "true"),
    ] {
        let flag = options::FLAGS
            .iter()
            .find(|flag| flag.descriptor.name == name)
            .unwrap();
        assert!(flag.descriptor.hidden);
        (flag.set)(&mut options, value).unwrap();
    }
    assert_eq!(options.unit_include.as_str(), "a");
    assert_eq!(options.unit_exclude, Options::default().unit_exclude);
    assert!(options.bus.private);
}

/// A unit as systemd would tell it.
pub(super) fn unit(name: &str, active: &str, numbers: &[(Field, u64)]) -> Unit {
    let mut unit = Unit {
        name: name.to_owned(),
        active: active.to_owned(),
        ..Unit::default()
    };
    for (field, number) in numbers {
        unit.set(*field, Some(*number));
    }
    unit
}

fn reading(version: &str) -> Reading {
    let mut manager = Manager {
        virtualization: "none".to_owned(),
        running: Some(false),
        ..Manager::default()
    };
    manager.set_version(version);
    Reading {
        manager: Some(manager),
        states: vec![("active".to_owned(), 2), ("failed".to_owned(), 1)],
        units: vec![
            unit(
                "a.service",
                "active",
                &[
                    (Field::Restarts, 3),
                    (Field::Start, 1_500_000),
                    (Field::Tasks, 4),
                    (Field::TasksMax, u64::MAX),
                ],
            ),
            unit(
                "b.timer",
                "failed",
                &[(Field::Start, 9), (Field::LastTrigger, 2_000_000)],
            ),
            unit(
                "c.socket",
                "reloading",
                &[(Field::Accepted, 1), (Field::Refused, 2)],
            ),
        ],
        ..Reading::default()
    }
}

#[test]
fn the_page_has_the_quirks_of_the_reference() {
    let options = Options {
        enable_restarts_metrics: true,
        enable_start_time_metrics: true,
        enable_task_metrics: true,
        ..Options::default()
    };
    let page = page_of(&options, &reading("252.39-1"));
    for expected in [
        "node_systemd_version{version=\"252.39-1\"} 252.39",
        "node_systemd_virtualization_info{virtualization_type=\"none\"} 1",
        "node_systemd_units{state=\"failed\"} 1",
        "node_systemd_unit_state{name=\"a.service\",state=\"active\",type=\"\"} 1",
        "node_systemd_unit_state{name=\"c.socket\",state=\"inactive\",type=\"\"} 0",
        "node_systemd_service_restart_total{name=\"a.service\"} 3",
        "node_systemd_unit_start_time_seconds{name=\"a.service\"} 1.5",
        "node_systemd_unit_start_time_seconds{name=\"b.timer\"} 0",
        "node_systemd_unit_tasks_current{name=\"a.service\"} 4",
        "node_systemd_timer_last_trigger_seconds{name=\"b.timer\"} 2",
        "node_systemd_socket_accepted_connections_total{name=\"c.socket\"} 1",
        "# TYPE node_systemd_socket_refused_connections_total gauge",
        "node_systemd_system_running 0",
    ] {
        assert!(
            page.lines().any(|line| line == expected),
            "{expected} in\n{page}"
        );
    }
    assert!(!page.contains("tasks_max") && !page.contains("current_connections"));
    assert!(!page.contains("nodeward_"));
    // Five states a unit, whatever state it is in.
    assert_eq!(page.matches("\nnode_systemd_unit_state{").count(), 15);
}

#[test]
fn an_old_or_unknown_version_has_no_state_and_no_triggers() {
    for version in ["204", "unknown"] {
        let page = page_of(&Options::default(), &reading(version));
        assert!(
            !page.contains("system_running") && !page.contains("last_trigger"),
            "{page}"
        );
        assert!(
            !page.contains("restart_total") && !page.contains("start_time"),
            "{page}"
        );
    }
    let page = page_of(&Options::default(), &reading("unknown"));
    assert!(
        page.contains("node_systemd_version{version=\"\"} 0\n"),
        "{page}"
    );
}

#[test]
fn a_bus_that_never_answers_is_waited_for_once_and_counted_with_the_parked_calls() {
    let dir = tree(&[
        ("sys/fs/cgroup/cgroup.controllers", "cpu\n"),
        (
            "sys/fs/cgroup/system.slice/a.service/cpu.stat",
            "usage_usec 3000000\n",
        ),
    ]);
    let socket = dir.path().join("bus");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let driven = std::thread::spawn(move || runtime.block_on(stopped).unwrap());
    let machine = Machine {
        runtime: Some(handle),
        ..machine(dir.path())
    };
    let options = Options {
        bus_timeout: crate::model::duration::Period::millis(20),
        bus: peer::Options {
            address: Some(format!("unix:path={}", socket.display())),
            private: false,
        },
        ..Options::default()
    };
    let mut subject = Systemd::new(&options, &machine).unwrap();
    let counters = Arc::clone(machine.host.calls().counters());
    for refused in 0..10 {
        let taken = pass(&machine, |pass| subject.read(pass, &page(&options))).unwrap();
        assert_eq!(used(&taken.reading, "a.service").cpu, Some(3_000_000_000));
        assert!(!taken.complete);
        assert_eq!(
            taken.errors.iter().map(|e| e.kind).collect::<Vec<_>>(),
            ["bus"]
        );
        assert_eq!(counters.parked.load(Ordering::Relaxed), 1);
        assert_eq!(counters.parked_total.load(Ordering::Relaxed), 1);
        assert_eq!(counters.refused_total.load(Ordering::Relaxed), refused);
    }
    stop.send(()).unwrap();
    driven.join().unwrap();
}
