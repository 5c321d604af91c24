//! Remedies: what is done to heal, one room a kind.
//!
//! Owns what an action needs, how it is written, what it does and how to tell afterwards whether it was done. Never decides
//! when to act and never repeats: that is the incident machine's.
//!
//! ```text
//!   check ─> render ─> look (witness before) ─> [journal] ─> act ─> outcome
//!                            └── after a crash: look again; equal witness and Strong = it was not done
//! ```
//!
//! The surprising decision: an outcome says what the remedy did, never that anything is well again. systemd calls the job of a
//! service that dies at once `done`; only probes tell.
//!
//! A new kind is a room that implements [`Action`] and a line in the list below.

pub mod clean;
pub mod command;
pub mod container;
pub mod http;
mod permission;
mod plain;
mod stop;
pub mod systemd;
#[cfg(test)]
mod tests;
mod word;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use permission::{NeedsName, Permission, polkit};
pub use plain::plain;
pub use stop::{Stop, Stopper};
pub use word::Word;

use crate::host::Host;
use crate::model::alert::Labels;
use crate::model::id::AttemptId;
use crate::model::target::Target;
use crate::net::resolve::Resolver;
use crate::peer;

/// What actions reach the world through. They are to be awaited on a tokio runtime with its drivers on.
#[derive(Clone)]
pub struct World {
    /// The machine.
    pub host: Arc<Host>,
    /// systemd, if there is one.
    pub systemd: Option<Arc<peer::systemd::Systemd>>,
    /// The container engine, if one may be asked.
    pub container: Option<Arc<peer::container::Engine>>,
    /// Looks up names.
    pub resolver: Resolver,
    /// Where the journal lies: nothing is deleted there.
    pub state: Option<PathBuf>,
}

/// Where an action stands in the config: what a playbook lets reach it.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Kind of the playbook's target: `unit`, `container`, `service`, `pool`, `node`.
    pub target: &'a str,
    /// Names of the labels that its `match` lists; no other label's value may be used.
    pub labels: &'a [&'a str],
}

/// One attempt to carry out.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Its name: the idempotency key.
    pub attempt: &'a AttemptId,
    /// The playbook's name.
    pub playbook: &'a str,
    /// What is to be healed.
    pub target: &'a Target,
    /// Labels of the alert.
    pub labels: &'a Labels,
    /// How long the action may take.
    pub timeout: Duration,
    /// Says that it is to end before that.
    pub stop: &'a Stop,
}

/// Proof of what stood before an action. Two that are equal mean that nothing happened between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Witness(pub Value);

/// What an unchanged witness is worth, and whether repeating does harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// A witness that was there before and is unchanged proves that it was not done.
    Strong,
    /// Nothing is proved: once issued, it counts as done.
    Weak,
    /// It may simply be done again.
    Idempotent,
}

/// What is seen before acting.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// The witness; none where there is none to be had, and then nothing is proved, however strong one would have been; or why it
    /// could not be read.
    pub witness: Result<Option<Witness>, String>,
    /// Who is at work on the target already, such as `systemd has a job queued: restart`.
    pub busy: Option<String>,
    /// How long after it was asked for the witness may be as it was, with nobody seen at it.
    pub lags: Duration,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was carried out; what was seen of it.
    Done(Value),
    /// It was not, or it said itself that it failed.
    Failed {
        /// Why, and which setting helps.
        why: String,
        /// What was seen of it.
        detail: Value,
    },
    /// It may have been, in whole or in part: no answer in time, or the connection broke after it was asked for.
    Unknown {
        /// Why.
        why: String,
        /// What was seen of it.
        detail: Value,
    },
}

impl Outcome {
    fn failed(why: impl Into<String>) -> Self {
        Self::Failed {
            why: why.into(),
            detail: Value::Null,
        }
    }

    fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown {
            why: why.into(),
            detail: Value::Null,
        }
    }
}

