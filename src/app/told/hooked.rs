//! What alert servers sent.

use std::sync::Arc;

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::heal::reconcile;
use crate::serve::hooks::Counts;

/// Tells what came in by hooks, and what asking their servers found.
pub struct Hooked {
    /// What came in.
    pub counts: Arc<Counts>,
    /// What was found.
    pub reconciled: Arc<reconcile::Counts>,
}

crate::families! { Hooked:
    REQUESTS counter "nodeward_hook_requests_total" ["hook", "code"] "Requests to a hook, by the code of the answer";
    ALERTS counter "nodeward_hook_alerts_total" ["hook", "status"] "Alerts in deliveries that were taken: firing, resolved, left_out (cannot be used), ignored (tests and comments), truncated (the sender left them out)";
    LOGINS counter "nodeward_hook_refused_logins_total" ["hook"] "Requests to a hook without the right token, password or signature";
    LOOKS counter "nodeward_reconcile_looks_total" ["hook", "result"] "Times that Alertmanager was asked which alerts it has: ok, failed";
    OVER counter "nodeward_reconcile_over_total" ["hook"] "Alerts that Alertmanager had no longer although nobody had said that they are over";
    LAST gauge "nodeward_reconcile_last_success_timestamp_seconds" ["hook"] "When Alertmanager last told which alerts it has";
}

impl Told for Hooked {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let mut requests = page.family(&REQUESTS);
        for (hook, code, count) in self.counts.requests() {
            requests.push([&*hook, itoa::Buffer::new().format(code)], count);
        }
        let mut alerts = page.family(&ALERTS);
        for (hook, status, count) in self.counts.of_alerts() {
            alerts.push([&*hook, status], count);
        }
        let mut logins = page.family(&LOGINS);
        for (hook, count) in self.counts.refused_logins() {
            logins.push([&*hook], count);
        }
        let all = self.reconciled.all();
        let mut looks = page.family(&LOOKS);
        for (hook, count) in &all {
            looks.push([hook, "ok"], count.looks);
            looks.push([hook, "failed"], count.failures);
        }
        let mut over = page.family(&OVER);
        for (hook, count) in &all {
            over.push([hook], count.over);
        }
        let mut last = page.family(&LAST);
        for (hook, at) in all
            .iter()
            .filter_map(|(hook, count)| Some((hook, count.last?)))
        {
            last.push([hook], at.0 as f64 / 1000.0);
        }
    }
}
