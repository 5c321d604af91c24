//! Growth: generated trees of more and more processes, interfaces and mounts.

use std::fmt::Write as _;
use std::path::Path;

use libtest_mimic::Failed;

use crate::client::Http;
use crate::meter::{median, memory, mib, time};
use crate::scrape::{Set, ours, per_scrape, reference};
use crate::scratch::Scratch;

const ROUNDS: usize = 3;

/// How many there are.
#[derive(Clone, Copy)]
struct Size {
    processes: u32,
    interfaces: u32,
    disks: u32,
    mounts: u32,
}

const ONE: Size = Size {
    processes: 1,
    interfaces: 1,
    disks: 1,
    mounts: 1,
};

/// What netclass reads of an interface.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("address", "02:00:00:00:00:01"),
    ("addr_assign_type", "0"),
    ("broadcast", "ff:ff:ff:ff:ff:ff"),
    ("carrier", "1"),
    ("carrier_changes", "2"),
    ("carrier_down_count", "1"),
    ("carrier_up_count", "1"),
    ("dev_id", "0x0"),
    ("dormant", "0"),
    ("duplex", "full"),
    ("flags", "0x1003"),
    ("ifalias", ""),
    ("ifindex", "2"),
    ("iflink", "2"),
    ("link_mode", "0"),
    ("mtu", "1500"),
    ("name_assign_type", "4"),
    ("netdev_group", "0"),
    ("operstate", "up"),
    ("speed", "1000"),
    ("tx_queue_len", "1000"),
    ("type", "1"),
];

/// A tree of that size.
fn tree(root: &Path, size: Size) -> Result<(), Failed> {
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
    for at in 0..size.mounts {
        let point = format!("/mnt/{at}");
        std::fs::create_dir_all(root.join(point.trim_start_matches('/')))?;
        writeln!(
            mounts,
            "{at} 1 8:{at} / {point} rw,relatime - ext4 /dev/sd{at} rw"
        )?;
    }
    for at in 0..size.interfaces {
        writeln!(links, " eth{at}: {at} 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16")?;
        let device = root.join(format!("sys/class/net/eth{at}"));
        std::fs::create_dir_all(&device)?;
        for (name, value) in ATTRIBUTES {
            std::fs::write(device.join(name), format!("{value}\n"))?;
        }
    }
    let mut disks = String::new();
    for at in 0..size.disks {
        let minor = at * 16;
        writeln!(
            disks,
            " 8 {minor} sd{at}x 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"
        )?;
    }
    std::fs::write(proc.join("diskstats"), disks)?;
    std::fs::write(proc.join("1/mountinfo"), mounts)?;
    std::fs::write(proc.join("net/dev"), links)?;
    for pid in 1..=size.processes {
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
        "\n## Growth\n\nPlain scrapes of generated trees, all that nodeward tells by default; CPU a scrape, and nodeward's resident memory after it.\n\n\
         | processes | interfaces | disks | mounts | nodeward | node_exporter | nodeward resident |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    let mut sizes = vec![ONE];
    for processes in [1000, 10_000] {
        sizes.push(Size { processes, ..ONE });
    }
    for interfaces in [500, 5000] {
        sizes.push(Size { interfaces, ..ONE });
    }
    for disks in [500, 5000] {
        sizes.push(Size { disks, ..ONE });
    }
    for mounts in [500, 5000] {
        sizes.push(Size { mounts, ..ONE });
    }
    for size in sizes {
        let Size {
            processes,
            interfaces,
            disks,
            mounts,
        } = size;
        let scratch = Scratch::new()?;
        let root = scratch.path().join("host");
        tree(&root, size)?;
        let flag = |name: &str, dir: &Path| format!("--path.{name}={}", dir.display());
        let flags = vec![
            flag("procfs", &root.join("proc")),
            flag("sysfs", &root.join("sys")),
            flag("rootfs", &root),
            "--no-collector.netdev.netlink".to_owned(),
            "--no-collector.arp.netlink".to_owned(),
            // The reference would list the sockets of this machine.
            "--no-collector.tcpstat".to_owned(),
        ];
        let (mine, mine_at) = ours(&flags, Set::Default, &scratch)?;
        let (theirs, theirs_at) = reference(&flags, Set::Default, &scratch)?;
        let scrapes = if processes + interfaces + disks + mounts > 400 {
            10
        } else {
            200
        };
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
            "| {processes} | {interfaces} | {disks} | {mounts} | {} | {} | {} |",
            time(median(costs[0].clone())),
            time(median(costs[1].clone())),
            mib(memory(mine.id()).0)
        )?;
    }
    Ok(())
}
