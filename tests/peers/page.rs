//! A page in the text format 0.0.4, taken apart for comparing. It judges nothing.

use std::collections::BTreeMap;
use std::fmt;

use libtest_mimic::Failed;

/// A metric name with its labels, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.labels)
    }
}

/// What a page says.
#[derive(Debug, Default)]
pub struct Page {
    /// Family name to type. HELP is not kept: each program writes its own.
    pub types: BTreeMap<String, String>,
    pub samples: BTreeMap<Series, f64>,
}

impl Page {
    /// Reads a page; a line that is none of TYPE, HELP, comment or sample, and a series told twice,
    /// are errors.
    pub fn parse(text: &str) -> Result<Self, Failed> {
        let mut page = Self::default();
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest
                    .split_once(' ')
                    .ok_or_else(|| format!("TYPE: {line}"))?;
                page.types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let (series, value) =
                    sample(line).ok_or_else(|| format!("not a sample: {line}"))?;
                if page.samples.insert(series, value).is_some() {
                    return Err(format!("told twice: {line}").into());
                }
            }
        }
        Ok(page)
    }

    /// Forgets the families that `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.types.retain(|name, _| keep(name));
        self.samples.retain(|series, _| keep(&series.name));
    }

    /// The value of the series with this name and these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let series = Series {
            name: name.to_owned(),
            labels: labels.collect(),
        };
        self.samples.get(&series).copied()
    }
}

/// `name{label="value",...} 1.5e3`; timestamps do not occur in what we compare.
fn sample(line: &str) -> Option<(Series, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(end)?;
    let mut labels = BTreeMap::new();
    let value = match rest.strip_prefix('{') {
        Some(inside) => {
            let mut rest = inside;
            loop {
                rest = rest.trim_start_matches(',');
                if let Some(after) = rest.strip_prefix('}') {
                    break after;
                }
                let (label, quoted) = rest.split_once("=\"")?;
                let (text, after) = unquote(quoted)?;
                labels.insert(label.to_owned(), text);
                rest = after;
            }
        }
        None => rest,
    };
    let value = match value.trim() {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some((
        Series {
            name: name.to_owned(),
            labels,
        },
        value,
    ))
}

/// The text up to the closing quote, unescaped, and what follows the quote.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((text, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}
