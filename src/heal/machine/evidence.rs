//! Evidence: when it is gathered, and that it is kept.

use serde_json::json;

use super::{Effect, Stepping};
use crate::heal::evidence::{Kept, Occasion, Packet};
use crate::heal::guards::{self, Guard, Look, Unseen};
use crate::heal::incident::State;
use crate::heal::plan::Mode;
use crate::journal::Kind;

/// Packets that an incident remembers, the latest ones.
const REMEMBERED: usize = 8;
/// What a guard still refuses for so many milliseconds it may let pass when the look has ended.
const SOON: u64 = 10_000;

/// Whether only a look at the world tells what a guard says.
const fn is_seen(guard: Guard) -> bool {
    use Guard::{Action, Busy, Confirm, MinHealthy, Witness};
    matches!(guard, Confirm | Busy | Action | Witness | MinHealthy)
}

impl Stepping<'_> {
    /// What evidence is gathered of with the look that is made now: of the first action of a run, if it may come to one.
    pub(super) fn before_action(&self) -> Option<Occasion> {
        if !self.standing.gathers || self.has_of_action() || self.was_seen_not_to() {
            return None;
        }
        self.may_act().then_some(match self.plan.mode {
            Mode::Observe => Occasion::WouldAct,
            Mode::Off | Mode::Approve | Mode::Auto => Occasion::BeforeAction,
        })
    }

    /// Whether the last look showed something that speaks against acting, as a check that is well. What is gathered then would be dropped
    /// again, each time that it is looked while an alert fires on: it waits for a look in which nothing does, and is gathered with another one.
    fn was_seen_not_to(&self) -> bool {
        let State::Waiting { verdicts, .. } = &self.incident.state else {
            return false;
        };
        verdicts.iter().any(|v| !v.passes && is_seen(v.guard))
    }

    /// Whether a look that may lead to the first action of a run was made without gathering, since the one before it showed that it would not.
    pub(super) fn held_back(&self, look: &Look) -> bool {
        let gathered = look.evidence.is_some();
        self.standing.gathers && !gathered && self.was_seen_not_to() && !self.has_of_action()
    }

    /// Whether there is a packet of this run's first action.
    fn has_of_action(&self) -> bool {
        let run = self.incident.run.number;
        let mut kept = self.incident.evidence.iter();
        kept.any(|kept| kept.run == run && kept.occasion.is_of_action())
    }

    /// Whether nothing that is known without a look at the world speaks against acting.
    fn may_act(&self) -> bool {
        let incident = &*self.incident;
        let unseen = || Unseen("nobody looked".into());
        let look = Look {
            confirm: Vec::new(),
            busy: None,
            witness: Err(unseen()),
            action: Err(unseen()),
            pool: None,
            evidence: None,
        };
        let leaves = self.plan.leaves(incident).is_some_and(|leave| !leave.rung);
        let said_yes = incident.approval.is_some();
        let verdicts = guards::evaluate(incident, self.plan, self.standing, &look, self.now);
        verdicts.iter().all(|verdict| {
            let open = match verdict.guard {
                Guard::Approval => said_yes,
                guard if is_seen(guard) => true,
                guard if !guard.bounds_attempts() => false,
                // It may be over by the time that the look is.
                _ => leaves || verdict.again.is_some_and(|again| again < SOON),
            };
            verdict.passes || open
        })
    }

    /// Has it gathered, and waits for nothing.
    pub(super) fn gather(&mut self, occasion: Occasion) {
        if self.standing.gathers {
            self.step.effects.push(Effect::Gather(occasion));
        }
    }

    /// Puts a packet on record, and keeps it.
    pub(super) fn keep(&mut self, packet: &Packet) {
        let number = self.incident.evidence.last().map_or(0, |last| last.number);
        let kept = Kept {
            number: number.saturating_add(1),
            occasion: packet.occasion,
            run: self.incident.run.number,
            sha256: packet.digest.to_string(),
            bytes: packet.text.len(),
        };
        self.record(
            Kind::Evidence,
            json!({
                "number": kept.number,
                "occasion": kept.occasion,
                "sha256": kept.sha256,
                "bytes": kept.bytes,
                "missing": packet.missing,
            }),
        );
        self.step.evidence.push((kept.number, packet.text.clone()));
        self.incident.evidence.push(kept);
        let over = self.incident.evidence.len().saturating_sub(REMEMBERED);
        self.incident.evidence.drain(..over);
    }
}
