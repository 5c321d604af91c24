//! The machine this runs on: nodeward is read between two readings of node_exporter.
//!
//! Every series of the reference must be there with its type; a counter lies between its two readings,
//! and what stood still in the reference is the same in ours. A machine at work moves between any two
//! readings, so what was wrong in a round is looked at again; a real fault is wrong in every round.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Failed;

use crate::page::{Page, Series};
use crate::process::Running;
use crate::programs::Peer;
use crate::reference::{COLLECTORS, scrape};
use crate::scratch::Scratch;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "live::this_machine_reads_between_two_readings_of_the_reference",
    needs: &[Peer::NodeExporter],
    run: between_two_readings,
}];

/// What is on here beside [`COLLECTORS`].
const MORE: &[&str] = &[
    "--collector.netdev.address-info",
    "--collector.netstat.fields=.",
    "--collector.tcpstat",
    "--collector.vmstat.fields=.",
];

/// Readings until one must agree.
const ROUNDS: usize = 30;

fn between_two_readings() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let mut command = Command::new(Peer::NodeExporter.find()?);
    command
        .arg("--web.listen-address=127.0.0.1:0")
        .args(COLLECTORS)
        .args(MORE);
    let mut reference = Running::start("node_exporter", &mut command, &scratch)?;
    let mut ours = ours::run([COLLECTORS, MORE].concat(), &scratch)?;
    agree(reference.address()?, ours.address()?)
}

/// Whether ours reads between two readings of the reference, in one of many rounds.
pub fn agree(theirs: SocketAddr, mine: SocketAddr) -> Result<(), Failed> {
    let mut wrong = round(theirs, mine)?;
    for _ in 1..ROUNDS {
        if wrong.is_empty() {
            return Ok(());
        }
        let now = round(theirs, mine)?;
        wrong.retain(|about, _| now.contains_key(about));
    }
    let wrong: Vec<String> = wrong.into_values().take(60).collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("in each of {ROUNDS} rounds:\n{}", wrong.join("\n")).into()),
    }
}

/// What is wrong in one round, by what it is about.
fn round(theirs: SocketAddr, mine: SocketAddr) -> Result<BTreeMap<String, String>, Failed> {
    let (before, page, after) = (scrape(theirs)?, scrape(mine)?, scrape(theirs)?);
    let mut complaints = BTreeMap::new();
    for (family, kind) in &before.types {
        let told = page.types.get(family);
        if after.types.contains_key(family) && told != Some(kind) {
            let why = format!("{family} is a {kind}, ours says {told:?}");
            complaints.insert(family.clone(), why);
        }
    }
    // A mount or an interface that came or went in between is nobody's fault.
    let steady: BTreeSet<&Series> = before
        .samples
        .keys()
        .filter(|series| after.samples.contains_key(series))
        .collect();
    for series in &steady {
        if let Some(complaint) = judge(series, [&before, &page, &after]) {
            complaints.insert(series.to_string(), complaint);
        }
    }
    let extra = page.samples.keys().filter(|series| {
        !before.samples.contains_key(series) && !after.samples.contains_key(series)
    });
    complaints
        .extend(extra.map(|series| (series.to_string(), format!("only ours tells {series}"))));
    Ok(complaints)
}

/// What is wrong with our value of a series that both readings of the reference have.
fn judge(series: &Series, [before, page, after]: [&Page; 3]) -> Option<String> {
    let (low, high) = (*before.samples.get(series)?, *after.samples.get(series)?);
    let Some(value) = page.samples.get(series).copied() else {
        return Some(format!("{series} is missing"));
    };
    let inside = if page
        .types
        .get(&series.name)
        .is_some_and(|kind| kind == "counter")
    {
        (low..=high).contains(&value)
    } else {
        // A gauge that moved says nothing.
        low != high || value == low
    };
    (!inside).then(|| format!("{series}: {value} is not within {low} and {high}"))
}
