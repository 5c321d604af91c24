//! nodeward's own series: what it is, what it costs, what it refused.

mod build;
mod hooked;
mod passive;
mod process;
mod pushed;
mod reading;
mod reload;
mod served;

pub use build::Build;
pub use hooked::Hooked;
pub use passive::Passive;
pub use process::Process;
pub use pushed::Pushed;
pub use reading::Reading;
pub use reload::{LastReload, Reload};
pub use served::Served;

use crate::dialect::otlp::Named;
use crate::dialect::prometheus::Declared;
use crate::subject::ItemDescriptor;

/// Every family of nodeward's own, for docs.
#[must_use]
pub fn families() -> Vec<&'static [&'static dyn Declared]> {
    vec![
        build::FAMILIES,
        crate::check::FAMILIES,
        crate::heal::told::FAMILIES,
        hooked::FAMILIES,
        crate::notify::FAMILIES,
        passive::FAMILIES,
        process::FAMILIES,
        pushed::FAMILIES,
        reading::FAMILIES,
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
        crate::check::INSTRUMENTS,
        crate::notify::INSTRUMENTS,
        crate::heal::told::INSTRUMENTS,
    ]
    .concat()
}

/// Every Zabbix key of nodeward's own, but for those of the agent itself, for docs.
pub fn keys() -> impl Iterator<Item = &'static ItemDescriptor> {
    crate::check::KEYS.iter().chain(crate::heal::told::KEYS)
}
