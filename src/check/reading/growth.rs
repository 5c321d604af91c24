//! What counters grow by a second.

use std::time::Duration;

use tokio::time::Instant;

use crate::dialect::prometheus::Sample;

/// Two readings of counters are at least so far apart.
pub(super) const APART: Duration = Duration::from_secs(1);

/// The series of some metrics at one time.
pub(super) struct Counted {
    pub(super) at: Instant,
    pub(super) picked: Vec<Vec<Sample>>,
}

impl Counted {
    /// What each series has grown by a second since `past`. One that was not there then is left out; one that is less now has begun
    /// anew from 0, as Prometheus takes it.
    pub(super) fn since(&self, past: &Self) -> Vec<Vec<Sample>> {
        let seconds = self.at.saturating_duration_since(past.at).as_secs_f64();
        let each = self.picked.iter().zip(&past.picked);
        let grown = each.map(|(now, before)| {
            let grown = now.iter().filter_map(|sample| {
                let mut before = before.iter();
                let before = before.find(|before| before.labels == sample.labels)?.value;
                let grown = match sample.value < before {
                    true => sample.value,
                    false => sample.value - before,
                };
                Some(Sample {
                    labels: sample.labels.clone(),
                    value: grown / seconds,
                })
            });
            grown.collect()
        });
        grown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_by_the_second_and_a_counter_may_begin_anew() {
        let start = Instant::now();
        let counted = |seconds: u64, values: &[(&str, f64)]| {
            let sample = |(cpu, value): &(&str, f64)| Sample {
                labels: vec![("cpu", (*cpu).to_owned())],
                value: *value,
            };
            Counted {
                at: start + Duration::from_secs(seconds),
                picked: vec![values.iter().map(sample).collect()],
            }
        };
        let before = counted(0, &[("0", 100.0), ("1", 50.0), ("gone", 1.0)]);
        let now = counted(4, &[("0", 102.0), ("1", 1.0), ("new", 9.0)]);
        let grown: Vec<_> = now.since(&before)[0].iter().map(|s| s.value).collect();
        assert_eq!(grown, [0.5, 0.25]);
        let still = counted(4, &[("0", 100.0)]);
        assert_eq!(still.since(&before)[0][0].value, 0.0);
    }
}
