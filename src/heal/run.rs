//! A run: what one trace tells of.
//!
//! Owns the ids of its spans. The surprising decision: nothing random is in them, so that a run which goes on in another process
//! after a crash is still one trace, and a span that is told twice is the same span.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::id::IncidentId;
use crate::model::trace::TraceContext;

/// From the opening of an incident, or its opening anew, to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Run {
    /// Its number within the incident, from 0.
    pub number: u32,
    /// The request whose alert began it, if that is traced: the run goes on with its trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TraceContext>,
}

impl Run {
    /// The run after this one; what began it is not known yet.
    #[must_use]
    pub const fn next(&self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            parent: None,
        }
    }

    /// The span of the whole run of an incident.
    #[must_use]
    pub fn trace(&self, incident: &IncidentId) -> TraceContext {
        let mut hash = Sha256::new();
        hash.update(b"nodeward run\0");
        hash.update(incident.as_str());
        hash.update(self.number.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let mut own = TraceContext {
            trace: start(&hash),
            span: [0; 8],
        };
        own.span = step(&own, 0);
        if let Some(parent) = self.parent {
            own.trace = parent.trace;
        }
        own
    }
}

/// Id of the span of the step of this number, from 1, of a run whose span is `run`.
#[must_use]
pub fn step(run: &TraceContext, number: u32) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(b"nodeward step\0");
    hash.update(run.trace);
    hash.update(run.span);
    hash.update(number.to_be_bytes());
    start(&hash.finalize().into())
}

/// The first bytes of a hash.
fn start<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    hash.first_chunk::<N>().copied().unwrap_or([1; N])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_the_same_each_time_and_others_for_each_incident_run_and_step() {
        let (one, two) = (IncidentId::new("01A"), IncidentId::new("01B"));
        let first = Run::default();
        let runs = [
            first.trace(&one),
            first.trace(&two),
            first.next().trace(&one),
        ];
        assert_eq!(first.trace(&one), runs[0]);
        let traces: BTreeSet<_> = runs.iter().map(|run| run.trace).collect();
        assert_eq!(traces.len(), 3);
        let spans = runs.iter().flat_map(|run| {
            let steps = (1..=50).map(|number| step(run, number));
            steps.chain([run.span])
        });
        assert_eq!(spans.collect::<BTreeSet<_>>().len(), 3 * 51);
    }

    #[test]
    fn a_run_goes_on_with_the_trace_of_what_began_it_under_a_span_of_its_own() {
        let parent = TraceContext {
            trace: [7; 16],
            span: [9; 8],
        };
        let run = Run {
            number: 0,
            parent: Some(parent),
        };
        let (one, two) = (IncidentId::new("01A"), IncidentId::new("01B"));
        let (first, second) = (run.trace(&one), run.trace(&two));
        assert_eq!((first.trace, second.trace), (parent.trace, parent.trace));
        assert_ne!(first.span, second.span);
        assert_ne!(first.span, parent.span);
        assert_eq!(run.next().parent, None);
    }
}
