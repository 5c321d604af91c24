//! A booted systemd with its own bus: node_exporter's systemd collector as oracle, over the same bus.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;

use crate::process::Running;
use crate::programs::Peer;
use crate::reference::{compare, scrape};
use crate::scratch::Scratch;
use crate::{PeerTest, ours};

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
];

/// Rounds until two readings of the reference and ours agree: units settle, timers fire.
const ROUNDS: usize = 30;

/// A systemd of its own, booted by `tests/peers/boot-systemd` and ended on drop.
struct Booted {
    home: PathBuf,
    bus: String,
}

impl Booted {
    fn script(verb: &str, home: &Path) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/boot-systemd");
        let mut command = Command::new(script);
        command.arg(verb).arg(home);
        command
    }

    fn boot(scratch: &Scratch) -> Result<Self, Failed> {
        let mut booted = Self {
            home: scratch.path().join("systemd"),
            bus: String::new(),
        };
        let out = Self::script("start", &booted.home).output()?;
        let told = String::from_utf8_lossy(&out.stdout);
        let bus = told.lines().find_map(|line| line.strip_prefix("BUS="));
        let complaint = || String::from_utf8_lossy(&out.stderr).into_owned();
        booted.bus = bus.ok_or_else(complaint)?.to_owned();
        Ok(booted)
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
