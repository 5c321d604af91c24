//! How notifiers are told in Prometheus and OTLP.

use super::run::Notifiers;
use crate::dialect::Told;
use crate::dialect::otlp::Metrics;
use crate::dialect::prometheus::{Declared, Out};

crate::families! { Notifiers:
    TOTAL counter "nodeward_notifications_total" ["notifier", "outcome"] "Notifications that were delivered, to all or in part, or dropped, and tries that failed";
    WAITING gauge "nodeward_notifications_waiting" ["notifier"] "Notifications that are not delivered yet";
    OLDEST gauge "nodeward_notifications_oldest_age_seconds" ["notifier"] "How long the oldest notice or record that is not delivered has waited; 0 if there is none";
}

crate::instruments! { Notifiers:
    COUNTED counter int "nodeward.notifications" "{notification}" ["notifier", "outcome"] "Notifications that were delivered, to all or in part, or dropped, and tries that failed";
    WAIT updown int "nodeward.notifications.waiting" "{notification}" ["notifier"] "Notifications that are not delivered yet";
    AGE gauge double "nodeward.notifications.oldest_age" "s" ["notifier"] "How long the oldest notice or record that is not delivered has waited; 0 if there is none";
}

impl Told for Notifiers {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let mut samples = page.family(&TOTAL);
        self.look(|name, counts| {
            for (outcome, count) in counts.outcomes() {
                samples.push([name, outcome], count);
            }
        });
        let mut samples = page.family(&WAITING);
        self.look(|name, counts| samples.push([name], counts.waiting()));
        let mut samples = page.family(&OLDEST);
        self.look(|name, counts| samples.push([name], counts.age()));
    }

    fn otlp(&self, metrics: &mut Metrics<'_>) {
        let mut batch = metrics.batch::<Self>();
        let mut points = batch.instrument(&COUNTED);
        self.look(|name, counts| {
            for (outcome, count) in counts.outcomes() {
                points.push([name, outcome], count);
            }
        });
        drop(points);
        let mut points = batch.instrument(&WAIT);
        self.look(|name, counts| points.push([name], counts.waiting()));
        drop(points);
        let mut points = batch.instrument(&AGE);
        self.look(|name, counts| points.push([name], counts.age()));
    }
}
