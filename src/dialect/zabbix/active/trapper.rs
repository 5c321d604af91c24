//! Values of nodeward's own, brought to trapper items as `zabbix_sender` brings them.
//!
//! Owns when a value is brought: at once when it has changed, and each `interval` in any case, so that a trigger over missing values
//! can tell that this node is silent. What no server has taken yet waits as values of active checks do. The surprising decision: it
//! is nodeward that knows what it tells, and not the server; an item that is missing there is counted as rejected.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::counts::{Counts, Request};
use super::reply;
use super::target::{self, Target};
use super::waiting::Waiting;
use super::wire::Wire;
use super::{Face, RETRY, clock, quoted};
use crate::dialect::zabbix::key::Key;
use crate::model::duration::Period;
use crate::net::backoff::Backoff;
use crate::telemetry::Often;

/// What only keys of nodeward begin with.
const OWN: &str = "nodeward.";
/// More keys are refused.
const MOST_KEYS: usize = 1000;
/// How often values are looked at, for changes.
const LOOK: Duration = Duration::from_secs(1);

/// Values of nodeward's own, brought to trapper items of this host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Servers and proxies that they are brought to, written as `server_active` is. Default: those of `server_active`.
    pub servers: Vec<String>,
    /// The keys, each that of a trapper item: any that begin with `nodeward.`. Default: the state of the node, whether it is isolated
    /// or paused, open incidents, heals and escalations.
    pub keys: Vec<String>,
    /// How often a value that has not changed is brought all the same, from 1s to 1d; one that has is brought within a second.
    /// Default: 1m.
    pub interval: Period,
}

impl Default for Options {
    fn default() -> Self {
        let keys = [
            "nodeward.state",
            "nodeward.isolated",
            "nodeward.paused",
            "nodeward.incidents",
            "nodeward.heals",
            "nodeward.heals[,escalated]",
        ];
        Self {
            servers: Vec::new(),
            keys: keys.map(str::to_owned).to_vec(),
            interval: Period::secs(60),
        }
    }
}

impl Options {
    /// What is wrong with it, where it is brought to `active` unless it says otherwise: key and why.
    pub fn check(&self, active: &[String]) -> Vec<(&'static str, String)> {
        let servers = target::check(&self.servers).into_iter();
        let mut wrong: Vec<_> = servers.map(|why| ("servers", why.to_string())).collect();
        if self.servers.is_empty() && active.is_empty() {
            wrong.push((
                "servers",
                "there is none, and no server_active; list the addresses of your Zabbix servers"
                    .to_owned(),
            ));
        }
        if self.keys.len() > MOST_KEYS {
            wrong.push((
                "keys",
                format!(
                    "there are {}; at most {MOST_KEYS} are allowed",
                    self.keys.len()
                ),
            ));
        }
        for text in &self.keys {
            match Key::parse(text) {
                Ok(key) if key.name().starts_with(OWN) => {}
                Ok(_) => wrong.push((
                    "keys",
                    format!("{text:?} is no key of nodeward's own; those begin with {OWN}"),
                )),
                Err(why) => wrong.push(("keys", format!("{text:?}: {why}"))),
            }
        }
        let day = Period::secs(1)..=Period::secs(86_400);
        if !day.contains(&self.interval) {
            wrong.push((
                "interval",
                format!("{} is out of range; it may be from 1s to 1d", self.interval),
            ));
        }
        wrong
    }

    /// The servers that values are brought to.
    pub fn targets<'a>(&'a self, active: &'a [String]) -> &'a [String] {
        match self.servers.is_empty() {
            true => active,
            false => &self.servers,
        }
    }
}

/// What is brought to one server.
pub(super) struct Trapper {
    pub(super) target: Target,
    pub(super) face: Arc<Face>,
    pub(super) wire: Wire,
    pub(super) waiting: Arc<Waiting>,
    pub(super) counts: Arc<Counts>,
    pub(super) options: Options,
    /// Of values that the server did not want.
    pub(super) unwanted: Often,
}

