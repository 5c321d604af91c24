//! nodeward's own series: what it is, what it costs, what it refused.

mod brought;
mod build;
mod hooked;
mod journal;
mod passive;
mod process;
mod pushed;
mod reading;
mod refused;
mod reload;
mod served;

pub use brought::Brought;
pub use build::Build;
pub use hooked::Hooked;
pub use journal::Recorded;
pub use passive::Passive;
pub use process::Process;
pub use pushed::Pushed;
pub use reading::Reading;
pub use refused::Refused;
pub use reload::{LastReload, Reload};
pub use served::Served;

use crate::config::Config;
use crate::dialect::otlp::{Named, Settings as Otlp};
use crate::dialect::prometheus::Declared;
use crate::subject::ItemDescriptor;

/// Every family of nodeward's own, for docs.
#[must_use]
pub fn families() -> Vec<&'static [&'static dyn Declared]> {
    vec![
        brought::FAMILIES,
        build::FAMILIES,
        crate::check::FAMILIES,
        crate::gate::FAMILIES,
        crate::heal::told::FAMILIES,
        hooked::FAMILIES,
        journal::FAMILIES,
        crate::notify::FAMILIES,
        passive::FAMILIES,
        process::FAMILIES,
        pushed::FAMILIES,
        reading::FAMILIES,
        refused::FAMILIES,
        reload::FAMILIES,
        served::FAMILIES,
        crate::subject::SNAPSHOT_FAMILIES,
    ]
}

/// Every instrument of nodeward's own, for docs.
#[must_use]
pub fn instruments() -> Vec<&'static dyn Named> {
    [
        pushed::INSTRUMENTS,
        journal::INSTRUMENTS,
        crate::check::INSTRUMENTS,
        crate::gate::INSTRUMENTS,
        crate::notify::INSTRUMENTS,
        crate::heal::told::INSTRUMENTS,
    ]
    .concat()
}

/// Those that a running nodeward answers with this config: of checks, pools, healing and what is sent over OTLP, if there are any.
pub fn keys_of(config: &Config, otlp: &Otlp) -> impl Iterator<Item = &'static ItemDescriptor> {
    let checks = !config.checks.is_empty();
    let healing = super::healing::wanted(config);
    let checks = crate::check::KEYS.iter().filter(move |_| checks);
    let pools = !config.pools.is_empty();
    let pools = crate::gate::ITEMS.iter().filter(move |_| pools);
    let healing = crate::heal::told::KEYS
        .iter()
        .chain(journal::KEYS)
        .filter(move |_| healing);
    let sending = otlp.is_on();
    let pushed = pushed::KEYS.iter().filter(move |_| sending);
    checks.chain(pools).chain(healing).chain(pushed)
}

/// Every Zabbix key of nodeward's own, but for those of the agent itself, for docs.
pub fn keys() -> impl Iterator<Item = &'static ItemDescriptor> {
    let checks = crate::check::KEYS.iter().chain(crate::gate::ITEMS);
    let checks = checks.chain(crate::heal::told::KEYS);
    checks.chain(journal::KEYS).chain(pushed::KEYS)
}
