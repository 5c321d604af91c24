//! A file of families that is to be told again: whole, or not at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::{Kind, Line, Part, Sample, Wrong, owner, place, place_label, read};

/// The most labels that a file may come to once each series of a family has the labels of all.
const MOST_LABELS: usize = 1 << 20;

/// One family of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its type; untyped unless a line says so.
    pub kind: Kind,
    /// Its help text, if a line has one.
    pub help: Option<String>,
    /// Its series, in the order of the file, each with the labels of all; duplicates included.
    pub series: Vec<Series>,
}

/// One series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Labels by their names.
    pub labels: BTreeMap<String, String>,
    /// The value of a counter, a gauge, or of no type.
    pub value: f64,
    /// Upper bounds and how many values lie at or below, or quantiles and their values; in rising order.
    pub places: Vec<(f64, f64)>,
    /// The sum of all values of a histogram or summary.
    pub sum: f64,
    /// How many values it has.
    pub count: f64,
}

/// Families by their names.
pub type Families = BTreeMap<String, Family>;

#[derive(Default)]
struct Draft {
    kind: Option<Kind>,
    help: Option<String>,
    series: Vec<Series>,
    /// Where the series of a histogram or summary with these labels stands.
    known: HashMap<BTreeMap<String, String>, usize, RandomState>,
}

/// The families of a text, or why it is none.
pub fn families(text: &[u8]) -> Result<Families, Wrong> {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    let number = read(text, |line| match line {
        Line::Nothing => Ok(()),
        Line::Help(family, text) => help(family, text, &mut drafts),
        Line::Type(family, kind) => typed(family, kind, &mut drafts),
        Line::Sample(one) => sample(one, &mut drafts),
    })?;
    let mut families = Families::new();
    let mut total = 0;
    for (name, draft) in drafts {
        if draft.series.is_empty() {
            continue;
        }
        let names: BTreeSet<&String> = draft.series.iter().flat_map(|s| s.labels.keys()).collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        total += names.len().saturating_mul(draft.series.len());
        if total > MOST_LABELS {
            return Err((number, "it has too many different labels".into()));
        }
        let mut series = draft.series;
        for one in &mut series {
            for name in &names {
                if !one.labels.contains_key(name) {
                    one.labels.insert(name.clone(), String::new());
                }
            }
            order(&mut one.places);
        }
        let family = Family {
            kind: draft.kind.unwrap_or(Kind::Untyped),
            help: draft.help,
            series,
        };
        families.insert(name, family);
    }
    Ok(families)
}

/// Puts places in rising order; of two at one place the last counts.
fn order(places: &mut Vec<(f64, f64)>) {
    places.reverse();
    places.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    #[expect(clippy::float_cmp, reason = "the same place written twice")]
    places.dedup_by(|(a, _), (b, _)| a == b);
}

/// The family that a name belongs to.
fn find<'a>(drafts: &'a mut BTreeMap<String, Draft>, name: &str) -> (&'a mut Draft, Part) {
    let (name, part) = match drafts.contains_key(name) {
        true => (name, Part::Whole),
        false => owner(name, |base| drafts.get(base)?.kind),
    };
    (drafts.entry(name.to_owned()).or_default(), part)
}

fn help(family: &str, text: String, drafts: &mut BTreeMap<String, Draft>) -> Result<(), String> {
    let (draft, _) = find(drafts, family);
    match draft.help.replace(text) {
        Some(_) => Err(format!("a second HELP line for {family}")),
        None => Ok(()),
    }
}

fn typed(family: &str, kind: Kind, drafts: &mut BTreeMap<String, Draft>) -> Result<(), String> {
    let (draft, _) = find(drafts, family);
    match draft.kind.replace(kind) {
        Some(_) => Err(format!(
            "a second TYPE line for {family}, or one after its samples"
        )),
        None => Ok(()),
    }
}

fn sample(sample: Sample<'_>, drafts: &mut BTreeMap<String, Draft>) -> Result<(), String> {
    let (draft, part) = find(drafts, sample.name);
    let kind = *draft.kind.get_or_insert(Kind::Untyped);
    let place_label = place_label(kind);
    let mut labels = BTreeMap::new();
    let mut spot = f64::NAN;
    for (label, value) in sample.labels {
        if Some(label) == place_label {
            spot = place(label, &value)?;
        } else if labels.insert(label.to_owned(), value).is_some() {
            return Err(format!("label {label} twice"));
        }
    }
    if sample.stamped {
        return Err("it has a timestamp; a textfile must have none".into());
    }
    let value = sample.value;
    if place_label.is_none() {
        draft.series.push(Series {
            labels,
            value,
            ..Series::default()
        });
        return Ok(());
    }
    let at = match draft.known.get(&labels) {
        Some(at) => *at,
        None => {
            let at = draft.series.len();
            draft.known.insert(labels.clone(), at);
            draft.series.push(Series {
                labels,
                ..Series::default()
            });
            at
        }
    };
    let Some(series) = draft.series.get_mut(at) else {
        return Ok(());
    };
    if kind == Kind::Histogram && part != Part::Sum && value < 0.0 {
        return Err("a histogram counts less than nothing".into());
    }
    match part {
        Part::Sum => series.sum = value,
        Part::Count => series.count = value,
        Part::Whole if !spot.is_nan() => series.places.push((spot, value)),
        Part::Whole => {}
    }
    Ok(())
}
