//! What nodeward costs beside the programs it replaces, and beside the kernel's own cost of the same files: all in one run,
//! interleaved, as ratios.
//!
//! ```sh
//! tests/peers/install && cargo bench --bench cost            # prints the tables
//! NODEWARD_WRITE=1 cargo bench --bench cost                  # and writes docs/PERFORMANCE.md
//! ```
//!
//! CPU is that of the process under test (user and system, all its threads), not wall time: it hardly depends on what else the
//! machine does. Each figure is the median over rounds in which the programs take turns.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    missing_docs,
    reason = "a measurement that cannot go on says so; the harness of the peer tests has more than it needs"
)]

#[path = "../../tests/peers/process.rs"]
mod process;
#[path = "../../tests/peers/programs.rs"]
mod programs;
#[path = "../../tests/peers/scratch.rs"]
mod scratch;

mod bare;
mod checks;
mod client;
mod export;
mod growth;
mod hook;
mod meter;
mod scrape;
mod zabbix;

use std::fmt::Write as _;

use libtest_mimic::Failed;

/// The registry of peers declares a test of its own; here nothing runs it.
pub struct PeerTest {
    pub name: &'static str,
    pub needs: &'static [programs::Peer],
    pub run: fn() -> Result<(), Failed>,
}

/// Where the page of figures lies.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PERFORMANCE.md");

const HEAD: &str = "# What nodeward costs

Measured beside the programs it replaces, and beside a bare open, read and close of the same files, in one run, interleaved. CPU is
user and system time of the process under test; figures are medians over rounds. Made by

```sh
tests/peers/install && NODEWARD_WRITE=1 cargo bench --bench cost
```
";

fn main() -> Result<(), String> {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut page = format!("{HEAD}\n{}\n", machine());
    for (name, run) in [
        (
            "scrape",
            scrape::run as fn(&mut String) -> Result<(), Failed>,
        ),
        ("export", export::run),
        ("zabbix", zabbix::run),
        ("growth", growth::run),
        ("hook", hook::run),
        ("checks", checks::run),
    ] {
        if !only.is_empty() && !only.iter().any(|o| o == name) {
            continue;
        }
        let mut part = String::new();
        if let Err(failed) = run(&mut part) {
            let why = failed.message().unwrap_or("failed").to_owned();
            writeln!(part, "\nNot measured: {why}").map_err(|e| e.to_string())?;
        }
        print!("{part}");
        page.push_str(&part);
    }
    page.push_str(include_str!("remarks.md"));
    if std::env::var_os("NODEWARD_WRITE").is_some() && only.is_empty() {
        std::fs::write(PAGE, page).map_err(|e| format!("{PAGE}: {e}"))?;
    }
    Ok(())
}

/// What the figures were taken on.
fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processes = std::fs::read_dir("/proc").map_or(0, |dir| {
        dir.flatten()
            .filter(|e| e.file_name().to_string_lossy().parse::<u32>().is_ok())
            .count()
    });
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_nodeward")).map_or(0, |m| m.len());
    format!(
        "Taken on {cpus} CPUs ({model}), Linux {}, {processes} processes. The stripped binary has {:.1} MB.",
        kernel.split('.').take(2).collect::<Vec<_>>().join("."),
        meter::float(binary) / 1e6
    )
}
