//! What hangs on a real machine: a file system whose server is gone, a bus that never answers.
//!
//! The hanging mount is a FUSE mount that nobody serves. It lives in a mount namespace of the nodeward
//! under test, so that no other program on the machine can fall into it.

use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::process::Command;

use libtest_mimic::Failed;

use crate::hosts::Host;
use crate::page::Page;
use crate::process::{Running, free_port};
use crate::programs::Peer;
use crate::reference::scrape;
use crate::scratch::Scratch;
use crate::web::Request;
use crate::zabbix::exchange;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "hang::a_mount_that_hangs_costs_only_itself",
        needs: &[Peer::Root, Peer::Fuse, Peer::Unshare],
        run: hanging_mount,
    },
    PeerTest {
        name: "hang::a_bus_that_never_answers_costs_only_systemd",
        needs: &[],
        run: silent_bus,
    },
];

/// How many scrapes are made while something hangs.
const SCRAPES: usize = 10;

/// Mounts a file system that never answers on $1, then becomes the rest of its arguments. The open
/// descriptor is what keeps the mount waiting instead of failing.
pub const HANG: &str = r#"
set -e
exec 3<>/dev/fuse
mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hanging "$1"
shift
exec "$@"
"#;

fn hanging_mount() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let host = Host::copy("vm", &scratch)?;
    let stuck = host.path("mnt/volume");
    let port = free_port()?;
    let file = scratch.path().join("nodeward.yml");
    std::fs::write(
        &file,
        format!("zabbix: {{listen: [\"127.0.0.1:{port}\"], server: [127.0.0.1]}}\n"),
    )?;
    let mut ours = ours::command("run", &scratch);
    ours.arg("--config").arg(&file);
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            HANG,
            "bash",
        ])
        .arg(&stuck);
    command.arg(ours.get_program()).args(ours.get_args());
    command.args([
        "--web.listen-address=127.0.0.1:0",
        "--collector.disable-defaults",
    ]);
    command.args(["--collector.filesystem", "--collector.meminfo"]);
    // Our own word for it: how long one scrape waits for a mount.
    command
        .arg("--collector.filesystem.mount-timeout=1s")
        .args(host.flags());
    command.envs(
        ours.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let mut running = Running::start("nodeward", &mut command, &scratch)?;
    let address = running.address()?;

    // Whoever asks for something else while the hang is held is answered.
    let first = Request::send(address, "/metrics")?;
    let ping = exchange(running.listens(port)?, "agent.ping")?;
    if ping != "1" {
        return Err(format!("agent.ping said {ping:?} while a mount hangs").into());
    }
    first.answer()?;
    only_the_volume_is_missing(&scrape(address)?)?;
    let before = ours::threads_and_descriptors(running.id())?;
    for _ in 0..SCRAPES {
        only_the_volume_is_missing(&scrape(address)?)?;
    }
    let after = ours::threads_and_descriptors(running.id())?;
    // One connection may still be closing when the descriptors are counted.
    if after.0 > before.0 + 1 || after.1 > before.1 + 1 {
        return Err(format!("(threads, descriptors) went from {before:?} to {after:?}").into());
    }
    Ok(())
}

fn only_the_volume_is_missing(page: &Page) -> Result<(), Failed> {
    let root = [
        ("device", "/dev/vda1"),
        ("device_error", ""),
        ("fstype", "ext4"),
        ("mountpoint", "/"),
    ];
    if page.value("node_filesystem_size_bytes", &root).is_none() {
        return Err("the root file system is missing too".into());
    }
    if page.value("node_memory_MemTotal_bytes", &[]).is_none() {
        return Err("memory is missing too".into());
    }
    let of_volume = |series: &&crate::page::Series| {
        series
            .labels
            .get("mountpoint")
            .is_some_and(|point| point == "/mnt/volume")
    };
    for series in page.samples.keys().filter(of_volume) {
        let told = ["node_filesystem_device_error", "node_filesystem_readonly"];
        if !told.contains(&series.name.as_str()) {
            return Err(format!("{series} is told of a mount that hangs").into());
        }
    }
    let error = [
        ("device", "/dev/vdb"),
        ("device_error", "mountpoint timeout"),
        ("fstype", "ext4"),
        ("mountpoint", "/mnt/volume"),
    ];
    match page.value("node_filesystem_device_error", &error) {
        Some(1.0) => Ok(()),
        other => Err(format!("device_error of the hanging mount is {other:?}").into()),
    }
}

fn silent_bus() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let socket = scratch.path().join("bus");
    // Bound and listening, so connecting works; nobody ever accepts or answers.
    let _bus = UnixListener::bind(&socket)?;
    let flags = [
        "--web.listen-address=127.0.0.1:0",
        "--collector.disable-defaults",
        "--collector.systemd",
        "--collector.meminfo",
    ];
    let mut command = ours::command("run", &scratch);
    command.args(flags);
    command.env(
        "DBUS_SYSTEM_BUS_ADDRESS",
        format!("unix:path={}", socket.display()),
    );
    let mut running = Running::start("nodeward", &mut command, &scratch)?;
    let address = running.address()?;
    without_systemd(address)?;
    let before = ours::threads_and_descriptors(running.id())?;
    for _ in 0..SCRAPES {
        without_systemd(address)?;
    }
    let after = ours::threads_and_descriptors(running.id())?;
    if after.0 > before.0 + 1 || after.1 > before.1 + 1 {
        return Err(format!("(threads, descriptors) went from {before:?} to {after:?}").into());
    }
    Ok(())
}

fn without_systemd(address: SocketAddr) -> Result<(), Failed> {
    let page = scrape(address)?;
    for (subject, expected) in [("systemd", 0.0), ("meminfo", 1.0)] {
        let told = page.value("node_scrape_collector_success", &[("collector", subject)]);
        if told != Some(expected) {
            return Err(format!("success of {subject} is {told:?}, not {expected}").into());
        }
    }
    Ok(())
}
