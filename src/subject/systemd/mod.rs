//! Units of systemd: what they are up to, from its D-Bus interface, and what they use, from their control groups.
//!
//! Owns what is told of units and of the manager. It never changes anything in systemd. The two sources stand alone:
//! without a bus the figures of the control groups are still told, and the success series says 0. systemd answers one
//! call after the other, so it is asked only for what an asker needs: one list, and properties in pipelined batches.
//! The families of the reference know no bound on units, as there; our own do.

mod bus;
pub mod cgroup;
mod discovery;
pub mod figures;
mod json;
mod options;
mod otlp;
mod prometheus;
mod unit;
mod want;
mod zabbix;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::host::Pass;
use crate::peer::systemd::{self as peer, Error, Value};
use crate::subject::{
    Absent, Asker, Flag, Invalid, Item, ItemError, Lane, Machine, Past, Subject, Taken,
};

use bus::Talk;
use cgroup::{Group, Hierarchies};
use discovery::Found;
use figures::{Figures, Reader};
pub use options::Options;
use options::Selection;
use unit::{Manager, Unit};
use want::Part;
pub use want::Want;

/// The subject.
pub struct Systemd {
    /// Or why there can be none.
    client: Result<peer::Systemd, Error>,
    selection: Selection,
    timeout: Duration,
    most: usize,
    pressure: bool,
}

/// What was read; what nobody asked for is empty.
#[derive(Debug, Default)]
pub struct Reading {
    manager: Option<Manager>,
    /// Units in memory by active state, those the patterns leave out included.
    states: Vec<(String, u64)>,
    /// Units that are loaded and that the patterns let in, in systemd's order.
    units: Vec<Unit>,
    /// What units use, by name.
    used: Vec<Used>,
    /// Units whose figures are not told since there are too many.
    left_out: Option<usize>,
    /// Figures of units that a key named.
    named: BTreeMap<String, Figures>,
    /// What low-level discovery needs.
    found: Option<Result<Vec<Found>, Error>>,
    /// All properties of a unit and interface that a key named.
    whole: BTreeMap<want::Whole, Result<BTreeMap<String, Value>, Error>>,
    /// Properties that a key named.
    single: BTreeMap<want::Single, Result<Value, Error>>,
}

impl Reading {
    /// A property that was asked for by [`Want::properties`].
    ///
    /// # Errors
    /// Why systemd did not tell it.
    #[must_use]
    pub fn property(
        &self,
        unit: &str,
        interface: &str,
        name: &str,
    ) -> Option<&Result<Value, Error>> {
        let key = (unit.to_owned(), interface.to_owned(), name.to_owned());
        self.single.get(&key)
    }
}

/// What one unit uses.
#[derive(Debug, Default)]
struct Used {
    name: String,
    /// Its control group; none if it does not run.
    group: Option<String>,
    figures: Figures,
    /// How often systemd restarted it.
    restarts: Option<u64>,
}

impl Systemd {
    /// Lists the units in memory.
    fn list(&self, talk: &mut Talk<'_>, want: &Want, reading: &mut Reading) -> Vec<peer::Unit> {
        let listed = talk.list();
        if talk.failure().is_none() && want.has(Part::Units) {
            reading.states = unit::summary(&listed);
            let shown = |unit: &&peer::Unit| {
                unit.load_state == "loaded" && self.selection.takes(&unit.name)
            };
            reading.units = listed.iter().filter(shown).map(Unit::from).collect();
        }
        listed
    }

    /// The units whose figures are told: those with a control group that the patterns let in, and services without
    /// one, which use nothing but may have been restarted.
    fn choose(&self, groups: &[Group], reading: &mut Reading) {
        let mut names: BTreeMap<&str, Option<&Group>> = BTreeMap::new();
        for unit in reading.units.iter().filter(|u| u.is("service")) {
            names.insert(&unit.name, None);
        }
        for group in groups.iter().filter(|g| self.selection.takes(&g.name)) {
            names.insert(&group.name, Some(group));
        }
        reading.left_out = Some(names.len().saturating_sub(self.most));
        let used = names.into_iter().take(self.most).map(|(name, group)| Used {
            name: name.to_owned(),
            group: group.map(|g| g.path.clone()),
            ..Used::default()
        });
        reading.used = used.collect();
    }
}

