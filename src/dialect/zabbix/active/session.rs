//! The conversation with one server: what it wants, what it is brought, and that this agent lives.
//!
//! ```text
//!  active checks ──> list ──> plan          every `refresh_active_checks`, sooner after a failure
//!  agent data    <── waiting <── values     `buffer_send` after the oldest, the same batch until it is taken
//!  heartbeat     ──>                        to servers that know it
//! ```
//!
//! Owns what is asked when, and who is asked: the node of a cluster that answers, and the server that a server names. That one is
//! asked only if the config lists it too, since nothing is connected to that the config did not name.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::counts::{Counts, Request};
use super::plan::Plan;
use super::reply::{self, Answer, List, Redirect};
use super::target::{self, Target};
use super::waiting::Waiting;
use super::wire::{Failure, Wire};
use super::{Face, RETRY, clock};
use crate::dialect::zabbix::agent::{PROTOCOL, VARIANT};
use crate::net::backoff::Backoff;
use crate::net::endpoint::Place;
use crate::telemetry::Often;

/// How often the list is asked for, where the config does not say so: of a server that says whether it changed (7.0), and of another.
const REFRESH: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));
/// Numbers of commands that are remembered.
const REMEMBERED: usize = 64;

/// What the conversation and the collecting share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) target: Target,
    pub(super) waiting: Arc<Waiting>,
    pub(super) counts: Arc<Counts>,
    plan: Mutex<Plan>,
    /// Told when the plan has changed.
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn new(
        target: Target,
        waiting: Arc<Waiting>,
        counts: Arc<Counts>,
        plan: Plan,
    ) -> Self {
        Self {
            target,
            waiting,
            counts,
            plan: Mutex::new(plan),
            changed: Notify::new(),
        }
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The conversation.
pub(super) struct Session {
    shared: Arc<Shared>,
    face: Arc<Face>,
    wire: Wire,
    zone: TimeZone,
    /// The node that is asked.
    node: usize,
    /// The server that is in charge instead, and which decision that was.
    redirected: Option<(u64, Place)>,
    /// The decision that was followed last.
    revision_of_redirect: u64,
    revision: u64,
    /// Whether the server has told a revision, and so knows heartbeats.
    modern: bool,
    held: bool,
    refresh: Instant,
    heartbeat: Instant,
    /// No values before.
    send: Instant,
    asking: Backoff,
    sending: Backoff,
    /// Of each kind whether the last request failed.
    failing: [bool; Request::ALL.len()],
    /// Of values that the server did not want.
    unwanted: Often,
    commands: Vec<u64>,
    /// Of these some are not answered yet.
    unanswered: Vec<u64>,
}

/// An answer that takes longer may not come.
const LATE: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Checks<'a> {
    request: &'static str,
    host: &'a str,
    version: &'static str,
    variant: u8,
    session: &'a str,
    config_revision: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    host_metadata: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    interface: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[derive(Serialize)]
struct Heartbeat<'a> {
    request: &'static str,
    host: &'a str,
    heartbeat_freq: u64,
    version: &'static str,
    variant: u8,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, face: Arc<Face>, wire: Wire, zone: TimeZone) -> Self {
        let now = Instant::now();
        Self {
            shared,
            face,
            wire,
            zone,
            node: 0,
            redirected: None,
            revision_of_redirect: 0,
            revision: 0,
            modern: false,
            held: false,
            refresh: now,
            heartbeat: now,
            send: now,
            asking: Backoff::new(RETRY.0, RETRY.1),
            sending: Backoff::new(RETRY.0, RETRY.1),
            unwanted: Often::default(),
            failing: [false; Request::ALL.len()],
            commands: Vec::new(),
            unanswered: Vec::new(),
        }
    }

    /// Goes on until it is told by when to end; then what waits is sent if the server takes it, and kept otherwise.
    pub(super) async fn run(mut self, mut closing: watch::Receiver<Option<Instant>>) {
        let left = self.shared.waiting.open().await;
        if left > 0 {
            tracing::info!(server = %self.shared.target, "{left} values that Zabbix did not take wait in the spool from an earlier run");
        }
        loop {
            let deadline = *closing.borrow_and_update();
            if let Some(deadline) = deadline {
                return self.last(deadline).await;
            }
            let next = self.next();
            if self.spills() {
                self.shared.waiting.spill().await;
                continue;
            }
            if next <= Instant::now() {
                let waiting = Arc::clone(&self.shared.waiting);
                let late = Instant::now() + LATE;
                let mut turn = pin!(self.turn());
                loop {
                    tokio::select! {
                        biased;
                        _ = closing.changed() => break,
                        () = &mut turn => break,
                        () = waiting.woken.notified() => {}
                        () = tokio::time::sleep_until(late), if Instant::now() < late => {}
                    }
                    // A server that does not answer is away too, and what memory does not hold is not to be lost meanwhile. The
                    // turn stands still while it is written: nothing is settled of what gets its place on the disk.
                    let is_late = Instant::now() >= late;
                    if waiting.is_nearly_full() || (is_late && waiting.is_filling()) {
                        waiting.spill().await;
                    }
                }
                continue;
            }
            tokio::select! {
                _ = closing.changed() => {}
                () = tokio::time::sleep_until(next) => {}
                () = self.shared.waiting.woken.notified() => {}
            }
        }
    }

    /// When there is something to do next.
    fn next(&self) -> Instant {
        let mut next = self.refresh;
        if self.beats() {
            next = next.min(self.heartbeat);
        }
        if let Some(due) = self
            .shared
            .waiting
            .due(self.face.buffer_send)
            .filter(|_| !self.held)
        {
            next = next.min(due.max(self.send));
        }
        if !self.unanswered.is_empty() {
            next = next.min(self.send);
        }
        next
    }

    fn beats(&self) -> bool {
        self.modern && !self.face.heartbeat.is_zero()
    }

    fn spills(&self) -> bool {
        let away = self.held || self.send > Instant::now();
        self.shared.waiting.spills(away)
    }

    /// One request, the one that is due.
    async fn turn(&mut self) {
        let now = Instant::now();
        if self.refresh <= now {
            self.ask().await;
        } else if self.beats() && self.heartbeat <= now {
            self.beat().await;
        } else {
            // What it did not take, it is brought again.
            let _ = self.bring().await;
        }
    }

    fn place(&self) -> Place {
        let node = || self.shared.target.nodes().get(self.node).cloned();
        let redirected = self.redirected.as_ref().map(|(_, place)| place.clone());
        redirected.or_else(node).unwrap_or(Place::Tcp {
            host: String::new(),
            port: target::PORT,
        })
    }

    /// Asks for the list.
    async fn ask(&mut self) {
        match self.asked().await {
            Ok(list) => {
                self.well(Request::Checks);
                self.asking.reset();
                self.take(list);
                let modern = if self.modern { REFRESH.0 } else { REFRESH.1 };
                self.refresh = Instant::now() + self.face.refresh.unwrap_or(modern);
            }
            Err(failure) => {
                self.refresh = Instant::now() + self.asking.pause();
                self.failed(Request::Checks, &failure);
            }
        }
    }

    async fn asked(&mut self) -> Result<List, Failure> {
        let (metadata, interface) = self.face.said().await;
        // One server may name another, and that one must know.
        for _ in 0..2 {
            let session = self.shared.waiting.session();
            let request = serde_json::to_vec(&Checks {
                request: "active checks",
                host: &self.face.hostname,
                version: PROTOCOL,
                variant: VARIANT,
                session: &session,
                config_revision: self.revision,
                host_metadata: &metadata,
                interface: &interface,
                ip: self.face.ip.as_deref(),
                port: self.face.port,
            });
            let request = request.map_err(|why| Failure::Malformed(why.to_string()))?;
            let answer = self.wire.ask(&self.place(), &request).await?;
            match reply::checks(&answer)? {
                Answer::List(list) => return Ok(list),
                Answer::Redirect(redirect) => self.follow(redirect)?,
            }
        }
        Err(Failure::Refused(
            "it is redirected from one server to another without end".to_owned(),
        ))
    }

    fn follow(&mut self, redirect: Redirect) -> Result<(), Failure> {
        let Redirect::To { address, revision } = redirect else {
            self.unredirect();
            return Ok(());
        };
        if revision <= self.revision_of_redirect {
            let why = format!(
                "it is redirected to {address} by a decision that is not newer than the one before"
            );
            return Err(Failure::Refused(why));
        }
        let place = target::place(&address).filter(|place| self.face.named.contains(place));
        let place = place.ok_or_else(|| {
            Failure::Refused(format!(
                "another server is in charge, {address}; add it to zabbix.server_active, behind {} with ; between them",
                self.shared.target
            ))
        })?;
        self.revision_of_redirect = revision;
        // Another server counts revisions of its own.
        self.revision = 0;
        self.redirected = Some((revision, place));
        Ok(())
    }

    /// The configured servers are in charge, and may redirect by the same decision again.
    fn unredirect(&mut self) {
        self.revision_of_redirect = 0;
        if self.redirected.take().is_some() {
            self.revision = 0;
        }
    }

    fn take(&mut self, list: List) {
        if let Some(revision) = list.revision {
            self.modern = true;
            self.revision = revision;
        }
        self.held = list.held;
        for id in list.commands {
            if !self.commands.contains(&id) {
                self.commands.push(id);
                self.unanswered.push(id);
            }
        }
        let old = self.commands.len().saturating_sub(REMEMBERED);
        self.commands.drain(..old);
        if let Some(items) = list.items {
            let mut plan = self.shared.plan();
            plan.set(items, clock::seconds(), &self.zone);
            self.shared.counts.set_items(plan.count());
            drop(plan);
            self.shared.counts.set_left_out(list.left_out);
            self.shared.changed.notify_one();
        }
    }

    /// Says that this agent lives.
    async fn beat(&mut self) {
        self.heartbeat = Instant::now() + self.face.heartbeat;
        let request = serde_json::to_vec(&Heartbeat {
            request: "active check heartbeat",
            host: &self.face.hostname,
            heartbeat_freq: self.face.heartbeat.as_secs(),
            version: PROTOCOL,
            variant: VARIANT,
        });
        match self
            .wire
            .tell(&self.place(), &request.unwrap_or_default())
            .await
        {
            Ok(()) => self.well(Request::Heartbeat),
            Err(failure) => self.failed(Request::Heartbeat, &failure),
        }
    }

    /// Brings the oldest values, and says that commands are not carried out; whether the server took it.
    async fn bring(&mut self) -> bool {
        let batch = match self.held {
            true => None,
            false => self.shared.waiting.batch().await,
        };
        if batch.is_none() && self.unanswered.is_empty() {
            // What is due lies in a spool that cannot be read now.
            self.send = Instant::now() + self.sending.pause();
            return false;
        }
        let session = batch.as_ref().map(|batch| Arc::clone(&batch.session));
        let session = session.unwrap_or_else(|| self.shared.waiting.session());
        let values = batch.as_ref().map_or("", |batch| &batch.values);
        let request = self.data(&session, values);
        let answer = match self.wire.ask(&self.place(), request.as_bytes()).await {
            Ok(answer) => match reply::redirect(&answer) {
                None => reply::taken(&answer),
                // Asked for the list, the server says so again, and then it is followed.
                Some(_) => {
                    self.refresh = Instant::now();
                    Err(Failure::Refused("another server is in charge".to_owned()))
                }
            },
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(rejected) => {
                self.well(Request::Data);
                self.sending.reset();
                self.unanswered.clear();
                if let Some(batch) = batch {
                    if rejected > 0
                        && let Some(left_out) = self.unwanted.say(Instant::now().into_std())
                    {
                        tracing::warn!(
                            server = %self.shared.target, left_out,
                            "the Zabbix server did not want {rejected} of {} values: their items are gone or disabled there, it has them already, \
                             or host {:?} takes none from a connection that is protected as zabbix.tls.connect says",
                            batch.count, self.face.hostname
                        );
                    }
                    self.shared.waiting.settle(rejected).await;
                }
                true
            }
            Err(failure) => {
                self.send = Instant::now() + self.sending.pause();
                self.failed(Request::Data, &failure);
                false
            }
        }
    }

    fn data(&self, session: &str, values: &str) -> String {
        let host = super::quoted(&self.face.hostname);
        let mut commands = String::new();
        if !self.unanswered.is_empty() {
            let refused = super::quoted("Unsupported item key.");
            let answers = self.unanswered.iter();
            let answers: Vec<String> = answers
                .map(|id| format!("{{\"id\":{id},\"error\":{refused}}}"))
                .collect();
            commands = format!("\"commands\":[{}],", answers.join(","));
        }
        format!(
            "{{\"request\":\"agent data\",\"session\":\"{session}\",\"host\":{host},\"version\":\"{PROTOCOL}\",\"variant\":{VARIANT},\
             \"data\":[{values}],{commands}{}}}",
            clock::members()
        )
    }

    /// What waits is sent while there is time, and kept if the server does not take it.
    async fn last(mut self, deadline: Instant) {
        let sent = async {
            while !self.held && self.shared.waiting.due(Duration::ZERO).is_some() {
                if !self.bring().await {
                    return;
                }
            }
        };
        drop(tokio::time::timeout_at(deadline, sent).await);
        self.shared.waiting.spill().await;
        self.shared.waiting.end();
    }

    fn well(&mut self, request: Request) {
        self.shared.counts.well(request);
        let failing = self.failing.get_mut(request as usize);
        if failing.is_some_and(std::mem::take) {
            tracing::info!(server = %self.shared.target, "active checks of Zabbix: {} are answered again", request.name());
        }
    }

    fn failed(&mut self, request: Request, failure: &Failure) {
        if let Some(failing) = self.failing.get_mut(request as usize) {
            *failing = true;
        }
        let tally = self.shared.counts.tally(request, failure.kind());
        if let Some(tally) = tally {
            tally.note(|left_out| {
                tracing::warn!(
                    server = %self.shared.target, left_out,
                    "active checks of Zabbix: {} failed: {failure}{}", request.name(), hint(failure, &self.face.hostname)
                );
            });
        }
        // What answered and said no is the right node.
        if !matches!(failure, Failure::Refused(_)) {
            self.unredirect();
            self.node = (self.node + 1) % self.shared.target.nodes().len().max(1);
        }
    }
}

/// What helps.
fn hint(failure: &Failure, hostname: &str) -> String {
    match failure {
        Failure::Refused(why) if why.contains("not found") => format!(
            "; the server has no host named {hostname:?} (zabbix.hostname): add it there, or an autoregistration action"
        ),
        Failure::Connect(_) => {
            "; is zabbix.server_active its address, with its port for active checks (10051)?"
                .to_owned()
        }
        _ => String::new(),
    }
}
