//! How the node is while healing is off: what its checks say, and no more.

use std::collections::BTreeMap;

use crate::check::Change;
use crate::heal::runner::{NodeState, Summary};
use crate::model::severity::Severity;

/// With these alerts of checks, all there are.
pub(super) fn summary(standing: &[Change]) -> Summary {
    let mut firing: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut node = NodeState::Healthy;
    for change in standing {
        let labels = change.alert().labels;
        let severity = Severity::of_word(labels.get("severity").map(String::as_str));
        *firing.entry(severity.as_str()).or_default() += 1;
        node = match (severity, node) {
            (Severity::Critical, _) => NodeState::Unhealthy,
            (Severity::Warning, NodeState::Healthy) => NodeState::Degraded,
            (_, node) => node,
        };
    }
    Summary {
        node,
        firing,
        ..Summary::default()
    }
}
