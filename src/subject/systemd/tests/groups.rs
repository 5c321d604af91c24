//! Control groups: captured trees, and trees of this file's own.

use super::*;
use crate::subject::systemd::figures::Stalls;

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
        throttled: Some(2_500_000),
        pressure: [
            (15_365_928, 13_751_151),
            (148_272_285, 80_620_382),
            (975_583_128, 817_968_648),
        ]
        .map(|(some, full)| {
            let full = Some(full);
            Some(Stalls { some, full })
        }),
        ..Figures::default()
    };
    assert_eq!(of("arm", "mosquitto.service"), unified);
    let version_1 = Figures {
        cpu: Some(3_890_482_592_916),
        memory: Some(585_412_608),
        tasks: Some(2),
        tasks_limit: Some(6000),
        throttled: Some(0),
        ..Figures::default()
    };
    assert_eq!(of("storage", "smb.service"), version_1);
    let hybrid = Figures {
        cpu: Some(2_582_685_032_301),
        memory: Some(291_696_640),
        tasks: Some(1),
        throttled: Some(0),
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

/// What the kernel's files say, added up by other means than ours: the units of the captured server, whose names are those of directories.
#[test]
fn every_unit_tells_what_it_waited_for_and_how_often_memory_ended_it() {
    let root = Path::new("tests/fixtures/hosts/server/sys/fs/cgroup");
    let found = std::process::Command::new("find")
        .arg(root)
        .args(["-type", "d", "-name", "*.service", "-prune", "-print"])
        .output()
        .unwrap();
    let mut expected = Vec::new();
    for path in String::from_utf8(found.stdout)
        .unwrap()
        .lines()
        .map(Path::new)
    {
        let name = path.file_name().unwrap().to_str().unwrap();
        for resource in ["cpu", "io", "memory"] {
            let text = std::fs::read_to_string(path.join(format!("{resource}.pressure"))).unwrap();
            let totals: Vec<&str> = text
                .lines()
                .map(|l| l.split("total=").nth(1).unwrap())
                .collect();
            for (kind, total) in ["waiting", "stalled"].into_iter().zip(totals) {
                // Microseconds: the point is moved six places.
                let padded = format!("{total:0>7}");
                let (whole, part) = padded.split_at(padded.len() - 6);
                let seconds = format!("{whole}.{part}").parse::<f64>().unwrap();
                expected.push(format!(
                    "nodeward_systemd_unit_pressure_{kind}_seconds_total{{name=\"{name}\",resource=\"{resource}\"}} {seconds}"
                ));
            }
        }
        let events = std::fs::read_to_string(path.join("memory.events")).unwrap();
        let kills = events
            .split_whitespace()
            .skip_while(|word| *word != "oom_kill")
            .nth(1);
        expected.push(format!(
            "nodeward_systemd_unit_oom_kills_total{{name=\"{name}\"}} {}",
            kills.unwrap()
        ));
    }
    let told = |options: &Options| -> Vec<String> {
        let taken = read(&captured("server"), options, &page(options)).unwrap();
        let page = page_of(options, &taken.reading);
        let own = [
            "nodeward_systemd_unit_pressure_",
            "nodeward_systemd_unit_oom_",
        ];
        let told = samples(&page).into_iter();
        told.filter(|s| own.iter().any(|o| s.starts_with(o)) && s.contains(".service\""))
            .map(str::to_owned)
            .collect()
    };
    let mut all = told(&Options::default());
    all.sort_unstable();
    expected.sort_unstable();
    assert!(
        expected.len() > 20 && all == expected,
        "{all:#?}\n{expected:#?}"
    );
    let without = told(&Options {
        unit_pressure: false,
        ..Options::default()
    });
    assert!(!without.is_empty() && !without.iter().any(|s| s.contains("pressure")));
}

/// What is beyond the cap is counted.
#[test]
fn units_beyond_the_most_are_left_out_and_counted() {
    let of = |max_units| {
        let options = Options {
            max_units,
            ..Options::default()
        };
        let reading = read(&captured("server"), &options, &page(&options))
            .unwrap()
            .reading;
        (reading.used.len() as u64, Systemd::left_out(&reading))
    };
    let (all, none) = of(512);
    assert_eq!((none, of(2)), (0, (2, all - 2)));
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
