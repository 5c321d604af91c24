//! What is wrong with our page, held against two readings of theirs, one before it and one after.
//!
//! A machine at work moves between any two readings. So what stood still in theirs must be the same in ours, a counter must lie
//! between its two readings, a mount or an interface that came or went in between is nobody's fault, and what is wrong in one
//! round only is no finding: [`Rounds`] keeps what was wrong in every one.

use std::collections::BTreeMap;

use super::exporter::BUILD;
use crate::dialect::prometheus::Kind;
use crate::dialect::prometheus::parse::page::{Scraped, Told};

/// What can be wrong; in the order it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    MissingFamily,
    MissingSeries,
    Type,
    Labels,
    Value,
    ExtraFamily,
    ExtraSeries,
}

impl Fault {
    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MissingFamily => "missing_family",
            Self::MissingSeries => "missing_series",
            Self::Type => "type",
            Self::Labels => "labels",
            Self::Value => "value",
            Self::ExtraFamily => "extra_family",
            Self::ExtraSeries => "extra_series",
        }
    }

    /// Whether something of theirs is not here.
    pub(super) fn is_missing(self) -> bool {
        matches!(self, Self::MissingFamily | Self::MissingSeries)
    }

    /// Whether it is here only, which is no fault.
    pub(super) fn is_extra(self) -> bool {
        matches!(self, Self::ExtraFamily | Self::ExtraSeries)
    }
}

/// What it is about: family, and what stands behind its name in a series; empty for a family as a whole.
pub(super) type About = (String, Fault, Box<str>);

/// What either side says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Apart {
    /// A type, labels: in words.
    Words { there: String, here: String },
    /// The least and the largest value that was seen.
    Values {
        there: (f64, f64),
        here: (f64, f64),
        counts: bool,
    },
    /// A family that one side has: its type and how many series.
    Family { kind: &'static str, series: usize },
    /// A series that one side has, with this value.
    Alone(f64),
}

/// Values that may be behind theirs by this much: node_exporter goes on telling the highest value it has seen of a CPU until the
/// kernel's falls by 3 s, and a program that has just started has seen none.
const BEHIND: &[(&str, f64)] = &[("node_cpu_seconds_total", 3.0)];

/// Families that speak of the program that tells them: that they are there, and how, counts; their values do not.
fn is_own(name: &str) -> bool {
    name.starts_with("process_") || matches!(name, BUILD | "node_scrape_collector_duration_seconds")
}

/// Families that are left out: nothing here is written in Go, and ours are ours.
pub(super) fn is_left_out(name: &str) -> bool {
    ["go_", "promhttp_", "nodeward_"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn kind(told: &Told) -> &'static str {
    told.kind.unwrap_or(Kind::Untyped).text()
}

/// What is wrong in one round.
pub(super) fn round(before: &Scraped, ours: &Scraped, after: &Scraped) -> BTreeMap<About, Apart> {
    let mut wrong = BTreeMap::new();
    let steady = before.families.iter().filter_map(|(name, first)| {
        let second = after.families.get(name)?;
        (!is_left_out(name)).then_some((name, first, second))
    });
    for (name, first, second) in steady {
        let about = |fault| (name.clone(), fault, Box::default());
        match ours.families.get(name) {
            None => {
                let series = first.series.len();
                let kind = kind(first);
                wrong.insert(about(Fault::MissingFamily), Apart::Family { kind, series });
            }
            Some(here) => {
                if kind(first) == kind(second) && kind(here) != kind(first) {
                    let (there, here) = (kind(first).to_owned(), kind(here).to_owned());
                    wrong.insert(about(Fault::Type), Apart::Words { there, here });
                }
                // Which of its labels have a value hangs on how a program was built.
                let built = name == BUILD;
                if first.labels == second.labels && first.labels != here.labels && !built {
                    let listed = |told: &Told| -> String {
                        let labels: Vec<&str> = told.labels.iter().map(String::as_str).collect();
                        format!("{{{}}}", labels.join(","))
                    };
                    let (there, here) = (listed(first), listed(here));
                    wrong.insert(about(Fault::Labels), Apart::Words { there, here });
                } else if !is_own(name) {
                    series(name, [first, here, second], &mut wrong);
                }
            }
        }
    }
    for (name, here) in &ours.families {
        let known = before.families.contains_key(name) || after.families.contains_key(name);
        if !known && !is_left_out(name) {
            let (kind, series) = (kind(here), here.series.len());
            let about = (name.clone(), Fault::ExtraFamily, Box::default());
            wrong.insert(about, Apart::Family { kind, series });
        }
    }
    wrong
}

/// What is wrong with the series of a family that has the right labels.
fn series(name: &str, [first, here, second]: [&Told; 3], wrong: &mut BTreeMap<About, Apart>) {
    let about = |fault, series: &str| (name.to_owned(), fault, series.into());
    for (key, before) in &first.series {
        let Some(after) = second.series.get(key) else {
            continue;
        };
        match here.series.get(key) {
            None => {
                wrong.insert(about(Fault::MissingSeries, key), Apart::Alone(*after));
            }
            Some(value) => {
                let counts = !matches!(first.kind, None | Some(Kind::Gauge | Kind::Untyped));
                if !fits(name, counts, *value, (*before, *after)) {
                    let apart = Apart::Values {
                        there: (before.min(*after), before.max(*after)),
                        here: (*value, *value),
                        counts,
                    };
                    wrong.insert(about(Fault::Value, key), apart);
                }
            }
        }
    }
    for (key, value) in &here.series {
        if !first.series.contains_key(key) && !second.series.contains_key(key) {
            wrong.insert(about(Fault::ExtraSeries, key), Apart::Alone(*value));
        }
    }
}

/// Whether a value may be what was told between two others.
fn fits(name: &str, counts: bool, value: f64, (before, after): (f64, f64)) -> bool {
    if value.is_nan() || before.is_nan() || after.is_nan() {
        return value.is_nan() && (before.is_nan() || after.is_nan());
    }
    // A counter that began anew says nothing.
    if counts && after < before {
        return true;
    }
    let behind = BEHIND.iter().find(|(family, _)| *family == name);
    let behind = behind.map_or(0.0, |(_, behind)| *behind);
    (before.min(after) - behind..=before.max(after)).contains(&value)
}

/// What was wrong in every round.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    wrong: Option<BTreeMap<About, Apart>>,
}

