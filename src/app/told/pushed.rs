//! How telemetry pushed over OTLP fared.

use std::sync::{Arc, Mutex, PoisonError};

use crate::dialect::Told;
use crate::dialect::otlp::{Metrics, Reason, Sender, Signal};
use crate::dialect::prometheus::{Declared, Out, Samples};
use crate::dialect::spool::{Fault, Spool};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::dialect::zabbix::key::Key;
use crate::subject::ItemDescriptor;

/// Tells the sender's counters; nothing while nothing is sent.
#[derive(Default)]
pub struct Pushed(Mutex<Option<Sender>>);

crate::families! { Pushed:
    REQUESTS counter "nodeward_otlp_requests_total" ["signal"] "Export requests that the receiver took";
    ITEMS counter "nodeward_otlp_items_total" ["signal"] "Data points, spans or log records that the receiver took";
    BYTES counter "nodeward_otlp_bytes_total" ["signal"] "Bytes of the requests that the receiver took, as sent";
    FAILURES counter "nodeward_otlp_failures_total" ["signal", "reason"] "Export requests that failed, sent again or not";
    DROPPED counter "nodeward_otlp_dropped_items_total" ["signal", "reason"] "Data points, spans or log records lost";
    QUEUED gauge "nodeward_otlp_queue_bytes" ["signal"] "Bytes that wait in memory to be sent";
    SPOOL_BYTES gauge "nodeward_otlp_spool_bytes" ["signal"] "Bytes of the files in which telemetry waits for its receiver";
    SPOOL_BATCHES gauge "nodeward_otlp_spool_batches" ["signal"] "Batches that wait on the disk for their receiver";
    SPOOL_FAULTS counter "nodeward_otlp_spool_faults_total" ["signal", "operation"] "What went wrong with the spool: open (its directory), write, read, torn (a file that ends within a batch, after a kill or a full disk)";
}

crate::instruments! { Pushed:
    SENT counter int "nodeward.otlp.items" "{item}" ["signal"] "Data points, spans or log records that the receiver took";
    LOST counter int "nodeward.otlp.dropped" "{item}" ["signal", "reason"] "Data points, spans or log records lost";
    WAITING updown int "nodeward.otlp.queue" "By" ["signal"] "Bytes that wait in memory to be sent";
    SPOOLED updown int "nodeward.otlp.spool" "By" ["signal"] "Bytes of the files in which telemetry waits for its receiver";
    BATCHES updown int "nodeward.otlp.spool.batches" "{batch}" ["signal"] "Batches that wait on the disk for their receiver";
    FAULTY counter int "nodeward.otlp.spool.faults" "{fault}" ["signal", "operation"] "What went wrong with the spool: open (its directory), write, read, torn (a file that ends within a batch, after a kill or a full disk)";
}

/// The Zabbix keys of what is sent over OTLP.
pub static KEYS: &[ItemDescriptor] = &[
    ItemDescriptor {
        name: "nodeward.otlp.spool.size",
        parameters: &[],
        help: "Bytes of the files in which telemetry waits for its OTLP receiver",
    },
    ItemDescriptor {
        name: "nodeward.otlp.spool.batches",
        parameters: &[],
        help: "Batches that wait on the disk for their OTLP receiver",
    },
    ItemDescriptor {
        name: "nodeward.otlp.dropped",
        parameters: &["signal"],
        help: "Data points, spans or log records lost since the start, of all signals or of one: metrics, traces, logs",
    },
];

const NOTHING: Unsupported = Unsupported::new("Nothing is sent over OTLP.");

impl Pushed {
    /// Tells of this sender from now on.
    pub fn set(&self, sender: Option<Sender>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sender;
    }

