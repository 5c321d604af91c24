//! Looking at a pool: through the gates that see it, or by the connections of its ports; and ending sessions.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::super::plan::Planned;
use super::super::{Sees, Tally, Traffic, View, WORD, pool};
use super::Drive;
use crate::subject::Sampler;
use crate::subject::service_sessions::{ServiceSessions, Want};
use crate::telemetry::fault::fault;

/// How often sessions are counted while they are waited for.
const DRAINING: Duration = Duration::from_millis(500);
/// How often while the node is out.
const OUT: Duration = Duration::from_secs(2);
/// How often a pool is looked at that nothing holds: the first who hears of a wrong setting should not be an incident.
const STEADY: Duration = Duration::from_secs(10);

/// How long nobody may have come to a pool without gates until its sessions count as over: so long a load balancer that probes may take
/// to notice.
const UNNOTICED: Duration = Duration::from_secs(30);
/// How old a count of connections may be.
const FRESH: Duration = Duration::from_millis(100);

/// What was looked at, or done.
pub(super) enum Looked {
    View {
        order: u64,
        view: Result<View, String>,
    },
    Counted {
        order: u64,
        sessions: Result<u64, String>,
    },
    Cut(Result<u64, String>),
}

impl Drive {
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let sees = self.gates.iter().any(|told| told.known.sees);
        let every = match self.pool.traffic() {
            Traffic::Draining if sees || self.planned.sampler.is_some() => DRAINING,
            Traffic::Out if sees || self.planned.sampler.is_some() => OUT,
            Traffic::In | Traffic::Ramping if sees => STEADY,
            _ => return None,
        };
        Some(self.looked.map_or(now, |looked| looked + every))
    }

    pub(super) fn look(&mut self) {
        self.looked = Some(Instant::now());
        let (planned, order) = (Arc::clone(&self.planned), self.number);
        if let Some(sampler) = self.planned.sampler.clone() {
            self.looks.spawn(async move {
                let sessions = count(&planned, &sampler).await;
                Looked::Counted { order, sessions }
            });
            return;
        }
        self.looks.spawn(async move {
            let view = whole(views(&planned).await);
            Looked::View { order, view }
        });
    }

    pub(super) fn cut(&mut self) {
        let planned = Arc::clone(&self.planned);
        self.looks
            .spawn(async move { Looked::Cut(cut(&planned).await) });
    }

    pub(super) fn take(&mut self, looked: Looked) {
        match looked {
            Looked::View { order, view } => {
                let leaves = matches!(self.pool.traffic(), Traffic::Draining | Traffic::Out);
                if let (Ok(view), true) = (&view, leaves) {
                    match &mut self.tally {
                        Some(tally) => tally.look(view),
                        None => self.tally = Some(Tally::begin(view)),
                    }
                }
                let sessions = view.as_ref().ok().map(|view| view.sessions);
                // What was seen before the last word was heard says nothing.
                if let Some(sessions) =
                    sessions.filter(|_| order == self.number && self.pool.counts())
                {
                    self.step(pool::Event::Sessions(sessions));
                }
                if let (Err(why), false) = (&view, matches!(self.view, Some(Err(_)))) {
                    tracing::warn!(pool = %self.planned.name, "cannot look at the pool: {why}");
                }
                self.view = Some(view);
            }
            Looked::Counted { order, sessions } => self.counted(order, sessions),
            Looked::Cut(done) => {
                let pool = &self.planned.name;
                match &done {
                    Ok(sessions) => {
                        tracing::warn!(%pool, sessions, "cut sessions that had not ended in time");
                        if let Some(tally) = &mut self.tally {
                            tally.cut(*sessions);
                        }
                    }
                    Err(why) => tracing::warn!(%pool, "cannot cut sessions: {why}"),
                }
                self.looked = None;
                self.step(pool::Event::Cut(done.is_ok()));
            }
        }
    }

    /// So many connections of its ports there are now.
    fn counted(&mut self, order: u64, sessions: Result<u64, String>) {
        let leaves = matches!(self.pool.traffic(), Traffic::Draining | Traffic::Out);
        if !leaves {
            return;
        }
        if let Ok(sessions) = sessions {
            let begin = || Tally::begin(&View::default());
            self.tally.get_or_insert_with(begin).count_open(sessions);
            let now = Instant::now();
            self.idle = (sessions == 0).then(|| self.idle.unwrap_or(now));
            // Where nobody says that the load balancers know, that nobody comes says it, after a while.
            let told = !self.gates.is_empty();
            let known = told || self.idle.is_none_or(|idle| now >= idle + UNNOTICED);
            if known && order == self.number && self.pool.counts() {
                self.step(pool::Event::Sessions(sessions));
            }
        }
        if let (Err(why), false) = (&sessions, matches!(self.counted, Some(Err(_)))) {
            tracing::warn!(pool = %self.planned.name, "cannot count the connections of ports: {why}");
        }
        self.counted = Some(sessions);
    }
}

