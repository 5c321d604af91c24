//! What is read from the machine: one room a subject, holding its typed reading, its parser, every name it tells under,
//! and how it tells in each dialect.
//!
//! A subject opens no path except through [`crate::host`]. Adding one is one room and one line in
//! [`list`]: flag, config key, `success` and `duration` series, docs and schema follow.
//!
//! ```text
//!  ask (names, age, deadline) ─> sampler ─> lane thread ─> Subject::read ─> reading ─┬─> Subject::prometheus
//!                                  shared     one a set      (Pass)         (held)   ├─> Subject::otlp
//!                                  reads      of subjects                            └─> Item::answer
//! ```

mod chosen;
mod counters;
mod devices;
mod fields;
mod filter;
mod gathering;
mod held;
mod history;
mod item;
mod lacking;
mod lane;
mod list;
mod rpc;
mod sampler;
mod snapshot;
mod sockets;
mod troubles;

#[cfg(test)]
mod tests;

pub mod arp;
pub mod bonding;
pub mod conntrack;
pub mod cpu;
pub mod cpufreq;
pub mod diskstats;
pub mod dmi;
pub mod edac;
pub mod entropy;
pub mod filefd;
pub mod files;
pub mod filesystem;
pub mod hwmon;
pub mod infiniband;
pub mod interrupts;
pub mod kernel_hung;
pub mod loadavg;
pub mod mdadm;
pub mod meminfo;
pub mod netclass;
pub mod netdev;
pub mod netstat;
pub mod nfs;
pub mod nfsd;
pub mod nvme;
pub mod os;
pub mod packages;
pub mod powersupplyclass;
pub mod pressure;
pub mod processes;
pub mod schedstat;
pub mod selinux;
pub mod service_sessions;
pub mod services;
pub mod sockstat;
pub mod softnet;
pub mod stat;
pub mod systemd;
pub mod tcpstat;
pub mod textfile;
pub mod thermal_zone;
pub mod time;
pub mod timex;
pub mod udp_queues;
pub mod uname;
pub mod users;
pub mod vmstat;

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::host::parse::{cut, label};
use crate::host::{Host, Pass, ReadError};

pub use chosen::Chosen;
pub use counters::SamplerCounters;
pub use held::Held;
pub use history::{History, Ring};
pub use item::{Answer, Args, Item, NONE_TAKEN, Said};
pub use lacking::{lacking, lacks};
pub use list::{Entry, FlagDescriptor, ItemDescriptor, Options, TABLE};
pub use sampler::Sampler;
pub use snapshot::{FAMILIES as SNAPSHOT_FAMILIES, Missing, Part, Snapshot};

/// One thing read from the machine.
pub trait Subject: Sized + Send + 'static {
    /// Room, flag, config key and `collector` label.
    const NAME: &'static str;
    /// Whether a page tells it by default, as the reference's does.
    const ON: bool;
    /// Whether batches tell it by default, as hostmetrics does. Its Zabbix keys are answered either way, as the agents do.
    const EXPORTED: bool = Self::ON;
    /// Which thread reads it.
    const LANE: Lane = Lane::Shared;
    /// node_exporter's own flags for it.
    const FLAGS: &'static [Flag<Self::Options>] = &[];
    /// Every family it may write.
    const FAMILIES: &'static [&'static dyn Declared];
    /// Every instrument it may write.
    const INSTRUMENTS: &'static [&'static dyn Named] = &[];
    /// Every Zabbix key it answers.
    const KEYS: &'static [Item<Self>] = &[];
    /// Those of them whose numbers are kept from the start, as the agents' collector does; others are once somebody asks.
    const COLLECTED: &'static [&'static str] = &[];
    /// Its section of the config.
    type Options: Clone
        + Default
        + PartialEq
        + fmt::Debug
        + DeserializeOwned
        + serde::Serialize
        + schemars::JsonSchema
        + Send
        + Sync
        + 'static;
    /// What to read of it: `()` for most.
    type Want: Want;
    /// What was read: plain data.
    type Reading: Send + Sync + 'static;

    /// Whether its options alone turn it on, where it is not by default.
    fn asked(_options: &Self::Options) -> bool {
        false
    }
    /// Makes the reader. Called at start and at each reload; opens nothing that may be missing.
    fn new(options: &Self::Options, machine: &Machine) -> Result<Self, Invalid>;
    /// What a page or a batch needs read.
    fn want(options: &Self::Options, asker: Asker) -> Self::Want;
    /// Reads.
    fn read(
        &mut self,
        pass: &mut Pass<'_>,
        want: &Self::Want,
    ) -> Result<Taken<Self::Reading>, Absent>;
    /// How many items a cap of its options left out of a reading, such as units beyond `max_units`.
    fn left_out(_reading: &Self::Reading) -> u64 {
        0
    }
    /// Tells Prometheus.
    fn prometheus(options: &Self::Options, reading: &Self::Reading, page: &mut Page<'_, Self>);
    /// Tells OTLP.
    fn otlp(
        _options: &Self::Options,
        _past: Past<'_, Self::Reading>,
        _batch: &mut Batch<'_, '_, Self>,
    ) {
    }
}

/// Which thread reads a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The one for subjects that only read files the kernel answers at once; they share a pass.
    Shared,
    /// One that is shared by the subjects that read what drivers of devices answer, which may take its time.
    Drivers,
    /// One of its own, since it may wait for something outside: a mount, D-Bus, a slow driver.
    Own,
}