impl Subject for Systemd {
    const NAME: &'static str = "systemd";
    const ON: bool = false;
    const LANE: Lane = Lane::Own;
    const FLAGS: &'static [Flag<Options>] = options::FLAGS;
    const FAMILIES: &'static [&'static dyn Declared] = prometheus::FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = otlp::INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = Options;
    type Want = Want;
    type Reading = Reading;

    fn new(options: &Options, machine: &Machine) -> Result<Self, Invalid> {
        let client = match machine.runtime.clone() {
            Some(handle) => {
                let counters = Arc::clone(machine.host.calls().counters());
                peer::Systemd::new(handle, &options.bus, counters)
            }
            None => Err(Error::Broken {
                why: "there is no runtime to hold it".into(),
            }),
        };
        // A bad address in the environment is no reason not to start: perhaps nobody asks about units.
        if let Err(bad @ Error::Address { .. }) = &client
            && options.bus.address.is_some()
        {
            return Err(Invalid {
                subject: Self::NAME,
                why: format!("bus: {bad}"),
            });
        }
        Ok(Self {
            client,
            selection: Selection::new(options)?,
            timeout: options.bus_timeout.get(),
            most: usize::try_from(options.max_units).unwrap_or(usize::MAX),
            pressure: options.unit_pressure,
        })
    }

    fn want(options: &Options, asker: Asker) -> Want {
        Want::page(options, asker)
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Want) -> Result<Taken<Reading>, Absent> {
        let mut reading = Reading::default();
        let mut errors = Vec::new();
        let mut talk = Talk::new(&self.client, pass.limit(self.timeout));
        let listed = if want.has(Part::Units) || !want.discovery.is_empty() {
            self.list(&mut talk, want, &mut reading)
        } else {
            Vec::new()
        };

        let hierarchies = if want.groups() {
            Hierarchies::find(pass)
        } else {
            Hierarchies::default()
        };
        let (groups, all) = hierarchies.units(pass);
        if !all {
            errors.push(ItemError {
                kind: "cgroup",
                item: "slices".into(),
                why: "there are too many slices to look into each".into(),
            });
        }
        if want.has(Part::Figures) {
            self.choose(&groups, &mut reading);
        }

        talk.details(want, &mut reading);
        talk.asked(want, &mut reading);
        if !want.discovery.is_empty() {
            reading.found = Some(discovery::discover(&mut talk, &want.discovery, listed));
        }

        let mut reader = Reader {
            pass,
            hierarchies: &hierarchies,
            pressure: self.pressure,
            errors: &mut errors,
        };
        for used in &mut reading.used {
            used.figures = used
                .group
                .as_deref()
                .map(|g| reader.figures(g))
                .unwrap_or_default();
        }
        for group in groups.iter().filter(|g| want.named.contains(&g.name)) {
            let figures = reader.figures(&group.path);
            reading.named.insert(group.name.clone(), figures);
        }

        let manager = reading.manager.as_ref();
        let complete = talk.failure().is_none()
            && manager.is_none_or(|m| m.running.is_some() || !m.has_state());
        if let Some(failure) = talk.failure() {
            if reading.used.is_empty() && want.is_of_pages() {
                return Err(Absent::Failed(failure.to_string()));
            }
            errors.push(ItemError {
                kind: "bus",
                item: "systemd".into(),
                why: failure.to_string(),
            });
        }
        Ok(Taken {
            reading,
            errors,
            complete,
        })
    }

    fn left_out(reading: &Reading) -> u64 {
        reading.left_out.unwrap_or_default() as u64
    }

    fn prometheus(options: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        prometheus::tell(options, reading, page);
    }

    fn otlp(_: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        otlp::tell(past.now, batch);
    }
}

#[cfg(test)]
mod tests;
