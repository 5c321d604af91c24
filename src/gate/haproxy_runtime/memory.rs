//! Whose a server's maintenance is, and what has to be sent for it to be as wanted. It talks to nobody.

use crate::gate::{Say, Wanted, Words};
use crate::peer::haproxy::{Server, State, Weight};

/// One thing to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    State(State),
    Weight(Weight),
}

/// What nodeward has placed at one HAProxy.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// `drain` was sent, and nothing is known to have taken its place.
    drain: bool,
    /// `maint` was sent.
    maint: bool,
    /// HAProxy's config had the server `disabled` when something was sent.
    disabled: bool,
    /// The weight that was found before a share of it was given.
    weight: Option<u64>,
    /// This process was to place something before it was to lift anything: what it finds is not of the process before.
    began: bool,
    /// What other gates of the pool may have told this server.
    beside: Words,
    /// Whether somebody else had the server out at the last look before that; none: nobody looked.
    others: Option<bool>,
    /// This process has placed something, or taken over what the one before placed.
    knows: bool,
}

impl Memory {
    /// Whether the server is out by a word of this process.
    pub(super) fn holds(&self, server: &Server) -> bool {
        let admin = server.admin;
        let sent = (admin.is_maint() && self.maint) || (admin.is_drain() && self.drain);
        // What somebody else had placed before another gate spoke is theirs, though that gate's word may have taken its place.
        let beside = self.others == Some(false)
            && ((admin.is_maint() && self.beside.maint) || (admin.is_drain() && self.beside.drain));
        // A HAProxy that was loaded anew with `disabled` in its config is somebody's will.
        (sent || beside) && admin.is_disabled() == self.disabled
    }

    /// The server was looked at.
    pub(super) fn saw(&mut self, server: &Server) {
        if self.beside == Words::default() {
            self.others = Some(self.is_foreign(server));
        }
    }

    /// Whether somebody else had the server out at the last look before another gate spoke; none: nobody looked.
    pub(super) fn others(&self) -> Option<bool> {
        self.others
    }

    /// Whether somebody else has it out, as far as this process knows.
    pub(super) fn is_foreign(&self, server: &Server) -> bool {
        let set = server.admin.is_maint() || server.admin.is_drain();
        (set && !self.holds(server)) || server.admin.is_out_by_others()
    }

    /// This is wanted now.
    pub(super) fn wants(&mut self, wanted: &Wanted) {
        self.began |= !wanted.lifts && !matches!(wanted.say, Say::In(_));
        self.beside = wanted.beside;
    }

    /// What has to be sent, in order; none if somebody else has the server out.
    pub(super) fn steps(&self, server: &Server, wanted: &Wanted) -> Option<Vec<Step>> {
        let admin = server.admin;
        let set = admin.is_maint() || admin.is_drain();
        let inherited = self.is_first() && wanted.lifts && !admin.is_disabled();
        if set && !self.holds(server) && !inherited {
            return match wanted.say {
                // It asks for nothing.
                Say::In(_) if !wanted.lifts => Some(Vec::new()),
                _ => None,
            };
        }
        let mut steps = Vec::new();
        match wanted.say {
            Say::Drain if !admin.is_drain() => steps.push(Step::State(State::Drain)),
            Say::Out if !admin.is_maint() => steps.push(Step::State(State::Maint)),
            Say::Drain | Say::Out => {}
            Say::In(_) if !wanted.lifts => {}
            Say::In(percent) => {
                // The weight first, or it would get its whole share for a moment.
                let weight = self
                    .share(server, percent)
                    .filter(|(_, weight)| *weight != server.weight);
                steps.extend(weight.map(|(step, _)| step));
                if set {
                    steps.push(Step::State(State::Ready));
                }
            }
        }
        Some(steps)
    }

    /// Whether what is found may be of the process before, its weight too.
    fn is_first(&self) -> bool {
        !self.knows && !self.began
    }

    /// The weight that is this share, and how it is written; none if the weight is not ours to set.
    fn share(&self, server: &Server, percent: u8) -> Option<(Step, u64)> {
        let found = match (self.weight, self.is_first()) {
            (Some(found), _) => found,
            // All that can be known of it.
            (None, true) => server.initial_weight,
            (None, false) if percent < 100 => server.weight,
            (None, false) => return None,
        };
        let percent = percent.min(100);
        let weight = found * u64::from(percent) / 100;
        let step = match found == server.initial_weight {
            true => Weight::Percent(percent),
            false => Weight::Absolute(u32::try_from(weight).unwrap_or(256).min(256)),
        };
        Some((Step::Weight(step), weight))
    }

    /// Something is about to be sent to a server that is free, or out by a word of nodeward's.
    pub(super) fn sends(&mut self, step: Step, server: &Server) {
        if !self.knows {
            self.drain = server.admin.is_drain();
            self.maint = server.admin.is_maint();
        }
        match step {
            Step::State(State::Drain) => self.drain = true,
            Step::State(State::Maint) => self.maint = true,
            Step::State(State::Ready) => {}
            Step::Weight(_) => {
                let found = match self.is_first() {
                    true => server.initial_weight,
                    false => server.weight,
                };
                self.weight.get_or_insert(found);
            }
        }
        self.disabled = server.admin.is_disabled();
        self.knows = true;
    }

    /// HAProxy has taken it.
    pub(super) fn sent(&mut self, step: Step) {
        if let Step::State(state) = step {
            self.drain = state == State::Drain;
            self.maint = state == State::Maint;
        }
    }

    /// What takes back a share that is nodeward's, where somebody else has the server out: whoever lets it in again gives it all of its
    /// weight. None if the weight is not ours to set.
    pub(super) fn parting(&self, server: &Server, wanted: &Wanted) -> Option<Step> {
        let ours = self.weight.is_some() || (self.is_first() && wanted.lifts);
        let whole = self.share(server, 100).filter(|_| ours);
        whole
            .filter(|(_, weight)| *weight != server.weight)
            .map(|(step, _)| step)
    }

    /// Nothing of nodeward's is left at it.
    pub(super) fn parted(&mut self) {
        self.weight = None;
    }

    /// All is as wanted; so was `server` before.
    pub(super) fn told(&mut self, server: &Server, wanted: &Wanted) {
        // The process before may have given it a share: of what, nobody knows but HAProxy's config.
        if self.is_first() && wanted.lifts && server.weight != server.initial_weight {
            self.weight.get_or_insert(server.initial_weight);
        }
        match wanted.say {
            // What the process before or another gate placed is this one's now.
            Say::Drain | Say::Out => {
                self.drain = wanted.say == Say::Drain;
                self.maint = wanted.say == Say::Out;
                self.disabled = server.admin.is_disabled();
            }
            Say::In(_) if !wanted.lifts => return,
            Say::In(100) => self.weight = None,
            Say::In(_) => {}
        }
        self.knows = true;
        self.others = Some(false);
    }

    /// Whether it has to be looked at once more: another gate's last word may have been on its way while this one lifted.
    pub(super) fn is_to_settle(steps: &[Step], wanted: &Wanted) -> bool {
        wanted.beside != Words::default() && steps.contains(&Step::State(State::Ready))
    }
}
