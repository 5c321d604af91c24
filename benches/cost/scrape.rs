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

/// The subjects both have; systemd needs a bus and is left out.
pub const SUBJECTS: [&str; 6] = [
    "--collector.disable-defaults",
    "--collector.cpu",
    "--collector.meminfo",
    "--collector.filesystem",
    "--collector.netdev",
    "--collector.processes",
];
const ROUNDS: usize = 9;
const SCRAPES: u32 = 150;

/// Starts ours with node_exporter's flags.
pub fn ours(
    flags: &[String],
    processes: bool,
    scratch: &Scratch,
) -> Result<(Running, SocketAddr), Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeward"));
    command
        .arg("run")
        .arg("--web.listen-address=127.0.0.1:0")
        .args(
            SUBJECTS
                .iter()
                .filter(|f| processes || !f.ends_with(".processes")),
        )
        .args(flags)
        .env("RUNTIME_DIRECTORY", scratch.path());
    let mut running = Running::start("nodeward", &mut command, scratch)?;
    let address = running.address()?;
    Ok((running, address))
}

/// Starts the reference.
pub fn reference(
    flags: &[String],
    processes: bool,
    scratch: &Scratch,
) -> Result<(Running, SocketAddr), Failed> {
    let mut command = Command::new(Peer::NodeExporter.find()?);
    command
        .arg("--web.listen-address=127.0.0.1:0")
        .args(
            SUBJECTS
                .iter()
                .filter(|f| processes || !f.ends_with(".processes")),
        )
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
    table(page, "cpu, meminfo, filesystem, netdev", &[], false)?;
    table(page, "The same and processes", &[], true)
}

fn table(page: &mut String, title: &str, flags: &[String], processes: bool) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let (mine, mine_at) = ours(flags, processes, &scratch)?;
    let (theirs, theirs_at) = reference(flags, processes, &scratch)?;
    let mut bare = Bare::new(processes);
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
