//! Evidence: how things were on this machine right before the first action of an incident, and when people were told of it.
//!
//! A restart destroys what would tell why it was needed. So what is there is gathered before: the unit's or the container's state, the last
//! lines of its log, the processes that take most, pressure, the sockets of the service's ports, the pool. It is one [`Packet`] of JSON, at
//! most [`MOST`] bytes, kept in the journal's database under a hash that stands in a record of the chain.
//!
//! ```text
//!  machine ── Look, gathering ──> parts, each by a deadline ──> confirm, action, pool ──> Looked(look with packet) ─> evidence, decision, intent: one commit
//!          ── Gather (escalated) ─> parts, each by a deadline ────> Gathered(packet) ─────────> evidence
//! ```
//!
//! Owns what is gathered, in which order and size, and what is taken out of it ([`redact`]). It changes nothing in the world, decides nothing
//! and fails nothing: a part that cannot be had says why, and what takes longer than [`WITHIN`] is done without. The surprising decision: it
//! is gathered before the guards look and not after they have passed, so that what they saw is not older for it. What was gathered for a look
//! that led to nothing is dropped.

mod clip;
mod container;
mod machine;
mod pool;
pub mod redact;
mod unit;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::hands::Later;
use super::job::Job;
use super::world::Reach;
use crate::host::apart;
use crate::journal::Hash;
use crate::model::moment::Timestamp;
use crate::model::target::Target;
use redact::Redactor;

/// Most bytes of a packet.
pub const MOST: usize = 256 << 10;
/// How long all of it may take.
pub const WITHIN: Duration = Duration::from_secs(3);
/// Packets that are gathered at a time.
const AT_ONCE: usize = 2;
/// Those together with the ones that wait for it, within their time.
const PLACES: usize = 8;
const BUSY: &str = "others were being gathered";

/// What a packet is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// Right before the first action of a run.
    BeforeAction,
    /// In its place, where a playbook only observes.
    WouldAct,
    /// People are told.
    Escalated,
    /// They would be, where a playbook only observes.
    WouldEscalate,
}

impl Occasion {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeAction => "before_action",
            Self::WouldAct => "would_act",
            Self::Escalated => "escalated",
            Self::WouldEscalate => "would_escalate",
        }
    }

    /// Whether it is of an action, or of what would be one.
    #[must_use]
    pub const fn is_of_action(self) -> bool {
        matches!(self, Self::BeforeAction | Self::WouldAct)
    }
}

/// What was gathered: a JSON text that ends with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Of what.
    pub occasion: Occasion,
    /// All of it.
    pub text: Arc<str>,
    /// SHA-256 of that.
    pub digest: Hash,
    /// Parts that could not be had.
    pub missing: Vec<&'static str>,
}

/// That there is a packet, as its incident remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number within the incident, from 1.
    pub number: u32,
    /// Of what it is.
    pub occasion: Occasion,
    /// Number of the run that it is of.
    pub run: u32,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
    /// Length of its text.
    pub bytes: usize,
}

/// One part of a packet before it is made safe.
struct Part {
    name: &'static str,
    /// Whose: a unit, a container, ports.
    of: String,
    found: Result<String, String>,
    /// Values that must not stand anywhere.
    secrets: Vec<String>,
    /// It is command lines: what is set there for a program's environment goes too.
    commands: bool,
    /// Its end matters most.
    newest_last: bool,
    /// Bytes that it may take.
    most: usize,
    /// Bytes that a line of it may take.
    line: usize,
    took: Duration,
}

impl Part {
    fn new(name: &'static str, of: impl Into<String>, most: usize) -> Self {
        Self {
            name,
            of: of.into(),
            found: Err("nobody looked".into()),
            secrets: Vec::new(),
            commands: false,
            newest_last: false,
            most,
            line: clip::LINE,
            took: Duration::ZERO,
        }
    }

    /// With what is found by then.
    async fn by(
        mut self,
        until: Instant,
        found: impl Future<Output = Result<Found, String>>,
    ) -> Self {
        let began = Instant::now();
        let found = tokio::time::timeout_at(until, found).await;
        self.took = began.elapsed();
        self.found = match found {
            Ok(Ok(found)) => {
                self.secrets = found.secrets;
                Ok(found.text)
            }
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("it was not there within {WITHIN:?}")),
        };
        self
    }

    fn shown(&self, redactor: &Redactor) -> Value {
        let took = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        let mut shown = json!({"part": self.name, "took_ms": took});
        let safe = |text: &str| {
            let text = clip::plain(text);
            // Half of a secret has neither its name nor its shape any more: cut later.
            let text = match self.commands {
                true => redactor.commands(&text),
                false => redactor.text(&text),
            };
            clip::lines(&text, self.line)
        };
        let more = match &self.found {
            Ok(text) => {
                let clipped = clip::clip(&safe(text), self.most, self.newest_last);
                json!({"text": clipped.text, "left_out_bytes": clipped.left_out})
            }
            Err(why) => json!({"missing": clip::clip(&safe(why), WHY, false).text}),
        };
        if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
            if !self.of.is_empty() {
                shown.insert(
                    "of".into(),
                    clip::clip(&safe(&self.of), WHY, false).text.into(),
                );
            }
            shown.extend(more);
        }
        shown
    }
}

