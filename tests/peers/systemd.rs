//! A booted systemd with its own bus: node_exporter's systemd collector and Zabbix agent 2 as oracles, over the same
//! bus, and systemd's own accounting for what we read from control groups.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;

use crate::page::Page;
use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::reference::{compare, scrape};
use crate::scratch::Scratch;
use crate::zabbix::{agent_as, ask};
use crate::{PeerTest, ours, web};

const NEEDS: &[Peer] = &[
    Peer::Root,
    Peer::Systemd,
    Peer::DbusDaemon,
    Peer::NodeExporter,
];

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "systemd::a_booted_systemd_reads_the_same",
        needs: NEEDS,
        run: || same_units(&[]),
    },
    PeerTest {
        name: "systemd::restarts_start_times_and_tasks_read_the_same",
        needs: NEEDS,
        run: || {
            same_units(&[
                "--collector.systemd.enable-restarts-metrics",
                "--collector.systemd.enable-start-time-metrics",
                "--collector.systemd.enable-task-metrics",
            ])
        },
    },
    PeerTest {
        name: "systemd::chosen_units_read_the_same",
        needs: NEEDS,
        run: || {
            same_units(&[
                "--collector.systemd.unit-include=nodeward-(active|odd.*|echo|tick)\\..+",
                "--collector.systemd.unit-exclude=.+\\.socket",
            ])
        },
    },
    PeerTest {
        name: "systemd::zabbix_agent2_says_the_same_of_units",
        needs: &[
            Peer::Root,
            Peer::Systemd,
            Peer::DbusDaemon,
            Peer::ZabbixAgent2,
            Peer::ZabbixAgent2of7,
            Peer::ZabbixGet,
        ],
        run: same_keys,
    },
    PeerTest {
        name: "systemd::control_groups_hold_what_systemd_says_of_them",
        needs: &[Peer::Root, Peer::Systemd, Peer::DbusDaemon],
        run: same_figures,
    },
];

/// Keys that agent 2 and ours are both asked: values, refusals, every shape of a property.
const KEYS: &[&str] = &[
    "systemd.unit.discovery",
    "systemd.unit.discovery[service]",
    "systemd.unit.discovery[socket]",
    "systemd.unit.discovery[mount]",
    "systemd.unit.discovery[snapshot]",
    "systemd.unit.discovery[all]",
    "systemd.unit.discovery[bogus]",
    "systemd.unit.discovery[service,x]",
    "systemd.unit.get",
    "systemd.unit.get[]",
    "systemd.unit.get[a,b,c]",
    "systemd.unit.get[nodeward-active.service]",
    "systemd.unit.get[nodeward-failed.service,Unit]",
    "systemd.unit.get[nodeward-odd\\x20name.service]",
    "systemd.unit.get[nodeward-active.service,Service]",
    "systemd.unit.get[nodeward-echo.socket,Socket]",
    "systemd.unit.get[nodeward-tick.timer,Timer]",
    "systemd.unit.get[run-nodeward-mount.mount,Mount]",
    "systemd.unit.get[no-such.service]",
    "systemd.unit.get[nodeward-active.service,Socket]",
    "systemd.unit.get[nodeward-active.service,Bo gus]",
    "systemd.unit.get[no unit]",
    "systemd.unit.info",
    "systemd.unit.info[a,b,c,d]",
    "systemd.unit.info[nodeward-active.service]",
    "systemd.unit.info[nodeward-active.service,CanStart]",
    "systemd.unit.info[nodeward-active.service,InvocationID]",
    "systemd.unit.info[nodeward-active.service,After]",
    "systemd.unit.info[nodeward-active.service,Job]",
    "systemd.unit.info[nodeward-active.service,FailureActionExitStatus]",
    "systemd.unit.info[nodeward-active.service,Nice,Service]",
    "systemd.unit.info[nodeward-active.service,ExecStart,Service]",
    "systemd.unit.info[nodeward-active.service,CPUAffinity,Service]",
    "systemd.unit.info[nodeward-active.service,SystemCallFilter,Service]",
    "systemd.unit.info[nodeward-restarted.service,NRestarts,Service]",
    "systemd.unit.info[nodeward-masked.service,LoadError]",
    "systemd.unit.info[nodeward-active.service,Bogus]",
    "systemd.unit.info[nodeward-active.service,,Service]",
    "systemd.unit.info[no unit]",
];

