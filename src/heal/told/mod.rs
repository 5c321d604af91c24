//! How healing is told in the three dialects.
//!
//! Owns the names; [`log`] has those of the events that the journal's records become, [`runs`] those of the spans. The counters of every configured playbook are told from 0 on, so that a rate has its first event; durations are told once
//! there is one. The surprising decision: it tells a [`Summary`] from wherever one comes, since healing may be off, or begin
//! at a reload, while the names stay: without healing, the node is healthy.

pub mod audit;
pub mod log;
mod rows;
pub mod runs;
mod zabbix;

use std::sync::Arc;

use super::runner::{STAGE_BOUNDS, Summary};
use crate::dialect::otlp::{Batch, Instrument, Metrics};
use crate::dialect::prometheus::{Declared, Family, Out, Page};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::dialect::zabbix::key::Key;
use crate::dialect::{Number, Told};

pub use zabbix::KEYS;

crate::families! { Summary:
    NODE_STATE gauge "nodeward_node_state" ["state"] "How the node is: 1 for the state it is in, 0 for the others";
    INCIDENTS gauge "nodeward_incidents" ["state"] "Open incidents by state";
    INCIDENT gauge "nodeward_incident_info" ["incident", "playbook", "target", "state"] "An open incident, always 1; the oldest 100 are told";
    ATTEMPTS counter "nodeward_heal_attempts_total" ["playbook"] "Attempts to heal that were begun";
    HEALS counter "nodeward_heals_total" ["playbook", "outcome"] "Incidents by what became of them: healed, resolved_alone, observed, suppressed, cancelled; escalated is no end, such an incident may yet be healed";
    ESCALATIONS counter "nodeward_escalations_total" ["playbook", "cause"] "Incidents that people were told of because nodeward could not heal them, by cause";
    RELAPSES counter "nodeward_relapses_total" ["playbook"] "Incidents that were ill again after they were well";
    REFUSALS counter "nodeward_guard_refusals_total" ["guard"] "Decisions not to act now, by each guard that refused";
    DURATION histogram(STAGE_BOUNDS) "nodeward_heal_duration_seconds" ["playbook", "stage"] "How long incidents stayed in a state, by the state they left";
    FIRING gauge "nodeward_alerts_firing" ["severity"] "Alerts of this node that fire, by severity";
    PAUSED gauge "nodeward_paused" [] "Whether the kill switch is on (1): no new attempt begins";
    ISOLATED gauge "nodeward_isolated" [] "Whether any hold keeps this node out of a pool (1)";
    HOLDS gauge "nodeward_holds" ["pool", "owner"] "What keeps this node out of a pool, by whose it is: incident, operator, window";
    MAINTENANCE gauge "nodeward_maintenance" [] "Whether maintenance is on (1): nothing is healed";
}

crate::instruments! { Summary:
    IN_STATE gauge int "nodeward.node.state" "1" ["state"] "How the node is: 1 for the state it is in, 0 for the others";
    OPEN updown int "nodeward.incidents" "{incident}" ["state"] "Open incidents by state";
    OPEN_ONE gauge int "nodeward.incident.info" "1" ["incident", "playbook", "target", "state"] "An open incident, always 1; the oldest 100 are told";
    BEGUN counter int "nodeward.heal.attempts" "{attempt}" ["playbook"] "Attempts to heal that were begun";
    OUTCOMES counter int "nodeward.heals" "{incident}" ["playbook", "outcome"] "Incidents by what became of them; escalated is no end, such an incident may yet be healed";
    ESCALATED counter int "nodeward.escalations" "{incident}" ["playbook", "cause"] "Incidents that people were told of because nodeward could not heal them, by cause";
    RELAPSED counter int "nodeward.relapses" "{relapse}" ["playbook"] "Incidents that were ill again after they were well";
    REFUSED counter int "nodeward.guard.refusals" "{refusal}" ["guard"] "Decisions not to act now, by each guard that refused";
    TOOK histogram(STAGE_BOUNDS) double "nodeward.heal.duration" "s" ["playbook", "stage"] "How long incidents stayed in a state, by the state they left";
    ALERTS updown int "nodeward.alerts.firing" "{alert}" ["severity"] "Alerts of this node that fire, by severity";
    IS_PAUSED gauge int "nodeward.paused" "1" [] "Whether the kill switch is on (1): no new attempt begins";
    IS_ISOLATED gauge int "nodeward.isolated" "1" [] "Whether any hold keeps this node out of a pool (1)";
    HELD updown int "nodeward.holds" "{hold}" ["pool", "owner"] "What keeps this node out of a pool, by whose it is: incident, operator, window";
    IN_MAINTENANCE gauge int "nodeward.maintenance" "1" [] "Whether maintenance is on (1): nothing is healed";
}

