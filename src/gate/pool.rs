//! The way of this node out of one pool and back: `(state, event, now) -> (state, effects)`, and nothing else.
//!
//! It touches nothing and waits for nothing. Whoever drives it says what happened, tells the gates what [`Pool::say`] wants, and steps
//! it again no later than [`Pool::due`].

use std::mem::discriminant;
use std::time::Duration;

use tokio::time::Instant;

use super::{Say, Then, Traffic};

/// Where a ramp begins that no probation went before, in percent.
const FIRST_SHARE: u8 = 10;
/// How many times the share grows in a ramp.
const STEPS: u32 = 10;
/// How long after a cut that failed it is tried again.
const CUT_AGAIN: Duration = Duration::from_secs(5);

/// What a pool goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long sessions may take to end.
    pub drain: Duration,
    /// What the pool is told after that.
    pub then: Then,
    /// When sessions are cut, from the beginning of the drain.
    pub cut_after: Option<Duration>,
    /// The share on probation, in percent.
    pub share: Option<u8>,
    /// How long the way back takes.
    pub ramp: Duration,
}

/// What is wanted of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing holds the node, and nothing of nodeward's is left in the pool.
    Free,
    /// Nothing holds it any more; the gates have still to hear of that.
    Lifted,
    /// Something holds it.
    Held {
        /// All that does is on probation.
        easing: bool,
        /// For how long something has.
        age: Duration,
    },
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// This is wanted, now or still.
    Wish(Wish),
    /// Whether every gate goes by what is said now.
    Heard(bool),
    /// So many sessions are open. It counts once all gates have heard.
    Sessions(u64),
    /// Whether the sessions could be cut.
    Cut(bool),
    /// Time went by.
    Tick,
}

/// What is to be done, beside telling the gates what [`Pool::say`] wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// End the sessions that are open.
    Cut,
    /// Say that nothing of nodeward's is left in the pool.
    Heard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Steady,
    Draining {
        since: Instant,
    },
    Out {
        /// Since when it drains.
        since: Instant,
        cut: Cut,
    },
    Easing,
    Ramping {
        since: Instant,
    },
    Lifting {
        /// That all gates heard was said.
        said: bool,
    },
}

/// How far the cutting of sessions is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// It is due then.
    At(Instant),
    /// Under way.
    Now,
    /// It is over, or not wanted.
    Over,
}

/// Where this node stands in one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    phase: Phase,
    heard: bool,
    sessions: Option<u64>,
}

impl Default for Pool {
    /// In it, with nothing of nodeward's in its load balancers.
    fn default() -> Self {
        Self {
            phase: Phase::Steady,
            heard: false,
            sessions: None,
        }
    }
}

impl Pool {
    /// What happens then.
    #[must_use]
    pub fn step(self, event: Event, now: Instant, rules: &Rules) -> (Self, Option<Effect>) {
        let said = self.say(now, rules);
        let mut effect = None;
        let mut next = self;
        match event {
            Event::Wish(wish) => effect = next.wish(wish, now, rules),
            Event::Heard(heard) => {
                next.heard = heard;
                next.sessions = next.sessions.filter(|_| heard);
            }
            // Before, more may come.
            Event::Sessions(sessions) => next.sessions = Some(sessions).filter(|_| next.heard),
            Event::Cut(done) => {
                if let Phase::Out { cut, .. } = &mut next.phase
                    && *cut == Cut::Now
                {
                    *cut = if done {
                        Cut::Over
                    } else {
                        Cut::At(now + CUT_AGAIN)
                    };
                }
            }
            Event::Tick => {}
        }
        // What was heard and seen is of what was said then.
        let another = discriminant(&next.phase) != discriminant(&self.phase);
        if another || next.say(now, rules) != said {
            next.heard = false;
            next.sessions = None;
        }
        let then = next.proceed(now, rules);
        (next, effect.or(then))
    }

    fn wish(&mut self, wish: Wish, now: Instant, rules: &Rules) -> Option<Effect> {
        self.phase = match (wish, self.phase) {
            (Wish::Free, Phase::Steady | Phase::Lifting { said: true }) => Phase::Steady,
            // Asked anew: whoever was told before may have forgotten.
            (Wish::Lifted, Phase::Lifting { said: true }) => return Some(Effect::Heard),
            (Wish::Free | Wish::Lifted, at @ (Phase::Ramping { .. } | Phase::Lifting { .. })) => at,
            (Wish::Free | Wish::Lifted, _) if rules.ramp.is_zero() => {
                Phase::Lifting { said: false }
            }
            (Wish::Free | Wish::Lifted, _) => Phase::Ramping { since: now },
            (Wish::Held { easing: true, .. }, _) if rules.share.is_some() => Phase::Easing,
            (Wish::Held { .. }, at @ (Phase::Draining { .. } | Phase::Out { .. })) => at,
            // A hold that is older than this process: the drain began with it.
            (Wish::Held { age, .. }, Phase::Steady) => Phase::Draining {
                since: now.checked_sub(age).unwrap_or(now),
            },
            (Wish::Held { .. }, _) => Phase::Draining { since: now },
        };
        None
    }

