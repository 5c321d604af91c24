//! What is said to the one task that heals: alerts, answers of the world, words of operators, and what it goes by.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::handle::{Found, NotDone};
use crate::check;
use crate::heal::intake::{Accepted, Delivery, Ours, Refused};
use crate::heal::machine::Event;
use crate::heal::{maintenance, playbook};
use crate::model::alert::Episode;
use crate::model::hold::Owner;
use crate::model::id::IncidentId;
use crate::model::moment::{Moment, Timestamp};
use crate::model::severity::Severity;

/// What healing goes by; replaced as a whole at a reload.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The playbooks.
    pub playbooks: playbook::Options,
    /// The checks; those that a playbook names are part of its revision.
    pub checks: check::Options,
    /// Which alerts are this machine's.
    pub ours: Ours,
    /// Which playbooks a hook may trigger; a hook that is not here may trigger all.
    pub hooks: BTreeMap<String, Vec<String>>,
    /// Hash of the config they come from, for the journal.
    pub config: String,
    /// What this machine is called in what people are told.
    pub node: String,
    /// Which notifiers there are, and how bad it must be to tell them.
    pub notifiers: BTreeMap<String, Severity>,
    /// The pools there are.
    pub pools: BTreeSet<String>,
    /// The windows of maintenance.
    pub maintenance: maintenance::Options,
    /// Whether evidence is gathered.
    pub evidence: bool,
    /// Whether runs are told as traces: then durations name theirs.
    pub traced: bool,
}

/// What comes in.
pub(super) enum Mail {
    Deliver {
        hook: String,
        delivery: Delivery,
        local: bool,
        reply: oneshot::Sender<Result<Accepted, Refused>>,
        /// Its share of the memory that what waits may take.
        room: OwnedSemaphorePermit,
    },
    /// What the world answered, and when.
    Answer(IncidentId, Event, Moment),
    Firing(String, oneshot::Sender<Vec<Episode>>),
    Over {
        hook: String,
        episodes: Vec<Episode>,
        found: Found,
        reply: oneshot::Sender<Result<u64, Refused>>,
    },
    Operate {
        by: String,
        order: Order,
        reply: oneshot::Sender<Result<String, NotDone>>,
    },
    Rules(Box<Rules>),
    /// What became known of a pool.
    Pool(String, Gates),
    /// It is to end; what it has under way may take until then.
    End(Instant, oneshot::Sender<()>),
}

/// What an operator wants. Incidents are named by their id, or by enough of its beginning or end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// No new attempt starts until resumed, over restarts too.
    Pause {
        /// Why, if that was said.
        reason: Option<String>,
    },
    /// The end of that.
    Resume,
    /// Maintenance on this node until it is ended.
    MaintenanceOn {
        /// Why.
        reason: String,
        /// When it ends by itself, by the wall clock; never where nothing is said.
        until: Option<Timestamp>,
        /// The pools that this node leaves meanwhile.
        isolate: Vec<String>,
    },
    /// The end of that.
    MaintenanceOff,
    /// Approve the action that an incident asks for: by the name of the question, or by the incident's if it asked only one.
    Approve(String),
    /// Say no to it; named in the same way.
    Reject(String),
    /// Say that somebody has taken up what was escalated: the incident, who if it is another, and why if that was said.
    Acknowledge {
        /// Which incident.
        incident: String,
        /// Who has it, where that is not who orders.
        who: Option<String>,
        /// What is done about it.
        reason: Option<String>,
    },
    /// End an incident; whether the pools that it left are rejoined.
    Cancel(String, bool),
    /// Have this node leave a pool until that is taken back.
    Isolate {
        /// Which.
        pool: String,
        /// Why.
        reason: String,
    },
    /// Take back a hold of a pool.
    Rejoin {
        /// Which pool.
        pool: String,
        /// Whose hold; the operator's own where none is named.
        hold: Option<Owner>,
    },
}

/// What became known of a pool from its gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gates {
    /// All of them have heard that nothing holds the node any more.
    Heard,
    /// The gate of this name is about to be told to take the node out.
    Telling(String),
    /// Somebody else has the node out at the gate of this name.
    Foreign(String),
    /// The node is out as far as it will be; what is known of its sessions.
    Out(serde_json::Value),
}
