//! OpenMetrics 1.0, encoded by `prometheus-client` through its `Collector` hook.
//!
//! The families of a page are gathered first and encoded at its end. Counters are registered without `_total`, which
//! the encoder adds; a counter whose declared name lacks the suffix goes out as `unknown` under its own name,
//! since renaming a series breaks dashboards. Newlines in HELP are escaped here: the encoder does not. Exemplars are put behind the
//! lines of their buckets afterwards: the encoder takes them only from a histogram that counted by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::exemplar::Exemplar as Own;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::foreign::{QUANTILE, Series, whole};
use super::histogram::SUFFIXES;
use super::{Descriptor, Kind};
use crate::dialect::{Exemplar, Number};

/// The page as OpenMetrics.
#[derive(Default, Debug)]
pub(super) struct OpenMetrics {
    families: Vec<Gathered>,
}

#[derive(Debug)]
struct Gathered {
    name: String,
    kind: Kind,
    help: String,
    labels: Arc<[String]>,
    samples: Vec<Told>,
}

#[derive(Debug)]
struct Told {
    names: Arc<[String]>,
    values: Vec<String>,
    said: Said,
}

#[derive(Debug)]
enum Said {
    Number(Number),
    Distribution(Vec<(f64, u64)>, f64, BTreeMap<usize, Exemplar>),
    Quantiles(Vec<(f64, f64)>, f64, u64),
}

fn owned(texts: &[&str]) -> Arc<[String]> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl OpenMetrics {
    pub(super) fn open(&mut self, family: Descriptor<'_>) {
        self.families.push(Gathered {
            name: family.name.to_owned(),
            kind: family.kind,
            help: family
                .help
                .replace('\\', "\\\\")
                .replace('\n', "\\n")
                .replace('"', "\\\""),
            labels: owned(family.labels),
            samples: Vec::new(),
        });
    }

    pub(super) fn sample(&mut self, labels: &[&str], value: Number) {
        self.say(labels, Said::Number(value));
    }

    pub(super) fn distribution(
        &mut self,
        labels: &[&str],
        buckets: Vec<(f64, u64)>,
        sum: f64,
        exemplars: BTreeMap<usize, Exemplar>,
    ) {
        self.say(labels, Said::Distribution(buckets, sum, exemplars));
    }

    pub(super) fn foreign(&mut self, names: &[&str], values: &[&str], series: Series<'_>) {
        let said = match series {
            Series::Number(value) => Said::Number(value.into()),
            Series::Distribution {
                buckets,
                sum,
                count,
            } => {
                let mut before = 0;
                // The encoder adds them up, so that they are told apart here; one that falls below the last holds nothing.
                let apart = whole(buckets, count).map(|(bound, below)| {
                    let below = before.max(Number::Float(below).as_i64().unsigned_abs());
                    (bound, below - std::mem::replace(&mut before, below))
                });
                Said::Distribution(apart.collect(), sum, BTreeMap::new())
            }
            Series::Quantiles {
                quantiles,
                sum,
                count,
            } => Said::Quantiles(quantiles.to_vec(), sum, count),
        };
        if let Some(family) = self.families.last_mut() {
            family.tell(owned(names), values, said);
        }
    }

    fn say(&mut self, labels: &[&str], said: Said) {
        if let Some(family) = self.families.last_mut() {
            family.tell(Arc::clone(&family.labels), labels, said);
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let marks = self.marks();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &registry) {
            // Writing to a String fails only if a value refuses to be formatted, which none does.
            tracing::error!(%error, "encode the page as OpenMetrics");
        }
        match marks.is_empty() {
            true => text.into_bytes(),
            false => marked(&text, marks).into_bytes(),
        }
    }

    /// What stands behind the lines of buckets: by how the lines of a family begin, one for each line.
    fn marks(&self) -> Vec<(String, Vec<Option<Exemplar>>)> {
        let mut marks = Vec::new();
        for family in &self.families {
            let mut lines = Vec::new();
            for told in &family.samples {
                if let Said::Distribution(buckets, _, exemplars) = &told.said {
                    let of = (0..buckets.len()).map(|place| exemplars.get(&place).copied());
                    lines.extend(of);
                }
            }
            let [bucket, ..] = SUFFIXES;
            if lines.iter().any(Option::is_some) {
                marks.push((format!("{}{bucket}{{", family.name), lines));
            }
        }
        marks
    }
}

/// An exemplar as it stands behind a line (OpenMetrics 1.0, "Exemplars"); its labels are well below the 128 characters allowed.
fn exposed(exemplar: &Exemplar) -> String {
    let Exemplar { value, at, span } = exemplar;
    let (trace, span) = (span.trace_id(), span.span_id());
    let (seconds, millis) = (at.0.div_euclid(1000), at.0.rem_euclid(1000));
    format!(" # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {value} {seconds}.{millis:03}")
}

