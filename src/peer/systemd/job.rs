//! Jobs: asking systemd to change a unit, and waiting until it says how that ended.
//!
//! Each has a connection of its own, on the runtime: a job may take minutes, and the one connection of readers refuses
//! everybody while an answer is late. The order leaves no gap (org.freedesktop.systemd1(5), "Subscribe()"):
//!
//! ```text
//!   match JobRemoved ─> Subscribe ─> RestartUnit ─> job path ─> JobRemoved of that path ─> result
//! ```
//!
//! The surprising decision: a signal counts only if the sender of the answer to Subscribe sent it. Anybody on the bus may
//! send a signal to anybody, and a match does not stop what is addressed to us.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use zbus::message::Type;
use zbus::{Connection, DynamicType, Message, MessageStream, ObjectPath, OwnedObjectPath, Variant};

use super::call::{MANAGER, ROOT, build, get, reply, unexpected};
use super::error::Error;
use super::session::{connect, next};
use super::unit::UnitState;
use super::{Property, Systemd, Value, unit_path};
use crate::model::hex;

/// The match for signals of ended jobs. The bus resolves the sender's name.
const ENDED: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
                     interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// Jobs that may end between our call and its answer, and are remembered meanwhile.
const REMEMBERED: usize = 1024;

/// What systemd is asked to do with a unit.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Stop it and start it again; start it if it does not run.
    Restart,
    /// Start it; nothing if it runs.
    Start,
    /// Have it read its configuration again.
    Reload,
    /// Stop it; nothing if it does not run.
    Stop,
    /// Forget that it failed, and how often it was started.
    ResetFailed,
}

impl Verb {
    /// As systemctl(1), the config and polkit's `verb` write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Reload => "reload",
            Self::Stop => "stop",
            Self::ResetFailed => "reset-failed",
        }
    }

    /// The verb that [`Verb::as_str`] writes so.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        [
            Self::Restart,
            Self::Start,
            Self::Reload,
            Self::Stop,
            Self::ResetFailed,
        ]
        .into_iter()
        .find(|verb| verb.as_str() == text)
    }

    const fn method(self) -> &'static str {
        match self {
            Self::Restart => "RestartUnit",
            Self::Start => "StartUnit",
            Self::Reload => "ReloadUnit",
            Self::Stop => "StopUnit",
            Self::ResetFailed => "ResetFailedUnit",
        }
    }
}

/// Why systemd did not carry something out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undone {
    /// Surely not: it was never asked, or said no.
    #[error(transparent)]
    Refused(Error),
    /// Perhaps: it was asked, and then nothing more was heard.
    #[error(transparent)]
    Unclear(Error),
}

impl Systemd {
    /// What systemd knows of a unit, which it loads for that if need be.
    ///
    /// # Errors
    /// [`Error`], if the connection fails or the unit's name is none.
    pub async fn unit_state(&self, unit: &str, within: Duration) -> Result<UnitState, Error> {
        let ask = async {
            let mut talk = Talk::open(self).await?;
            talk.state(unit).await
        };
        timeout_at(Instant::now() + within, ask)
            .await
            .unwrap_or(Err(Error::Late { call: "Get" }))
    }

    /// Forgets that a unit failed and how often it was started, so that its start limit does not hold.
    ///
    /// # Errors
    /// [`Undone`].
    pub async fn reset_failed(&self, unit: &str, within: Duration) -> Result<(), Undone> {
        const CALL: &str = Verb::ResetFailed.method();
        let until = Instant::now() + within;
        let mut talk = self.opened(CALL, until).await?;
        let message = build(ROOT, MANAGER, CALL, &(unit,)).map_err(Undone::Refused)?;
        let answer = timeout_at(until, talk.call(CALL, &message)).await;
        answer.map_or_else(
            |_| Err(Undone::Unclear(Error::Late { call: CALL })),
            |answer| answer.map(drop).map_err(undone),
        )
    }

