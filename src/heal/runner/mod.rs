//! Drives the incidents: one task that owns them all.
//!
//! It takes what has come since it last looked (deliveries, answers of the world, words of operators, time), moves the
//! incidents on, puts everything on record in one transaction, and only then replies and acts. If the record cannot be made, nothing has happened: the
//! incidents are as they were, deliveries are refused, and what the world did and what the config now says are kept until there is room; how the
//! world looked is kept only as long as it may still look so.
//!
//! ```text
//!  Healing (handle) ── mail ──> [ take all ─> step each ─> commit ─> reply, act ] ── effects ──> Hands
//!                                  ^                                                  │
//!                                  └───────────────── answers ────────────────────────┘
//! ```

mod assumed;
mod book;
mod current;
mod desk;
mod due;
mod effect;
mod episodes;
mod forecast;
mod handle;
mod holds;
mod mail;
mod notice;
mod operate;
mod recorded;
mod replay;
mod restore;
mod said;
mod step;
mod summary;
mod windows;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

pub use assumed::Assume;
pub use forecast::{Considered, Forecast, Foreseen, Remedy, Taking, Weighed, Would, forecast};
pub use handle::{Found, Healing, LOCAL, NotDone};
pub use mail::{Gates, Order, Rules};
pub use recorded::Recorded;
pub use replay::{Replay, Told};
pub use restore::{RUNNING, stopped};
pub use summary::{Asked, Firing, HeldBy, Listed, NodeState, Pool, STAGE_BOUNDS, Summary, Tally};

use super::hands::Hands;
use super::intake::{Accepted, MOST_ALERTS, Refused};
use super::machine::{After, Effect, Event, Outcome, PATIENCE};
use crate::action::Stopper;
use crate::journal::{Commit, CommitError, Journal, Restored};
use crate::model::id::IncidentId;
use book::Book;
use mail::Mail;
use said::Said;

/// Answers, deliveries and incidents whose time has come that one transaction takes, of each at most: who comes meanwhile waits
/// for it.
const BATCH: usize = 64;
/// Deliveries that may wait; more are refused.
const WAITING: usize = 256;
/// How long an answer that could not be put on record waits for another try.
const AGAIN: Duration = Duration::from_secs(1);
/// How long an action that was told to end may take to: SIGTERM, SIGKILL, the rest of its output.
const STOPPING: Duration = Duration::from_secs(12);
/// How often what is long over is forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// The task.
struct Runner {
    book: Book,
    journal: Journal,
    hands: Arc<dyn Hands>,
    wake: Wake,
    mail: mpsc::Receiver<Mail>,
    answers: mpsc::UnboundedReceiver<Mail>,
    answering: mpsc::UnboundedSender<Mail>,
    /// Answers and rules that could not be put on record yet.
    kept: VecDeque<Mail>,
    /// It is on record that healing has begun.
    begun: bool,
    /// Nothing more is begun.
    ending: bool,
    /// Actions under way in processes of ours.
    acts: HashMap<IncidentId, Stopper>,
    /// The last turn could not be put on record: what is due stays due, and is tried again after a pause.
    stuck: bool,
    summary: Arc<std::sync::RwLock<Arc<Summary>>>,
}

/// Replies that wait for the record.
enum Reply {
    Delivered(oneshot::Sender<Result<Accepted, Refused>>, Accepted),
    Over(oneshot::Sender<Result<u64, Refused>>, u64),
    Operated(
        oneshot::Sender<Result<String, NotDone>>,
        Result<String, NotDone>,
    ),
}

/// Called after each commit that put something into the outbox.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Starts healing from what the journal holds. Ends when told to by [`Healing::end`].
#[must_use]
pub fn start(
    rules: Rules,
    journal: Journal,
    restored: Restored,
    hands: Arc<dyn Hands>,
    wake: Wake,
) -> Healing {
    let (mail, receiver) = mpsc::channel(WAITING);
    let (answering, answers) = mpsc::unbounded_channel();
    let book = Book::restore(rules, restored);
    // On record since the process before: nobody is to find the node in a pool that it has left.
    hands.hold(&book.holds);
    // Seen from the start: what was open before must not look healthy until the first turn.
    let summary = Arc::new(std::sync::RwLock::new(Arc::new(book.summary())));
    let runner = Runner {
        book,
        journal,
        hands,
        wake,
        mail: receiver,
        answers,
        answering,
        kept: VecDeque::new(),
        begun: false,
        ending: false,
        acts: HashMap::new(),
        stuck: false,
        summary: Arc::clone(&summary),
    };
    tokio::spawn(runner.run());
    Healing::new(mail, summary)
}

