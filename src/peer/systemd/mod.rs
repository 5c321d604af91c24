//! A client of systemd over D-Bus: units, their properties, the manager; and jobs, which change units.
//!
//! Owns: connections, their bounds and deadlines, and every D-Bus type; nothing else in the
//! program imports zbus. Never does: keep state about units, start a process, or decide what a unit needs.
//!
//! For reading there is one connection, and the calls are plain blocking ones for the sampler's reader
//! threads. The connection itself lives on the runtime, so that it can notice the bus going away
//! while nobody asks. A batch of property reads is pipelined: two pieces of 32 calls are kept in
//! flight, and one is decoded on the caller's thread while the other is answered.
//!
//! The surprising decision: once a call stays unanswered past its caller's deadline, everybody is
//! refused at once with [`Error::Parked`] until it ends or 30 seconds have passed, when the
//! connection is dropped. systemd answers one call after the other, so asking again behind a call
//! that hangs only makes more of them hang.
//!
//! Interfaces: org.freedesktop.systemd1(5).

mod ask;
mod call;
mod error;
mod job;
mod options;
mod sender;
mod session;
mod socket;
mod unit;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::TrySendError};
use zbus::{Message, Variant};

pub use call::ROOT as MANAGER_PATH;
pub use error::Error;
pub use job::{Undone, Verb};
pub use options::Options;
pub use unit::{About, Unit, UnitFile, UnitState, unit_path};
pub use value::Value;

use ask::{Gauges, Job};
use call::{MANAGER, PROPERTIES, Pending, ROOT, build, get, unexpected, whole};
use session::Line;

use crate::host::CallCounters;

/// Calls sent as one piece.
const PIECE: usize = 32;
/// Pieces of one caller in flight.
const PIECES: usize = 2;
/// Pieces waiting for the connection, of all callers together.
const WAITING: usize = 16;
/// How long an unanswered call may hold the connection after its deadline.
const PATIENCE: Duration = Duration::from_secs(30);

/// One property of one unit to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property<'a> {
    /// Object path of the unit: [`Unit::path`] or [`unit_path`].
    pub path: &'a str,
    /// Interface, short (`Service`, `Unit`, `Socket`, `Timer`, `Mount`) or whole.
    pub interface: &'a str,
    /// Name, for example `NRestarts`.
    pub name: &'a str,
}

/// Plain counters since start, and what is parked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Batches given up by their caller and not ended yet.
    pub parked: usize,
    /// Method calls sent.
    pub calls: u64,
    /// Batches whose deadline passed before all answers were there.
    pub late: u64,
    /// Batches not sent, because one was parked or too many waited.
    pub refused: u64,
    /// Connections made.
    pub connections: u64,
    /// Connections, or attempts at one, that ended in an error.
    pub broken: u64,
}

/// A client of systemd. Cheap while unused: it connects when first asked.
#[derive(Debug)]
pub struct Systemd {
    handle: Handle,
    line: Line,
    gauges: Arc<Gauges>,
    session: Mutex<Option<mpsc::Sender<Job>>>,
}

impl Systemd {
    /// A client whose connection lives on the runtime of `handle`. Connects to nothing yet. What it parks and
    /// refuses is counted in `machine` as well.
    ///
    /// # Errors
    /// [`Error::Address`] if the address cannot be parsed.
    pub fn new(
        handle: Handle,
        options: &Options,
        machine: Arc<CallCounters>,
    ) -> Result<Self, Error> {
        Self::with_patience(handle, options, machine, PATIENCE)
    }

    fn with_patience(
        handle: Handle,
        options: &Options,
        machine: Arc<CallCounters>,
        patience: Duration,
    ) -> Result<Self, Error> {
        let line = options.line(patience)?;
        let gauges = Gauges {
            machine,
            ..Gauges::default()
        };
        Ok(Self {
            handle,
            line,
            gauges: Arc::new(gauges),
            session: Mutex::default(),
        })
    }

