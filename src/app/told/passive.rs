//! How Zabbix passive checks went.

use std::sync::Arc;

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::dialect::zabbix::passive::{Counters, Outcome};

/// Tells passive checks by outcome.
pub struct Passive(pub Arc<Counters>);

crate::families! { Passive:
    CHECKS counter "nodeward_zabbix_checks_total" ["outcome"] "Passive checks and connections of Zabbix, by how they ended";
}

impl Told for Passive {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let mut checks = page.family(&CHECKS);
        for outcome in Outcome::ALL {
            checks.push([outcome.name()], self.0.get(outcome));
        }
    }
}
