//! How everybody else speaks to healing.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::{Gates, Mail, Order, Rules, Summary};
use crate::heal::intake::{Accepted, Delivering, Delivery, Desk, Refused};
use crate::model::alert::{Alert, Episode};
use crate::model::id::IncidentId;

/// The source of alerts that checks of this machine raise; no hook may have this name.
pub const LOCAL: &str = crate::check::SOURCE;

/// How it was found that alerts are over of which nobody said so, as it stands in their record.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// By what.
    pub by: &'static str,
    /// What it saw.
    pub why: &'static str,
}

/// What deliveries that wait may weigh together, in KiB: one that weighs more than this comes in alone.
const ROOM: u32 = 32 << 10;

/// How long an order may take to be on record.
const ORDER: Duration = Duration::from_secs(25);

/// Characters of an id that name an incident at least.
pub(super) const LEAST: usize = 4;

/// A handle to the one task that heals; cheap to clone.
#[derive(Debug, Clone)]
pub struct Healing {
    mail: mpsc::Sender<Mail>,
    /// Memory that deliveries which wait may take, in KiB.
    room: Arc<Semaphore>,
    summary: Arc<RwLock<Arc<Summary>>>,
}

/// Why an operator's wish was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// There is no such incident, or it ended long ago.
    #[error("there is no open incident {0}; nodeward status lists them")]
    NoSuch(String),
    /// What was given of its id names several.
    #[error("{0} is part of several ids: {1}")]
    Several(String, String),
    /// Too little of its id was given.
    #[error("{0:?} is too short for an incident: give at least {LEAST} characters of its id")]
    TooShort(String),
    /// Another question was asked than is asked now: its name, and the action.
    #[error("the action has changed: it is now {1}; approve {0} to say yes to it")]
    Another(String, String),
    /// The incident never asked that: the number of the question, the name of the one that is asked, and the action.
    #[error("incident {0} never asked a question {1}; {2} is asked now: {3}")]
    NoQuestion(IncidentId, u32, String, String),
    /// It is in another state.
    #[error("incident {0} is {1}: that cannot be done now")]
    State(IncidentId, &'static str),
    /// There is no such pool.
    #[error("there is no pool {0:?}; there are: {1} (pools)")]
    NoPool(String, String),
    /// There is no such hold.
    #[error("{1} does not hold this node out of {0}; what does: {2}")]
    NoHold(String, String, String),
    /// The journal could not be written.
    #[error("it could not be put on record, so it was not done: {0}")]
    Record(String),
    /// The journal has not answered.
    #[error(
        "it was not put on record in {ORDER:?} (state): unless it just was, it is not done; nodeward status says"
    )]
    Late,
    /// nodeward is ending.
    #[error("nodeward is ending")]
    Ending,
    /// Healing is off.
    #[error(
        "healing is off: the config has no playbook, no hook, no pool and no window of maintenance"
    )]
    Off,
}

impl Healing {
    pub(super) fn new(mail: mpsc::Sender<Mail>, summary: Arc<RwLock<Arc<Summary>>>) -> Self {
        Self {
            mail,
            room: Arc::new(Semaphore::new(ROOM as usize)),
            summary,
        }
    }

    /// Takes alerts; ready once they are on record.
    ///
    /// # Errors
    /// [`Refused`]: nothing of it was taken.
    pub async fn deliver(&self, hook: &str, delivery: Delivery) -> Result<Accepted, Refused> {
        self.take(hook, delivery, false).await
    }

    /// Takes what a check of this machine has found: it is ours whatever its labels.
    ///
    /// # Errors
    /// As above.
    pub async fn note(&self, alert: Alert) -> Result<Accepted, Refused> {
        let delivery = Delivery::of(alert);
        self.take(LOCAL, delivery, true).await
    }

    async fn take(&self, hook: &str, delivery: Delivery, local: bool) -> Result<Accepted, Refused> {
        let share = u32::try_from(delivery.weight() / 1024).unwrap_or(ROOM);
        let share = Arc::clone(&self.room).try_acquire_many_owned(share.clamp(1, ROOM));
        let room = share.map_err(|_| Refused::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        let mail = Mail::Deliver {
            hook: hook.to_owned(),
            delivery,
            local,
            reply,
            room,
        };
        match self.mail.try_send(mail) {
            Ok(()) => answer.await.unwrap_or(Err(Refused::Ending)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Refused::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Refused::Ending),
        }
    }

    /// Which alerts of a hook fire, as far as it was told.
    pub async fn firing(&self, hook: &str) -> Vec<Episode> {
        let (reply, answer) = oneshot::channel();
        // Whoever ends has nothing left to compare.
        drop(self.mail.send(Mail::Firing(hook.to_owned(), reply)).await);
        answer.await.unwrap_or_default()
    }

    /// Takes alerts of a hook for over, of which nobody said so; how many of them fired. A hint like any other `resolved`, but if one
    /// of them is told to fire after all, it does.
    ///
    /// # Errors
    /// [`Refused`]: nothing of it was taken.
    pub async fn over(
        &self,
        hook: &str,
        episodes: Vec<Episode>,
        found: Found,
    ) -> Result<u64, Refused> {
        let (reply, answer) = oneshot::channel();
        let mail = Mail::Over {
            hook: hook.to_owned(),
            episodes,
            found,
            reply,
        };
        match self.mail.send(mail).await {
            Ok(()) => answer.await.unwrap_or(Err(Refused::Ending)),
            Err(_) => Err(Refused::Ending),
        }
    }

    /// Does what an operator wants, `by` whom; one line about it.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn operate(&self, by: &str, order: Order) -> Result<String, NotDone> {
        let (reply, answer) = oneshot::channel();
        let mail = Mail::Operate {
            by: by.to_owned(),
            order,
            reply,
        };
        // The journal may be on a disk that hangs; what was not begun by then is not done later.
        let done = async {
            if self.mail.send(mail).await.is_err() {
                return Err(NotDone::Ending);
            }
            answer.await.unwrap_or(Err(NotDone::Ending))
        };
        let done = tokio::time::timeout(ORDER, done).await;
        done.unwrap_or(Err(NotDone::Late))
    }

    /// Notes what became known of a pool: on record once there is room for it.
    pub async fn heard(&self, pool: &str, gates: Gates) {
        // Whoever ends is told again with the next start.
        drop(self.mail.send(Mail::Pool(pool.to_owned(), gates)).await);
    }

    /// Goes by other playbooks from here on.
    pub async fn change(&self, rules: Rules) {
        // Whoever ends no longer minds.
        drop(self.mail.send(Mail::Rules(Box::new(rules))).await);
    }

    /// What there is to see.
    #[must_use]
    pub fn summary(&self) -> Arc<Summary> {
        Arc::clone(&self.summary.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the task once all that came before is on record. A command that runs may end until `deadline`; then it is told to, and has
    /// some seconds for that. What others were asked to do goes on with them; its witness is looked at when nodeward starts again.
    pub async fn end(&self, deadline: Instant) {
        let (done, ended) = oneshot::channel();
        if self.mail.send(Mail::End(deadline, done)).await.is_ok() {
            ended.await.unwrap_or_default();
        }
    }
}

impl Desk for Healing {
    fn deliver<'a>(&'a self, hook: &'a str, delivery: Delivery) -> Delivering<'a> {
        Box::pin(Self::deliver(self, hook, delivery))
    }
}
