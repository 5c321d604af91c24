//! Growth: generated trees of more and more processes, interfaces and mounts.

use std::fmt::Write as _;
use std::path::Path;

use libtest_mimic::Failed;

use crate::client::Http;
use crate::meter::{median, memory, mib, time};
use crate::scrape::{ours, per_scrape, reference};
use crate::scratch::Scratch;

const ROUNDS: usize = 3;

/// A tree of so many processes, and so many interfaces and mounts.
fn tree(root: &Path, processes: u32, devices: u32) -> Result<(), Failed> {
    let proc = root.join("proc");
    std::fs::create_dir_all(proc.join("net"))?;
    std::fs::create_dir_all(proc.join("sys/kernel"))?;
    std::fs::create_dir_all(proc.join("1"))?;
    std::fs::create_dir_all(root.join("sys/devices/system/cpu/cpu0"))?;
    std::fs::write(
        proc.join("meminfo"),
        "MemTotal: 1000 kB\nMemFree: 500 kB\nMemAvailable: 600 kB\n",
    )?;
    std::fs::write(
        proc.join("stat"),
        "cpu  1 2 3 4 5 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\nbtime 1700000000\nprocesses 5\nprocs_running 1\nprocs_blocked 0\n",
    )?;
    std::fs::write(proc.join("sys/kernel/threads-max"), "100000\n")?;
    std::fs::write(proc.join("sys/kernel/pid_max"), "100000\n")?;
    std::fs::write(proc.join("filesystems"), "\text4\n")?;
    std::fs::write(proc.join("mounts"), "")?;
    let mut mounts = String::new();
    let mut links = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n".to_owned();
    for at in 0..devices {
        let point = format!("/mnt/{at}");
        std::fs::create_dir_all(root.join(point.trim_start_matches('/')))?;
        writeln!(
            mounts,
            "{at} 1 8:{at} / {point} rw,relatime - ext4 /dev/sd{at} rw"
        )?;
        writeln!(links, " eth{at}: {at} 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16")?;
    }
    std::fs::write(proc.join("1/mountinfo"), mounts)?;
    std::fs::write(proc.join("net/dev"), links)?;
    for pid in 1..=processes {
        let task = proc.join(format!("{pid}/task/{pid}"));
        std::fs::create_dir_all(&task)?;
        let stat = format!(
            "{pid} (a process) S 1 1 1 0 -1 4194560 100 0 0 0 1 1 0 0 20 0 1 0 5 1000000 100 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        );
        std::fs::write(proc.join(format!("{pid}/stat")), &stat)?;
        std::fs::write(task.join("stat"), &stat)?;
    }
    Ok(())
}

pub fn run(page: &mut String) -> Result<(), Failed> {
    writeln!(
        page,
        "\n## Growth\n\nPlain scrapes of generated trees; CPU a scrape, and nodeward's resident memory after it.\n\n\
         | processes | interfaces and mounts | nodeward | node_exporter | nodeward resident |\n| ---: | ---: | ---: | ---: | ---: |"
    )?;
    let sizes = [
        (1, 1),
        (100, 1),
        (1000, 1),
        (10_000, 1),
        (1, 100),
        (1, 1000),
        (1, 5000),
    ];
    for (processes, devices) in sizes {
        let scratch = Scratch::new()?;
        let root = scratch.path().join("host");
        tree(&root, processes, devices)?;
        let flag = |name: &str, dir: &Path| format!("--path.{name}={}", dir.display());
        let flags = vec![
            flag("procfs", &root.join("proc")),
            flag("sysfs", &root.join("sys")),
            flag("rootfs", &root),
            "--no-collector.netdev.netlink".to_owned(),
        ];
        let (mine, mine_at) = ours(&flags, true, &scratch)?;
        let (theirs, theirs_at) = reference(&flags, true, &scratch)?;
        let scrapes = if processes + devices > 500 { 10 } else { 200 };
        let mut clients = [
            Http::connect(mine_at, false)?,
            Http::connect(theirs_at, false)?,
        ];
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (at, pid) in [mine.id(), theirs.id()].into_iter().enumerate() {
                clients[at].scrape()?;
                costs[at].push(per_scrape(pid, &mut clients[at], scrapes)?);
            }
        }
        writeln!(
            page,
            "| {processes} | {devices} | {} | {} | {} |",
            time(median(costs[0].clone())),
            time(median(costs[1].clone())),
            mib(memory(mine.id()).0)
        )?;
    }
    Ok(())
}