    /// Facts about the manager. Blocks until `deadline` at most, as do all calls below; never call
    /// them on the runtime's own thread.
    ///
    /// # Errors
    /// [`Error`], if the connection fails; a property that is not there is left empty.
    pub fn manager(&self, deadline: Instant) -> Result<About, Error> {
        const NAMES: [&str; 7] = [
            "Version",
            "Virtualization",
            "SystemState",
            "Features",
            "NFailedUnits",
            "NNames",
            "NJobs",
        ];
        let wanted = NAMES.map(|name| Property {
            path: ROOT,
            interface: MANAGER,
            name,
        });
        let mut values = self.properties(&wanted, deadline).into_iter();
        let mut next = || match values.next() {
            Some(Err(error)) if error.is_of_connection() => Err(error),
            Some(value) => Ok(value.ok()),
            None => Ok(None),
        };
        let text = |value: Option<Value>| {
            value
                .as_ref()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let number = |value: Option<Value>| value.and_then(|v| v.as_u64()).unwrap_or_default();
        Ok(About {
            version: text(next()?),
            virtualization: text(next()?),
            system_state: text(next()?),
            features: text(next()?),
            failed_units: number(next()?),
            units: number(next()?),
            jobs: number(next()?),
        })
    }

    /// All units in memory, in systemd's order.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list_units(&self, deadline: Instant) -> Result<Vec<Unit>, Error> {
        type Row<'a> = (
            &'a str,
            &'a str,
            &'a str,
            &'a str,
            &'a str,
            &'a str,
            zbus::ObjectPath<'a>,
            u32,
            &'a str,
            zbus::ObjectPath<'a>,
        );
        const CALL: &str = "ListUnits";
        let body = self
            .one(CALL, build(ROOT, MANAGER, CALL, &()), deadline)?
            .body();
        let rows: Vec<Row<'_>> = body.deserialize().map_err(|e| unexpected(CALL, &e))?;
        let unit = |row: &Row<'_>| Unit {
            name: row.0.to_owned(),
            description: row.1.to_owned(),
            load_state: row.2.to_owned(),
            active_state: row.3.to_owned(),
            sub_state: row.4.to_owned(),
            followed: row.5.to_owned(),
            path: row.6.as_str().to_owned(),
            job_id: row.7,
            job_type: row.8.to_owned(),
            job_path: row.9.as_str().to_owned(),
        };
        Ok(rows.iter().map(unit).collect())
    }

    /// All unit files on disk. Slow for systemd: it reads its directories.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list_unit_files(&self, deadline: Instant) -> Result<Vec<UnitFile>, Error> {
        const CALL: &str = "ListUnitFiles";
        let body = self
            .one(CALL, build(ROOT, MANAGER, CALL, &()), deadline)?
            .body();
        let rows: Vec<(&str, &str)> = body.deserialize().map_err(|e| unexpected(CALL, &e))?;
        let file = |(path, state): &(&str, &str)| UnitFile {
            path: (*path).to_owned(),
            state: (*state).to_owned(),
        };
        Ok(rows.iter().map(file).collect())
    }

    /// All properties of `interface` (short or whole) at object path `path`.
    ///
    /// Costs systemd far more than a few single ones: a service has over three hundred.
    ///
    /// # Errors
    /// [`Error`].
    pub fn unit_properties(
        &self,
        path: &str,
        interface: &str,
        deadline: Instant,
    ) -> Result<BTreeMap<String, Value>, Error> {
        const CALL: &str = "GetAll";
        let call = build(path, PROPERTIES, CALL, &(whole(interface).as_str(),));
        let body = self.one(CALL, call, deadline)?.body();
        let all: HashMap<&str, Variant<'_>> =
            body.deserialize().map_err(|e| unexpected(CALL, &e))?;
        Ok(all
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(value)))
            .collect())
    }

    /// One property.
    ///
    /// # Errors
    /// [`Error`].
    pub fn property(&self, wanted: Property<'_>, deadline: Instant) -> Result<Value, Error> {
        self.properties(&[wanted], deadline)
            .pop()
            .unwrap_or(Err(Error::Late { call: "Get" }))
    }

    /// Many properties of many units, pipelined; one entry for each of `wanted`, in order.
    ///
    /// Those that systemd answered before the deadline are there even when others are
    /// [`Error::Late`].
    pub fn properties(
        &self,
        wanted: &[Property<'_>],
        deadline: Instant,
    ) -> Vec<Result<Value, Error>> {
        const CALL: &str = "Get";
        let mut values = Vec::with_capacity(wanted.len());
        let mut sent: VecDeque<Pending> = VecDeque::with_capacity(PIECES);
        let mut pieces = wanted.chunks(PIECE);
        loop {
            while sent.len() < PIECES
                && let Some(piece) = pieces.next()
            {
                sent.push_back(self.send(CALL, piece.iter().map(get).collect(), deadline));
            }
            let Some(pending) = sent.pop_front() else {
                return values;
            };
            values.extend(pending.wait(CALL, deadline).into_iter().map(|answer| {
                let body = answer?.body();
                let value: Variant<'_> = body.deserialize().map_err(|e| unexpected(CALL, &e))?;
                Ok(Value::from(&value))
            }));
        }
    }

    /// Counters so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            parked: self.gauges.parked.load(Ordering::Relaxed),
            calls: self.gauges.calls.load(Ordering::Relaxed),
            late: self.gauges.late.load(Ordering::Relaxed),
            refused: self.gauges.refused.load(Ordering::Relaxed),
            connections: self.gauges.connections.load(Ordering::Relaxed),
            broken: self.gauges.broken.load(Ordering::Relaxed),
        }
    }

    fn one(
        &self,
        name: &'static str,
        call: Result<Message, Error>,
        deadline: Instant,
    ) -> Result<Message, Error> {
        let mut answers = self.send(name, vec![call], deadline).wait(name, deadline);
        answers.pop().unwrap_or(Err(Error::Late { call: name }))
    }

    /// Hands a piece to the connection's task, starting one if there is none.
    fn send(
        &self,
        name: &'static str,
        calls: Vec<Result<Message, Error>>,
        deadline: Instant,
    ) -> Pending {
        let (mut good, mut refusals) = (Vec::with_capacity(calls.len()), Vec::new());
        for call in calls {
            refusals.push(call.map(|call| good.push(call)).err());
        }
        let refuse = |error: Error| {
            self.gauges.refuse();
            Pending {
                refusals: refusals.iter().map(|_| Some(error.clone())).collect(),
                slot: None,
            }
        };
        if self.gauges.parked.load(Ordering::Relaxed) > 0 {
            return refuse(Error::Parked { call: name });
        }
        let (slot, job) = ask::batch(good, deadline, &self.gauges);
        match self.hand_over(job) {
            Ok(()) => Pending {
                refusals,
                slot: Some(slot),
            },
            Err(()) => refuse(Error::Busy { call: name }),
        }
    }

    /// Gives `job` to the connection's task. A task that has just ended refuses it, so a new one
    /// is started with the job already in its hands: it may fail before we could send another.
    fn hand_over(&self, job: Job) -> Result<(), ()> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = match &*session {
            Some(sender) => sender.try_send(job),
            None => Err(TrySendError::Closed(job)),
        };
        let job = match sent {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(_)) => return Err(()),
            Err(TrySendError::Closed(job)) => job,
        };
        let (sender, jobs) = mpsc::channel(WAITING);
        sender.try_send(job).map_err(|_| ())?;
        *session = Some(sender);
        self.handle.spawn(session::run(
            self.line.clone(),
            jobs,
            Arc::clone(&self.gauges),
        ));
        Ok(())
    }
}
