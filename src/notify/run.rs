//! All notifiers of the process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::counts::Counts;
use super::deliver::{Deliverer, Pace, Shared};
use super::{Delivery, Message, Notifier, Options, Telling};
use crate::journal::{Hash, Journal, Reader};
use crate::model::event::Event;
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;
use crate::net::resolve::Resolver;

/// Sends one event that is marked as a test to a notifier, past the journal; how it was taken.
pub async fn test(notifier: &Notifier, resolver: &Resolver, node: &str) -> Delivery {
    let time = Timestamp::now();
    let event = Event {
        id: format!("test/{node}/{}", time.0),
        time,
        what: "test".into(),
        severity: Severity::Info,
        node: node.to_owned(),
        summary: format!("a test of nodeward on {node}: nothing has happened"),
        ..Event::default()
    };
    let message = Message {
        event: &event,
        seq: 0,
        chain: Hash::ZERO,
    };
    match notifier.to.options().sink(resolver) {
        Ok(mut sink) => sink.deliver(&message).await,
        Err(why) => Delivery::failed(why),
    }
}

/// Delivers what the journal's outbox holds. Cheap to clone; dropping the last clone ends it.
#[derive(Clone)]
pub struct Notifiers(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    end: watch::Sender<bool>,
    /// Each name that was ever in the config, or in the outbox.
    held: Mutex<BTreeMap<String, Held>>,
}

struct Held {
    options: watch::Sender<Option<Notifier>>,
    woken: Arc<Notify>,
    counts: Arc<Counts>,
    task: Option<JoinHandle<()>>,
}

impl Notifiers {
    /// Starts delivering what waits in the journal that lies in `directory`. What waits for a name that `options` do not
    /// have is dropped after an hour, on record.
    #[must_use]
    pub fn start(
        options: &Options,
        journal: Journal,
        directory: PathBuf,
        resolver: Resolver,
        telling: Telling,
    ) -> Self {
        let pace = Pace::default();
        Self::at(options, journal, directory, resolver, telling, pace)
    }

    pub(super) fn at(
        options: &Options,
        journal: Journal,
        directory: PathBuf,
        resolver: Resolver,
        telling: Telling,
        pace: Pace,
    ) -> Self {
        let notifiers = Self(Arc::new(Inner {
            shared: Arc::new(Shared {
                journal,
                directory,
                resolver,
                pace,
                telling,
            }),
            end: watch::Sender::new(false),
            held: Mutex::default(),
        }));
        notifiers.change(options);
        tokio::spawn(notifiers.clone().hold_the_forgotten());
        notifiers
    }

    /// Delivers under other options from now on. A try that is under way is finished; who left has what waits for it
    /// dropped after an hour.
    pub fn change(&self, options: &Options) {
        let mut held = self.held();
        for (name, held) in held.iter() {
            let new = options.get(name);
            held.options.send_if_modified(|now| {
                let changed = now.as_ref() != new;
                if changed {
                    *now = new.cloned();
                }
                changed
            });
        }
        for (name, notifier) in options {
            held.entry(name.clone())
                .or_insert_with(|| self.0.hold(name, Some(notifier.clone())));
        }
    }

    /// There may be new rows in the outbox: to be called after each commit that had some.
    pub fn wake(&self) {
        self.held()
            .values()
            .for_each(|held| held.woken.notify_one());
    }

    /// Tries once more what waits, up to each one's first failure, and ends, at the latest at `deadline`. What is left is
    /// delivered after the next start.
    pub async fn stop(&self, deadline: Instant) {
        self.0.end.send_replace(true);
        let tasks: Vec<_> = self
            .held()
            .values_mut()
            .filter_map(|held| held.task.take())
            .collect();
        for mut task in tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// What is counted of each.
    pub(super) fn look(&self, mut each: impl FnMut(&str, &Counts)) {
        for (name, held) in self.held().iter() {
            each(name, &held.counts);
        }
    }

    /// The outbox may hold rows for those that left the config while nodeward was not running.
    async fn hold_the_forgotten(self) {
        let directory = self.0.shared.directory.clone();
        let read = tokio::task::spawn_blocking(move || Reader::open(&directory)?.waiting());
        match read.await {
            Ok(Ok(waiting)) => {
                let mut held = self.held();
                for name in waiting.into_keys() {
                    held.entry(name.clone())
                        .or_insert_with(|| self.0.hold(&name, None));
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "cannot read for whom notifications wait"),
            Err(error) => tracing::error!(%error, "cannot read for whom notifications wait"),
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn hold(&self, name: &str, notifier: Option<Notifier>) -> Held {
        let (options, seen) = watch::channel(notifier);
        let woken = Arc::<Notify>::default();
        let counts = Arc::<Counts>::default();
        let deliverer = Deliverer::new(
            name.to_owned(),
            Arc::clone(&self.shared),
            seen,
            self.end.subscribe(),
            Arc::clone(&woken),
            Arc::clone(&counts),
        );
        Held {
            options,
            woken,
            counts,
            task: Some(tokio::spawn(deliverer.run())),
        }
    }
}