impl Trapper {
    /// Goes on until it is told by when to end; then what waits is brought if the server takes it, and kept otherwise.
    pub(super) async fn run(self, mut closing: watch::Receiver<Option<Instant>>) {
        self.waiting.open().await;
        let keys = self
            .options
            .keys
            .iter()
            .map(|text| Key::parse(text).ok().map(|key| (text, key)));
        let keys: Vec<(&String, Key<'_>)> = keys.flatten().collect();
        let mut told: HashMap<&str, (String, Instant)> = HashMap::new();
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut node, mut again, mut backoff) =
            (0, Instant::now(), Backoff::new(RETRY.0, RETRY.1));
        loop {
            tokio::select! {
                _ = closing.changed() => {}
                _ = ticks.tick() => {}
            }
            let deadline = *closing.borrow_and_update();
            if deadline.is_none() {
                for (text, key) in &keys {
                    self.look(text, key, &mut told).await;
                }
            }
            while (deadline.is_some() || again <= Instant::now())
                && self.waiting.due(Duration::ZERO).is_some()
            {
                let brought = self.bring(node);
                let brought = match deadline {
                    Some(deadline) => tokio::time::timeout_at(deadline, brought)
                        .await
                        .unwrap_or(false),
                    None => brought.await,
                };
                if brought {
                    backoff.reset();
                } else {
                    node = (node + 1) % self.target.nodes().len().max(1);
                    again = Instant::now() + backoff.pause();
                    break;
                }
            }
            if deadline.is_some() || self.waiting.is_filling() {
                self.waiting.spill().await;
            }
            if deadline.is_some() {
                return self.waiting.end();
            }
        }
    }

    /// Has a value brought if it is another one than the last, or if that was long ago. What has no value now is left out.
    async fn look<'a>(
        &self,
        text: &'a str,
        key: &Key<'_>,
        told: &mut HashMap<&'a str, (String, Instant)>,
    ) {
        let now = Instant::now();
        let Ok(value) = self.face.values.value(key, (now + LOOK).into_std()).await else {
            return;
        };
        let interval = self.options.interval.get();
        let known = |(last, at): &(String, Instant)| *last == *value && *at + interval > now;
        if told.get(text).is_some_and(known) {
            return;
        }
        let at = clock::members();
        let (host, name, said) = (quoted(&self.face.hostname), quoted(text), quoted(&value));
        self.waiting
            .push(|_| format!("{{\"host\":{host},\"key\":{name},\"value\":{said},{at}}}"));
        told.insert(text, (value.into_owned(), now));
    }

    /// Brings the oldest values; whether the server took them.
    async fn bring(&self, node: usize) -> bool {
        let (Some(batch), Some(place)) =
            (self.waiting.batch().await, self.target.nodes().get(node))
        else {
            return false;
        };
        let request = format!(
            "{{\"request\":\"sender data\",\"data\":[{}],{}}}",
            batch.values,
            clock::members()
        );
        let answer = self.wire.ask(place, request.as_bytes()).await;
        match answer.and_then(|answer| reply::taken(&answer)) {
            Ok(rejected) => {
                self.counts.well(Request::Sender);
                if rejected > 0 && self.unwanted.say(std::time::Instant::now()).is_some() {
                    tracing::warn!(
                        server = %self.target,
                        "the Zabbix server did not want {rejected} of {} values of nodeward's own: has host {:?} a trapper item for each of zabbix.trapper.keys?",
                        batch.count, self.face.hostname
                    );
                }
                self.waiting.settle(rejected).await;
                true
            }
            Err(failure) => {
                if let Some(tally) = self.counts.tally(Request::Sender, failure.kind()) {
                    tally.note(|left_out| {
                        tracing::warn!(server = %self.target, left_out, "nodeward's own values for Zabbix were not taken: {failure}");
                    });
                }
                false
            }
        }
    }
}
