//! How the last reload of the config went.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};

/// The outcome of the last attempt to load the config.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LastReload {
    /// Whether it was taken.
    pub successful: bool,
    /// When a config was last taken.
    pub succeeded_at: SystemTime,
    /// A fingerprint of the config that is in force.
    pub fingerprint: u64,
}

/// Tells how the last reload went.
#[derive(Debug)]
pub struct Reload(Mutex<LastReload>);

crate::families! { Reload:
    SUCCESSFUL gauge "nodeward_config_last_reload_successful" [] "Whether the last attempt to load the config was successful";
    TIME gauge "nodeward_config_last_reload_success_timestamp_seconds" [] "When a config was last loaded, in Unix seconds";
    HASH gauge "nodeward_config_info" ["fingerprint"] "The config in force, always 1";
}

impl Reload {
    /// A first config was taken.
    #[must_use]
    pub fn new(fingerprint: u64) -> Arc<Self> {
        let last = LastReload {
            successful: true,
            succeeded_at: SystemTime::now(),
            fingerprint,
        };
        Arc::new(Self(Mutex::new(last)))
    }

    /// The last outcome.
    #[must_use]
    pub fn last(&self) -> LastReload {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new config was taken.
    pub fn succeeded(&self, fingerprint: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = LastReload {
            successful: true,
            succeeded_at: SystemTime::now(),
            fingerprint,
        };
    }

    /// A new config was refused; the old one stays.
    pub fn failed(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .successful = false;
    }
}

impl Told for Reload {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let last = self.last();
        let at = last
            .succeeded_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut page = out.page::<Self>();
        page.value(&SUCCESSFUL, last.successful);
        page.value(&TIME, at.as_secs_f64());
        page.family(&HASH)
            .push([&format!("{:016x}", last.fingerprint)], 1u64);
    }
}
