//! Gates: how a pool learns that this node is to be out of it, and that it is back.
//!
//! Owns how each kind of load balancer is told, what can be seen of a pool through it, and the way of a node out of a pool and back. It
//! decides nothing: which holds there are is said to it, and it has the pools follow.
//!
//! ```text
//!   in ── a hold ──> draining ── no session left, or `drain` is over ──> out ── `cut_after` ──> (sessions cut)
//!   ^                   │                                                 │
//!   └── ramping <───────┴───────────────── no hold is left ───────────────┘
//!        weight grows    (on probation: in again with a small share, if the pool gives one)
//! ```

mod drive;
pub mod haproxy_agent;
pub mod haproxy_runtime;
mod ledger;
mod list;
mod options;
mod plan;
mod pool;
mod pools;
mod standing;
mod teller;
mod told;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::time::Instant;

use crate::net::address::Address;
use crate::net::resolve::Resolver;
use crate::net::stream::Stream;
use crate::subject::Sampler;

pub use ledger::Tally;
pub use list::{KINDS, Way};
pub use options::{Invalid, Options, Pool, Then, faults};
pub use plan::Plan;
pub use pools::{Event, Isolated, Pools};
pub use standing::{GateStanding, Standing};
pub use told::{FAMILIES, INSTRUMENTS, KEYS as ITEMS};

#[cfg(test)]
mod tests;

/// What gates reach the world through.
#[derive(Clone, Default)]
pub struct World {
    /// Looks up names.
    pub resolver: Resolver,
    /// Counts connections of this machine, for pools that no gate sees; none: they are not counted.
    pub sampler: Option<Arc<Sampler>>,
}

/// The options of one kind of gate.
pub trait Kind: Send + Sync {
    /// What is wrong with them that their types do not show: the key each is about (empty: all of them; `a.b`: b within a,
    /// `a.1`: the second item of a), and why.
    fn faults(&self) -> Vec<(String, String)>;

    /// The gates: one for each load balancer that nodeward speaks to, so that what is known of one is not taken for another; one in
    /// all where the load balancers ask. Opens nothing.
    ///
    /// # Errors
    /// What cannot work in this world, in words that name the setting to change.
    fn gates(&self, world: &World) -> Result<Vec<Arc<dyn Gate>>, String>;

    /// Whether it sees servers and sessions of the pool.
    fn sees(&self) -> bool {
        false
    }

    /// The addresses it listens on.
    fn listens(&self) -> &[String] {
        &[]
    }
}

/// What a pool is to be told of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// It takes traffic, with this share of its weight in percent: 1 to 100.
    In(u8),
    /// It takes no new sessions; those that it has go on.
    Drain,
    /// It takes none, and sessions that are bound to it go elsewhere.
    Out,
}

/// What a gate is to bring about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What the pool is told.
    pub say: Say,
    /// nodeward itself had the node out before, in this process or the one before: what it placed there may be lifted, and is no other's.
    /// Without this, `In` takes back nothing. A gate that knows better, for one load balancer of several, goes by what it knows.
    pub lifts: bool,
    /// What other gates of the pool may have told the same server: what is found there is nodeward's.
    pub beside: Words,
    /// It is on record that this gate takes the node out. Without this, one that sees its server looks, and says nothing that takes
    /// traffic away.
    pub recorded: bool,
    /// Why, for whoever looks at the load balancer: one short line of printable ASCII.
    pub why: String,
}

/// Words that take a server out of its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Words {
    /// [`Say::Drain`].
    pub drain: bool,
    /// [`Say::Out`].
    pub maint: bool,
}

impl Words {
    /// The word that says this; none for [`Say::In`].
    #[must_use]
    pub fn of(say: Say) -> Self {
        Self {
            drain: say == Say::Drain,
            maint: say == Say::Out,
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            drain: self.drain || other.drain,
            maint: self.maint || other.maint,
        }
    }
}

