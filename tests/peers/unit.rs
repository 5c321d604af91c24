//! The shipped unit under a real systemd: it starts by READY, feeds the watchdog, reloads, runs with nothing it does not need, and reads
//! what a node_exporter without any of that reads beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;

use crate::process::{free_port, until};
use crate::programs::Peer;
use crate::reference::COLLECTORS;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{PeerTest, live};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "unit::the_shipped_unit_runs_confined_and_reads_what_node_exporter_reads",
    needs: &[
        Peer::Root,
        Peer::Systemd,
        Peer::Sysusers,
        Peer::DbusDaemon,
        Peer::Unshare,
        Peer::NodeExporter,
    ],
    run: shipped,
}];

const UNIT: &str = "nodeward.service";
/// Where the booted systemd has the programs; both below /run, the one place it may write to.
const PROGRAMS: &str = "/run/nodeward-programs";
const PEERS: &str = "/run/nodeward-peers";

/// What the booted machine has not: the targets of a whole one, /usr/bin, /etc/default, and time to wait for half a minute. Its
/// /run/nodeward is the boot's own.
const DROP_IN: &str = "[Unit]
DefaultDependencies=no
[Service]
ExecStart=
ExecStart=/run/nodeward-programs/nodeward run $OPTIONS
ExecReload=
ExecReload=/run/nodeward-programs/nodeward reload
RuntimeDirectory=
RuntimeDirectory=nodeward-unit
WatchdogSec=4s
";

fn shipped_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("packaging/systemd")
        .join(name)
}

/// A booted systemd, and what of it is seen from here.
struct Machine {
    booted: Booted,
    root: PathBuf,
}

impl Machine {
    fn boot(scratch: &Scratch) -> Result<Self, Failed> {
        let booted = Booted::boot(scratch)?;
        let root = PathBuf::from(format!("/proc/{}/root", booted.first));
        let machine = Self { booted, root };
        // State lies below /var/lib, and the user is the one that the shipped file makes.
        machine.mount(&["-t", "tmpfs", "tmpfs", "/var/lib"])?;
        for (name, text) in users(scratch)? {
            let file = machine.root.join("run").join(name);
            std::fs::write(&file, text)?;
            machine.mount(&["--bind", &format!("/run/{name}"), &format!("/etc/{name}")])?;
        }
        let nodeward = Path::new(env!("CARGO_BIN_EXE_nodeward"));
        machine.programs(
            nodeward.parent().ok_or("a program without a place")?,
            PROGRAMS,
        )?;
        let peer = Peer::NodeExporter.find()?;
        machine.programs(peer.parent().ok_or("a program without a place")?, PEERS)?;
        Ok(machine)
    }

    fn programs(&self, from: &Path, to: &str) -> Result<(), Failed> {
        std::fs::create_dir(self.root.join(to.trim_start_matches('/')))?;
        let from = std::fs::canonicalize(from)?;
        // The /tmp of the machine is not the one there.
        if from.starts_with("/tmp") || from.starts_with("/run") {
            return Err(format!("{} is hidden from the booted systemd", from.display()).into());
        }
        self.mount(&["--bind", &from.to_string_lossy(), to])
    }

    fn mount(&self, words: &[&str]) -> Result<(), Failed> {
        let target = format!("--target={}", self.booted.first);
        let out = Command::new("nsenter")
            .args([&*target, "--mount", "mount"])
            .args(words)
            .output()?;
        match out.status.success() {
            true => Ok(()),
            false => {
                Err(format!("mount {words:?}: {}", String::from_utf8_lossy(&out.stderr)).into())
            }
        }
    }

    fn write(&self, unit: &str, text: &str) -> Result<(), Failed> {
        let path = self.root.join("run/systemd/system").join(unit);
        std::fs::create_dir_all(path.parent().ok_or("no directory")?)?;
        Ok(std::fs::write(path, text)?)
    }

    /// A property of the unit; of the interface `Unit` or `Service`.
    fn property(&self, interface: &str, name: &str) -> Result<String, Failed> {
        let out = Command::new("busctl")
            .arg(format!("--address={}", self.booted.bus))
            .args(["get-property", "org.freedesktop.systemd1"])
            .arg("/org/freedesktop/systemd1/unit/nodeward_2eservice")
            .arg(format!("org.freedesktop.systemd1.{interface}"))
            .arg(name)
            .output()?;
        match out.status.success() {
            true => Ok(String::from_utf8(out.stdout)?.trim().to_owned()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned().into()),
        }
    }

    fn number(&self, interface: &str, name: &str) -> Result<u64, Failed> {
        let said = self.property(interface, name)?;
        let number = said.rsplit(' ').next().unwrap_or_default();
        Ok(number.parse().map_err(|_| format!("{name}: {said}"))?)
    }