/// Who asks for a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A Prometheus page.
    Prometheus,
    /// An OTLP batch.
    Otlp,
}

/// What a subject is built on.
#[derive(Clone)]
pub struct Machine {
    /// The machine to read.
    pub host: Arc<Host>,
    /// Where clients of other programs run their work; none in tests without a runtime.
    pub runtime: Option<tokio::runtime::Handle>,
}

/// What to read of a subject.
pub trait Want: Clone + Send + Sync + 'static {
    /// Extends this to what `other` needs as well.
    fn merge(&mut self, other: &Self);
    /// Whether a reading of this serves one who asks for `other`.
    fn covers(&self, other: &Self) -> bool;
}

impl Want for () {
    fn merge(&mut self, (): &Self) {}
    fn covers(&self, (): &Self) -> bool {
        true
    }
}

/// Whether more is read than a page tells.
impl Want for bool {
    fn merge(&mut self, other: &Self) {
        *self |= other;
    }
    fn covers(&self, other: &Self) -> bool {
        self >= other
    }
}

/// Things, each asked for by itself.
impl<T: Ord + Clone + Send + Sync + 'static> Want for std::collections::BTreeSet<T> {
    fn merge(&mut self, other: &Self) {
        self.extend(other.iter().cloned());
    }
    fn covers(&self, other: &Self) -> bool {
        self.is_superset(other)
    }
}

/// The section of a subject that has no options.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct NoOptions {}

/// A reading and what it lacks.
#[derive(Debug)]
pub struct Taken<R> {
    /// What was read.
    pub reading: R,
    /// What could not be read of it.
    pub errors: Vec<ItemError>,
    /// False if so much failed that `node_scrape_collector_success` has to say 0.
    pub complete: bool,
}

impl<R> From<R> for Taken<R> {
    fn from(reading: R) -> Self {
        Self {
            reading,
            errors: Vec::new(),
            complete: true,
        }
    }
}

impl<R> Taken<R> {
    /// A reading with errors, each of which makes it incomplete.
    fn lacking(reading: R, errors: Vec<ItemError>) -> Self {
        Self {
            reading,
            complete: errors.is_empty(),
            errors,
        }
    }
}

/// One item of a subject that could not be read.
#[derive(Debug, Clone)]
pub struct ItemError {
    /// The kind of item (`line`, `mount`, `sensor`), from a closed set: it is a label.
    pub kind: &'static str,
    /// Which one, for the log.
    pub item: String,
    /// Why.
    pub why: String,
}

impl ItemError {
    /// What cannot be read of the item `item`, a piece of a file for the log.
    fn new(kind: &'static str, item: &[u8], why: impl Into<String>) -> Self {
        const MOST: usize = 40;
        Self {
            kind,
            item: label(cut(item, MOST)).into_owned(),
            why: why.into(),
        }
    }
}

/// Why there is no reading of a subject at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// This machine has no such thing: no PSI in this kernel, no bonding.
    #[error("not on this machine: {0}")]
    NotHere(String),
    /// It is there, and could not be read.
    #[error("{0}")]
    Failed(String),
}

impl From<ReadError> for Absent {
    fn from(error: ReadError) -> Self {
        if error.is_not_found() {
            Self::NotHere(error.to_string())
        } else {
            Self::Failed(error.to_string())
        }
    }
}

/// A subject's options that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subjects.{subject}: {why}")]
pub struct Invalid {
    /// The subject.
    pub subject: &'static str,
    /// What is wrong, and which key or flag to change.
    pub why: String,
}

/// A reading and the one the same asker had before, for what is told as a difference.
pub struct Past<'a, R> {
    /// The reading now.
    pub now: &'a R,
    /// The reading before, absent the first time.
    pub before: Option<&'a R>,
}

/// One of node_exporter's flags for a subject, `collector.` included, dashes left out.
pub struct Flag<O: 'static> {
    /// What it is and does.
    pub descriptor: FlagDescriptor,
    /// Sets it in the options; a switch gets `true` or `false`.
    pub set: fn(&mut O, &str) -> Result<(), String>,
}

impl<O> Flag<O> {
    /// A switch: `--collector.x.y` and `--no-collector.x.y`.
    pub const fn switch(
        name: &'static str,
        help: &'static str,
        set: fn(&mut O, &str) -> Result<(), String>,
    ) -> Self {
        Self {
            descriptor: FlagDescriptor {
                name,
                help,
                switch: true,
                hidden: false,
                old_name_of: None,
            },
            set,
        }
    }

    /// A flag with a value.
    pub const fn value(
        name: &'static str,
        help: &'static str,
        set: fn(&mut O, &str) -> Result<(), String>,
    ) -> Self {
        Self {
            descriptor: FlagDescriptor {
                name,
                help,
                switch: false,
                hidden: false,
                old_name_of: None,
            },
            set,
        }
    }

    /// Accepted and not shown.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.descriptor.hidden = true;
        self
    }

    /// An old spelling of another flag, accepted and not shown.
    #[must_use]
    pub const fn old_name_of(mut self, now: &'static str) -> Self {
        self.descriptor.old_name_of = Some(now);
        self.hidden()
    }
}
