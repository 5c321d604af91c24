//! The export of metrics over OTLP, on its own interval.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tracing::Instrument;

use super::House;
use crate::dialect::otlp::{Cumulative, Resource, SPLIT_AT, Sender, Settings, Signal};
use crate::host::{Identity, apart, kept_boot_time};
use crate::model::moment::Timestamp;
use crate::subject::Asker;
use crate::telemetry::traces;

/// How long a snapshot for an export may take; a hung mount costs this once.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the state directory may take.
const STATE: Duration = Duration::from_secs(2);

/// Where telemetry goes until the next reload: the sender, its lanes and the export loop.
pub struct Export {
    sender: Sender,
    lanes: JoinHandle<()>,
    exporting: Option<JoinHandle<()>>,
}

impl Export {
    /// Starts sending; nothing if no receiver was named. `cumulative` outlives reloads, and so does
    /// what `before` still holds once it is stopped. `state` is the state directory.
    pub fn start(
        settings: &Settings,
        house: Arc<House>,
        cumulative: Arc<Mutex<Cumulative>>,
        state: Option<&Path>,
        before: Option<&Self>,
    ) -> Option<Self> {
        if !settings.is_on() {
            return None;
        }
        let (sender, lanes) = match before {
            Some(before) => before.sender.succeed(settings, &house.resolver, state),
            None => Sender::new(settings, &house.resolver, state),
        };
        let lanes = tokio::spawn(lanes.run());
        let exporting = sender.sends(Signal::Metrics).then(|| {
            let resource = house.resource(settings);
            let state = state.map(Path::to_owned);
            tokio::spawn(export(
                settings.interval,
                sender.clone(),
                house,
                cumulative,
                (resource, state),
            ))
        });
        Some(Self {
            sender,
            lanes,
            exporting,
        })
    }

    /// The sender, for traces and for its counters.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Stops exporting and sends what waits, until `deadline`. What is left then goes to the export
    /// that was started after this one, or is lost.
    pub async fn stop(self, deadline: tokio::time::Instant) {
        if let Some(exporting) = self.exporting {
            exporting.abort();
        }
        self.sender.close(deadline);
        // Cancelled lanes have counted what they held.
        drop(tokio::time::timeout_at(deadline + Duration::from_secs(1), self.lanes).await);
    }
}

/// Since when the machine's counters count, the same for all processes of a boot.
async fn since(identity: Identity, state: Option<PathBuf>) -> Option<u64> {
    let read = identity.boot_time;
    let now = Timestamp::now().seconds();
    let kept = apart("boot time", move |_| {
        kept_boot_time(&identity, state.as_deref(), now)
    });
    match tokio::time::timeout(STATE, kept).await {
        Ok(kept) => kept.unwrap_or(read),
        Err(_) => {
            tracing::warn!(
                "the state directory has not answered within {STATE:?}: sums over otlp start at the boot time as it is read now"
            );
            read
        }
    }
}

async fn export(
    interval: Duration,
    sender: Sender,
    house: Arc<House>,
    cumulative: Arc<Mutex<Cumulative>>,
    (resource, state): (Resource, Option<PathBuf>),
) {
    let boot = since(house.identity.clone(), state).await;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut before = None;
    loop {
        ticks.tick().await;
        let span = tracing::info_span!(
            target: traces::TARGET,
            "metric export",
            points = tracing::field::Empty,
            missing = tracing::field::Empty
        );
        let one = async {
            let snapshot = house
                .view
                .sampler
                .snapshot(Asker::Otlp, |_| true, Instant::now() + PATIENCE)
                .await;
            let missing = snapshot.parts.iter().filter(|p| p.held.is_err()).count();
            let (house, resource) = (Arc::clone(&house), resource.clone());
            let (cumulative, before) = (Arc::clone(&cumulative), before.take());
            // Not on the threads of which those that read the state directory take some: it may hang.
            let encoded = apart("otlp batch", move |_| {
                let mut cumulative = cumulative.lock().unwrap_or_else(PoisonError::into_inner);
                let payloads = house.batch(
                    (&snapshot, before.as_ref()),
                    boot,
                    &mut cumulative,
                    |metrics| metrics.finish(&resource, SPLIT_AT),
                );
                (payloads, snapshot)
            });
            let Ok((payloads, snapshot)) = encoded.await else {
                return None;
            };
            let points: u64 = payloads.iter().map(|p| p.items).sum();
            // As i64, or they are exported as texts.
            let span = tracing::Span::current();
            span.record("points", i64::try_from(points).unwrap_or(i64::MAX))
                .record("missing", i64::try_from(missing).unwrap_or(i64::MAX));
            for payload in payloads {
                sender.send(Signal::Metrics, payload.body.into(), payload.items);
            }
            Some(snapshot)
        };
        before = one.instrument(span).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::otlp::{Options, resolve};
    use crate::host::testing::Hanging;
    use crate::net::resolve::Resolver;

    /// Paused time is over at once, so that nothing here waits for a clock.
    #[tokio::test(start_paused = true)]
    async fn a_state_directory_that_hangs_costs_the_boot_time_that_was_kept_and_no_more() {
        let place = tempfile::tempdir().unwrap();
        let _hangs = Hanging::new(&place.path().join("boot"));
        let identity = Identity {
            boot_id: Some("a".into()),
            boot_time: Some(100),
            ..Identity::default()
        };
        let state = Some(place.path().to_owned());
        let asked = tokio::time::Instant::now();
        assert_eq!(since(identity, state).await, Some(100));
        assert_eq!(asked.elapsed(), STATE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_waits_for_lanes_that_do_not_end_until_its_deadline_and_no_longer() {
        let (settings, wrong) = resolve(&Options::default(), &|_| None);
        assert_eq!(wrong, []);
        let (sender, _lanes) = Sender::new(&settings, &Resolver::default(), None);
        let export = Export {
            sender,
            lanes: tokio::spawn(std::future::pending()),
            exporting: Some(tokio::spawn(std::future::pending())),
        };
        let began = tokio::time::Instant::now();
        export.stop(began + Duration::from_secs(3)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(3 + 1));
    }
}