    fn until(
        &self,
        interface: &str,
        name: &str,
        is: impl Fn(&str) -> bool,
    ) -> Result<String, Failed> {
        let mut said = String::new();
        until(&format!("{name} of the unit"), || {
            said = self.property(interface, name).ok()?;
            is(&said).then(|| said.clone())
        })
        .map_err(|_| {
            let result = self.property("Service", "Result").unwrap_or_default();
            format!("{name} stays {said}; the result is {result}").into()
        })
    }

    /// What the kernel says of the main process.
    fn status(&self, key: &str) -> Result<String, Failed> {
        let pid = self.number("Service", "MainPID")?;
        // Seen from here it has another number; it is found by the one it has there.
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path().join("status");
            let Ok(text) = std::fs::read_to_string(path) else {
                continue;
            };
            let value = |key: &str| {
                let line = text
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
                line.unwrap_or_default().trim().to_owned()
            };
            let inside = value("NSpid").split_whitespace().last() == Some(&*pid.to_string());
            if inside && value("Name") == "nodeward" {
                return Ok(value(key));
            }
        }
        Err("the main process is not there".into())
    }
}

/// /etc/passwd and /etc/group with the user of the shipped file.
fn users(scratch: &Scratch) -> Result<[(&'static str, String); 2], Failed> {
    let root = scratch.path().join("sysusers");
    std::fs::create_dir_all(root.join("etc"))?;
    for name in ["passwd", "group"] {
        std::fs::copy(Path::new("/etc").join(name), root.join("etc").join(name))?;
    }
    let out = Command::new(Peer::Sysusers.find()?)
        .arg(format!("--root={}", root.display()))
        .arg(shipped_file("nodeward.sysusers"))
        .output()?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned().into());
    }
    let read = |name: &'static str| {
        let text = std::fs::read_to_string(root.join("etc").join(name))?;
        match text.contains("\nnodeward:") {
            true => Ok((name, text)),
            false => Err(Failed::from(format!("{name} has no nodeward: {text}"))),
        }
    };
    Ok([read("passwd")?, read("group")?])
}

fn shipped() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let machine = Machine::boot(&scratch)?;
    let flags = COLLECTORS.join("' '");
    machine.write(UNIT, &std::fs::read_to_string(shipped_file(UNIT))?)?;
    let options = format!(
        "Environment=\"OPTIONS=--web.listen-address=127.0.0.1:0 {}\"\n",
        COLLECTORS.join(" ")
    );
    machine.write(
        "nodeward.service.d/test.conf",
        &format!("{DROP_IN}{options}"),
    )?;
    let port = free_port()?;
    let reference = format!(
        "[Unit]\nDefaultDependencies=no\n[Service]\nUser=nodeward\nExecStart={PEERS}/node_exporter --web.listen-address=127.0.0.1:{port} '{flags}'\n"
    );
    machine.write("reference.service", &reference)?;
    machine.booted.call(&["Reload"])?;
    for unit in [UNIT, "reference.service"] {
        machine.booted.call(&["StartUnit", "ss", unit, "replace"])?;
    }
    machine.until("Unit", "ActiveState", |said| said == "s \"active\"")?;

    // Where it serves stands in what `systemctl status` shows.
    let status = machine.property("Service", "StatusText")?;
    let address = status
        .split("serving http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let address = address.ok_or_else(|| format!("it does not say where it serves: {status}"))?;
    let (mine, theirs) = (address.parse()?, ([127, 0, 0, 1], port).into());
    until("the reference", || {
        std::net::TcpStream::connect(theirs).ok()
    })?;
    live::agree(theirs, mine)?;

    // Confined, by what the kernel says of it.
    for (key, wanted) in [
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("CapBnd", "0000000000000000"),
        ("CapEff", "0000000000000000"),
    ] {
        let said = machine.status(key)?;
        if said != wanted {
            return Err(format!("{key} is {said}, not {wanted}").into());
        }
    }
    if machine.status("Uid")?.starts_with("0\t") {
        return Err("it runs as root".into());
    }

    // A reload is over when the unit says so.
    machine
        .booted
        .call(&["ReloadUnit", "ss", UNIT, "replace"])?;
    machine.until("Unit", "ActiveState", |said| said == "s \"active\"")?;
    machine.until("Service", "ReloadResult", |said| said == "s \"success\"")?;

    // The watchdog is fed while it lives, and has it started anew once it hangs.
    let first = machine.number("Service", "WatchdogTimestampMonotonic")?;
    machine.until("Service", "WatchdogTimestampMonotonic", |said| {
        let now = said
            .rsplit(' ')
            .next()
            .and_then(|now| now.parse::<u64>().ok());
        now.is_some_and(|now| now > first)
    })?;
    let stop = ["KillUnit", "ssi", UNIT, "main", "19"];
    machine.booted.call(&stop)?;
    machine.until("Service", "NRestarts", |said| said == "u 1")?;
    machine.until("Unit", "ActiveState", |said| said == "s \"active\"")?;
    Ok(())
}
