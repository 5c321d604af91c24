//! Holds: the reasons, each with an owner, for this node to be out of a pool.
//!
//! Plain data, kept over restarts by whoever decides. A pool stays here after its last hold was lifted until its gates are known to have heard of that:
//! only then is nothing of ours left in a load balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::IncidentId;
use super::moment::{Moment, Timestamp};

/// Who placed a hold; nobody else lifts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// An incident, by its id.
    Incident(IncidentId),
    /// A person, by the name an order came under.
    Operator(String),
    /// A window of maintenance, by its name.
    Window(String),
}

impl Owner {
    /// Every word of [`Owner::kind`].
    pub const KINDS: [&'static str; 3] = ["incident", "operator", "window"];

    /// What kind of owner it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Incident(_) => "incident",
            Self::Operator(_) => "operator",
            Self::Window(_) => "window",
        }
    }
}

/// Why a text names no [`Owner`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no owner of a hold; write incident:ID, operator:NAME or window:NAME")]
pub struct NotAnOwner(String);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incident(id) => write!(f, "incident:{id}"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Window(name) => write!(f, "window:{name}"),
        }
    }
}

impl std::str::FromStr for Owner {
    type Err = NotAnOwner;

    fn from_str(text: &str) -> Result<Self, NotAnOwner> {
        match text.split_once(':') {
            Some(("incident", id)) => Ok(Self::Incident(IncidentId::new(id))),
            Some(("operator", name)) => Ok(Self::Operator(name.to_owned())),
            Some(("window", name)) => Ok(Self::Window(name.to_owned())),
            _ => Err(NotAnOwner(text.to_owned())),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// One reason to be out of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why, for people; one line.
    pub why: String,
    /// Since when, for people.
    pub since: Timestamp,
    /// Since when, on clocks that nobody sets; none in what was written before there was this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Moment>,
    /// What it is about is well again and on probation: a small share of traffic may come, if the pool has one for that.
    #[serde(default)]
    pub easing: bool,
}

/// What holds this node out of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    /// The holds. None: they were lifted, and the gates have still to hear of it.
    pub holds: BTreeMap<Owner, Hold>,
    /// Gates, by name, at which somebody else had taken the node out before the first hold: they are left as they are, now and at the end.
    #[serde(default)]
    pub foreign: BTreeSet<String>,
    /// Gates, by name, that see their server, found it free, and were told to take the node out, or were about to be: what is found there
    /// is nodeward's, after a restart too. What is found at others is not.
    #[serde(default)]
    pub told: BTreeSet<String>,
}

impl Held {
    /// Whether a hold is left.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }

    /// For how long something has held the node out: what the wall clock is set to meanwhile does not change it.
    #[must_use]
    pub fn age(&self, now: &Moment) -> Duration {
        let ages = self.holds.values().map(|hold| match &hold.began {
            Some(began) => now.since(began),
            None => now.wall.since(hold.since),
        });
        ages.max().unwrap_or_default()
    }

    /// Whether all that is left are holds of what is on probation.
    #[must_use]
    pub fn is_easing(&self) -> bool {
        self.is_held() && self.holds.values().all(|hold| hold.easing)
    }
}

/// The holds of all pools.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holds(BTreeMap<String, Held>);

impl Holds {
    /// Places a hold, or renews what is said of it; `foreign` counts for the first hold only.
    pub fn place(&mut self, pool: &str, owner: Owner, hold: Hold, foreign: BTreeSet<String>) {
        let held = self.0.entry(pool.to_owned()).or_insert_with(|| Held {
            foreign,
            ..Held::default()
        });
        held.holds.insert(owner, hold);
    }

    /// Says whether what an owner holds a pool for is on probation; whether there is such a hold.
    pub fn ease(&mut self, pool: &str, owner: &Owner, easing: bool) -> bool {
        let hold = self.0.get_mut(pool).and_then(|h| h.holds.get_mut(owner));
        hold.map(|hold| hold.easing = easing).is_some()
    }

    /// Lifts the hold of an owner; none if there was none. The pool stays until [`Holds::heard`].
    pub fn lift(&mut self, pool: &str, owner: &Owner) -> Option<Hold> {
        self.0.get_mut(pool)?.holds.remove(owner)
    }

    /// The gates of a pool know that nothing holds the node any more.
    pub fn heard(&mut self, pool: &str) {
        if self.0.get(pool).is_some_and(|held| !held.is_held()) {
            self.0.remove(pool);
        }
    }