/// Counts the connections of a pool's ports.
async fn count(planned: &Planned, sampler: &Sampler) -> Result<u64, String> {
    let ports = &planned.pool.ports;
    let want = Want::ports(ports.iter().copied());
    let deadline = (Instant::now() + WORD).into_std();
    let asked = sampler.ask::<ServiceSessions, _>(want, FRESH, deadline, |reading| {
        reading.sessions(ports.iter().copied())
    });
    asked.await.map_err(|missing| missing.to_string())
}

/// What each gate of a pool that sees makes of it, by the gate's name.
pub(in crate::gate) async fn views(planned: &Arc<Planned>) -> Vec<(String, Result<View, String>)> {
    each(planned, |sees, deadline| sees.view(deadline)).await
}

/// An answer of a gate that sees.
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Asks every gate of a pool that sees, all at once and each for as long as a word may take: one that hangs takes nothing from others.
async fn each<T: Send + 'static>(
    planned: &Arc<Planned>,
    ask: for<'a> fn(&'a dyn Sees, Instant) -> Answer<'a, T>,
) -> Vec<(String, Result<T, String>)> {
    let deadline = Instant::now() + WORD;
    let mut asked = JoinSet::new();
    for (at, gate) in planned.gates.iter().enumerate() {
        let gate = Arc::clone(gate);
        asked.spawn(async move {
            let answer = timeout_at(deadline, ask(gate.sees()?, deadline)).await;
            let answer = answer.unwrap_or_else(|_| Err("no answer in time".into()));
            Some((at, (gate.name().to_owned(), answer)))
        });
    }
    let mut answers: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// These views as one: that which has it worst counts.
pub(in crate::gate) fn whole(views: Vec<(String, Result<View, String>)>) -> Result<View, String> {
    let mut whole: Option<View> = None;
    for (gate, view) in views {
        let view = view.map_err(|why| format!("{gate}: {why}"))?;
        whole = Some(match whole {
            None => view,
            Some(before) => worse(before, view),
        });
    }
    whole.ok_or_else(|| "no gate of this pool sees it; add haproxy_runtime to its gates".to_owned())
}

/// Two views of one pool as one.
fn worse(one: View, other: View) -> View {
    View {
        servers: one.servers.max(other.servers),
        healthy_others: one.healthy_others.min(other.healthy_others),
        takes_traffic: one.takes_traffic || other.takes_traffic,
        check: match (one.check, other.check) {
            (Some(one), Some(other)) => Some(one && other),
            (one, other) => one.or(other),
        },
        foreign: one.foreign || other.foreign,
        sessions: one.sessions + other.sessions,
        total: one.total + other.total,
        clients: one.clients.into_iter().chain(other.clients).collect(),
    }
}

/// Ends the sessions that this node has, at every gate that can; how many there were.
async fn cut(planned: &Arc<Planned>) -> Result<u64, String> {
    let (mut sessions, mut wrong) = (0, Vec::new());
    fault("gate.before_cut");
    let cuts = each(planned, |sees, deadline| sees.cut(deadline)).await;
    fault("gate.after_cut");
    for (gate, cut) in cuts {
        match cut {
            Ok(cut) => sessions += cut,
            Err(why) => wrong.push(format!("{gate}: {why}")),
        }
    }
    match wrong.is_empty() {
        true => Ok(sessions),
        false => Err(wrong.join("; ")),
    }
}