impl Runner {
    async fn run(mut self) {
        self.turn(Vec::new()).await;
        self.ask_witnesses();
        let mut forget = tokio::time::interval(FORGET);
        forget.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut wake = self.book.wake(&self.hands.now());
            if !self.begun || self.stuck {
                wake = AGAIN;
            }
            let mut batch = Vec::new();
            tokio::select! {
                // Answers first: what is done must be on record before more is begun.
                biased;
                Some(answer) = self.answers.recv() => batch.push(answer),
                mail = self.mail.recv() => match mail {
                    Some(Mail::End(deadline, done)) => {
                        let kept = self.kept.drain(..).collect();
                        self.finish(kept, deadline).await;
                        return gone(done.send(()));
                    }
                    Some(mail) => batch.push(mail),
                    // Nobody can say anything any more.
                    None => return,
                },
                () = tokio::time::sleep(wake) => {}
                () = tokio::time::sleep(AGAIN), if !self.kept.is_empty() => {}
                _ = forget.tick() => self.book.forget(&self.hands.now()),
            }
            batch.splice(0..0, self.kept.drain(..));
            let end = self.gather(&mut batch);
            if let Some((deadline, done)) = end {
                self.finish(batch, deadline).await;
                return gone(done.send(()));
            }
            self.turn(batch).await;
        }
    }

    /// Puts on record what has come, begins nothing more, and sees to what runs here: it may end until `deadline`, then it is told
    /// to. What becomes of it is on record; what others were asked to do goes on with them, and its witness is looked at with
    /// the next start.
    async fn finish(&mut self, batch: Vec<Mail>, deadline: Instant) {
        self.ending = true;
        self.turn(batch).await;
        let mut until = deadline;
        let mut told = false;
        while !self.acts.is_empty() {
            tokio::select! {
                Some(answer) = self.answers.recv() => {
                    let mut batch: Vec<Mail> = self.kept.drain(..).collect();
                    batch.push(answer);
                    self.turn(batch).await;
                }
                () = tokio::time::sleep_until(until) => {
                    if told {
                        return;
                    }
                    told = true;
                    until = Instant::now() + STOPPING;
                    tracing::info!(actions = self.acts.len(), "what is still under way is told to end");
                    self.acts.values().for_each(Stopper::stop);
                }
            }
        }
    }

    /// Adds what else has come; who wants it to end, if somebody does. Beside the answers deliveries have room of their own: in
    /// a storm there are answers all the time.
    fn gather(&mut self, batch: &mut Vec<Mail>) -> Option<(Instant, oneshot::Sender<()>)> {
        batch.extend((0..BATCH).map_while(|_| self.answers.try_recv().ok()));
        let alerts = |mail: &Mail| match mail {
            Mail::Deliver { delivery, .. } => delivery.alerts.len(),
            _ => 0,
        };
        let mut taken: usize = batch.iter().map(alerts).sum();
        for _ in 0..BATCH {
            if taken >= MOST_ALERTS {
                break;
            }
            match self.mail.try_recv() {
                Ok(Mail::End(deadline, done)) => return Some((deadline, done)),
                Ok(mail) => {
                    taken += alerts(&mail);
                    batch.push(mail);
                }
                Err(_) => break,
            }
        }
        None
    }

    /// Takes a batch, puts it on record, replies and acts.
    async fn turn(&mut self, mut batch: Vec<Mail>) {
        let now = self.hands.now();
        // People first: what they stop does not begin in the turn that tells them so.
        batch.sort_by_key(|mail| !matches!(mail, Mail::Operate { .. } | Mail::Rules(_)));
        let mut replies = Vec::new();
        let mut again = Vec::new();
        if !self.begun {
            self.book.begin(&now);
        }
        for mail in batch {
            match mail {
                // Nobody waits for it any more: who sent it was not answered, and sends it again.
                Mail::Deliver { reply, .. } if reply.is_closed() => {}
                Mail::Deliver {
                    hook,
                    delivery,
                    local,
                    reply,
                    room: _room,
                } => {
                    let accepted = self.book.deliver(&hook, delivery, local, &now);
                    replies.push(Reply::Delivered(reply, accepted));
                }
                // So long ago the world may have looked otherwise than it does now. It is looked at again, by time.
                Mail::Answer(_, Event::Looked(..) | Event::Probed(..), at)
                    if self.ending || now.since(&at) > PATIENCE => {}
                // Nor is there room for what could not be put on record for so long.
                Mail::Answer(_, Event::Gathered(..), at) if now.since(&at) > PATIENCE => {}
                Mail::Answer(id, event, at) => {
                    if matches!(event, Event::Done(..)) {
                        self.acts.remove(&id);
                    }
                    self.book.step(&id, event.clone(), &now);
                    again.push(Mail::Answer(id, event, at));
                }
                // Who ordered it was told that it was not done.
                Mail::Operate { reply, .. } if reply.is_closed() => {}
                Mail::Operate { by, order, reply } => {
                    let result = self.book.operate(&by, order, &now);
                    replies.push(Reply::Operated(reply, result));
                }
                Mail::Firing(hook, reply) => gone(reply.send(self.book.firing_of(&hook))),
                Mail::Over {
                    hook,
                    episodes,
                    found,
                    reply,
                } => {
                    let count = self.book.over(&hook, &episodes, found, &now);
                    replies.push(Reply::Over(reply, count));
                }
                Mail::Rules(rules) => {
                    self.book.change_rules((*rules).clone(), &now);
                    again.push(Mail::Rules(rules));
                }
                Mail::Pool(pool, gates) => {
                    self.book.heard(&pool, &gates, &now);
                    again.push(Mail::Pool(pool, gates));
                }
                Mail::End(_, done) => gone(done.send(())),
            }
        }
        if !self.ending {
            self.book.timers(&now);
        }
        let (commit, effects) = self.book.take();
        let said = std::mem::take(&mut self.book.said);
        let holds = self.book.holds.is_changed();
        let tells = !commit.outbox.is_empty();
        // While nothing can be put on record it is tried with nothing to say, too: whoever looks is told when there is room again.
        let failed = if commit == Commit::default() && !self.stuck {
            None
        } else {
            self.journal.commit_waiting(commit).await.err()
        };
        let stood = std::mem::replace(&mut self.stuck, failed.is_some());
        match failed {
            None => {
                if stood {
                    tracing::info!("the journal can be written again: healing goes on");
                }
                self.book.keep();
                said.iter().for_each(Said::log);
                self.begun = true;
                if holds {
                    self.hands.hold(&self.book.holds);
                }
                if tells {
                    (self.wake)();
                }
                for reply in replies {
                    reply.send(None);
                }
                if !self.ending {
                    for (id, effect) in effects {
                        self.carry_out(id, &effect);
                    }
                }
                self.stop_cancelled();
            }
            Some(error) => {
                if !stood {
                    tracing::error!(%error, "healing stands still: the journal cannot be written (state, journal)");
                }
                self.book.undo();
                for reply in replies {
                    reply.send(Some(&error));
                }
                self.kept.extend(again);
            }
        }
        *self
            .summary
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(self.book.summary());
    }

    /// Has the world do something, and its answer sent back.
    fn carry_out(&mut self, id: IncidentId, effect: &Effect) {
        let Some(mut job) = self.book.job(&id) else {
            return;
        };
        if *effect == Effect::Act && job.runs_here() {
            let (stopper, stop) = Stopper::new();
            job.stop = stop;
            self.acts.insert(id.clone(), stopper);
        }
        let (answering, hands) = (self.answering.clone(), Arc::clone(&self.hands));
        let answer =
            move |event| drop(answering.send(Mail::Answer(id.clone(), event, hands.now())));
        let attempt = u32::try_from(job.incident.attempts.len()).unwrap_or(u32::MAX);
        let work = effect::carry_out(&*self.hands, job, effect, answer.clone());
        let work = tokio::spawn(work);
        if *effect == Effect::Act {
            // Whatever happens to who acts, an answer comes: until then the target is held.
            tokio::spawn(async move {
                if let Err(error) = work.await {
                    let why = format!("nodeward went wrong at it: {error}");
                    let data = json!({ "why": why });
                    answer(Event::Done(attempt, Outcome::Unknown, data));
                }
            });
        }
    }

    /// Tells what runs here for incidents that are over to end; until it has, their targets are held.
    fn stop_cancelled(&self) {
        let is_open = |held: &book::Held| held.incident.state.is_open();
        let over = |id: &IncidentId| !self.book.held.get(id).is_some_and(is_open);
        let over = self.acts.iter().filter(|(id, _)| over(id));
        over.for_each(|(_, stopper)| stopper.stop());
    }

    /// Asks what became of the attempts that were open when the process before ended.
    fn ask_witnesses(&mut self) {
        for id in self.book.resuming() {
            let Some(job) = self.book.job(&id) else {
                continue;
            };
            let (answering, hands) = (self.answering.clone(), Arc::clone(&self.hands));
            // Whatever happens to who looks, an answer comes: until then the incident stands still and holds its target.
            let after = tokio::time::timeout(PATIENCE, tokio::spawn(self.hands.after(job)));
            tokio::spawn(async move {
                let after = match after.await {
                    Ok(Ok(after)) => after,
                    Ok(Err(_)) | Err(_) => After::Unknown,
                };
                let answer = Mail::Answer(id, Event::Restarted(after), hands.now());
                drop(answering.send(answer));
            });
        }
    }
}

/// Whoever asked may be gone; what was done stays done.
fn gone<T>(_: Result<(), T>) {}

const fn refused(error: &CommitError) -> Refused {
    match error {
        CommitError::Busy => Refused::Overloaded,
        _ => Refused::Full,
    }
}

impl Reply {
    /// Sends it; whoever asked may be gone.
    fn send(self, failed: Option<&CommitError>) {
        match (self, failed) {
            (Self::Delivered(reply, accepted), None) => gone(reply.send(Ok(accepted))),
            (Self::Delivered(reply, _), Some(error)) => gone(reply.send(Err(refused(error)))),
            (Self::Over(reply, count), None) => gone(reply.send(Ok(count))),
            (Self::Over(reply, _), Some(error)) => gone(reply.send(Err(refused(error)))),
            (Self::Operated(reply, result), None) => gone(reply.send(result)),
            (Self::Operated(reply, _), Some(error)) => {
                gone(reply.send(Err(NotDone::Record(error.to_string()))));
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
