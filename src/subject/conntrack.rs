//! Tracked connections: nf_conntrack_count and nf_conntrack_max below /proc/sys/net/netfilter
//! (Documentation/networking/nf_conntrack-sysctl.rst), and /proc/net/stat/nf_conntrack.
//!
//! What the kernel counts by CPU is told as sums, as gauges: so the reference has it.

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Family, Page};
use crate::dialect::zabbix::answer::Unsupported;
use crate::host::parse::{LONGEST_TEXT, cut, fields, hexadecimal, lines};
use crate::host::{Pass, Root};
use crate::subject::{
    Absent, Answer, Args, Asker, Invalid, Item, ItemError, Machine, NoOptions, Past, Said, Subject,
    Taken,
};

/// The subject.
pub struct Conntrack;

crate::families! { Conntrack:
    ENTRIES gauge "node_nf_conntrack_entries" [] "Connections that are tracked";
    LIMIT gauge "node_nf_conntrack_entries_limit" [] "Connections that can be tracked";
    FOUND gauge "node_nf_conntrack_stat_found" [] "Look-ups that found a connection";
    INVALID gauge "node_nf_conntrack_stat_invalid" [] "Packets that could not be tracked";
    IGNORE gauge "node_nf_conntrack_stat_ignore" [] "Packets of connections that were known already";
    INSERT gauge "node_nf_conntrack_stat_insert" [] "Connections that were added";
    INSERT_FAILED gauge "node_nf_conntrack_stat_insert_failed" [] "Connections that could not be added";
    DROP gauge "node_nf_conntrack_stat_drop" [] "Packets dropped, since their connection could not be tracked";
    EARLY_DROP gauge "node_nf_conntrack_stat_early_drop" [] "Connections given up to make room for new ones";
    RESTART gauge "node_nf_conntrack_stat_search_restart" [] "Look-ups begun anew, since the table had changed its size";
}
crate::instruments! { Conntrack:
    COUNT updown int "system.network.conntrack.count" "{entries}" [] "Connections that are tracked";
    MOST updown int "system.network.conntrack.max" "{entries}" [] "Connections that can be tracked";
}

/// Columns that are told, counted from 0.
static COLUMNS: [(usize, &Family<Conntrack, 0>); 8] = [
    (2, &FOUND),
    (4, &INVALID),
    (5, &IGNORE),
    (8, &INSERT),
    (9, &INSERT_FAILED),
    (10, &DROP),
    (11, &EARLY_DROP),
    (16, &RESTART),
];
/// Kernels before 2.6.35 have one column less.
const FEWEST: usize = 16;
const MOST_COLUMNS: usize = 17;

/// Sums over all CPUs, in the order of the families.
pub type Sums = [u64; COLUMNS.len()];

/// What is tracked.
pub struct Reading {
    entries: u64,
    limit: Option<u64>,
    sums: Option<Sums>,
}

/// Adds up the lines of /proc/net/stat/nf_conntrack behind its title; a bad one joins `errors`.
pub fn sums(text: &[u8], errors: &mut Vec<ItemError>) -> Sums {
    let mut sums = Sums::default();
    for line in lines(cut(text, LONGEST_TEXT)).skip(1) {
        let numbers: Option<Vec<u64>> = fields(line).map(hexadecimal).collect();
        match numbers {
            Some(row) if (FEWEST..=MOST_COLUMNS).contains(&row.len()) => {
                for (sum, (column, _)) in sums.iter_mut().zip(&COLUMNS) {
                    *sum = sum.wrapping_add(row.get(*column).copied().unwrap_or_default());
                }
            }
            _ => errors.push(ItemError::new("line", line, "not 16 or 17 numbers")),
        }
    }
    sums
}

#[expect(clippy::cast_precision_loss, reason = "a percentage")]
fn tracked(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    const NONE: Unsupported = Unsupported::new("This kernel does not tell it.");
    let total = reading.limit.filter(|total| *total > 0).ok_or(NONE);
    Ok(match args.param(0) {
        "total" => total?.into(),
        "pused" => (100.0 * reading.entries as f64 / total? as f64).into(),
        _ => reading.entries.into(),
    })
}

impl Subject for Conntrack {
    const NAME: &'static str = "conntrack";
    const ON: bool = true;
    const EXPORTED: bool = false;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = &[Item {
        name: "nodeward.conntrack",
        parameters: &["mode"],
        help: "Connections that are tracked: used (default), total: how many there may be, pused: used of these in percent",
        want: |_, args| match args.param(0) {
            "" | "used" | "total" | "pused" => Ok(false),
            _ => Err(Unsupported::invalid_parameter(1)),
        },
        answer: Answer::Now(tracked),
    }];
    type Options = NoOptions;
    /// Whether what is counted by CPU is read too.
    type Want = bool;
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, asker: Asker) -> bool {
        asker == Asker::Prometheus
    }

    fn read(&mut self, pass: &mut Pass<'_>, counted: &bool) -> Result<Taken<Reading>, Absent> {
        let entries = pass.number(Root::Proc, "sys/net/netfilter/nf_conntrack_count")?;
        let mut errors = Vec::new();
        let limit = pass.number(Root::Proc, "sys/net/netfilter/nf_conntrack_max");
        let limit = limit
            .map_err(|e| errors.push(ItemError::new("number", b"nf_conntrack_max", e.to_string())));
        let mut counts = None;
        if *counted {
            match pass.net_file("stat/nf_conntrack") {
                Ok(text) => counts = Some(sums(&text, &mut errors)),
                Err(e) => errors.push(ItemError::new("file", b"nf_conntrack", e.to_string())),
            }
        }
        let reading = Reading {
            entries,
            limit: limit.ok(),
            sums: counts,
        };
        Ok(Taken::lacking(reading, errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        page.value(&ENTRIES, reading.entries);
        if let Some(limit) = reading.limit {
            page.value(&LIMIT, limit);
        }
        for ((_, family), sum) in COLUMNS.iter().zip(reading.sums.iter().flatten()) {
            page.value(family, *sum);
        }
    }

    fn otlp(_: &NoOptions, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        batch.value(&COUNT, past.now.entries);
        if let Some(limit) = past.now.limit {
            batch.value(&MOST, limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cpus_are_added_up_and_a_bad_one_costs_itself() {
        let row = |count: u64| (1..=count).map(|n| format!("{n:08x} ")).collect::<String>();
        let text = format!(
            "title\n{}\n{}\n{}\nzz\n{}\n",
            row(17),
            row(16),
            row(18),
            row(15)
        );
        let mut errors = Vec::new();
        let sums = sums(text.as_bytes(), &mut errors);
        assert_eq!(sums, [6, 10, 12, 18, 20, 22, 24, 17]);
        assert_eq!(errors.len(), 3);
    }
}
