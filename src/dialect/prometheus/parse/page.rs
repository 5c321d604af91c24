//! A page as it is scraped, for comparing: what it holds is bounded, and times behind values do not matter.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Line, Part, Sample, Wrong, owner, place, place_label, read};

/// The most families of a page.
const MOST_FAMILIES: usize = 100_000;
/// The most series of a page, each bucket and quantile counted.
const MOST_SERIES: usize = 2_000_000;

/// What a page tells.
#[derive(Debug, Default, PartialEq)]
pub struct Scraped {
    /// Families by their names.
    pub families: BTreeMap<String, Told>,
}

/// What a page tells of one family.
#[derive(Debug, Default, PartialEq)]
pub struct Told {
    /// Its type; none unless a line says it.
    pub kind: Option<Kind>,
    /// The names of labels that have a value in any of its series, without those of buckets and quantiles.
    pub labels: BTreeSet<String>,
    /// Values by what stands behind the family's name: labels in rising order, `{a="b"}`, without empty ones, which are as good
    /// as none; before them `_bucket`, `_sum` and `_count`. Of a series that is told twice the first value counts, as with Prometheus.
    pub series: BTreeMap<Box<str>, f64>,
}

impl Scraped {
    /// Reads a page.
    ///
    /// # Errors
    /// Why it is none, or which bound it goes over.
    pub fn parse(text: &[u8]) -> Result<Self, Wrong> {
        let mut page = Self::default();
        let mut series = 0;
        read(text, |line| {
            match line {
                Line::Nothing | Line::Help(..) => {}
                Line::Type(family, kind) => page.typed(family, kind)?,
                Line::Sample(sample) => series += usize::from(page.sample(sample)?),
            }
            if page.families.len() > MOST_FAMILIES {
                return Err(format!("more than {MOST_FAMILIES} families"));
            }
            if series > MOST_SERIES {
                return Err(format!("more than {MOST_SERIES} series"));
            }
            Ok(())
        })?;
        page.families.retain(|_, told| !told.series.is_empty());
        Ok(page)
    }

    /// How many series there are, each bucket and quantile counted.
    #[must_use]
    pub fn series(&self) -> usize {
        self.families.values().map(|told| told.series.len()).sum()
    }

    fn family(&mut self, name: &str) -> &mut Told {
        self.families.entry(name.to_owned()).or_default()
    }

    fn typed(&mut self, name: &str, kind: Kind) -> Result<(), String> {
        let told = self.family(name);
        if told.kind.is_some_and(|before| before != kind) || !told.series.is_empty() {
            return Err(format!(
                "a second TYPE line for {name}, or one after its samples"
            ));
        }
        told.kind = Some(kind);
        Ok(())
    }

    /// Takes a value; whether it is of a new series.
    fn sample(&mut self, sample: Sample<'_>) -> Result<bool, String> {
        let (name, part) = match self.families.contains_key(sample.name) {
            true => (sample.name, Part::Whole),
            false => owner(sample.name, |base| self.families.get(base)?.kind),
        };
        let told = self.family(name);
        let at = told.kind.and_then(place_label);
        let mut labels = sample.labels;
        labels.retain(|(_, value)| !value.is_empty());
        labels.sort_by_key(|(label, _)| *label);
        let mut key = match (part, told.kind) {
            (Part::Sum, _) => "_sum".to_owned(),
            (Part::Count, _) => "_count".to_owned(),
            (Part::Whole, Some(Kind::Histogram)) => "_bucket".to_owned(),
            (Part::Whole, _) => String::new(),
        };
        let mut last = "";
        for (label, value) in &mut labels {
            if last == *label {
                return Err(format!("label {label} twice"));
            }
            if Some(*label) == at {
                // 0.50 and 5e-1 are one place.
                *value = place(label, value)?.to_string();
            } else if !told.labels.contains(*label) {
                told.labels.insert((*label).to_owned());
            }
            key.push_str(if last.is_empty() { "{" } else { "," });
            key.push_str(label);
            key.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => key.push_str("\\\\"),
                    '"' => key.push_str("\\\""),
                    '\n' => key.push_str("\\n"),
                    c => key.push(c),
                }
            }
            key.push('"');
            last = label;
        }
        if !last.is_empty() {
            key.push('}');
        }
        let before = told.series.len();
        told.series.entry(key.into()).or_insert(sample.value);
        Ok(told.series.len() > before)
    }
}