    /// Queues a job for a unit, in place of one that conflicts, and waits for its end; says its result: `done`, `failed`,
    /// `dependency`, `timeout`, `canceled`, `skipped`. Its object path is told to `started` as soon as it is known.
    ///
    /// `done` of a service does not mean that it runs: of `Type=simple` it means that it was forked.
    ///
    /// # Errors
    /// [`Undone`]; a verb without a job, [`Verb::ResetFailed`], is refused.
    pub async fn job(
        &self,
        verb: Verb,
        unit: &str,
        within: Duration,
        started: impl FnOnce(&str) + Send,
    ) -> Result<String, Undone> {
        let call = verb.method();
        let until = Instant::now() + within;
        let mut talk = self.opened(call, until).await?;
        let listen = timeout_at(until, talk.listen()).await;
        listen
            .unwrap_or(Err(Error::Late { call: "Subscribe" }))
            .map_err(Undone::Refused)?;
        let message = build(ROOT, MANAGER, call, &(unit, "replace")).map_err(Undone::Refused)?;
        let answer = timeout_at(until, talk.call(call, &message)).await;
        let body = answer
            .unwrap_or(Err(Error::Late { call }))
            .map_err(undone)?
            .body();
        let job: OwnedObjectPath = body
            .deserialize()
            .map_err(|e| Undone::Unclear(unexpected(call, &e)))?;
        started(job.as_str());
        let end = timeout_at(until, talk.ended(job.as_str())).await;
        end.unwrap_or_else(|_| {
            Err(Error::Unfinished {
                job: job.as_str().into(),
            })
        })
        .map_err(Undone::Unclear)
    }

    async fn opened(&self, call: &'static str, until: Instant) -> Result<Talk, Undone> {
        timeout_at(until, Talk::open(self))
            .await
            .unwrap_or(Err(Error::Late { call }))
            .map_err(Undone::Refused)
    }
}

/// Whether an error after a call was sent leaves it open what became of it.
fn undone(error: Error) -> Undone {
    let Error::Refused { name, .. } = &error else {
        return Undone::Unclear(error);
    };
    // The bus answers so in place of a systemd that went away with our call in its hands.
    let lost = ["NoReply", "Timeout", "TimedOut", "Disconnected"];
    match name.strip_prefix("org.freedesktop.DBus.Error.") {
        Some(kind) if lost.contains(&kind) => Undone::Unclear(error),
        _ => Undone::Refused(error),
    }
}

/// A connection for one conversation.
struct Talk {
    connection: Connection,
    incoming: MessageStream,
    /// Whether it is systemd itself, without a bus between.
    direct: bool,
    /// systemd's name on the bus, once it answered.
    manager: Option<String>,
    /// Jobs that ended, with their results, while something else was waited for.
    ended: Vec<(String, String)>,
}

