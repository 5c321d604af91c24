//! Families that others wrote and that are passed on: name, type, help and labels come with them.

use super::page::{Form, Out, Page};
use super::{Declared, Descriptor, Family, Kind};

/// The label of a summary's quantile; no summary may have it as one of its own.
pub(super) const QUANTILE: &str = "quantile";

/// That the subject or component `S` passes on what others wrote.
pub struct Foreign<S>(Family<S, 0>);

impl<S> Foreign<S> {
    /// Declares it; `help` says where the families come from.
    #[must_use]
    pub const fn new(help: &'static str) -> Self {
        Self(Family::new("*", Kind::Untyped, [], help))
    }
}

impl<S> Declared for Foreign<S> {
    fn descriptor(&self) -> Descriptor<'_> {
        self.0.descriptor()
    }
}

/// What one foreign series says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Series<'a> {
    /// One value: a counter, a gauge, or of no type.
    Number(f64),
    /// A histogram.
    Distribution {
        /// Upper bounds in rising order, and how many values lie at or below each; an infinite one that is missing is added.
        buckets: &'a [(f64, f64)],
        /// The sum of all values.
        sum: f64,
        /// How many values there are.
        count: f64,
    },
    /// A summary.
    Quantiles {
        /// Quantiles in rising order, and their values.
        quantiles: &'a [(f64, f64)],
        /// The sum of all values.
        sum: f64,
        /// How many values there are.
        count: u64,
    },
}

impl<S> Page<'_, S> {
    /// Opens a foreign family, as [`Page::family`] does a declared one.
    pub fn foreign(
        &mut self,
        _: &'static Foreign<S>,
        name: &str,
        kind: Kind,
        help: &str,
    ) -> Others<'_> {
        let family = Descriptor {
            name,
            kind,
            labels: &[],
            help,
        };
        Others {
            refused: !self.out.open(family),
            out: self.out,
        }
    }
}

/// The series of one open foreign family.
pub struct Others<'a> {
    out: &'a mut Out,
    refused: bool,
}

impl Others<'_> {
    /// Writes one series with its labels, names in rising order; false if it was refused because it is there already.
    pub fn push(&mut self, names: &[&str], values: &[&str], series: Series<'_>) -> bool {
        let parts: Vec<&str> = names.iter().chain(values).copied().collect();
        let fresh = self.out.see(&parts) && !self.refused;
        let lines = match series {
            Series::Number(_) => 1,
            Series::Distribution { buckets: some, .. }
            | Series::Quantiles {
                quantiles: some, ..
            } => some.len() as u64 + 2,
        };
        let Some(form) = self.out.admit(fresh, lines) else {
            return false;
        };
        match (form, series) {
            (Form::Text(text), Series::Number(value)) => text.sample((names, values), value.into()),
            (
                Form::Text(text),
                Series::Distribution {
                    buckets,
                    sum,
                    count,
                },
            ) => {
                let all = whole(buckets, count).map(|(bound, below)| (bound, below.into()));
                text.distribution((names, values), all, sum, count.into());
            }
            (
                Form::Text(text),
                Series::Quantiles {
                    quantiles,
                    sum,
                    count,
                },
            ) => {
                text.quantiles((names, values), quantiles, sum, count);
            }
            (Form::OpenMetrics(open), series) => open.foreign(names, values, series),
            // What is picked is declared.
            (Form::Picked(_), _) => {}
        }
        true
    }
}

/// The buckets with the infinite one.
pub(super) fn whole(buckets: &[(f64, f64)], count: f64) -> impl Iterator<Item = (f64, f64)> {
    let open = buckets
        .last()
        .is_none_or(|(bound, _)| *bound < f64::INFINITY);
    let last = open.then_some((f64::INFINITY, count));
    buckets.iter().copied().chain(last)
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Rule};
    use super::*;

    struct Owner;
    static OTHERS: Foreign<Owner> = Foreign::new("What others wrote");
    static SENSORS: Rule<Owner, 1> =
        Rule::new("sensor_*_celsius", Kind::Gauge, ["chip"], "A sensor");

    fn page(format: Format) -> (String, u64) {
        let mut out = Out::new(format, 0);
        let mut page = out.page::<Owner>();
        page.made(&SENSORS, "sensor_a_celsius").push(["x"], 1.5);
        page.made(&SENSORS, "sensor_b_volts").push(["x"], 1.5);
        let mut family = page.foreign(&OTHERS, "jobs_total", Kind::Counter, "Jobs\nrun");
        assert!(family.push(&["a"], &["b"], Series::Number(2.0)));
        assert!(!family.push(&["a"], &["b"], Series::Number(3.0)));
        assert!(family.push(&["a", "c"], &["b", ""], Series::Number(3.0)));
        let spread = Series::Distribution {
            buckets: &[(0.5, 1.0), (2.0, 3.0)],
            sum: 5.75,
            count: 4.0,
        };
        let mut family = page.foreign(&OTHERS, "took_seconds", Kind::Histogram, "Time");
        family.push(&[], &[], spread);
        let parts = Series::Quantiles {
            quantiles: &[(0.5, 1.5)],
            sum: 9.0,
            count: 6,
        };
        let mut family = page.foreign(&OTHERS, "size_bytes", Kind::Summary, "Size");
        family.push(&["a"], &["b"], parts);
        let duplicates = out.duplicates();
        (String::from_utf8(out.finish()).unwrap(), duplicates)
    }

    #[test]
    fn text_passes_on_every_type() {
        let (text, refused) = page(Format::Text);
        assert_eq!(
            text,
            "# HELP sensor_a_celsius A sensor\n# TYPE sensor_a_celsius gauge\nsensor_a_celsius{chip=\"x\"} 1.5\n\
             # HELP jobs_total Jobs\\nrun\n# TYPE jobs_total counter\njobs_total{a=\"b\"} 2\njobs_total{a=\"b\",c=\"\"} 3\n\
             # HELP took_seconds Time\n# TYPE took_seconds histogram\ntook_seconds_bucket{le=\"0.5\"} 1\n\
             took_seconds_bucket{le=\"2\"} 3\ntook_seconds_bucket{le=\"+Inf\"} 4\ntook_seconds_sum 5.75\ntook_seconds_count 4\n\
             # HELP size_bytes Size\n# TYPE size_bytes summary\nsize_bytes{a=\"b\",quantile=\"0.5\"} 1.5\n\
             size_bytes_sum{a=\"b\"} 9\nsize_bytes_count{a=\"b\"} 6\n"
        );
        // A name that the rule does not make, and a series that was there.
        assert_eq!(refused, 2);
    }

    #[test]
    fn openmetrics_has_a_summary_as_unknown() {
        let (text, _) = page(Format::OpenMetrics);
        for line in [
            "# TYPE jobs counter\n",
            "jobs_total{a=\"b\"} 2",
            "# TYPE took_seconds histogram\n",
            "took_seconds_bucket{le=\"2.0\"} 3\n",
            "took_seconds_bucket{le=\"+Inf\"} 4\n",
            "took_seconds_count 4\n",
            "# TYPE size_bytes unknown\n",
            "size_bytes{a=\"b\",quantile=\"0.5\"} 1.5\n",
            "# TYPE size_bytes_sum unknown\n",
            "size_bytes_sum{a=\"b\"} 9",
            "# TYPE size_bytes_count unknown\n",
            "size_bytes_count{a=\"b\"} 6\n",
            "sensor_a_celsius{chip=\"x\"} 1.5\n",
        ] {
            assert_eq!(text.matches(line).count(), 1, "{line}{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