/// A kind of remedy.
pub trait Action {
    /// All that is wrong with it and can be known without the world; one sentence each.
    fn check(&self, site: &Site<'_>) -> Vec<String>;

    /// What will be done, without what the config may keep secret: for the journal, a plan, whoever approves.
    ///
    /// # Errors
    /// When the target or a label's value does not do; a sentence.
    fn render(&self, order: &Order<'_>) -> Result<Value, String>;

    /// Exactly what will be done: what the hash that an approval is bound to is over. It is shown nowhere.
    ///
    /// # Errors
    /// As [`Action::render`].
    fn whole(&self, order: &Order<'_>) -> Result<Value, String> {
        self.render(order)
    }

    /// What its witness is worth.
    fn strength(&self) -> Strength;

    /// Whether what it is done with on this machine would do, looked at as the attempt would.
    ///
    /// # Errors
    /// Why it would be refused; a sentence.
    fn ready(&self, _: &World) -> impl Future<Output = Result<(), String>> + Send {
        std::future::ready(Ok(()))
    }

    /// Looks at what the action would change, and changes nothing.
    fn look(&self, world: &World, order: &Order<'_>) -> impl Future<Output = Looked> + Send;

    /// Does it, once. `started` is told its handle in the world (a job's path, a process id) as soon as the effect is under way.
    /// Dropping the future ends what it can still end.
    fn act(
        &self,
        world: &World,
        order: &Order<'_>,
        started: impl FnOnce(Value) + Send,
    ) -> impl Future<Output = Outcome> + Send;

    /// What nodeward must be allowed for it.
    fn permissions(&self, target: &Target) -> Vec<Permission>;
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident: $kind:ty;)*) => {
        /// A remedy, as `do:` writes it: `{systemd: restart}`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum Do {
            $($(#[$doc])* $name($kind),)*
        }

        impl Do {
            /// See [`Action::check`].
            #[must_use]
            pub fn check(&self, site: &Site<'_>) -> Vec<String> {
                match self { $(Self::$name(it) => Action::check(it, site),)* }
            }

            /// See [`Action::render`].
            ///
            /// # Errors
            /// As there.
            pub fn render(&self, order: &Order<'_>) -> Result<Value, String> {
                match self { $(Self::$name(it) => Action::render(it, order),)* }
            }

            /// See [`Action::whole`].
            ///
            /// # Errors
            /// As there.
            pub fn whole(&self, order: &Order<'_>) -> Result<Value, String> {
                match self { $(Self::$name(it) => Action::whole(it, order),)* }
            }

            /// See [`Action::strength`].
            #[must_use]
            pub fn strength(&self) -> Strength {
                match self { $(Self::$name(it) => Action::strength(it),)* }
            }

            /// See [`Action::ready`].
            ///
            /// # Errors
            /// As there.
            pub async fn ready(&self, world: &World) -> Result<(), String> {
                match self { $(Self::$name(it) => Action::ready(it, world).await,)* }
            }

            /// See [`Action::look`].
            pub async fn look(&self, world: &World, order: &Order<'_>) -> Looked {
                match self { $(Self::$name(it) => Action::look(it, world, order).await,)* }
            }

            /// See [`Action::act`].
            pub async fn act(
                &self,
                world: &World,
                order: &Order<'_>,
                started: impl FnOnce(Value) + Send,
            ) -> Outcome {
                match self { $(Self::$name(it) => Action::act(it, world, order, started).await,)* }
            }

            /// Whether what it does runs here, in nodeward or a process of its own, and ends when [`Order::stop`] says so. What others
            /// were asked to do goes on with them.
            #[must_use]
            pub const fn runs_here(&self) -> bool {
                matches!(self, Self::Command(_) | Self::Clean(_) | Self::Http(_))
            }

            /// See [`Action::permissions`].
            #[must_use]
            pub fn permissions(&self, target: &Target) -> Vec<Permission> {
                match self { $(Self::$name(it) => Action::permissions(it, target),)* }
            }
        }
    };
}

actions! {
    /// Restart, start, reload or stop a systemd unit.
    Systemd: systemd::Systemd;
    /// Run a program.
    Command: command::Command;
    /// Delete old files of a cache, or have the kernel forget file pages.
    Clean: clean::Clean;
    /// Restart, start, stop or kill a container.
    Container: container::Container;
    /// Send one request to a fixed host.
    Http: http::Http;
}