    fn sender(&self) -> Option<Sender> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Told for Pushed {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let Some(sender) = self.sender() else { return };
        let counts = sender.counts();
        let signals = || {
            Signal::ALL
                .into_iter()
                .filter(|signal| sender.sends(*signal))
        };
        let mut page = out.page::<Self>();
        for (family, read) in [
            (
                &REQUESTS,
                (&|s| counts.requests(s)) as &dyn Fn(Signal) -> u64,
            ),
            (&ITEMS, &|s| counts.items(s)),
            (&BYTES, &|s| counts.bytes(s)),
            (&QUEUED, &|s| sender.depth(s).bytes as u64),
        ] {
            let mut samples = page.family(family);
            for signal in signals() {
                samples.push([signal.name()], read(signal));
            }
        }
        let by_reason = |samples: &mut Samples<'_, 2>, read: &dyn Fn(Signal, Reason) -> u64| {
            for signal in signals() {
                for reason in Reason::ALL {
                    let count = read(signal, reason);
                    if count > 0 {
                        samples.push([signal.name(), reason.name()], count);
                    }
                }
            }
        };
        by_reason(&mut page.family(&FAILURES), &|s, r| counts.failures(s, r));
        by_reason(&mut page.family(&DROPPED), &|s, r| counts.dropped(s, r));
        for (signal, spool) in spools(&sender) {
            let depth = spool.depth();
            page.family(&SPOOL_BYTES)
                .push([signal.name()], depth.bytes as u64);
            page.family(&SPOOL_BATCHES)
                .push([signal.name()], depth.records as u64);
            let mut faults = page.family(&SPOOL_FAULTS);
            for fault in Fault::ALL {
                faults.push([signal.name(), fault.name()], spool.faults(fault));
            }
        }
    }

    fn otlp(&self, metrics: &mut Metrics<'_>) {
        let Some(sender) = self.sender() else { return };
        let counts = sender.counts();
        let signals = || {
            Signal::ALL
                .into_iter()
                .filter(|signal| sender.sends(*signal))
        };
        let mut batch = metrics.batch::<Self>();
        let mut sent = batch.instrument(&SENT);
        signals().for_each(|s| sent.push([s.name()], counts.items(s)));
        drop(sent);
        let mut lost = batch.instrument(&LOST);
        for (signal, reason) in signals().flat_map(|s| Reason::ALL.map(|r| (s, r))) {
            let count = counts.dropped(signal, reason);
            if count > 0 {
                lost.push([signal.name(), reason.name()], count);
            }
        }
        drop(lost);
        let mut waiting = batch.instrument(&WAITING);
        signals().for_each(|s| waiting.push([s.name()], sender.depth(s).bytes as u64));
        drop(waiting);
        for (signal, spool) in spools(&sender) {
            let depth = spool.depth();
            let of = [signal.name()];
            batch.instrument(&SPOOLED).push(of, depth.bytes as u64);
            batch.instrument(&BATCHES).push(of, depth.records as u64);
            let mut faulty = batch.instrument(&FAULTY);
            for fault in Fault::ALL {
                faulty.push([signal.name(), fault.name()], spool.faults(fault));
            }
        }
    }

    fn zabbix(&self, key: &Key<'_>) -> Option<Result<Value, Unsupported>> {
        let item = match ItemDescriptor::asked(KEYS, key)? {
            Ok(item) => item,
            Err(wrong) => return Some(Err(wrong)),
        };
        let Some(sender) = self.sender() else {
            return Some(Err(NOTHING));
        };
        let waits = || spools(&sender).map(|(_, spool)| spool.depth());
        Some(Ok(match item.name {
            "nodeward.otlp.spool.size" => waits().map(|depth| depth.bytes as u64).sum(),
            "nodeward.otlp.spool.batches" => waits().map(|depth| depth.records as u64).sum(),
            _ => {
                let wanted = key.param(0);
                let of = |signal: &Signal| wanted.is_empty() || signal.name() == wanted;
                if !Signal::ALL.iter().any(of) {
                    return Some(Err(Unsupported::invalid_parameter(1)));
                }
                let counts = sender.counts();
                let all = Signal::ALL.into_iter().filter(of);
                let all = all.flat_map(|s| Reason::ALL.map(|r| counts.dropped(s, r)));
                all.sum::<u64>()
            }
        }
        .into()))
    }
}

/// The signals that wait on the disk, each with where.
fn spools(sender: &Sender) -> impl Iterator<Item = (Signal, Arc<Spool>)> {
    let of = |signal: Signal| Some((signal, sender.spool(signal)?));
    Signal::ALL.into_iter().filter_map(of)
}
