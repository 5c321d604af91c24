//! How active checks of Zabbix went.

use std::sync::{Mutex, PoisonError};

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::dialect::spool::Depth;
use crate::dialect::zabbix::active;
use crate::dialect::zabbix::active::counts::{Fate, Request};
use crate::dialect::zabbix::active::wire::Failure;

/// Tells of each server that is brought values; nothing while none is.
#[derive(Default)]
pub struct Brought(Mutex<Vec<active::Told>>);

crate::families! { Brought:
    REQUESTS counter "nodeward_zabbix_active_requests_total" ["server", "request"] "Requests to Zabbix servers that were answered as they should: checks (the list of items), data, heartbeat, sender";
    FAILURES counter "nodeward_zabbix_active_failures_total" ["server", "request", "reason"] "Requests to Zabbix servers that failed, by why: connect, timeout, broken, malformed (no answer of a server), refused (the server said no), tls (no protected connection)";
    VALUES counter "nodeward_zabbix_active_values_total" ["server", "outcome"] "Values by what became of them: taken, rejected by the server, or lost (memory_full, spool_full, expired, damaged, shutdown)";
    ITEMS gauge "nodeward_zabbix_active_items" ["server", "state"] "Items that a Zabbix server asks for: supported, unsupported (no value the last time), left_out (beyond 20000)";
    WAITING gauge "nodeward_zabbix_active_waiting_values" ["server", "place"] "Values that wait for a Zabbix server, in memory or in the spool";
    SPOOL gauge "nodeward_zabbix_active_spool_bytes" ["server"] "Bytes of the files in which values wait for a Zabbix server";
    HEARD gauge "nodeward_zabbix_active_last_answer_timestamp_seconds" ["server"] "When a Zabbix server last answered as it should, in Unix seconds; absent before";
}

impl Brought {
    /// Tells of these from now on.
    pub fn set(&self, servers: Vec<active::Told>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }

    fn servers(&self) -> Vec<active::Told> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What lies on the disk for a server.
fn spools(one: &active::Told) -> impl Iterator<Item = Depth> {
    let waiting = one.waiting.iter();
    waiting.filter_map(|waiting| Some(waiting.spool()?.depth()))
}

impl Told for Brought {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let servers = self.servers();
        let mut page = out.page::<Self>();
        let mut requests = page.family(&REQUESTS);
        for one in &servers {
            for request in Request::ALL {
                requests.push([&one.server, request.name()], one.counts.answered(request));
            }
        }
        let mut failures = page.family(&FAILURES);
        for one in &servers {
            for request in Request::ALL {
                for (kind, reason) in Failure::KINDS.into_iter().enumerate() {
                    let count = one.counts.failed(request, kind);
                    if count > 0 {
                        failures.push([&one.server, request.name(), reason], count);
                    }
                }
            }
        }
        let mut values = page.family(&VALUES);
        for one in &servers {
            for fate in Fate::ALL {
                values.push([&one.server, fate.name()], one.counts.values(fate));
            }
        }
        let mut items = page.family(&ITEMS);
        for one in &servers {
            let [all, unsupported, left_out] = one.counts.items();
            items.push([&one.server, "supported"], all.saturating_sub(unsupported));
            items.push([&one.server, "unsupported"], unsupported);
            items.push([&one.server, "left_out"], left_out);
        }
        let mut waiting = page.family(&WAITING);
        for one in &servers {
            let memory: usize = one.waiting.iter().map(|waiting| waiting.in_memory()).sum();
            waiting.push([&one.server, "memory"], memory as u64);
            let spooled = spools(one).map(|depth| depth.items).sum::<u64>();
            waiting.push([&one.server, "spool"], spooled);
        }
        for one in &servers {
            let bytes = spools(one).map(|depth| depth.bytes as u64).sum::<u64>();
            page.family(&SPOOL).push([&one.server], bytes);
            let heard = one.counts.heard();
            if heard > 0 {
                page.family(&HEARD).push([&one.server], heard);
            }
        }
    }
}
