//! What alert servers sent.

use std::sync::Arc;

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::serve::hooks::Counts;

/// Tells what came in by hooks.
pub struct Hooked(pub Arc<Counts>);

crate::families! { Hooked:
    REQUESTS counter "nodeward_hook_requests_total" ["hook", "code"] "Requests to a hook, by the code of the answer";
    ALERTS counter "nodeward_hook_alerts_total" ["hook", "status"] "Alerts in deliveries that were taken: firing, resolved, left_out (cannot be used), ignored (tests and comments), truncated (the sender left them out)";
    LOGINS counter "nodeward_hook_refused_logins_total" ["hook"] "Requests to a hook without the right token, password or signature";
}

impl Told for Hooked {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let mut requests = page.family(&REQUESTS);
        for (hook, code, count) in self.0.requests() {
            requests.push([&*hook, itoa::Buffer::new().format(code)], count);
        }
        let mut alerts = page.family(&ALERTS);
        for (hook, status, count) in self.0.of_alerts() {
            alerts.push([&*hook, status], count);
        }
        let mut logins = page.family(&LOGINS);
        for (hook, count) in self.0.refused_logins() {
            logins.push([&*hook], count);
        }
    }
}
