//! The manager and its units, as far as D-Bus tells of them.

use std::collections::BTreeMap;

use super::want::{Part, Want};
use crate::peer::systemd::Unit as Listed;

/// Active states that are told even when no unit is in them.
pub(super) const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];
/// The first version with `SystemState` and `LastTriggerUSec`.
const FIRST_WITH_STATE: f64 = 212.0;

/// Facts about the manager.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Manager {
    /// Major version, and minor as decimals; 0 if it says none.
    pub(super) number: f64,
    /// The version as packaged, if there is a number in it.
    pub(super) version: String,
    /// What the machine runs in: `none` on bare metal, `unknown` where systemd does not say.
    pub(super) virtualization: String,
    /// Whether the machine is up and no unit failed.
    pub(super) running: Option<bool>,
}

impl Manager {
    /// Whether this version has a state of the system, and a time each timer fired last.
    pub(super) fn has_state(&self) -> bool {
        self.number >= FIRST_WITH_STATE
    }

    /// Takes the first number of at least three digits for the version.
    pub(super) fn set_version(&mut self, text: &str) {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut rest = text;
        while !rest.is_empty() {
            let whole = digits(rest);
            if whole >= 3 {
                let decimals = rest.get(whole + 1..).map_or(0, digits);
                let is_decimal = rest.as_bytes().get(whole) == Some(&b'.') && decimals > 0;
                let end = whole + if is_decimal { 1 + decimals } else { 0 };
                let number = rest.get(..end).and_then(|number| number.parse().ok());
                self.number = number.unwrap_or_default();
                text.clone_into(&mut self.version);
                return;
            }
            let mut left = rest.get(whole..).unwrap_or_default().chars();
            left.next();
            rest = left.as_str();
        }
    }
}

/// A number systemd tells of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Restarts,
    /// Microseconds since 1970.
    Start,
    Tasks,
    TasksMax,
    /// Microseconds since 1970.
    LastTrigger,
    Accepted,
    Connections,
    Refused,
}

const FIELDS: usize = Field::Refused as usize + 1;

impl Field {
    pub(super) fn property(self) -> (&'static str, &'static str) {
        match self {
            Self::Restarts => ("Service", "NRestarts"),
            Self::Start => ("Unit", "ActiveEnterTimestamp"),
            Self::Tasks => ("Service", "TasksCurrent"),
            Self::TasksMax => ("Service", "TasksMax"),
            Self::LastTrigger => ("Timer", "LastTriggerUSec"),
            Self::Accepted => ("Socket", "NAccepted"),
            Self::Connections => ("Socket", "NConnections"),
            Self::Refused => ("Socket", "NRefused"),
        }
    }
}

/// One unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Unit {
    pub(super) name: String,
    /// Object path.
    pub(super) path: String,
    pub(super) active: String,
    /// `Type=` of a service or a mount; else empty.
    pub(super) kind: String,
    pub(super) numbers: [Option<u64>; FIELDS],
}

impl From<&Listed> for Unit {
    fn from(listed: &Listed) -> Self {
        Self {
            name: listed.name.clone(),
            path: listed.path.clone(),
            active: listed.active_state.clone(),
            ..Self::default()
        }
    }
}

impl Unit {
    /// Whether it is of this type.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.name.rsplit_once('.').is_some_and(|(_, k)| k == kind)
    }

    /// A number, if it was asked for and systemd told it.
    pub(super) fn number(&self, field: Field) -> Option<u64> {
        self.numbers.get(field as usize).copied().flatten()
    }

    pub(super) fn set(&mut self, field: Field, number: Option<u64>) {
        if let Some(place) = self.numbers.get_mut(field as usize) {
            *place = number;
        }
    }

    /// The numbers wanted of this unit, which may be one whose figures are told.
    pub(super) fn fields(&self, want: &Want, used: bool) -> impl Iterator<Item = Field> + use<> {
        let service = self.is("service");
        let socket = want.has(Part::Sockets) && self.is("socket");
        [
            (
                Field::Restarts,
                (want.has(Part::Restarts) || used) && service,
            ),
            (
                Field::Start,
                want.has(Part::Starts) && self.active == "active",
            ),
            (Field::Tasks, want.has(Part::Tasks) && service),
            (Field::TasksMax, want.has(Part::Tasks) && service),
            (
                Field::LastTrigger,
                want.has(Part::Timers) && self.is("timer"),
            ),
            (Field::Accepted, socket),
            (Field::Connections, socket),
            (Field::Refused, socket),
        ]
        .into_iter()
        .filter_map(|(field, wanted)| wanted.then_some(field))
    }
}

/// How many units are in each active state.
pub(super) fn summary(listed: &[Listed]) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = STATES.iter().map(|state| (*state, 0)).collect();
    for unit in listed {
        *counts.entry(&unit.active_state).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(state, count)| (state.to_owned(), count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_first_number_of_three_digits() {
        for (text, number, version) in [
            ("252.39-1~deb12u1", 252.39, "252.39-1~deb12u1"),
            ("219", 219.0, "219"),
            ("v255.4-1ubuntu8", 255.4, "v255.4-1ubuntu8"),
            ("systemd 12 257~rc1", 257.0, "systemd 12 257~rc1"),
            ("1234.", 1234.0, "1234."),
            ("42", 0.0, ""),
            ("", 0.0, ""),
        ] {
            let mut manager = Manager::default();
            manager.set_version(text);
            assert_eq!(
                (manager.number, &*manager.version),
                (number, version),
                "{text}"
            );
        }
    }

    #[test]
    fn every_usual_state_is_counted_and_the_unusual_ones_that_occur() {
        let unit = |state: &str| Listed {
            active_state: state.to_owned(),
            ..Listed::default()
        };
        let counts = summary(&[unit("active"), unit("maintenance"), unit("active")]);
        let expected = [
            ("activating", 0),
            ("active", 2),
            ("deactivating", 0),
            ("failed", 0),
            ("inactive", 0),
            ("maintenance", 1),
        ];
        assert_eq!(counts, expected.map(|(s, n)| (s.to_owned(), n)));
    }
}