impl Rounds {
    /// Takes one more round.
    pub(super) fn add(&mut self, now: BTreeMap<About, Apart>) {
        let Some(wrong) = &mut self.wrong else {
            self.wrong = Some(now);
            return;
        };
        wrong.retain(|about, apart| {
            let Some(now) = now.get(about) else {
                return false;
            };
            match (apart, now) {
                (
                    Apart::Values { there, here, .. },
                    Apart::Values {
                        there: there_now,
                        here: here_now,
                        ..
                    },
                ) => {
                    widen(there, *there_now);
                    widen(here, *here_now);
                }
                (apart, now) => apart.clone_from(now),
            }
            true
        });
    }

    /// Whether nothing is left but what is here only.
    pub(super) fn are_well(&self) -> bool {
        let wrong = self.wrong.iter().flatten();
        wrong.into_iter().all(|((_, fault, _), _)| fault.is_extra())
    }

    /// What is left. A gauge that moves is compared by where it was seen: what is apart by less than it moved is no finding.
    pub(super) fn findings(self) -> BTreeMap<About, Apart> {
        let mut wrong = self.wrong.unwrap_or_default();
        wrong.retain(|_, apart| match apart {
            Apart::Values {
                there,
                here,
                counts: false,
            } => !is_beside(*there, *here),
            _ => true,
        });
        wrong
    }
}

/// Whether values that move are the same as far as can be seen: between one another, or apart by no more than they moved meanwhile.
pub(super) fn is_beside(there: (f64, f64), here: (f64, f64)) -> bool {
    let moved = (there.1 - there.0) + (here.1 - here.0);
    let gap = (here.0 - there.1).max(there.0 - here.1);
    gap <= moved && gap.is_finite()
}

