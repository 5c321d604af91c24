//! What must hold of how people are told of an escalation.

use super::*;

/// What was told of an escalation: of which incident, in which life, and which reminder.
pub(super) type Told = (usize, u32, u32, u32);

impl World {
    /// Looks at what a step tells.
    pub(super) fn page(&mut self, at: usize, incident: &Incident, step: &Step) {
        let was = &self.incidents[at];
        let life = (at, incident.run.number, incident.relapses);
        let is_escalated = |incident: &Incident| matches!(incident.state, State::Escalated { .. });
        assert!(
            is_escalated(was) || !is_escalated(incident) || incident.is_paged(),
            "what is escalated anew somebody has to take up anew"
        );
        for what in &step.notices {
            match what {
                What::Reminder => {
                    let remind = self.plan(at).remind.expect("nobody asked to be reminded");
                    let made = incident.paging.as_ref().unwrap().reminders;
                    assert!(made <= remind.times, "more often than the ceiling");
                    assert!(was.is_paged(), "nobody is reminded who has it");
                    assert!(
                        matches!(was.state, State::Escalated { .. }),
                        "nobody is reminded of what is well"
                    );
                    let (at, run, relapses) = life;
                    let new = self.reminded.insert((at, run, relapses, made));
                    assert!(new, "the same reminder twice");
                    let before = self.reminded.contains(&(at, run, relapses, made - 1));
                    assert!(before || made == 1, "one is missing");
                    let gap = self.now.since(&self.last_told[&at]);
                    assert!(gap >= remind.every || self.boots > 0, "too soon: {gap:?}");
                    self.last_told.insert(at, self.now.clone());
                }
                What::Acknowledged => {
                    assert!(was.is_paged() && !incident.is_paged());
                    assert!(self.acknowledged.insert(life), "acknowledged twice");
                }
                What::Escalated => {
                    assert!(self.paged.insert(life), "the same notice twice");
                    self.last_told.insert(at, self.now.clone());
                }
                _ => {}
            }
        }
    }

    /// Lets time pass with nothing well: who has not acknowledged what he was told was reminded of it as often as the playbook says.
    pub(super) fn wait_for_reminders(&mut self) {
        self.well = [false; 2];
        self.blind = [false; 2];
        let paged: Vec<usize> = (0..self.incidents.len())
            .filter(|at| {
                let incident = &self.incidents[*at];
                matches!(incident.state, State::Escalated { .. }) && incident.is_paged()
            })
            .collect();
        for _ in 0..400 {
            while let Some((at, out)) = self.pending.pop() {
                self.answer(at, &out, 1);
            }
            self.now.boot += 10_000;
            self.now.wall.0 += 10_000;
            self.timers();
        }
        for at in paged {
            let incident = &self.incidents[at];
            if incident.is_paged() && matches!(incident.state, State::Escalated { .. }) {
                let times = self.plan(at).remind.map_or(0, |remind| remind.times);
                let made = incident.paging.as_ref().unwrap().reminders;
                assert_eq!(made, times, "{incident:#?}");
            }
        }
    }
}
