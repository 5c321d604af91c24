//! The room as a whole: captured trees, trees of this file's own, readings made by hand, a bus that never answers.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

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
fn figures_come_from_version_2_version_1_and_both() {
    let options = Options::default();
    let of = |host: &str, unit: &str| {
        let taken = read(&captured(host), &options, &page(&options)).unwrap();
        // There is no bus, which is an error; nothing else is.
        assert_eq!(
            (taken.errors.len(), taken.complete),
            (1, false),
            "{:?}",
            taken.errors
        );
        used(&taken.reading, unit).clone()
    };
    let unified = Figures {
        cpu: Some(969_287_378_000),
        tasks: Some(2),
        tasks_limit: Some(1024),
        io: Some((347_633_004, 747_900_044)),
        ..Figures::default()
    };
    assert_eq!(of("arm", "mosquitto.service"), unified);
    let version_1 = Figures {
        cpu: Some(3_890_482_592_916),
        memory: Some(585_412_608),
        tasks: Some(2),
        tasks_limit: Some(6000),
        ..Figures::default()
    };
    assert_eq!(of("storage", "smb.service"), version_1);
    let hybrid = Figures {
        cpu: Some(2_582_685_032_301),
        memory: Some(291_696_640),
        tasks: Some(1),
        ..Figures::default()
    };
    assert_eq!(of("vm", "web.service"), hybrid);
    assert_eq!(of("server", "getty@tty1.service").tasks, Some(1));
}

#[test]
fn without_a_controllers_group_the_unified_one_tells_the_cpu_time() {
    let dir = tree(&[
        ("sys/fs/cgroup/unified/cgroup.controllers", ""),
        (
            "sys/fs/cgroup/unified/system.slice/a.service/cpu.stat",
            "usage_usec 5000000\n",
        ),
        ("sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "1\n"),
        ("sys/fs/cgroup/systemd/system.slice/a.service/tasks", "1\n"),
        (
            "sys/fs/cgroup/blkio/system.slice/a.service/blkio.throttle.io_service_bytes",
            "8:0 Read 3\n",
        ),
        (
            "sys/fs/cgroup/memory/system.slice/a.service/memory.limit_in_bytes",
            "9223372036854771712\n",
        ),
    ]);
    let options = Options::default();
    let taken = read(&machine(dir.path()), &options, &page(&options)).unwrap();
    let expected = Figures {
        cpu: Some(5_000_000_000),
        io: Some((3, 0)),
        ..Figures::default()
    };
    assert_eq!(used(&taken.reading, "a.service"), &expected);
}

#[test]
fn groups_begin_where_process_1_began_if_that_can_be_seen() {
    let groups = |own: &str| {
        let dir = tree(&[
            ("proc/1/cgroup", own),
            ("sys/fs/cgroup/cgroup.controllers", "cpu\n"),
            ("sys/fs/cgroup/system.slice/outer.service/cpu.stat", ""),
            ("sys/fs/cgroup/boot/system.slice/inner.service/cpu.stat", ""),
        ]);
        let machine = machine(dir.path());
        let (groups, all) = pass(&machine, |pass| Hierarchies::find(pass).units(pass));
        assert!(all);
        let names: Vec<String> = groups.into_iter().map(|group| group.name).collect();
        names.join(" ")
    };
    assert_eq!(
        groups("0::/boot/init.scope\n"),
        "inner.service system.slice"
    );
    for outer in [
        "",
        "0::/init.scope\n",
        "0::/\n",
        "0::/not-here\n",
        "0::/../../boot\n",
        "0:\n",
        "x",
    ] {
        assert_eq!(groups(outer), "outer.service system.slice", "{outer:?}");
    }
}

#[test]
fn only_slices_are_entered_and_odd_names_survive() {
    let dir = tree(&[
        ("sys/fs/cgroup/cgroup.controllers", "cpu\n"),
        ("sys/fs/cgroup/init.scope/cpu.stat", "usage_usec 1000000\n"),
        (
            "sys/fs/cgroup/user.slice/user-0.slice/user@0.service/app.slice/a.service/cpu.stat",
            "usage_usec 2000000\n",
        ),
        (
            "sys/fs/cgroup/system.slice/a.service/cpu.stat",
            "usage_usec 3000000\n",
        ),
        (
            "sys/fs/cgroup/system.slice/a.service/payload/b.service/cpu.stat",
            "usage_usec 4000000\n",
        ),
        (
            "sys/fs/cgroup/system.slice/_cgroup.service/cpu.stat",
            "usage_usec 5000000\n",
        ),
        (
            "sys/fs/cgroup/system.slice/\u{fc}\"\\.service/cpu.stat",
            "usage_usec 6000000\n",
        ),
        (
            "sys/fs/cgroup/system.slice/file.service",
            "not a directory\n",
        ),
    ]);
    let options = Options::default();
    let taken = read(&machine(dir.path()), &options, &page(&options)).unwrap();
    let page = page_of(&options, &taken.reading);
    let family = "nodeward_systemd_unit_cpu_seconds_total";
    let told = |name: &str, value: &str| format!("{family}{{name=\"{name}\"}} {value}");
    let cpu: Vec<_> = samples(&page)
        .into_iter()
        .filter(|s| s.starts_with(family))
        .collect();
    let expected = [
        told("a.service", "3"),
        told("cgroup.service", "5"),
        told("\u{fc}\\\"\\\\.service", "6"),
    ];
    assert_eq!(cpu, expected);
}

#[test]
fn a_bad_file_costs_its_figure_and_is_counted() {
    let options = Options::default();
    let taken = read(&captured("hostile"), &options, &page(&options)).unwrap();
    assert_eq!(used(&taken.reading, "fine.service").tasks, Some(1));
    assert_eq!(used(&taken.reading, "empty.service"), &Figures::default());
    assert_eq!(used(&taken.reading, "wrong.service"), &Figures::default());
    let of_groups: Vec<_> = taken.errors.iter().filter(|e| e.kind == "cgroup").collect();
    assert!(
        of_groups
            .iter()
            .any(|e| e.item.ends_with("wrong.service/memory.current")),
        "{of_groups:?}"
    );
}

#[test]
fn no_more_units_than_allowed_are_told_and_those_left_out_are_counted() {
    let options = Options {
        max_units: 2,
        unit_exclude: Pattern::new("postgresql.*|.*(slice|scope)").unwrap(),
        ..Options::default()
    };
    let taken = read(&captured("server"), &options, &page(&options)).unwrap();
    let names: Vec<_> = taken.reading.used.iter().map(|used| &*used.name).collect();
    assert_eq!(names, ["docker.service", "getty@tty1.service"]);
    let page = page_of(&options, &taken.reading);
    assert!(
        page.contains("\nnodeward_systemd_units_left_out 2\n"),
        "{page}"
    );
    // A key that names a unit knows no bound and no pattern.
    let want = Want {
        named: ["postgresql.service".to_owned()].into(),
        ..Want::default()
    };
    let taken = read(&captured("server"), &options, &want).unwrap();
    assert_eq!(taken.reading.named["postgresql.service"].tasks, Some(9));
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
