//! Visitors of the pool who keep their connection and the cookie that HAProxy gives, and who try again as browsers do.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libtest_mimic::Failed;
use tokio::time::{sleep, timeout};

use super::service::now;
use crate::haproxy::web::Visitor;
use crate::process::until;

/// Between two requests of one visitor.
const THINKS: Duration = Duration::from_millis(50);
/// How long a visitor waits for an answer.
const WAITS: Duration = Duration::from_secs(20);

/// One request and what came of it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// When it was over.
    pub at: u64,
    pub who: u8,
    /// The service that answered; none if nobody did.
    pub by: Option<String>,
}

type Visits = Arc<Mutex<Vec<Visit>>>;

/// A few of them, on a thread of their own; they leave on drop.
pub struct Visitors {
    stop: Arc<AtomicBool>,
    visits: Visits,
    hosts: Vec<u8>,
    thread: Option<JoinHandle<()>>,
}

impl Visitors {
    /// Has visitors with these addresses (the last byte of each) come to a port.
    pub fn start(hosts: impl IntoIterator<Item = u8>, port: u16) -> Result<Self, Failed> {
        let hosts: Vec<u8> = hosts.into_iter().collect();
        let stop = Arc::new(AtomicBool::new(false));
        let visits = Visits::default();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build()?;
        let (comers, stops, seen) = (hosts.clone(), Arc::clone(&stop), Arc::clone(&visits));
        let thread = thread::spawn(move || {
            let all = tokio::task::LocalSet::new();
            for host in comers {
                let (stop, visits) = (Arc::clone(&stops), Arc::clone(&seen));
                all.spawn_local(visit(host, port, stop, visits));
            }
            runtime.block_on(all);
        });
        Ok(Self {
            stop,
            visits,
            hosts,
            thread: Some(thread),
        })
    }

    pub fn visits(&self) -> Vec<Visit> {
        lock(&self.visits).clone()
    }

    /// Waits until somebody was served by this service since then.
    pub fn served_by(&self, name: &str, since: u64) -> Result<(), Failed> {
        until(&format!("a visitor of {name}"), || {
            let visits = lock(&self.visits);
            let mut since = visits.iter().rev().take_while(|visit| visit.at > since);
            since
                .any(|visit| visit.by.as_deref() == Some(name))
                .then_some(())
        })
    }

    /// Who the service served last, by each visitor's last visit.
    pub fn bound_to(&self, name: &str) -> BTreeSet<u8> {
        let visits = lock(&self.visits);
        let last = |host: &&u8| visits.iter().rev().find(|visit| visit.who == **host);
        let bound = self
            .hosts
            .iter()
            .filter(|host| last(host).is_some_and(|visit| visit.by.as_deref() == Some(name)));
        bound.copied().collect()
    }

    /// Waits until each has been served a few times in a row from now on.
    pub fn all_are_served(&self) -> Result<(), Failed> {
        let since = now();
        until("every visitor to be served", || {
            let visits = lock(&self.visits);
            let well = |host: &u8| {
                let mine = visits.iter().rev().filter(|visit| visit.who == *host);
                let last: Vec<_> = mine.take(3).collect();
                last.len() == 3
                    && last
                        .iter()
                        .all(|visit| visit.by.is_some() && visit.at > since)
            };
            self.hosts.iter().all(well).then_some(())
        })
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Each ends its last request first.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn lock(visits: &Visits) -> MutexGuard<'_, Vec<Visit>> {
    visits.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn visit(who: u8, port: u16, stop: Arc<AtomicBool>, visits: Visits) {
    let (mut open, mut cookie): (Option<Visitor>, Option<String>) = (None, None);
    while !stop.load(Ordering::SeqCst) {
        let by = once(&mut open, who, port, &cookie, &stop).await;
        match &open {
            Some(visitor) if by.is_some() => cookie.clone_from(&visitor.cookie),
            _ => open = None,
        }
        lock(&visits).push(Visit { at: now(), who, by });
        sleep(THINKS).await;
    }
}

async fn once(
    open: &mut Option<Visitor>,
    who: u8,
    port: u16,
    cookie: &Option<String>,
    stop: &AtomicBool,
) -> Option<String> {
    if open.is_none() {
        let mut visitor = Visitor::new(who, port).await.ok()?;
        visitor.cookie.clone_from(cookie);
        *open = Some(visitor);
    }
    let leaves = async {
        while !stop.load(Ordering::SeqCst) {
            sleep(THINKS).await;
        }
    };
    let asks = timeout(WAITS, open.as_mut()?.asks());
    tokio::select! {
        asked = asks => asked.ok()?.ok(),
        () = leaves => None,
    }
}