/// Rounds until two readings of the reference and ours agree: units settle, timers fire.
const ROUNDS: usize = 30;

/// A systemd of its own, booted by `tests/peers/boot-systemd` and ended on drop.
pub struct Booted {
    home: PathBuf,
    /// Address of its system bus.
    pub bus: String,
    /// Process ID of its process 1, seen from here.
    pub first: String,
}

impl Booted {
    fn script(verb: &str, home: &Path) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/boot-systemd");
        let mut command = Command::new(script);
        command.arg(verb).arg(home);
        command
    }

    /// Boots one; it ends with the value.
    pub fn boot(scratch: &Scratch) -> Result<Self, Failed> {
        Self::with(scratch, &[])
    }

    /// The same on a root that it may write to, which is gone with it.
    pub fn writable(scratch: &Scratch) -> Result<Self, Failed> {
        Self::with(scratch, &[("BOOT_WRITABLE", "1")])
    }

    fn with(scratch: &Scratch, variables: &[(&str, &str)]) -> Result<Self, Failed> {
        let mut booted = Self {
            home: scratch.path().join("systemd"),
            bus: String::new(),
            first: String::new(),
        };
        let program = std::env::current_exe()?;
        let mut start = Self::script("start", &booted.home);
        start.env("BOOT_PROGRAMS", program.parent().unwrap_or(&program));
        start.envs(variables.iter().copied());
        let out = start.output()?;
        let told = String::from_utf8_lossy(&out.stdout);
        let value = |key: &str| {
            let value = told.lines().find_map(|line| line.strip_prefix(key));
            let complaint = || String::from_utf8_lossy(&out.stderr).into_owned();
            value.map(str::to_owned).ok_or_else(complaint)
        };
        booted.bus = value("BUS=")?;
        booted.first = value("PID=")?;
        Ok(booted)
    }

    /// Where it sees the program that this is.
    pub fn program() -> Result<PathBuf, Failed> {
        let program = std::env::current_exe()?;
        let name = program.file_name().ok_or("a program without a name")?;
        Ok(Path::new("/run/nodeward/programs").join(name))
    }

    /// Adds units `nodeward-t-NAME.service` of these texts.
    pub fn units(&self, units: &[(&str, &str)]) -> Result<(), Failed> {
        let directory = format!("/proc/{}/root/run/systemd/system", self.first);
        for (name, text) in units {
            let path = Path::new(&directory).join(format!("nodeward-t-{name}.service"));
            std::fs::write(path, format!("[Unit]\nDefaultDependencies=no\n{text}\n"))?;
        }
        self.call(&["Reload"])
    }

    /// Calls systemd's manager: a method, the signature of its arguments, and these.
    pub fn call(&self, call: &[&str]) -> Result<(), Failed> {
        let out = Command::new("busctl")
            .arg(format!("--address={}", self.bus))
            .args([
                "call",
                "org.freedesktop.systemd1",
                "/org/freedesktop/systemd1",
                "org.freedesktop.systemd1.Manager",
            ])
            .args(call)
            .output()?;
        match out.status.success() {
            true => Ok(()),
            false => Err(format!("{call:?}: {}", String::from_utf8_lossy(&out.stderr)).into()),
        }
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // It ends itself after a while, should this fail.
        drop(Self::script("stop", &self.home).status());
    }
}