fn widen(range: &mut (f64, f64), by: (f64, f64)) {
    range.0 = range.0.min(by.0);
    range.1 = range.1.max(by.1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Scraped {
        Scraped::parse(text.as_bytes()).unwrap()
    }

    fn told(wrong: &BTreeMap<About, Apart>) -> Vec<String> {
        let line = |((family, fault, series), _): (&About, &Apart)| {
            format!("{} {family}{series}", fault.name())
        };
        wrong.iter().map(line).collect()
    }

    const THEIRS: &str = "# TYPE a_total counter\na_total{x=\"1\"} 5\na_total{x=\"2\"} 9\n# TYPE g gauge\ng 1\n# TYPE m gauge\nm 10\n";

    fn found(ours: &str) -> Vec<String> {
        let (before, after) = (
            page(THEIRS),
            page(&THEIRS.replace("} 9", "} 12").replace("m 10", "m 20")),
        );
        told(&round(&before, &page(ours), &after))
    }

    #[test]
    fn each_kind_of_fault_is_told() {
        assert!(found(THEIRS).is_empty());
        let between = THEIRS.replace("} 9", "} 11").replace("m 10", "m 15");
        assert!(found(&between).is_empty());
        for (from, to, expected) in [
            ("# TYPE g gauge\ng 1\n", "", "missing_family g"),
            (
                "a_total{x=\"1\"} 5\n",
                "",
                "missing_series a_total{x=\"1\"}",
            ),
            (
                "a_total{x=\"2\"} 9",
                "a_total{x=\"2\"} 8",
                "value a_total{x=\"2\"}",
            ),
            (
                "a_total{x=\"2\"} 9",
                "a_total{x=\"2\"} 13",
                "value a_total{x=\"2\"}",
            ),
            ("TYPE g gauge", "TYPE g counter", "type g"),
            ("# TYPE g gauge\n", "", "type g"),
            ("g 1", "g 1.5", "value g"),
            ("g 1", "g NaN", "value g"),
            ("g 1\n", "g 1\ng{y=\"1\"} 1\n", "labels g"),
            ("g 1\n", "g 1\nz 1\nnodeward_z 1\n", "extra_family z"),
            (
                "} 5\n",
                "} 5\na_total{x=\"3\"} 1\n",
                "extra_series a_total{x=\"3\"}",
            ),
        ] {
            assert!(THEIRS.contains(from), "{from}");
            assert_eq!(
                found(&THEIRS.replace(from, to)),
                [expected],
                "{from} -> {to}"
            );
        }
        // A label of another name is told once, not for each series.
        assert_eq!(found(&THEIRS.replace("x=", "y=")), ["labels a_total"]);
        // A gauge that moved in theirs is told where it was not in between, and weighed at the end.
        assert_eq!(found(&THEIRS.replace("m 10", "m 30")), ["value m"]);
    }

    #[test]
    fn what_comes_or_goes_meanwhile_is_nobodys_fault() {
        let short = THEIRS
            .replace("a_total{x=\"1\"} 5\n", "")
            .replace("# TYPE g gauge\ng 1\n", "");
        for ours in [THEIRS, &short] {
            assert!(round(&page(THEIRS), &page(ours), &page(&short)).is_empty());
            assert!(round(&page(&short), &page(ours), &page(THEIRS)).is_empty());
        }
    }

    #[test]
    fn what_is_of_the_program_itself_has_its_own_values() {
        let theirs = page("# TYPE process_open_fds gauge\nprocess_open_fds 9\ngo_threads 7\n");
        let ours = page("# TYPE process_open_fds gauge\nprocess_open_fds 20\n");
        assert!(round(&theirs, &ours, &theirs).is_empty());
        let wrong = round(&theirs, &page("process_open_fds 20\n"), &theirs);
        assert_eq!(told(&wrong), ["type process_open_fds"]);
    }

    /// What is left of rounds of values of one series: theirs before, ours, theirs after.
    fn left(kind: &str, rounds: &[[f64; 3]]) -> usize {
        let mut all = Rounds::default();
        for values in rounds {
            let [before, ours, after] =
                values.map(|value| page(&format!("# TYPE x {kind}\nx {value}\n")));
            all.add(round(&before, &ours, &after));
        }
        all.findings().len()
    }

    #[test]
    fn a_finding_is_wrong_in_every_round_and_by_more_than_what_moves() {
        assert_eq!(left("gauge", &[[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]), 1);
        assert_eq!(left("gauge", &[[1.0, 2.0, 1.0], [1.0, 1.0, 1.0]]), 0);
        // Moved by 4 there, and ours lies 1 beside it.
        assert_eq!(left("gauge", &[[1.0, 6.0, 3.0], [3.0, 6.0, 5.0]]), 0);
        assert_eq!(left("gauge", &[[1.0, 60.0, 3.0], [3.0, 60.0, 5.0]]), 1);
        assert_eq!(left("counter", &[[1.0, 6.0, 3.0], [3.0, 6.0, 5.0]]), 1);
        assert_eq!(left("counter", &[[1.0, 6.0, 3.0], [3.0, 4.0, 5.0]]), 0);
        assert_eq!(left("counter", &[[5.0, 0.0, 1.0]]), 0);
        assert_eq!(left("gauge", &[[f64::NAN, f64::NAN, f64::NAN]]), 0);
        assert_eq!(left("gauge", &[[f64::NAN, 1.0, f64::NAN]]), 1);
    }
}