    /// Somebody else has taken the node out at this gate while it was held.
    pub fn left_to_others(&mut self, pool: &str, gate: &str) {
        if let Some(held) = self.0.get_mut(pool) {
            held.foreign.insert(gate.to_owned());
        }
    }

    /// This gate is about to be told, for the first time, to take the node out of a pool that is held.
    pub fn telling(&mut self, pool: &str, gate: &str) {
        if let Some(held) = self.0.get_mut(pool).filter(|held| held.is_held()) {
            held.told.insert(gate.to_owned());
        }
    }

    /// What is known of a pool.
    #[must_use]
    pub fn get(&self, pool: &str) -> Option<&Held> {
        self.0.get(pool)
    }

    /// Every pool with a hold, or with gates that have still to hear that there is none.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Held)> {
        self.0.iter().map(|(pool, held)| (pool.as_str(), held))
    }

    /// Whether any hold exists: the node is isolated.
    #[must_use]
    pub fn is_isolated(&self) -> bool {
        self.0.values().any(Held::is_held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold() -> Hold {
        Hold {
            why: "a test".into(),
            since: Timestamp(0),
            began: None,
            easing: false,
        }
    }

    fn operator(name: &str) -> Owner {
        Owner::Operator(name.into())
    }

    #[test]
    fn traffic_returns_only_when_no_hold_is_left_and_the_gates_have_heard() {
        let mut holds = Holds::default();
        let incident = Owner::Incident(IncidentId::new("01J"));
        let foreign = BTreeSet::from(["one".to_owned()]);
        holds.place("web", incident.clone(), hold(), foreign.clone());
        holds.place("web", operator("ann"), hold(), BTreeSet::new());
        assert!(holds.lift("web", &operator("bob")).is_none());
        assert!(holds.lift("web", &incident).is_some() && holds.is_isolated());
        holds.heard("web");
        assert_eq!(holds.get("web").unwrap().foreign, foreign);
        assert!(holds.lift("web", &operator("ann")).is_some() && !holds.is_isolated());
        assert!(!holds.get("web").unwrap().is_held());
        holds.heard("web");
        assert_eq!(holds, Holds::default());
    }

    #[test]
    fn one_hold_that_does_not_ease_keeps_all_traffic_away() {
        let mut holds = Holds::default();
        holds.place("web", operator("ann"), hold(), BTreeSet::new());
        holds.place("web", operator("bob"), hold(), BTreeSet::new());
        assert!(holds.ease("web", &operator("ann"), true));
        assert!(!holds.get("web").unwrap().is_easing());
        assert!(holds.ease("web", &operator("bob"), true));
        assert!(holds.get("web").unwrap().is_easing());
        assert!(!holds.ease("db", &operator("bob"), true));
    }

    #[test]
    fn the_age_of_a_hold_is_not_one_of_the_wall_clock() {
        let at = |wall: i64, boot: u64, boot_id: &str| Moment {
            wall: Timestamp(wall),
            boot,
            boot_id: boot_id.into(),
        };
        let mut held = Held::default();
        assert_eq!(held.age(&at(9_000, 9_000, "a")), Duration::ZERO);
        let began = Hold {
            since: Timestamp(5_000),
            began: Some(at(5_000, 1_000, "a")),
            ..hold()
        };
        held.holds.insert(operator("ann"), began);
        // Set back, set forward, and after a reboot.
        for (wall, boot, id, age) in [
            (0, 3_000, "a", 2),
            (86_400_000, 3_000, "a", 2),
            (9_000, 100, "b", 4),
        ] {
            assert_eq!(held.age(&at(wall, boot, id)).as_secs(), age, "{wall}");
        }
        // The longest counts, and one of an older journal is read.
        let old = r#"{"why": "a test", "since": 1000}"#;
        let old: Hold = serde_json::from_str(old).unwrap();
        held.holds.insert(operator("bob"), old);
        assert_eq!(held.age(&at(9_000, 3_000, "a")).as_secs(), 8);
    }

    #[test]
    fn is_read_as_it_was_written() {
        let mut holds = Holds::default();
        let incident = Owner::Incident(IncidentId::new("01J"));
        holds.place("web", incident, hold(), BTreeSet::new());
        holds.place("db", Owner::Window("night".into()), hold(), BTreeSet::new());
        let text = serde_json::to_string(&holds).unwrap();
        assert_eq!(serde_json::from_str::<Holds>(&text).unwrap(), holds);
    }
}