    /// Goes on where time, what was heard or what was seen lets it.
    fn proceed(&mut self, now: Instant, rules: &Rules) -> Option<Effect> {
        if let Phase::Draining { since } = self.phase {
            let empty = self.heard && self.sessions == Some(0);
            if empty || now >= since + rules.drain {
                let cut = match rules.cut_after {
                    Some(after) if !empty => Cut::At(since + after),
                    _ => Cut::Over,
                };
                self.phase = Phase::Out { since, cut };
                // It is the same word where it is to stay in the drain.
                if rules.then != Then::Drain {
                    self.heard = false;
                    self.sessions = None;
                }
            }
        }
        match &mut self.phase {
            Phase::Out { cut, .. } => {
                if let Cut::At(at) = *cut {
                    if self.heard && self.sessions == Some(0) {
                        *cut = Cut::Over;
                    } else if now >= at {
                        *cut = Cut::Now;
                        return Some(Effect::Cut);
                    }
                }
            }
            Phase::Ramping { since } if now >= *since + rules.ramp => {
                self.phase = Phase::Lifting { said: false };
                self.heard = false;
            }
            Phase::Lifting { said } if self.heard && !*said => {
                *said = true;
                return Some(Effect::Heard);
            }
            _ => {}
        }
        None
    }

    /// What the pool is to be told.
    #[must_use]
    pub fn say(&self, now: Instant, rules: &Rules) -> Say {
        match self.phase {
            Phase::Steady | Phase::Lifting { .. } => Say::In(100),
            Phase::Draining { .. } => Say::Drain,
            Phase::Out { .. } => match rules.then {
                Then::Maint => Say::Out,
                Then::Drain => Say::Drain,
            },
            Phase::Easing => rules.share.map_or(Say::Out, Say::In),
            Phase::Ramping { since } => Say::In(share(now, since, rules)),
        }
    }

    /// When it must be stepped again at the latest; none if only something else can change it.
    #[must_use]
    pub fn due(&self, now: Instant, rules: &Rules) -> Option<Instant> {
        match self.phase {
            Phase::Draining { since } => Some(since + rules.drain),
            Phase::Out {
                cut: Cut::At(at), ..
            } => Some(at),
            Phase::Ramping { since } => {
                let step = rules.ramp / STEPS;
                let over = now.saturating_duration_since(since);
                (1..=STEPS)
                    .map(|n| step * n)
                    .find(|at| *at > over)
                    .map_or(Some(since + rules.ramp), |at| Some(since + at))
            }
            _ => None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn traffic(&self) -> Traffic {
        match self.phase {
            Phase::Steady | Phase::Lifting { .. } => Traffic::In,
            Phase::Draining { .. } => Traffic::Draining,
            Phase::Out { .. } => Traffic::Out,
            Phase::Easing | Phase::Ramping { .. } => Traffic::Ramping,
        }
    }

    /// Whether there may be something of nodeward's in the pool's load balancers.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        !matches!(self.phase, Phase::Steady)
    }

    /// Whether gates are to be told again and again: they may have forgotten, or not have heard.
    #[must_use]
    pub const fn insists(&self) -> bool {
        !matches!(self.phase, Phase::Steady | Phase::Lifting { said: true })
    }

    /// Whether every gate goes by what is said.
    #[must_use]
    pub const fn has_heard(&self) -> bool {
        self.heard
    }

    /// Whether the number of open sessions matters.
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.heard && matches!(self.phase, Phase::Draining { .. } | Phase::Out { .. })
    }

    /// Whether the node is out as far as it will be: every gate knows, and what was to be cut is cut.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.heard && matches!(self.phase, Phase::Out { cut: Cut::Over, .. })
    }
}

impl Rules {
    /// How long the way out takes at most, gates that answer at once given.
    #[must_use]
    pub fn way_out(&self) -> Duration {
        self.drain.max(self.cut_after.unwrap_or_default())
    }
}

/// The share within a ramp: it grows in even steps.
fn share(now: Instant, since: Instant, rules: &Rules) -> u8 {
    let first = u32::from(rules.share.unwrap_or(FIRST_SHARE));
    let over = now.saturating_duration_since(since).as_nanos();
    let steps = over.saturating_mul(u128::from(STEPS)) / rules.ramp.as_nanos().max(1);
    let steps = u32::try_from(steps).map_or(STEPS, |steps| steps.min(STEPS));
    let share = first + (100 - first.min(100)) * steps / STEPS;
    u8::try_from(share).unwrap_or(100).clamp(1, 100)
}

#[cfg(test)]
mod tests;
