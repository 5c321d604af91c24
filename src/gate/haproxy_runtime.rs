//! HAProxy is told over its runtime API, and the pool is seen through it.
//!
//! Owns whose a server's maintenance is, and how it is given back. One gate is one HAProxy. Before each word it looks at who has the
//! server out: what nodeward did not place is left as it is. The surprising decision: what is nodeward's is what this process placed there.
//! Only until it has placed something is `lifts` taken for it, since that is what the process before placed. For that to be known, a server
//! that is found free is told nothing before that is on record.
//!
//! A share of the weight is one of the weight that was found, so that an operator's weight is there again at the end.

mod memory;
mod options;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use self::memory::{Memory, Step};
use super::{Gate, Heard, Say, Sees, View, Wanted};
use crate::peer::haproxy::{Error, Runtime, Server};

pub use options::HaproxyRuntime;

/// With more sessions in the pool than this, clients are not asked for: HAProxy lists those of all its backends, or none.
const CLIENTS: u64 = 2_000;
/// How often the sessions are counted that are being cut.
const COUNT: Duration = Duration::from_millis(20);

/// The gate of one HAProxy.
#[derive(Debug)]
pub struct Balancer {
    name: String,
    runtime: Runtime,
    backend: String,
    memory: Mutex<Memory>,
}

impl Balancer {
    fn new(runtime: Runtime, backend: &str) -> Self {
        let (server, place) = (runtime.server(), runtime.place());
        Self {
            name: format!("haproxy_runtime:{backend}/{server}@{place}"),
            backend: backend.to_owned(),
            memory: Mutex::default(),
            runtime,
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The servers of the pool, and ours.
    async fn look(&self, deadline: Instant) -> Result<(Vec<Server>, Server), Error> {
        let servers = self.runtime.servers(deadline).await?;
        let name = self.runtime.server().as_str();
        match servers.iter().find(|one| one.name == name).cloned() {
            Some(ours) => Ok((servers, ours)),
            None => Err(self.runtime.no_server()),
        }
    }

    async fn step(&self, step: Step, deadline: Instant) -> Result<(), Error> {
        match step {
            Step::State(state) => self.runtime.set_state(state, deadline).await,
            Step::Weight(weight) => self.runtime.set_weight(weight, deadline).await,
        }
    }

    /// Clients of the pool, each with whether it is served by this node.
    async fn clients(&self, deadline: Instant) -> Vec<(String, bool)> {
        match self.runtime.sessions(deadline).await {
            Ok(sessions) => {
                let server = self.runtime.server().as_str();
                let of_pool = sessions.into_iter().filter(|s| s.backend == self.backend);
                of_pool
                    .map(|one| (one.client, one.server == server))
                    .collect()
            }
            Err(why) => {
                tracing::debug!(gate = self.name, "clients are not known: {why}");
                Vec::new()
            }
        }
    }
}

#[async_trait]
impl Gate for Balancer {
    fn name(&self) -> &str {
        &self.name
    }

    async fn tell(&self, wanted: &Wanted, deadline: Instant) -> Result<Heard, String> {
        self.memory().wants(wanted);
        let (_, ours) = self.look(deadline).await.map_err(|e| e.to_string())?;
        self.memory().saw(&ours);
        let steps = self.memory().steps(&ours, wanted);
        let Some(steps) = steps else {
            let parting = self.memory().parting(&ours, wanted);
            if let Some(step) = parting {
                let told = self.step(step, deadline).await;
                told.map_err(|e| e.to_string())?;
            }
            self.memory().parted();
            return Ok(Heard::Foreign);
        };
        if !wanted.recorded && !matches!(wanted.say, Say::In(_)) {
            return Ok(Heard::Unrecorded);
        }
        let settles = Memory::is_to_settle(&steps, wanted);
        for step in steps {
            // Before it is sent: nobody knows what became of a word whose answer is lost.
            self.memory().sends(step, &ours);
            self.step(step, deadline).await.map_err(|e| e.to_string())?;
            self.memory().sent(step);
        }
        self.memory().told(&ours, wanted);
        Ok(match settles {
            true => Heard::NotYet,
            false => Heard::Yes,
        })
    }

    fn sees(&self) -> Option<&dyn Sees> {
        Some(self)
    }
}

#[async_trait]
impl Sees for Balancer {
    fn others(&self) -> Option<bool> {
        self.memory().others()
    }

    async fn view(&self, deadline: Instant) -> Result<View, String> {
        let (servers, ours) = self.look(deadline).await.map_err(|e| e.to_string())?;
        let sessions = servers.iter().map(|one| one.sessions).sum::<u64>();
        let clients = match sessions {
            1..=CLIENTS => self.clients(deadline).await,
            _ => Vec::new(),
        };
        let foreign = {
            let mut memory = self.memory();
            memory.saw(&ours);
            memory.is_foreign(&ours)
        };
        Ok(View {
            clients,
            foreign,
            ..seen(&servers, &ours)
        })
    }

    async fn cut(&self, deadline: Instant) -> Result<u64, String> {
        let (_, before) = self.look(deadline).await.map_err(|e| e.to_string())?;
        if before.sessions == 0 || !self.memory().holds(&before) {
            return Ok(0);
        }
        let shut = self.runtime.shutdown_sessions(deadline).await;
        shut.map_err(|e| e.to_string())?;
        // HAProxy answers before they have ended. What lasts longer than half of the time is seen in the next view.
        let now = Instant::now();
        let patience = now + deadline.saturating_duration_since(now) / 2;
        loop {
            let (_, after) = self.look(deadline).await.map_err(|e| e.to_string())?;
            let came = after.total.saturating_sub(before.total);
            let ended = (before.sessions + came).saturating_sub(after.sessions);
            if ended >= before.sessions || Instant::now() >= patience {
                return Ok(ended);
            }
            sleep(COUNT).await;
        }
    }
}

/// What the servers of a pool say of it. A backup counts as HAProxy uses it: one, and only while no other is left.
fn seen(servers: &[Server], ours: &Server) -> View {
    let take = |backup: bool| {
        let others = servers.iter().filter(move |one| one.name != ours.name);
        let usable = others.filter(move |one| one.backup == backup && one.takes_sessions());
        u32::try_from(usable.count()).unwrap_or(u32::MAX)
    };
    let (active, backups) = (take(false), take(true));
    View {
        servers: u32::try_from(servers.len()).unwrap_or(u32::MAX),
        healthy_others: if active > 0 { active } else { backups.min(1) },
        takes_traffic: ours.takes_sessions() && (!ours.backup || active == 0),
        check: ours.check,
        sessions: ours.sessions,
        total: ours.total,
        ..View::default()
    }
}
