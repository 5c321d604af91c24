//! What reading the machine cost and missed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::subject::Sampler;

/// Tells reads, errors, parked calls and refused duplicates.
pub struct Reading(pub Arc<Sampler>);

crate::families! { Reading:
    READS counter "nodeward_reads_total" [] "Subjects read";
    ERRORS counter "nodeward_read_errors_total" ["subject", "kind"] "Items that could not be read, by subject and kind of item";
    LEFT_OUT counter "nodeward_items_left_out_total" ["subject"] "Items that a cap left out of a reading, such as units beyond max_units or ports beyond max_ports";
    PARKED gauge "nodeward_parked_calls" [] "Calls that did not return in time and are still outstanding";
    PARKED_TOTAL counter "nodeward_parked_calls_total" [] "Calls that did not return in time";
    REFUSED counter "nodeward_refused_calls_total" [] "Calls not made because the same call is outstanding or all threads are held";
    DUPLICATES counter "nodeward_duplicate_series_total" [] "Series refused because they were on the page already";
}

impl Told for Reading {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let counters = self.0.counters();
        let calls = self.0.host().calls().counters();
        let mut page = out.page::<Self>();
        page.value(&READS, counters.reads.load(Ordering::Relaxed));
        let mut errors = page.family(&ERRORS);
        for (subject, kind, count) in counters.errors() {
            errors.push([subject, kind], count);
        }
        let mut left_out = page.family(&LEFT_OUT);
        for (subject, count) in counters.left_out() {
            left_out.push([subject], count);
        }
        page.value(&PARKED, calls.parked.load(Ordering::Relaxed));
        page.value(&PARKED_TOTAL, calls.parked_total.load(Ordering::Relaxed));
        page.value(&REFUSED, calls.refused_total.load(Ordering::Relaxed));
        page.value(&DUPLICATES, counters.duplicates.load(Ordering::Relaxed));
    }
}
