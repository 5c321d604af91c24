//! What the runner reaches the world through.

use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};

use super::evidence::{Occasion, Packet};
use super::guards::Look;
use super::job::Job;
use super::machine::{After, Outcome};
use crate::model::hold::Holds;
use crate::model::moment::Moment;
use crate::model::sight::Sight;

/// An answer that takes its time.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Called once an effect is under way, with its handle in the world.
pub type Started = Box<dyn FnOnce(Value) + Send>;

/// Looks, acts and probes. What it is asked for is on record before; it decides nothing and answers in bounded time.
pub trait Hands: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Moment;
    /// Looks at everything the guards want to know about the rung that is next.
    fn look(&self, job: Job) -> Later<Look>;
    /// Gathers how things are, in a time that is short; nothing where there is nothing to see.
    fn gather(&self, _: Job, _: Occasion) -> Later<Option<Packet>> {
        Box::pin(std::future::ready(None))
    }
    /// These holds are on record, all of them: the pools are to follow. Returns at once; does nothing where nothing is touched.
    fn hold(&self, _: &Holds) {}
    /// Waits until the node is out of a pool that is held, or until that has not worked out in its time; whether it is out, and what is known.
    fn isolate(&self, pool: &str) -> Later<(bool, Value)> {
        let why = format!("there is no way to leave {pool} here");
        Box::pin(std::future::ready((false, json!({"why": why}))))
    }
    /// Carries out the action of the rung.
    fn act(&self, job: Job, started: Started) -> Later<(Outcome, Value)>;
    /// Runs the probes of `verify`: how all together look, and what they saw.
    fn probe(&self, job: Job) -> Later<(Sight, Value)>;
    /// After a restart: what the witness of the open attempt says.
    fn after(&self, job: Job) -> Later<After>;
}
