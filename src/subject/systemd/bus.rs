//! Talking to systemd over D-Bus (org.freedesktop.systemd1(5)).
//!
//! A property that this version of systemd lacks, or that it refuses, is absent and no error. Once the connection has
//! failed, nothing more is asked.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::Reading;
use super::unit::{Field, Manager};
use super::want::{Part, Want};
use crate::peer::systemd::{
    Error, MANAGER_PATH, Property, Systemd, Unit as Listed, Value, unit_path,
};

/// Where an answer belongs.
enum Place {
    Version,
    Virtualization,
    State,
    Kind(usize),
    Number(usize, Field),
}

/// One reading's talk with systemd.
pub(super) struct Talk<'a> {
    client: &'a Result<Systemd, Error>,
    limit: Instant,
    failure: Option<Error>,
}

impl<'a> Talk<'a> {
    /// A talk that ends at `limit`.
    pub(super) fn new(client: &'a Result<Systemd, Error>, limit: Instant) -> Self {
        Self {
            client,
            limit,
            failure: client.as_ref().err().cloned(),
        }
    }

    /// Why the connection is of no more use, if it is not.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Makes a call, unless the connection has failed.
    pub(super) fn call<T>(
        &mut self,
        call: impl FnOnce(&Systemd, Instant) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let said = call(client, self.limit);
        if let Err(error) = &said
            && error.is_of_connection()
        {
            self.failure = Some(error.clone());
        }
        said
    }

    /// Reads many properties; one entry for each, in order.
    pub(super) fn properties(&mut self, wanted: &[Property<'_>]) -> Vec<Result<Value, Error>> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let mut lost = None;
        let said = self.call(|client, limit| {
            let said = client.properties(wanted, limit);
            let of_connection = |e: &&Error| e.is_of_connection();
            lost = said
                .iter()
                .find_map(|s| s.as_ref().err().filter(of_connection).cloned());
            Ok(said)
        });
        self.failure = self.failure.take().or(lost);
        said.unwrap_or_else(|failure| wanted.iter().map(|_| Err(failure.clone())).collect())
    }

    /// The units in memory; none if that failed, and without a list nothing else is asked either.
    pub(super) fn list(&mut self) -> Vec<Listed> {
        match self.call(|client, limit| client.list_units(limit)) {
            Ok(listed) => listed,
            Err(error) => {
                self.failure.get_or_insert(error);
                Vec::new()
            }
        }
    }

    /// Adds what pages and batches need of the manager and of each unit.
    pub(super) fn details(&mut self, want: &Want, reading: &mut Reading) {
        let mut wanted = Vec::new();
        if want.has(Part::Manager) && self.failure.is_none() {
            for (name, place) in [
                ("Version", Place::Version),
                ("Virtualization", Place::Virtualization),
                ("SystemState", Place::State),
            ] {
                let (path, interface) = (MANAGER_PATH, "Manager");
                wanted.push((
                    Property {
                        path,
                        interface,
                        name,
                    },
                    place,
                ));
            }
        }
        let used: HashSet<&str> = reading.used.iter().map(|used| &*used.name).collect();
        for (at, unit) in reading.units.iter().enumerate() {
            let path = &unit.path;
            let kinds = [("service", "Service"), ("mount", "Mount")];
            if let Some((_, interface)) = kinds.into_iter().find(|(kind, _)| unit.is(kind))
                && want.has(Part::Kinds)
            {
                let name = "Type";
                wanted.push((
                    Property {
                        path,
                        interface,
                        name,
                    },
                    Place::Kind(at),
                ));
            }
            for field in unit.fields(want, used.contains(&*unit.name)) {
                let (interface, name) = field.property();
                wanted.push((
                    Property {
                        path,
                        interface,
                        name,
                    },
                    Place::Number(at, field),
                ));
            }
        }
        let (properties, places): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        let said = self.properties(&properties);
        fill(reading, places.into_iter().zip(said));
    }

    /// Adds the properties that keys named.
    pub(super) fn asked(&mut self, want: &Want, reading: &mut Reading) {
        for (unit, interface) in &want.whole {
            let said = self.call(|client, limit| {
                client.unit_properties(&unit_path(unit), &whole(interface), limit)
            });
            reading
                .whole
                .insert((unit.clone(), interface.clone()), said);
        }
        let names = want.single.iter();
        let names: Vec<_> = names.map(|(u, i, _)| (unit_path(u), whole(i))).collect();
        let named = names.iter().zip(&want.single);
        let properties: Vec<_> = named
            .map(|((path, interface), (_, _, name))| Property {
                path,
                interface,
                name,
            })
            .collect();
        let said = self.properties(&properties);
        reading.single = want.single.iter().cloned().zip(said).collect();
    }
}

/// An interface of systemd's by its short name, whatever that holds.
fn whole(interface: &str) -> String {
    format!("org.freedesktop.systemd1.{interface}")
}

fn fill(reading: &mut Reading, said: impl Iterator<Item = (Place, Result<Value, Error>)>) {
    for (place, value) in said {
        // The manager is known once systemd answered at all, were it with a refusal.
        let refused = value.as_ref().is_err_and(|e| !e.is_of_connection());
        let value = value.ok();
        let text = || value.as_ref().and_then(Value::as_str);
        if matches!(place, Place::Version) && (value.is_some() || refused) {
            reading.manager = Some(Manager::default());
        }
        match (place, &mut reading.manager) {
            (Place::Version, Some(manager)) => manager.set_version(text().unwrap_or_default()),
            (Place::Virtualization, Some(manager)) => {
                manager.virtualization = match text() {
                    None => "unknown",
                    Some("") => "none",
                    Some(kind) => kind,
                }
                .to_owned();
            }
            (Place::State, Some(manager)) => manager.running = text().map(|s| s == "running"),
            (Place::Kind(at), _) => {
                if let Some(unit) = reading.units.get_mut(at) {
                    text().unwrap_or_default().clone_into(&mut unit.kind);
                }
            }
            (Place::Number(at, field), _) => {
                if let Some(unit) = reading.units.get_mut(at) {
                    unit.set(field, value.as_ref().and_then(Value::as_u64));
                }
            }
            (Place::Version | Place::Virtualization | Place::State, None) => {}
        }
    }
    let restarts: HashMap<&str, Option<u64>> = reading
        .units
        .iter()
        .map(|unit| (&*unit.name, unit.number(Field::Restarts)))
        .collect();
    for used in &mut reading.used {
        used.restarts = restarts.get(&*used.name).copied().flatten();
    }
}
