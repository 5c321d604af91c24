//! How telemetry pushed over OTLP fared.

use std::sync::{Mutex, PoisonError};

use crate::dialect::Told;
use crate::dialect::otlp::{Metrics, Reason, Sender, Signal};
use crate::dialect::prometheus::{Declared, Out, Samples};

/// Tells the sender's counters; nothing while nothing is sent.
#[derive(Default)]
pub struct Pushed(Mutex<Option<Sender>>);

crate::families! { Pushed:
    REQUESTS counter "nodeward_otlp_requests_total" ["signal"] "Export requests that the receiver took";
    ITEMS counter "nodeward_otlp_items_total" ["signal"] "Data points, spans or log records that the receiver took";
    BYTES counter "nodeward_otlp_bytes_total" ["signal"] "Bytes of the requests that the receiver took, as sent";
    FAILURES counter "nodeward_otlp_failures_total" ["signal", "reason"] "Export requests that failed, sent again or not";
    DROPPED counter "nodeward_otlp_dropped_items_total" ["signal", "reason"] "Data points, spans or log records lost";
    QUEUED gauge "nodeward_otlp_queue_bytes" ["signal"] "Bytes that wait to be sent";
}

crate::instruments! { Pushed:
    SENT counter int "nodeward.otlp.items" "{item}" ["signal"] "Data points, spans or log records that the receiver took";
    LOST counter int "nodeward.otlp.dropped" "{item}" ["signal", "reason"] "Data points, spans or log records lost";
    WAITING updown int "nodeward.otlp.queue" "By" ["signal"] "Bytes that wait to be sent";
}

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
    }
}
