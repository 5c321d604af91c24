//! How what is not a subject (the process itself, counters of lower layers, checks and incidents
//! later) puts its own series into a page, a batch and an answer.

use super::otlp::Metrics;
use super::prometheus::{Declared, Out};
use super::zabbix::answer::{Unsupported, Value};
use super::zabbix::key::Key;

/// Something with series of its own. Implemented above, called by whoever writes a page or a batch.
pub trait Told: Send + Sync {
    /// The families it may write; docs and the page's checks come from these.
    fn families(&self) -> &'static [&'static dyn Declared];
    /// Writes its families.
    fn prometheus(&self, out: &mut Out);
    /// Writes its metrics; nothing unless it has a name there.
    fn otlp(&self, _metrics: &mut Metrics<'_>) {}
    /// Answers a Zabbix key of its own, from what it knows already; none if the key is not one of them.
    fn zabbix(&self, _key: &Key<'_>) -> Option<Result<Value, Unsupported>> {
        None
    }
}
