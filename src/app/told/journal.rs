//! What the journal holds and costs, and whether it can be written.

use crate::dialect::otlp::Metrics;
use crate::dialect::prometheus::{Declared, Out};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::dialect::zabbix::key::Key;
use crate::dialect::{Distribution, Told};
use crate::journal::{COMMIT_BOUNDS, Counts};
use crate::subject::ItemDescriptor;

/// Tells the journal's counters; nothing while there is none.
pub struct Recorded(Box<dyn Fn() -> Option<Counts> + Send + Sync>);

crate::families! { Recorded:
    COMMITS counter "nodeward_journal_commits_total" [] "Commits to the journal that are on the disk; several share a transaction";
    FAILURES counter "nodeward_journal_commit_failures_total" ["cause"] "Commits to the journal that were not written: full (no room, or the file may not be written), busy (too much waits), broken (anything else)";
    RECORDS counter "nodeward_journal_records_total" [] "Records written to the journal";
    BYTES counter "nodeward_journal_record_bytes_total" [] "Bytes of the records written to the journal";
    PRUNED counter "nodeward_journal_pruned_records_total" [] "Records deleted because of their age or the journal's size";
    UNDELIVERED counter "nodeward_journal_dropped_notifications_total" [] "Notifications deleted undelivered because there were too many";
    TOOK histogram(COMMIT_BOUNDS) "nodeward_journal_commit_duration_seconds" [] "How long transactions of the journal took, the sync of the disk included";
    QUEUED gauge "nodeward_journal_queued_commits" [] "Commits that wait to be written";
    KEPT gauge "nodeward_journal_records" [] "Records in the journal";
    SIZE gauge "nodeward_journal_size_bytes" [] "Bytes in use in the journal's file";
    FAILING gauge "nodeward_journal_failing" [] "Whether nothing can be put on record (1), as far as the last try tells: nothing is healed, and webhooks are answered 503";
    INTACT gauge "nodeward_journal_chain_intact" [] "Whether the chain of records held (1) when it was walked last: at the start and once a day; absent before that is over";
    PROVEN gauge "nodeward_journal_chain_verified_timestamp_seconds" [] "When the chain of records was walked last, in Unix seconds";
}

crate::instruments! { Recorded:
    COMMITTED counter int "nodeward.journal.commits" "{commit}" [] "Commits to the journal that are on the disk; several share a transaction";
    FAILED counter int "nodeward.journal.commit.failures" "{commit}" ["cause"] "Commits to the journal that were not written: full (no room, or the file may not be written), busy (too much waits), broken (anything else)";
    WRITTEN counter int "nodeward.journal.records.written" "{record}" [] "Records written to the journal";
    WRITTEN_BYTES counter int "nodeward.journal.records.size" "By" [] "Bytes of the records written to the journal";
    DELETED counter int "nodeward.journal.records.pruned" "{record}" [] "Records deleted because of their age or the journal's size";
    DROPPED counter int "nodeward.journal.dropped_notifications" "{notification}" [] "Notifications deleted undelivered because there were too many";
    DURATION histogram(COMMIT_BOUNDS) double "nodeward.journal.commit.duration" "s" [] "How long transactions of the journal took, the sync of the disk included";
    WAITING updown int "nodeward.journal.queued_commits" "{commit}" [] "Commits that wait to be written";
    HELD updown int "nodeward.journal.records" "{record}" [] "Records in the journal";
    IN_USE updown int "nodeward.journal.size" "By" [] "Bytes in use in the journal's file";
    FAILS gauge int "nodeward.journal.failing" "1" [] "Whether nothing can be put on record (1), as far as the last try tells: nothing is healed, and webhooks are answered 503";
    HOLDS gauge int "nodeward.journal.chain.intact" "1" [] "Whether the chain of records held (1) when it was walked last: at the start and once a day; absent before that is over";
    WALKED gauge int "nodeward.journal.chain.verified" "s" [] "When the chain of records was walked last, in Unix seconds";
}

/// The Zabbix keys of the journal.
pub static KEYS: &[ItemDescriptor] = &[
    ItemDescriptor {
        name: "nodeward.journal.failing",
        parameters: &[],
        help: "Whether nothing can be put on record, as far as the last try tells: 1, or 0",
    },
    ItemDescriptor {
        name: "nodeward.journal.chain",
        parameters: &[],
        help: "Whether the chain of records held when it was walked last, at the start and once a day: 1, or 0",
    },
    ItemDescriptor {
        name: "nodeward.journal.failures",
        parameters: &["cause"],
        help: "Commits to the journal that were not written since the start, of all causes or of one: full, busy, broken",
    },
    ItemDescriptor {
        name: "nodeward.journal.written",
        parameters: &[],
        help: "Records written to the journal since the start",
    },
    ItemDescriptor {
        name: "nodeward.journal.records",
        parameters: &[],
        help: "Records in the journal",
    },
    ItemDescriptor {
        name: "nodeward.journal.size",
        parameters: &[],
        help: "Bytes in use in the journal's file",
    },
];