/// Tells what `F` shows of healing, or the default [`Summary`] where there is none.
pub struct Shown<F>(pub F);

impl<F: Fn() -> Arc<Summary> + Send + Sync> Told for Shown<F> {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        prometheus(&(self.0)(), out);
    }

    fn otlp(&self, metrics: &mut Metrics<'_>) {
        otlp(&(self.0)(), metrics);
    }

    fn zabbix(&self, key: &Key<'_>) -> Option<Result<Value, Unsupported>> {
        zabbix::answer(&(self.0)(), key)
    }
}

fn prometheus(summary: &Summary, out: &mut Out) {
    let mut page = out.page::<Summary>();
    write(&mut page, &NODE_STATE, rows::node(summary));
    write(&mut page, &INCIDENTS, rows::incidents(summary));
    write(&mut page, &INCIDENT, rows::open(summary));
    write(&mut page, &ATTEMPTS, rows::attempts(summary));
    write(&mut page, &HEALS, rows::heals(summary));
    write(&mut page, &ESCALATIONS, rows::escalations(summary));
    write(&mut page, &RELAPSES, rows::relapses(summary));
    write(&mut page, &REFUSALS, rows::refusals(summary));
    let mut durations = page.histogram(&DURATION);
    for (labels, spread) in rows::stages(summary) {
        durations.push(labels, spread);
    }
    write(&mut page, &FIRING, rows::firing(summary));
    page.value(&PAUSED, summary.paused.is_some());
    page.value(&ISOLATED, summary.isolated);
    write(&mut page, &HOLDS, rows::holds(summary));
    page.value(&MAINTENANCE, summary.maintenance.is_some());
}

fn write<'a, const N: usize>(
    page: &mut Page<'_, Summary>,
    family: &'static Family<Summary, N>,
    rows: impl IntoIterator<Item = ([&'a str; N], impl Into<Number>)>,
) {
    let mut samples = page.family(family);
    for (labels, value) in rows {
        samples.push(labels, value);
    }
}

fn otlp(summary: &Summary, metrics: &mut Metrics<'_>) {
    let mut batch = metrics.batch::<Summary>();
    put(&mut batch, &IN_STATE, rows::node(summary));
    put(&mut batch, &OPEN, rows::incidents(summary));
    put(&mut batch, &OPEN_ONE, rows::open(summary));
    put(&mut batch, &BEGUN, rows::attempts(summary));
    put(&mut batch, &OUTCOMES, rows::heals(summary));
    put(&mut batch, &ESCALATED, rows::escalations(summary));
    put(&mut batch, &RELAPSED, rows::relapses(summary));
    put(&mut batch, &REFUSED, rows::refusals(summary));
    let mut durations = batch.histogram(&TOOK);
    for (attributes, spread) in rows::stages(summary) {
        durations.push(attributes, spread);
    }
    drop(durations);
    put(&mut batch, &ALERTS, rows::firing(summary));
    batch.value(&IS_PAUSED, summary.paused.is_some());
    batch.value(&IS_ISOLATED, summary.isolated);
    put(&mut batch, &HELD, rows::holds(summary));
    batch.value(&IN_MAINTENANCE, summary.maintenance.is_some());
}

fn put<'a, const N: usize>(
    batch: &mut Batch<'_, '_, Summary>,
    instrument: &'static Instrument<Summary, N>,
    rows: impl IntoIterator<Item = ([&'a str; N], impl Into<Number>)>,
) {
    let mut points = batch.instrument(instrument);
    for (attributes, value) in rows {
        points.push(attributes, value);
    }
}

#[cfg(test)]
mod tests;
