//! What the guards count, whoever counts it.

use super::*;

impl World {
    /// What guards count of it is the same for whoever knows no more than what is on record.
    pub(super) fn counts_alike_after_a_start(&self, incident: &Incident) {
        let counted = |history: &History| {
            let (target, playbook) = (&incident.target, &incident.playbook);
            let standing = history.standing(target, playbook, None, &self.now);
            [
                standing.target_attempts,
                standing.playbook_attempts,
                standing.target_heals,
                standing.node_attempts,
                standing.node_incidents,
            ]
            .map(|mut ago| {
                ago.sort_unstable();
                ago
            })
        };
        assert_eq!(
            counted(&History::of(&self.incidents)),
            counted(&self.history)
        );
    }
}