fn same_units(more: &[&str]) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let booted = Booted::boot(&scratch)?;
    let flags = ["--collector.disable-defaults", "--collector.systemd"];

    let mut command = Command::new(Peer::NodeExporter.find()?);
    command
        .arg("--web.listen-address=127.0.0.1:0")
        .args(flags)
        .args(more);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &booted.bus);
    let mut reference = Running::start("node_exporter", &mut command, &scratch)?;

    let mut command = ours::command("run", &scratch);
    command
        .arg("--web.listen-address=127.0.0.1:0")
        .args(flags)
        .args(more);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &booted.bus);
    let mut ours = Running::start("nodeward", &mut command, &scratch)?;

    let (theirs, mine) = (reference.address()?, ours.address()?);
    let mut result = Ok(());
    for _ in 0..ROUNDS {
        let before = scrape(theirs)?;
        let page = scrape(mine)?;
        let after = scrape(theirs)?;
        result = compare("systemd", &after, &page);
        if result.is_ok() && compare("systemd", &before, &after).is_ok() {
            return Ok(());
        }
    }
    result.and_then(|()| Err("the units never stood still".into()))
}

/// A nodeward that answers passive checks about the booted systemd; the rest of its `systemd:` section is `more`.
pub fn answering(booted: &Booted, more: &str, scratch: &Scratch) -> Result<(Running, u16), Failed> {
    let (port, bus, first) = (free_port()?, &booted.bus, &booted.first);
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\n\
         roots: {{procfs: /proc/{first}/root/proc}}\n\
         subjects: {{defaults: false, enable: [systemd], systemd: {{bus: {{address: \"{bus}\"}}{more}}}}}\n\
         zabbix: {{listen: [\"127.0.0.1:{port}\"], server: [127.0.0.1]}}\n"
    );
    let mut ours = ours::configured(&yaml, scratch)?;
    ours.listens(port)?;
    Ok((ours, port))
}

fn same_keys() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let booted = Booted::boot(&scratch)?;
    let get = Peer::ZabbixGet.find()?;
    let (_ours, mine) = answering(&booted, "", &scratch)?;
    let mut complaints = Vec::new();
    for peer in [Peer::ZabbixAgent2, Peer::ZabbixAgent2of7] {
        let mut command = Command::new(peer.find()?);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &booted.bus);
        let (_agent, theirs) = agent_as(command, peer, "", &scratch)?;
        for key in KEYS {
            let mut answers = (String::new(), String::new());
            for _ in 0..ROUNDS {
                answers = (ask(&get, theirs, key)?, ask(&get, mine, key)?);
                if answers.0 == answers.1 {
                    break;
                }
            }
            if answers.0 != answers.1 {
                let (theirs, mine) = answers;
                complaints.push(format!("{key}: {} {theirs:?}, ours {mine:?}", peer.name()));
            }
        }
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n").into())
    }
}

/// Memory and tasks of a unit with accounting, as its control group and as systemd tell them.
fn same_figures() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let booted = Booted::boot(&scratch)?;
    let mut command = ours::command("run", &scratch);
    command.args([
        "--web.listen-address=127.0.0.1:0",
        "--collector.disable-defaults",
        "--collector.systemd",
        "--collector.systemd.enable-task-metrics",
        "--collector.systemd.enable-restarts-metrics",
    ]);
    command.arg(format!("--path.procfs=/proc/{}/root/proc", booted.first));
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &booted.bus);
    let mut ours = Running::start("nodeward", &mut command, &scratch)?;
    let address = ours.address()?;
    let unit = [("name", "nodeward-active.service")];
    until("figures that agree", || {
        let page = Page::parse(&web::page(address, "/metrics").ok()?).ok()?;
        let told = |family: &str| page.value(family, &unit);
        let pairs = [
            (
                "nodeward_systemd_unit_tasks",
                "node_systemd_unit_tasks_current",
            ),
            (
                "nodeward_systemd_unit_tasks_limit",
                "node_systemd_unit_tasks_max",
            ),
            (
                "nodeward_systemd_unit_restarts_total",
                "node_systemd_service_restart_total",
            ),
        ];
        let agree = pairs
            .iter()
            .all(|(a, b)| told(a).is_some() && told(a) == told(b));
        let used = ["cpu_seconds_total", "memory_bytes"]
            .iter()
            .all(|f| told(&format!("nodeward_systemd_unit_{f}")).is_some_and(|v| v > 0.0));
        (agree && used).then_some(())
    })?;
    Ok(())
}