/// Most bytes of a reason.
const WHY: usize = 1 << 10;

/// What a part found.
#[derive(Default)]
struct Found {
    text: String,
    secrets: Vec<String>,
}

impl From<String> for Found {
    fn from(text: String) -> Self {
        Self {
            text,
            secrets: Vec::new(),
        }
    }
}

/// Gathers packets, a few at a time.
#[derive(Debug)]
pub(super) struct Gatherer {
    /// Of those that are gathered, or wait for that.
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for Gatherer {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Gatherer {
    /// Gathers what there is about an incident, in a bounded time. In a storm most are done without: nothing waits that would have no turn
    /// in time.
    pub fn gather(
        &self,
        reach: Reach,
        job: Job,
        occasion: Occasion,
        now: Timestamp,
    ) -> Later<Option<Packet>> {
        let incident = &job.incident;
        let of = json!({
            "incident": incident.id,
            "playbook": incident.playbook,
            "target": incident.target,
            "occasion": occasion,
            "time": now.to_string(),
        });
        let parts = move |until| async move {
            // Large, and made only now.
            Box::pin(parts(&reach, &job, until)).await
        };
        self.gathered(of, occasion, parts)
    }

    /// Has it looked for parts that are there by a time, once there is a turn for it.
    fn gathered<F>(
        &self,
        of: Value,
        occasion: Occasion,
        parts: impl FnOnce(Instant) -> F + Send + 'static,
    ) -> Later<Option<Packet>>
    where
        F: Future<Output = Vec<Part>> + Send,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let packet = without(of, occasion, BUSY);
            return Box::pin(std::future::ready(Some(packet)));
        };
        let turns = Arc::clone(&self.turns);
        let gathering = async move {
            let _place = place;
            let until = Instant::now() + WITHIN;
            let turn = tokio::time::timeout_at(until, turns.acquire_owned()).await;
            // A turn that comes with the last moment leaves no time to gather anything.
            let (Ok(Ok(_turn)), true) = (turn, Instant::now() < until) else {
                return without(of, occasion, BUSY);
            };
            let parts = parts(until).await;
            // Some hundred KiB are searched: not on the thread that serves.
            let written = {
                let of = of.clone();
                apart("evidence", move |_| write(of, occasion, &parts)).await
            };
            written.unwrap_or_else(|why| without(of, occasion, &why))
        };
        // Whatever becomes of it: an action waits for its end.
        Box::pin(async move { tokio::spawn(gathering).await.ok() })
    }
}

/// A packet that says why there is nothing in it.
fn without(of: Value, occasion: Occasion, why: &str) -> Packet {
    let parts = json!([{"part": "all", "took_ms": 0, "missing": why}]);
    packet(of, occasion, parts, vec!["all"])
}

/// Looks at everything at once.
async fn parts(reach: &Reach, job: &Job, until: Instant) -> Vec<Part> {
    let own = async {
        match &job.incident.target {
            Target::Unit(unit) => {
                let (status, log) = tokio::join!(
                    unit::status(reach, unit, until),
                    unit::log(reach, unit, until)
                );
                vec![status, log]
            }
            Target::Container(name) => {
                let (status, log) = tokio::join!(
                    container::status(reach, name, until),
                    container::log(reach, name, until)
                );
                vec![status, log]
            }
            _ => vec![unit::warnings(reach, until).await],
        }
    };
    let (own, processes, pressure, sockets, pool) = tokio::join!(
        own,
        machine::processes(reach, until),
        machine::pressure(reach, until),
        machine::sockets(reach, job, until),
        pool::view(reach, job, until),
    );
    let mut parts = own;
    parts.extend([processes, pressure, sockets]);
    parts.extend(pool);
    parts
}

fn write(of: Value, occasion: Occasion, parts: &[Part]) -> Packet {
    let secrets = parts.iter().flat_map(|part| part.secrets.iter().cloned());
    let redactor = Redactor::knowing(secrets);
    let shown: Vec<Value> = parts.iter().map(|part| part.shown(&redactor)).collect();
    let missing = parts.iter().filter(|part| part.found.is_err());
    let missing = missing.map(|part| part.name).collect();
    packet(of, occasion, shown.into(), missing)
}

fn packet(mut of: Value, occasion: Occasion, parts: Value, missing: Vec<&'static str>) -> Packet {
    if let Some(of) = of.as_object_mut() {
        of.insert("parts".into(), parts);
    }
    let text: Arc<str> = format!("{of}\n").into();
    Packet {
        occasion,
        digest: Hash::of(&text),
        text,
        missing,
    }
}

#[cfg(test)]
mod tests;