const NONE: Unsupported = Unsupported::new("There is no journal: nothing is healed here.");
const UNPROVEN: Unsupported = Unsupported::new("The chain was not walked yet.");

impl Recorded {
    /// Of a journal that may come and go.
    pub fn new(counts: impl Fn() -> Option<Counts> + Send + Sync + 'static) -> Self {
        Self(Box::new(counts))
    }
}

const fn failures(counts: &Counts) -> [(&'static str, u64); 3] {
    [
        ("full", counts.full),
        ("busy", counts.busy),
        ("broken", counts.broken),
    ]
}

fn took(counts: &Counts) -> Distribution<{ COMMIT_BOUNDS.len() }> {
    let (within, beyond) = counts
        .within
        .split_first_chunk()
        .map_or(([0; COMMIT_BOUNDS.len()], 0), |(within, beyond)| {
            (*within, beyond.iter().sum())
        });
    Distribution::of(within, beyond, counts.took)
}

impl Told for Recorded {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let Some(counts) = (self.0)() else { return };
        let mut page = out.page::<Self>();
        page.value(&COMMITS, counts.commits);
        let mut failed = page.family(&FAILURES);
        for (cause, many) in failures(&counts) {
            failed.push([cause], many);
        }
        page.value(&RECORDS, counts.entries);
        page.value(&BYTES, counts.bytes);
        page.value(&PRUNED, counts.pruned);
        page.value(&UNDELIVERED, counts.undelivered);
        page.histogram(&TOOK).push([], &took(&counts));
        page.value(&QUEUED, counts.queued);
        page.value(&KEPT, counts.kept);
        page.value(&SIZE, counts.size);
        page.value(&FAILING, counts.failing.is_some());
        if let Some(proven) = &counts.proven {
            page.value(&INTACT, proven.broken.is_none());
            page.value(&PROVEN, proven.at.seconds());
        }
    }

    fn otlp(&self, metrics: &mut Metrics<'_>) {
        let Some(counts) = (self.0)() else { return };
        let mut batch = metrics.batch::<Self>();
        batch.value(&COMMITTED, counts.commits);
        let mut failed = batch.instrument(&FAILED);
        for (cause, many) in failures(&counts) {
            failed.push([cause], many);
        }
        drop(failed);
        batch.value(&WRITTEN, counts.entries);
        batch.value(&WRITTEN_BYTES, counts.bytes);
        batch.value(&DELETED, counts.pruned);
        batch.value(&DROPPED, counts.undelivered);
        batch.histogram(&DURATION).push([], &took(&counts));
        batch.value(&WAITING, counts.queued);
        batch.value(&HELD, counts.kept);
        batch.value(&IN_USE, counts.size);
        batch.value(&FAILS, counts.failing.is_some());
        if let Some(proven) = &counts.proven {
            batch.value(&HOLDS, proven.broken.is_none());
            batch.value(&WALKED, proven.at.seconds());
        }
    }

    fn zabbix(&self, key: &Key<'_>) -> Option<Result<Value, Unsupported>> {
        let item = match ItemDescriptor::asked(KEYS, key)? {
            Ok(item) => item,
            Err(wrong) => return Some(Err(wrong)),
        };
        let Some(counts) = (self.0)() else {
            return Some(Err(NONE));
        };
        Some(Ok(match item.name {
            "nodeward.journal.chain" => match &counts.proven {
                None => return Some(Err(UNPROVEN)),
                Some(proven) => u64::from(proven.broken.is_none()),
            },
            "nodeward.journal.failing" => u64::from(counts.failing.is_some()),
            "nodeward.journal.written" => counts.entries,
            "nodeward.journal.records" => counts.kept,
            "nodeward.journal.size" => counts.size,
            _ => {
                let wanted = key.param(0);
                let all = failures(&counts);
                if !wanted.is_empty() && !all.iter().any(|(cause, _)| *cause == wanted) {
                    return Some(Err(Unsupported::invalid_parameter(1)));
                }
                let of = all
                    .iter()
                    .filter(|(cause, _)| wanted.is_empty() || *cause == wanted);
                of.map(|(_, many)| many).sum()
            }
        }
        .into()))
    }
}
