//! Units for low-level discovery: those in memory, and those on disk that are disabled.
//!
//! As agent 2 does it: the state of each unit's file is asked of systemd one by one, and a disabled unit is told only
//! if systemd can load it.

use std::collections::{BTreeSet, HashSet};

use super::bus::Talk;
use crate::peer::systemd::{Error, Property, Unit, UnitFile, unit_path};

/// A unit to be discovered.
#[derive(Debug)]
pub(super) struct Found {
    /// As systemd lists it; most of a disabled one is empty.
    pub(super) unit: Unit,
    /// `enabled`, `disabled`, `static`, ...; may be empty.
    pub(super) file_state: String,
}

/// The ending of a name: from its last dot on.
pub(super) fn ending(name: &str) -> &str {
    name.rfind('.')
        .and_then(|at| name.get(at..))
        .unwrap_or_default()
}

/// Whether a unit has one of these endings; an empty one takes every unit.
fn takes(endings: &BTreeSet<&'static str>, name: &str) -> bool {
    endings.contains("") || endings.contains(ending(name))
}

/// Finds the units with these endings, `listed` among them.
pub(super) fn discover(
    talk: &mut Talk<'_>,
    endings: &BTreeSet<&'static str>,
    mut listed: Vec<Unit>,
) -> Result<Vec<Found>, Error> {
    // The list itself may have failed.
    let files = talk.call(|client, limit| client.list_unit_files(limit))?;
    listed.retain(|unit| takes(endings, &unit.name));
    let states = listed.iter().map(|unit| Property {
        path: &unit.path,
        interface: "Unit",
        name: "UnitFileState",
    });
    let states = talk.properties(&states.collect::<Vec<_>>());
    let mut found: Vec<Found> = listed
        .into_iter()
        .zip(states)
        .filter_map(|(unit, state)| {
            let file_state = state.ok()?.as_str()?.to_owned();
            Some(Found { unit, file_state })
        })
        .collect();

    let mut known: HashSet<String> = found.iter().map(|f| f.unit.name.clone()).collect();
    let disabled: Vec<(String, String)> = files
        .iter()
        .filter(|file| file.state == "disabled" && takes(endings, file.name()))
        .filter(|file| !is_template(file) && known.insert(file.name().to_owned()))
        .map(|file| (file.name().to_owned(), unit_path(file.name())))
        .collect();
    let ids = disabled.iter().map(|(_, path)| Property {
        path,
        interface: "Unit",
        name: "Id",
    });
    let ids = talk.properties(&ids.collect::<Vec<_>>());
    let loads = disabled.into_iter().zip(ids).filter(|(_, id)| id.is_ok());
    found.extend(loads.map(|((name, path), _)| Found {
        unit: Unit {
            name,
            path,
            active_state: "inactive".to_owned(),
            ..Unit::default()
        },
        file_state: "disabled".to_owned(),
    }));
    match talk.failure() {
        Some(failure) => Err(failure.clone()),
        None => Ok(found),
    }
}

/// Whether it is the file of many units, `getty@.service`.
fn is_template(file: &UnitFile) -> bool {
    let name = file.name();
    name.strip_suffix(ending(name))
        .is_some_and(|stem| stem.ends_with('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_begins_at_the_last_dot() {
        assert_eq!(ending("a.b.service"), ".service");
        assert_eq!(ending("none"), "");
        let services = [".service"].into();
        assert!(takes(&services, "a.service") && !takes(&services, "service"));
        assert!(takes(&[""].into(), "a.device"));
    }

    #[test]
    fn a_template_is_no_unit() {
        let file = |name: &str| UnitFile {
            path: format!("/lib/systemd/system/{name}"),
            state: String::new(),
        };
        assert!(is_template(&file("getty@.service")) && !is_template(&file("getty@a.service")));
    }
}
