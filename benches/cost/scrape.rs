//! A scrape: plain and gzip, ours, node_exporter's, and the kernel's own cost; memory after it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Failed;

use crate::bare::Bare;
use crate::client::Http;
use crate::meter::{cpu, float, median, memory, mib, own_cpu, time};
use crate::process::Running;
use crate::programs::Peer;
use crate::scratch::Scratch;

/// What is told on both sides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// cpu, meminfo, filesystem, netdev.
    Four,
    /// The same and processes.
    Processes,
    /// What nodeward tells by default.
    Default,
}

const FOUR: [&str; 5] = [
    "--collector.disable-defaults",
    "--collector.cpu",
    "--collector.meminfo",
    "--collector.filesystem",
    "--collector.netdev",
];
/// What makes node_exporter tell what nodeward does by default: processes too, and none that nodeward lacks.
const SAME: [&str; 14] = [
    "--collector.processes",
    "--no-collector.bcache",
    "--no-collector.bcachefs",
    "--no-collector.btrfs",
    "--no-collector.dmmultipath",
    "--no-collector.fibrechannel",
    "--no-collector.ipvs",
    "--no-collector.nfs",
    "--no-collector.nfsd",
    "--no-collector.rapl",
    "--no-collector.tapestats",
    "--no-collector.watchdog",
    "--no-collector.xfs",
    "--no-collector.zfs",
];

impl Set {
    /// The flags of ours.
    pub fn ours(self) -> Vec<&'static str> {
        match self {
            Self::Four => FOUR.to_vec(),
            Self::Processes => [&FOUR[..], &["--collector.processes"]].concat(),
            Self::Default => Vec::new(),
        }
    }

    /// The flags of the reference.
    fn reference(self) -> Vec<&'static str> {
        match self {
            Self::Default => SAME.to_vec(),
            set => set.ours(),
        }
    }
}

const ROUNDS: usize = 9;
const SCRAPES: u32 = 150;

/// Starts ours with node_exporter's flags.
pub fn ours(
    flags: &[String],
    set: Set,
    scratch: &Scratch,
) -> Result<(Running, SocketAddr), Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeward"));
    command
        .arg("run")
        .arg("--web.listen-address=127.0.0.1:0")
        .args(set.ours())
        .args(flags)
        .env("RUNTIME_DIRECTORY", scratch.path());
    let mut running = Running::start("nodeward", &mut command, scratch)?;
    let address = running.address()?;
    Ok((running, address))
}

/// Starts the reference.
pub fn reference(
    flags: &[String],
    set: Set,
    scratch: &Scratch,
) -> Result<(Running, SocketAddr), Failed> {
    let mut command = Command::new(Peer::NodeExporter.find()?);
    command
        .arg("--web.listen-address=127.0.0.1:0")
        .args(set.reference())
        .args(flags);
    let mut running = Running::start("node_exporter", &mut command, scratch)?;
    let address = running.address()?;
    Ok((running, address))
}

/// CPU seconds a scrape, over many.
pub fn per_scrape(pid: u32, client: &mut Http, scrapes: u32) -> Result<f64, Failed> {
    let before = cpu(pid);
    for _ in 0..scrapes {
        client.scrape()?;
    }
    Ok((cpu(pid) - before) / f64::from(scrapes))
}

pub fn run(page: &mut String) -> Result<(), Failed> {
    writeln!(
        page,
        "\n## A scrape\n\nWarm, keep-alive, HTTP included; {ROUNDS} rounds of {SCRAPES}."
    )?;
    table(page, "cpu, meminfo, filesystem, netdev", Set::Four)?;
    table(page, "The same and processes", Set::Processes)?;
    table(
        page,
        "All that nodeward tells by default, tcpstat and processes included, and no more of node_exporter",
        Set::Default,
    )
}

fn table(page: &mut String, title: &str, set: Set) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let (mine, mine_at) = ours(&[], set, &scratch)?;
    let (theirs, theirs_at) = {
        // Growth is of trees, of which the reference cannot tell this.
        let sockets = (set == Set::Default).then(|| "--collector.tcpstat".to_owned());
        reference(sockets.as_slice(), set, &scratch)?
    };
    let mut bare = Bare::new(set);
    let mut clients = Vec::new();
    for (who, running, address) in [
        ("nodeward", &mine, mine_at),
        ("node_exporter", &theirs, theirs_at),
    ] {
        for gzip in [false, true] {
            let mut client = Http::connect(address, gzip)?;
            let size = client.scrape()?;
            clients.push((who, gzip, running.id(), client, size, Vec::new()));
        }
    }
    let mut kernel = Vec::new();
    for _ in 0..ROUNDS {
        for (_, _, pid, client, _, costs) in &mut clients {
            costs.push(per_scrape(*pid, client, SCRAPES)?);
        }
        let before = own_cpu();
        for _ in 0..SCRAPES {
            bare.pass();
        }
        kernel.push((own_cpu() - before) / f64::from(SCRAPES));
    }
    let kernel = median(kernel);
    writeln!(
        page,
        "\n{title}:\n\n\
         | who | CPU a scrape, plain | of the bare files | CPU a scrape, gzip | page, plain | page, gzip | resident | of it anonymous |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    let mut gzips = Vec::new();
    for who in ["nodeward", "node_exporter"] {
        let mut of = clients.iter().filter(|c| c.0 == who);
        let (Some(plain), Some(gzip)) = (of.next(), of.next()) else {
            continue;
        };
        let (rss, anon) = memory(plain.2);
        let cost = median(plain.5.clone());
        gzips.push(median(gzip.5.clone()));
        writeln!(
            page,
            "| {who} | {} | {:.2} | {} | {:.1} kB | {:.1} kB | {} | {} |",
            time(cost),
            cost / kernel,
            time(median(gzip.5.clone())),
            float(plain.4 as u64) / 1e3,
            float(gzip.4 as u64) / 1e3,
            mib(rss),
            mib(anon)
        )?;
    }
    writeln!(
        page,
        "| bare open, read, close | {} | 1.00 | | | | | |",
        time(kernel)
    )?;
    if let [mine, theirs] = gzips[..] {
        writeln!(
            page,
            "\nWith gzip, as Prometheus asks, a scrape of nodeward costs 1/{:.1} of node_exporter's.",
            theirs / mine
        )?;
    }
    Ok(())
}