/// The page with its exemplars.
fn marked(text: &str, marks: Vec<(String, Vec<Option<Exemplar>>)>) -> String {
    let mut marks: Vec<_> = marks
        .into_iter()
        .map(|(start, lines)| (start, lines.into_iter()))
        .collect();
    let mut page = String::with_capacity(text.len() + 256);
    for line in text.lines() {
        page.push_str(line);
        let of = marks
            .iter_mut()
            .find(|(start, _)| line.starts_with(start.as_str()));
        if let Some(exemplar) = of.and_then(|(_, lines)| lines.next()).flatten() {
            page.push_str(&exposed(&exemplar));
        }
        page.push('\n');
    }
    page
}

impl Gathered {
    fn tell(&mut self, names: Arc<[String]>, values: &[&str], said: Said) {
        self.samples.push(Told {
            names,
            values: values.iter().map(|v| (*v).to_owned()).collect(),
            said,
        });
    }

    /// A summary, which the encoder does not know, as three families of unknown type.
    fn summaries(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let [_, sums, counts] = SUFFIXES;
        for suffix in ["", sums, counts] {
            let name = format!("{}{suffix}", self.name);
            let mut encoder =
                encoder.encode_descriptor(&name, &self.help, None, MetricType::Unknown)?;
            for told in &self.samples {
                let Said::Quantiles(quantiles, sum, count) = &told.said else {
                    continue;
                };
                let mut put = |place: Option<f64>, value: Number| {
                    let labels = Labels { told, place };
                    number(MetricType::Unknown, value, encoder.encode_family(&labels)?)
                };
                match suffix {
                    "" => quantiles
                        .iter()
                        .try_for_each(|(place, value)| put(Some(*place), (*value).into()))?,
                    s if s == sums => put(None, (*sum).into())?,
                    _ => put(None, (*count).into())?,
                }
            }
        }
        Ok(())
    }
}

impl Collector for OpenMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for family in self.families.iter().filter(|f| !f.samples.is_empty()) {
            let (name, kind) = match (family.kind, family.name.strip_suffix("_total")) {
                (Kind::Counter, Some(base)) => (base, MetricType::Counter),
                (Kind::Gauge, _) => (family.name.as_str(), MetricType::Gauge),
                (Kind::Histogram, _) => (family.name.as_str(), MetricType::Histogram),
                (Kind::Counter, None) | (Kind::Untyped, _) => {
                    (family.name.as_str(), MetricType::Unknown)
                }
                (Kind::Summary, _) => {
                    family.summaries(&mut encoder)?;
                    continue;
                }
            };
            let mut encoder = encoder.encode_descriptor(name, &family.help, None, kind)?;
            for told in &family.samples {
                let labels = Labels { told, place: None };
                let mut sample = encoder.encode_family(&labels)?;
                match &told.said {
                    Said::Number(value) => number(kind, *value, sample)?,
                    Said::Distribution(buckets, sum, _) => {
                        let count = buckets.iter().map(|(_, count)| count).sum();
                        let exemplars = None::<&HashMap<usize, Own<Labels<'_>, f64>>>;
                        sample.encode_histogram(*sum, count, buckets, exemplars)?;
                    }
                    // Only in a summary.
                    Said::Quantiles(..) => {}
                }
            }
        }
        Ok(())
    }
}

fn number(
    kind: MetricType,
    value: Number,
    sample: MetricEncoder<'_>,
) -> Result<(), std::fmt::Error> {
    match (kind, value) {
        (MetricType::Counter, Number::Unsigned(v)) => ConstCounter::new(v).encode(sample),
        (MetricType::Counter, v) => ConstCounter::new(v.as_f64()).encode(sample),
        (_, Number::Signed(v)) => ConstGauge::new(v).encode(sample),
        (_, Number::Unsigned(v)) if i64::try_from(v).is_ok() => {
            ConstGauge::new(Number::Unsigned(v).as_i64()).encode(sample)
        }
        (_, v) => ConstGauge::new(v.as_f64()).encode(sample),
    }
}

#[derive(Debug)]
struct Labels<'a> {
    told: &'a Told,
    /// The quantile.
    place: Option<f64>,
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel;
        for (name, value) in self.told.names.iter().zip(&self.told.values) {
            (name.as_str(), value.as_str()).encode(encoder.encode_label())?;
        }
        if let Some(place) = self.place {
            (QUANTILE, place).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}