/// How telling went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The load balancer goes by it.
    Yes,
    /// It has not asked yet; it will be told once it does.
    NotYet,
    /// Nobody else has the node out there, and nothing was said yet: that it will be has to be on record first.
    Unrecorded,
    /// Somebody else has the node out there: it was left as it is.
    Foreign,
}

/// One way to tell one pool. Telling is idempotent, and is done again for as long as the pool may have forgotten.
#[async_trait]
pub trait Gate: Send + Sync {
    /// What it is called in records and series: its kind, and what tells it from others of the pool.
    fn name(&self) -> &str;

    /// Has the load balancer know what is wanted.
    ///
    /// # Errors
    /// Why it could not be told, in words that name the setting to look at.
    async fn tell(&self, wanted: &Wanted, deadline: Instant) -> Result<Heard, String>;

    /// What load balancers ask, if it listens.
    fn asked(&self) -> Option<&dyn Asked> {
        None
    }

    /// What can be seen of the pool through it; nothing if that is not its nature.
    fn sees(&self) -> Option<&dyn Sees> {
        None
    }
}

/// A gate that load balancers ask. Who binds its sockets has it serve their connections.
#[async_trait]
pub trait Asked: Send + Sync {
    /// Where it listens.
    fn listens(&self) -> &[Address];

    /// Serves one connection of one of these, by the text of its address, in bounded time.
    async fn serve(&self, at: &str, stream: Stream, peer: IpAddr);

    /// How often it was asked since the start of the process, by what came of it.
    fn asks(&self) -> [(&'static str, u64); 4];
}

/// A gate through which the pool can be seen.
#[async_trait]
pub trait Sees: Send + Sync {
    /// Whether somebody else had this node out of it when it was looked at last: another gate's word would take the place of theirs.
    /// None: it was never looked at.
    fn others(&self) -> Option<bool> {
        None
    }

    /// Looks at the pool now.
    ///
    /// # Errors
    /// Why nothing is known: never a guess.
    async fn view(&self, deadline: Instant) -> Result<View, String>;

    /// Ends the sessions that this node still has; how many there were.
    ///
    /// # Errors
    /// Why they could not be ended.
    async fn cut(&self, deadline: Instant) -> Result<u64, String>;
}

/// A pool as its load balancer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct View {
    /// Servers of the pool, with this one.
    pub servers: u32,
    /// Servers that get new sessions, without this one.
    pub healthy_others: u32,
    /// Whether this one gets new sessions.
    pub takes_traffic: bool,
    /// Whether the load balancer's own check of this one passes; none while it makes none.
    pub check: Option<bool>,
    /// Somebody else has this one out of it (maintenance or drain that is not nodeward's).
    pub foreign: bool,
    /// Sessions of this one that are open.
    pub sessions: u64,
    /// Sessions that this one ever had.
    pub total: u64,
    /// The clients behind the open sessions of the whole pool, each with whether it is served by this one; empty where that is not told,
    /// or where there are too many.
    pub clients: Vec<(String, bool)>,
}

/// What became of the sessions this node had when a hold was placed. `active` = `finished` + `moved` + `cut` + `open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Ledger {
    /// Open when it began to drain, and those that came after all.
    pub active: u64,
    /// Ended by themselves.
    pub finished: u64,
    /// Their clients are served by another node.
    pub moved: u64,
    /// Ended by nodeward.
    pub cut: u64,
    /// Open still.
    pub open: u64,
}

/// Where this node stands in a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Traffic {
    /// It takes its whole share.
    #[default]
    In,
    /// It takes no new sessions.
    Draining,
    /// It takes none.
    Out,
    /// It takes a part of its share.
    Ramping,
}

impl Traffic {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::In, Self::Draining, Self::Out, Self::Ramping];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Draining => "draining",
            Self::Out => "out",
            Self::Ramping => "ramping",
        }
    }
}

/// How long one word to one gate may take.
pub const WORD: Duration = Duration::from_secs(2);