impl Talk {
    async fn open(systemd: &Systemd) -> Result<Self, Error> {
        let gauges = &systemd.gauges;
        let (connection, direct) = connect(&systemd.line).await.inspect_err(|_| {
            gauges.broken.fetch_add(1, Ordering::Relaxed);
        })?;
        gauges.connections.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            incoming: MessageStream::from(&connection),
            connection,
            direct,
            manager: None,
            ended: Vec::new(),
        })
    }

    async fn send(&self, message: &Message) -> Result<(), Error> {
        let sent = self.connection.send(message).await;
        sent.map_err(|e| Error::Broken {
            why: e.to_string().into(),
        })
    }

    async fn call(&mut self, call: &'static str, message: &Message) -> Result<Message, Error> {
        self.send(message).await?;
        let serial = message.primary_header().serial_num();
        loop {
            let message = next(&mut self.incoming).await?;
            match message.message_type() {
                Type::Signal => self.note(&message),
                Type::MethodReturn | Type::Error
                    if message.header().reply_serial() == Some(serial) =>
                {
                    return reply(call, message);
                }
                _ => {}
            }
        }
    }

    async fn get(&mut self, path: &str, interface: &str, name: &str) -> Result<Value, Error> {
        const CALL: &str = "Get";
        let message = get(&Property {
            path,
            interface,
            name,
        })?;
        let body = self.call(CALL, &message).await?.body();
        let value: Variant<'_> = body.deserialize().map_err(|e| unexpected(CALL, &e))?;
        Ok(Value::from(&value))
    }

    /// From here on [`Talk::ended`] misses no job.
    async fn listen(&mut self) -> Result<(), Error> {
        if !self.direct {
            let message = bus_call("AddMatch", &(ENDED,))?;
            self.call("AddMatch", &message).await?;
        }
        let answer = self
            .call("Subscribe", &build(ROOT, MANAGER, "Subscribe", &())?)
            .await?;
        self.manager = answer.header().sender().map(ToString::to_string);
        Ok(())
    }

    /// Keeps what a JobRemoved signal of systemd says.
    fn note(&mut self, signal: &Message) {
        let header = signal.header();
        let is = |name: Option<&str>, wanted: &str| name == Some(wanted);
        let theirs = is(header.member().map(|m| m.as_str()), "JobRemoved")
            && is(header.interface().map(|i| i.as_str()), MANAGER)
            && is(header.path().map(ObjectPath::as_str), ROOT)
            && (self.direct || header.sender().map(|s| s.as_str()) == self.manager.as_deref());
        if !theirs || self.ended.len() >= REMEMBERED {
            return;
        }
        let body = signal.body();
        let ended: Result<(u32, ObjectPath<'_>, &str, &str), _> = body.deserialize();
        if let Ok((_, job, _, result)) = ended {
            self.ended
                .push((job.as_str().to_owned(), result.to_owned()));
        }
    }

    /// Waits for the end of `job`.
    async fn ended(&mut self, job: &str) -> Result<String, Error> {
        loop {
            let ours = self.ended.drain(..).find(|(path, _)| path == job);
            if let Some((_, result)) = ours {
                return Ok(result);
            }
            let message = next(&mut self.incoming).await?;
            if message.message_type() == Type::Signal {
                self.note(&message);
            }
        }
    }

    async fn state(&mut self, unit: &str) -> Result<UnitState, Error> {
        let path = unit_path(unit);
        let own = own_interface(unit);
        let mut state = UnitState::default();
        // Every unit has this one: without it there is nothing to tell.
        let load = self.get(&path, "Unit", "LoadState").await?;
        state.load_state = load.as_str().unwrap_or_default().to_owned();
        let texts = [
            ("Unit", "ActiveState", &mut state.active_state),
            ("Unit", "SubState", &mut state.sub_state),
            (own.as_str(), "Result", &mut state.result),
        ];
        for (interface, name, into) in texts {
            let value = self.optional(&path, interface, name).await?;
            value
                .as_ref()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .clone_into(into);
        }
        let numbers = [
            (
                "Unit",
                "StateChangeTimestampMonotonic",
                &mut state.changed_at,
            ),
            (
                own.as_str(),
                "ExecMainStartTimestampMonotonic",
                &mut state.main_started_at,
            ),
            (own.as_str(), "NRestarts", &mut state.restarts),
            (own.as_str(), "ExecMainStatus", &mut state.main_status),
        ];
        for (interface, name, into) in numbers {
            let value = self.optional(&path, interface, name).await?;
            *into = value.and_then(|value| value.as_u64()).unwrap_or_default();
        }
        state.condition = self
            .optional(&path, "Unit", "ConditionResult")
            .await?
            .and_then(|value| value.as_bool())
            .unwrap_or_default();
        if let Some(Value::Bytes(id)) = self.optional(&path, "Unit", "InvocationID").await? {
            state.invocation = hex::written(&id);
        }
        if let Some(Value::Struct(job)) = self.optional(&path, "Unit", "Job").await?
            && let [Value::U64(1..), Value::Str(job)] = job.as_slice()
        {
            // It may have ended since: then there is none.
            let kind = self.optional(job, "Job", "JobType").await?;
            state.job = kind.as_ref().and_then(Value::as_str).map(str::to_owned);
        }
        Ok(state)
    }

    /// A property that a unit of this kind, or this version of systemd, may lack.
    async fn optional(
        &mut self,
        path: &str,
        interface: &str,
        name: &str,
    ) -> Result<Option<Value>, Error> {
        match self.get(path, interface, name).await {
            Err(error) if error.is_of_connection() => Err(error),
            value => Ok(value.ok()),
        }
    }
}

/// A call of the bus itself.
fn bus_call<B>(method: &str, body: &B) -> Result<Message, Error>
where
    B: serde::Serialize + DynamicType,
{
    Message::method_call("/org/freedesktop/DBus", method)
        .destination("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .build(body)
        .map_err(|e| unexpected("AddMatch", &e))
}

/// The interface of a unit's own kind: `Service` of `web.service`.
fn own_interface(unit: &str) -> String {
    let suffix = unit.rsplit('.').next().unwrap_or_default();
    let mut letters = suffix.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
