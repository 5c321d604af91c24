//! Brings the alerts of checks to healing: each beginning and each end, and what stands when somebody new is to hear of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;

use super::Door;
use crate::check::{Change, Checks, Health};
use crate::heal::intake::Refused;
use crate::heal::runner::{Found, LOCAL};
use crate::model::alert::Episode;

/// How long an alert waits before it is offered again to a journal that could not be written.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether a check has come to a verdict, as long as an alert of an earlier process waits for it.
const LOOK: Duration = Duration::from_millis(250);

/// Why an alert of an earlier process is over.
const WELL_OR_GONE: Found = Found {
    by: LOCAL,
    why: "it is well again, or is no more",
};

/// Listens to the checks for as long as they run; `anew`: the playbooks are others now, and what stands is offered to them.
pub(super) async fn listen(door: Arc<Door>, checks: Arc<Checks>, anew: Arc<Notify>) {
    let mut changes = checks.changes();
    let mut told = BTreeMap::new();
    let mut before = match door.get() {
        Some(healing) => healing.firing(LOCAL).await,
        None => Vec::new(),
    };
    catch_up(&door, &checks, &mut told).await;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK), if !before.is_empty() => {
                let over = before.extract_if(.., |episode| is_over(episode, &checks, &told));
                end(&door, over.collect()).await;
            }
            change = changes.recv() => match change {
                Ok(change) => tell(&door, &checks, &mut told, change).await,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(
                        missed,
                        "changes of checks came faster than they could be put on record: only what they came to is told"
                    );
                    catch_up(&door, &checks, &mut told).await;
                }
                Err(RecvError::Closed) => return,
            },
            () = anew.notified() => catch_up(&door, &checks, &mut told).await,
        }
    }
}

/// Whether a check has shown that the trouble an earlier process told of is over, or has raised an alert of its own in its place.
/// Until then it is not known, and what waits for it goes on waiting.
fn is_over(episode: &Episode, checks: &Checks, told: &BTreeMap<Arc<str>, Change>) -> bool {
    let name = episode.fingerprint();
    match checks.state(name).map(|state| state.health) {
        None | Some(Health::Up) => true,
        Some(Health::Unknown | Health::Down) => told.contains_key(name),
    }
}

/// Ends alerts of an earlier process.
async fn end(door: &Door, episodes: Vec<Episode>) {
    while !episodes.is_empty()
        && let Some(healing) = door.get()
    {
        match healing.over(LOCAL, episodes.clone(), WELL_OR_GONE).await {
            Err(Refused::Full | Refused::Overloaded) => tokio::time::sleep(AGAIN).await,
            Ok(_) | Err(Refused::Ending) => return,
        }
    }
}

/// Tells what stands, and the end of what was told to stand and no longer does.
async fn catch_up(door: &Door, checks: &Checks, told: &mut BTreeMap<Arc<str>, Change>) {
    let standing = checks.standing();
    let stands = |change: &Change| standing.iter().any(|other| same(other, change));
    let over: Vec<Change> = told
        .values()
        .filter(|change| !stands(change))
        .map(Change::over)
        .collect();
    for change in over.into_iter().chain(standing) {
        tell(door, checks, told, change).await;
    }
}

/// Tells one change. What could not be put on record is not told later as it was, but as it is then.
async fn tell(
    door: &Door,
    checks: &Checks,
    told: &mut BTreeMap<Arc<str>, Change>,
    mut change: Change,
) {
    while let Some(healing) = door.get() {
        match healing.note(change.alert()).await {
            Err(Refused::Full | Refused::Overloaded) => tokio::time::sleep(AGAIN).await,
            Ok(_) | Err(Refused::Ending) => break,
        }
        if !change.up
            && !checks
                .standing()
                .iter()
                .any(|standing| same(standing, &change))
        {
            change = change.over();
        }
    }
    match change.up {
        true => told.remove(&change.name),
        false => told.insert(Arc::clone(&change.name), change),
    };
}

/// Whether two tell of the same trouble of a check.
fn same(one: &Change, other: &Change) -> bool {
    one.name == other.name && one.since == other.since
}
