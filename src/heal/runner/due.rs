//! Time: what is due, and what is long over.

use std::collections::HashSet;
use std::time::Duration;

use super::book::{Book, Held};
use crate::heal::incident::Incident;
use crate::heal::machine::Event;
use crate::heal::plan::Mode;
use crate::model::id::IncidentId;
use crate::model::moment::Moment;

/// The longest sleep: nothing is due, or so late that it may be looked at again before.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a closed incident is kept in memory beside its playbook's quiet time.
const KEPT: Duration = Duration::from_secs(600);
/// Closed incidents kept beyond that because their playbook may go further one day; as many as come back at a start.
const HELD_BACK: usize = 1_000;

impl Book {
    /// Steps incidents whose time has come; if they are many, the rest are due in the next turn.
    pub(super) fn timers(&mut self, now: &Moment) {
        self.timers_of(|_| true, now);
    }

    /// The same of those that `minds` is true for; the others sleep on.
    pub(super) fn timers_of(&mut self, minds: impl Fn(&Incident) -> bool, now: &Moment) {
        let due = |held: &Held| {
            let left = held.incident.wake(now);
            !held.resuming && minds(&held.incident) && left.is_some_and(|left| left.is_zero())
        };
        for id in self.next_of(super::BATCH, due) {
            self.step(&id, Event::Timer, now);
        }
        if self.switches.until.is_some_and(|until| until <= now.wall) {
            self.end_of_maintenance(now);
        }
        self.turn_windows(now);
    }

    /// How long nothing is due.
    pub(super) fn wake(&self, now: &Moment) -> Duration {
        let next = self.next_due(|_| true, now).unwrap_or(LONGEST);
        next.min(LONGEST)
    }

    /// How long it is until something is due for those that `minds` is true for, or for the switches; none if nothing ever is.
    pub(super) fn next_due(
        &self,
        minds: impl Fn(&Incident) -> bool,
        now: &Moment,
    ) -> Option<Duration> {
        let waits = self.held.values();
        let waits = waits.filter(|h| !h.resuming && minds(&h.incident));
        let switch = self.switches.until.map(|until| until.since(now.wall));
        let next = waits.filter_map(|h| h.incident.wake(now));
        next.chain(switch).chain(self.windows.due(now.wall)).min()
    }

    /// Forgets what is long over.
    pub(super) fn forget(&mut self, now: &Moment) {
        self.history.forget(now);
        let over = |h: &Held| {
            let kept = h.current.plan.limits.quiet.max(KEPT);
            !h.incident.state.is_open()
                && !h.incident.is_isolated()
                && !h.holds_target()
                && now.since(&h.incident.changed) > kept
        };
        // The newest of those that a reload may take up anew stay as long as their alerts fire.
        let held_back = |h: &&Held| over(h) && h.incident.is_raised_by(Mode::Auto);
        let held_back = self.held.values().filter(held_back);
        let mut held_back: Vec<IncidentId> = held_back.map(|h| h.incident.id.clone()).collect();
        held_back.sort_unstable();
        let held_back: HashSet<IncidentId> = held_back.into_iter().rev().take(HELD_BACK).collect();
        self.held
            .prune(|id, held| !over(held) || held_back.contains(id));
        let held = &self.held;
        self.latest.prune(|_, id| held.contains_key(id));
    }
}
