//! The client against a real systemd, booted by tests/peers/boot-systemd.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicU32;

use super::*;

/// A booted systemd, ended when dropped.
struct Booted {
    directory: PathBuf,
    said: String,
}

fn boot() -> Booted {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("nodeward-booted-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let output = script().arg("start").arg(&directory).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{}", text(output.stderr));
    Booted {
        directory,
        said: text(output.stdout),
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/boot-systemd"))
}

impl Booted {
    fn said(&self, key: &str) -> String {
        let line = self
            .said
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {key} in {}", self.said))
            .to_owned()
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        script().arg("stop").arg(&self.directory).status().unwrap();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn read<'a>(unit: &'a str, interface: &'a str, name: &'a str) -> Property<'a> {
    Property {
        path: unit,
        interface,
        name,
    }
}

/// Carries `PRIVATE CGROUP` into the copy of this test that runs in the booted PID namespace.
const INSIDE: &str = "NODEWARD_TEST_BOOTED";

#[test]
#[ignore = "boots a systemd: needs root and the packages systemd and dbus"]
fn tells_what_a_real_systemd_knows_of_its_units() {
    if let Ok(inside) = std::env::var(INSIDE) {
        let (private, cgroup) = inside.split_once(' ').unwrap();
        tells(
            &Options {
                private: true,
                address: Some(private.to_owned()),
            },
            cgroup,
        );
        return;
    }
    let booted = boot();
    let bus = Options {
        private: false,
        address: Some(booted.said("BUS")),
    };
    tells(&bus, &booted.said("CGROUP"));
    // systemd turns away who has no process ID in its namespace, so the same again from inside.
    let output = Command::new("nsenter")
        .args(["--pid", "--target", &booted.said("PID"), "--"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--include-ignored",
            "tells_what_a_real_systemd_knows_of_its_units",
        ])
        .env(
            INSIDE,
            format!("{} {}", booted.said("PRIVATE"), booted.said("CGROUP")),
        )
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
}

fn tells(options: &Options, cgroup: &str) {
    let running = running();
    let systemd = client(&running, options);
    // The last of the test units settle a moment after the bus is there.
    until(|| {
        let units = systemd.list_units(far()).unwrap();
        let state = |name: &str| {
            let unit = units.iter().find(|unit| unit.name == name);
            unit.map(|unit| (unit.load_state.clone(), unit.active_state.clone()))
        };
        let is = |name: &str, load: &str, active: &str| {
            state(name) == Some((load.to_owned(), active.to_owned()))
        };
        is("nodeward-active.service", "loaded", "active")
            && is("nodeward-failed.service", "loaded", "failed")
            && is("nodeward-restarted.service", "loaded", "active")
            && is("nodeward-oneshot.service", "loaded", "active")
            && is("nodeward-echo.socket", "loaded", "active")
            && is("nodeward-tick.timer", "loaded", "active")
            && is("nodeward-template@two.service", "loaded", "active")
            && is("nodeward-odd\\x20name.service", "loaded", "active")
            && is("run-nodeward-mount.mount", "loaded", "active")
            && is("nodeward-masked.service", "masked", "inactive")
            && is("nodeward-missing.service", "not-found", "inactive")
    });
    let units = systemd.list_units(far()).unwrap();
    assert!(units.iter().all(|unit| unit.path == unit_path(&unit.name)));

    let about = systemd.manager(far()).unwrap();
    assert!(
        about
            .version
            .starts_with(|first: char| first.is_ascii_digit()),
        "{about:?}"
    );
    assert_eq!(
        (about.system_state.as_str(), about.failed_units),
        ("degraded", 1)
    );

    let [active, restarted, echo, tick, mount, odd] = [
        "nodeward-active.service",
        "nodeward-restarted.service",
        "nodeward-echo.socket",
        "nodeward-tick.timer",
        "run-nodeward-mount.mount",
        "nodeward-odd\\x20name.service",
    ]
    .map(unit_path);
    let wanted = [
        read(&active, "Service", "Type"),
        read(&active, "Service", "TasksCurrent"),
        read(&active, "Service", "TasksMax"),
        read(&restarted, "Service", "NRestarts"),
        read(&echo, "Socket", "NAccepted"),
        read(&mount, "Mount", "Type"),
        read(&odd, "Unit", "Description"),
        read(&active, "Service", "ControlGroup"),
    ];
    let text = |text: &str| Ok(Value::Str(text.to_owned()));
    let expected = [
        text("simple"),
        Ok(Value::U64(1)),
        Ok(Value::U64(64)),
        Ok(Value::U64(1)),
        Ok(Value::U64(0)),
        text("tmpfs"),
        text("Odd name"),
        text(&format!("{cgroup}/system.slice/nodeward-active.service")),
    ];
    assert_eq!(systemd.properties(&wanted, far()), expected);
    let fired = systemd
        .property(read(&tick, "Timer", "LastTriggerUSec"), far())
        .unwrap();
    assert!(fired.as_u64() > Some(0));
    let refused = systemd.property(read(&active, "Socket", "NAccepted"), far());
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");

    let all = systemd.unit_properties(&active, "Unit", far()).unwrap();
    assert_eq!(all["ActiveState"].as_str(), Some("active"));
    assert!(matches!(&all["InvocationID"], Value::Bytes(id) if id.len() == 16));
    assert_eq!(
        all["Names"].as_strs(),
        Some(vec!["nodeward-active.service"])
    );
    let files = systemd.list_unit_files(far()).unwrap();
    let disabled = files
        .iter()
        .find(|file| file.name() == "nodeward-disabled.service");
    assert_eq!(disabled.unwrap().state, "disabled");

    // Many at once: more than one system bus lets a connection wait for.
    let many: Vec<_> = units
        .iter()
        .flat_map(|unit| ["Id", "ActiveState", "SubState", "LoadState"].map(|p| (unit, p)))
        .cycle()
        .take(2000)
        .map(|(unit, property)| read(&unit.path, "Unit", property))
        .collect();
    assert!(systemd.properties(&many, far()).iter().all(Result::is_ok));
    let counts = systemd.counts();
    assert_eq!(
        (counts.connections, counts.broken, counts.refused),
        (1, 0, 0)
    );
}

#[test]
#[ignore = "boots a systemd: needs root and the packages systemd and dbus"]
fn a_real_systemd_that_is_stopped_parks_us_and_is_found_again_when_it_runs_on() {
    let (running, booted) = (running(), boot());
    let bus = Options {
        private: false,
        address: Some(booted.said("BUS")),
    };
    let systemd = client(&running, &bus);
    assert!(!systemd.list_units(far()).unwrap().is_empty());
    let signal = |name: &str| {
        let status = Command::new("kill")
            .args([name, &booted.said("PID")])
            .status();
        assert!(status.unwrap().success());
    };
    signal("-STOP");
    let soon = Instant::now() + Duration::from_millis(50);
    assert_eq!(
        systemd.list_units(soon),
        Err(Error::Late { call: "ListUnits" })
    );
    for _ in 0..10 {
        assert_eq!(
            systemd.list_units(far()),
            Err(Error::Parked { call: "ListUnits" })
        );
    }
    signal("-CONT");
    until(|| systemd.counts().parked == 0);
    assert!(!systemd.list_units(far()).unwrap().is_empty());
    let counts = systemd.counts();
    assert_eq!((counts.calls, counts.connections, counts.broken), (3, 1, 0));
}

#[test]
#[ignore = "boots a systemd: needs root and the packages systemd and dbus"]
fn a_real_bus_that_is_started_again_is_connected_to_again() {
    let (running, booted) = (running(), boot());
    let bus = Options {
        private: false,
        address: Some(booted.said("BUS")),
    };
    let systemd = client(&running, &bus);
    let path = unit_path("dbus.service");
    let main = || systemd.property(read(&path, "Service", "MainPID"), far());
    let daemon = main().unwrap().as_u64().unwrap();
    // The process ID is the namespace's own, so it is ended from inside.
    let status = Command::new("nsenter")
        .args([
            "--all",
            "--target",
            &booted.said("PID"),
            "kill",
            &daemon.to_string(),
        ])
        .status();
    assert!(status.unwrap().success());
    // Socket activation starts the next one when somebody connects.
    until(|| main().is_ok_and(|value| value.as_u64().is_some_and(|now| now > 0 && now != daemon)));
    assert!(systemd.counts().connections >= 2);
}
