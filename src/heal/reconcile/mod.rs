//! Alerts whose end nobody told: what fires here is compared with what Alertmanager has.
//!
//! A silence swallows the `resolved` of what it covers, and an alert whose firing was never answered 2xx gets none. So
//! nodeward asks now and then. An alert that fires here and that no member of the cluster lists in two looks in a row is
//! over, and that is told to the incidents as a hint like any other `resolved`. Owns the looks and when to believe them; it decides
//! nothing about an incident.
//!
//! The surprising decision: an alert that Alertmanager has and that never came is left alone. Which alerts come here is for
//! Alertmanager's routes to say.

mod counts;
mod looks;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

pub use counts::{Count, Counts};

use super::intake::of_labels;
use super::runner::{Found, Healing};
use crate::model::moment::Timestamp;
use crate::net::backoff::Backoff;
use crate::net::endpoint::EndpointError;
use crate::net::resolve::Resolver;
use crate::peer::alertmanager::{Alertmanager, Error, Options};
use looks::Looks;

/// Why an alert of Alertmanager is over.
const LISTED_NO_MORE: Found = Found {
    by: "reconcile",
    why: "Alertmanager's API listed it no more, twice in a row",
};

/// The comparison of one hook with the Alertmanager that sends to it.
pub struct Reconcile {
    hook: String,
    members: Vec<Alertmanager>,
    pauses: Backoff,
    settle: Duration,
    looks: Looks,
    counts: Arc<Counts>,
    /// Whether it was ever asked; the first time it is even if there is nothing to compare, so that a wrong address shows.
    asked: bool,
    failing: bool,
}

/// What all members that answered have together.
struct Seen {
    present: HashSet<String>,
    /// Whether one of them has run long enough to have been sent every alert.
    settled: bool,
}

impl Reconcile {
    /// For the hook of this name; opens nothing yet.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(
        hook: &str,
        options: &Options,
        resolver: &Resolver,
        counts: Arc<Counts>,
    ) -> Result<Self, EndpointError> {
        let every = options.every.get();
        Ok(Self {
            hook: hook.to_owned(),
            members: Alertmanager::all(options, resolver)?,
            pauses: Backoff::new(every, every),
            settle: options.settle.get(),
            looks: Looks::default(),
            counts,
            asked: false,
            failing: false,
        })
    }

    /// Compares at once and then every so often, until it is dropped; `healing` is there while healing is on.
    pub async fn run(mut self, healing: impl Fn() -> Option<Healing> + Send) {
        loop {
            if let Some(healing) = healing() {
                self.compare(&healing).await;
            }
            tokio::time::sleep(self.pauses.pause()).await;
        }
    }

    async fn compare(&mut self, healing: &Healing) {
        // Before the list is fetched: what comes meanwhile is not missing from it.
        let firing = healing.firing(&self.hook).await;
        if firing.is_empty() {
            self.looks.forget();
            if self.asked {
                return;
            }
        }
        self.asked = true;
        let seen = match self.ask().await {
            Ok(seen) => seen,
            Err(why) => return self.failed(&why),
        };
        if std::mem::take(&mut self.failing) {
            tracing::info!(hook = self.hook, "Alertmanager's API answers again");
        }
        self.counts.looked(&self.hook, Timestamp::now());
        if !seen.settled {
            // It has not been sent all that fires yet.
            self.looks.forget();
            return;
        }
        let over = self.looks.take(&firing, &seen.present);
        if over.is_empty() {
            return;
        }
        match healing.over(&self.hook, over, LISTED_NO_MORE).await {
            Ok(count) => self.counts.over(&self.hook, count),
            Err(why) => {
                tracing::warn!(hook = self.hook, %why, "alerts that are over by Alertmanager's API stay: it could not be put on record");
            }
        }
    }

    /// Asks every member; one that does not answer does no harm while another does.
    async fn ask(&self) -> Result<Seen, Error> {
        let mut seen = None;
        let mut failed = None;
        for member in &self.members {
            match member.list().await {
                Ok(listing) => {
                    let seen = seen.get_or_insert_with(|| Seen {
                        present: HashSet::new(),
                        settled: false,
                    });
                    seen.settled |= listing.up >= self.settle;
                    for alert in listing.alerts {
                        // As the intake names one that came without its fingerprint.
                        seen.present.insert(of_labels(&alert.labels));
                        seen.present.insert(alert.fingerprint);
                    }
                }
                Err(why) => failed = Some(why),
            }
        }
        match (seen, failed) {
            (Some(seen), _) => Ok(seen),
            (None, Some(why)) => Err(why),
            // Options have at least one address.
            (None, None) => Ok(Seen {
                present: HashSet::new(),
                settled: false,
            }),
        }
    }

    fn failed(&mut self, why: &Error) {
        // What is not known is not over.
        self.looks.forget();
        self.counts.failed(&self.hook);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                hook = self.hook,
                "Alertmanager cannot be asked which alerts are over (hooks.{}.api): {why}",
                self.hook
            );
        }
    }
}
