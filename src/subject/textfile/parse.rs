//! Parser of text 0.0.4 (Prometheus, "Exposition formats"), as strict as the reference's: whoever writes a file hears of a mistake
//! with its line, and a file that is cut off in the middle is none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;

use crate::dialect::prometheus::{Kind, is_name};

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

/// What a sample's name says of it.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Whole,
    Sum,
    Count,
}

/// The families of a text, or why it is none: line and reason.
pub fn families(text: &[u8]) -> Result<Families, (usize, String)> {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let end = rest.iter().position(|b| *b == b'\n');
        let (line, after) = match end.and_then(|end| rest.split_at_checked(end)) {
            Some((line, after)) => (line, after.get(1..).unwrap_or_default()),
            None if rest.iter().all(is_blank) => break,
            None => return Err((number, "the file ends within a line".into())),
        };
        parse(line, &mut drafts).map_err(|why| (number, why))?;
        rest = after;
    }
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

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| !is_blank(b));
    text.get(end.unwrap_or(text.len())..).unwrap_or_default()
}

/// Text up to the first byte that does not fit, and the rest.
fn while_(text: &[u8], fits: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !fits(b)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}

/// Text for an error: a little of it.
fn shown(text: &[u8]) -> String {
    let text = text.get(..40).unwrap_or(text);
    format!("\"{}\"", text.escape_ascii())
}

/// The name of a family at the start of a text.
fn name(text: &[u8]) -> Result<(&str, &[u8]), String> {
    let (name, rest) = while_(text, |b| is_word(b) || *b == b':');
    let name = std::str::from_utf8(name).ok().filter(|name| is_name(name));
    name.map(|name| (name, rest))
        .ok_or_else(|| format!("invalid metric name: {}", shown(text)))
}

/// The family that a name belongs to: `x_sum` and `x_count` belong to the summary or histogram `x`, `x_bucket` to the histogram.
fn find<'a>(drafts: &'a mut BTreeMap<String, Draft>, name: &str) -> (&'a mut Draft, Part) {
    let mut owner = (name, Part::Whole);
    if !drafts.contains_key(name) {
        let parts = [
            ("_count", Part::Count),
            ("_sum", Part::Sum),
            ("_bucket", Part::Whole),
        ];
        for (suffix, part) in parts {
            let Some(base) = name.strip_suffix(suffix) else {
                continue;
            };
            let kind = drafts.get(base).and_then(|draft| draft.kind);
            let has = match kind {
                Some(Kind::Histogram) => true,
                Some(Kind::Summary) => part != Part::Whole,
                _ => false,
            };
            if has {
                owner = (base, part);
            }
        }
    }
    let (name, part) = owner;
    (drafts.entry(name.to_owned()).or_default(), part)
}

fn parse(line: &[u8], drafts: &mut BTreeMap<String, Draft>) -> Result<(), String> {
    let line = skip_blanks(line);
    match line {
        [] => Ok(()),
        [b'#', rest @ ..] => comment(rest, drafts),
        _ => sample(line, drafts),
    }
}

fn comment(text: &[u8], drafts: &mut BTreeMap<String, Draft>) -> Result<(), String> {
    let (keyword, rest) = while_(skip_blanks(text), |b| !is_blank(b));
    let rest = skip_blanks(rest);
    if !matches!(keyword, b"HELP" | b"TYPE") || rest.is_empty() {
        return Ok(());
    }
    let (family, rest) = name(rest)?;
    if !rest.is_empty() && !rest.first().is_some_and(is_blank) {
        return Err("invalid metric name in a comment".into());
    }
    if rest.is_empty() {
        return Ok(());
    }
    let (draft, _) = find(drafts, family);
    let rest = skip_blanks(rest);
    if rest.is_empty() {
        return Ok(());
    }
    if keyword == b"HELP" {
        if draft.help.is_some() {
            return Err(format!("a second HELP line for {family}"));
        }
        draft.help = Some(unescape(rest, true)?);
    } else {
        if draft.kind.is_some() {
            return Err(format!(
                "a second TYPE line for {family}, or one after its samples"
            ));
        }
        draft.kind = Some(match rest.to_ascii_lowercase().as_slice() {
            b"counter" => Kind::Counter,
            b"gauge" => Kind::Gauge,
            b"untyped" => Kind::Untyped,
            b"histogram" => Kind::Histogram,
            b"summary" => Kind::Summary,
            _ => return Err(format!("unknown metric type {}", shown(rest))),
        });
    }
    Ok(())
}

/// Undoes escapes: `\\`, `\n`, `\"`.
fn unescape(text: &[u8], help: bool) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.as_slice()) {
            (b'\\', [b'n', ..]) => out.push(b'\n'),
            (b'\\', [escaped @ (b'\\' | b'"'), ..]) => out.push(*escaped),
            (b'\\', _) => return Err(format!("invalid escape in {}", shown(text))),
            _ => {
                out.push(*byte);
                continue;
            }
        }
        bytes.next();
    }
    match String::from_utf8(out) {
        Ok(text) => Ok(text),
        // The reference passes such a help on; a page must be text.
        Err(e) if help => Ok(String::from_utf8_lossy(e.as_bytes()).into_owned()),
        Err(_) => Err(format!("not UTF-8: {}", shown(text))),
    }
}

fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    // Digits that come to more than a double holds are no number.
    let said = text.bytes().any(|b| b.eq_ignore_ascii_case(&b'n'));
    (value.is_finite() || said).then_some(value)
}

fn sample(line: &[u8], drafts: &mut BTreeMap<String, Draft>) -> Result<(), String> {
    let (family, rest) = name(line)?;
    let (draft, part) = find(drafts, family);
    let kind = *draft.kind.get_or_insert(Kind::Untyped);
    let place_label = match kind {
        Kind::Histogram => Some("le"),
        Kind::Summary => Some("quantile"),
        _ => None,
    };
    let mut rest = skip_blanks(rest);
    let mut labels = BTreeMap::new();
    let mut place = f64::NAN;
    if let [b'{', inside @ ..] = rest {
        let (read, after) = read_labels(inside)?;
        rest = skip_blanks(after);
        for (label, value) in read {
            if Some(label) == place_label {
                let bad = || format!("label {label} is no number: {}", shown(value.as_bytes()));
                place = number(value.as_bytes()).ok_or_else(bad)?;
            } else if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("label {label} twice"));
            }
        }
    }
    let (value, rest) = while_(rest, |b| !is_blank(b));
    let value = number(value).ok_or_else(|| format!("no number: {}", shown(value)))?;
    if !rest.is_empty() {
        let rest = skip_blanks(rest);
        let stamp = rest.strip_prefix(b"-").unwrap_or(rest);
        return Err(
            match !stamp.is_empty() && stamp.iter().all(u8::is_ascii_digit) {
                true => "it has a timestamp; a textfile must have none".into(),
                false => format!("something stands behind the value: {}", shown(rest)),
            },
        );
    }
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
        Part::Whole if !place.is_nan() => series.places.push((place, value)),
        Part::Whole => {}
    }
    Ok(())
}

type Labels<'a> = Vec<(&'a str, String)>;

/// Labels up to the closing brace, and what follows it.
fn read_labels(mut text: &[u8]) -> Result<(Labels<'_>, &[u8]), String> {
    let mut labels = Labels::new();
    loop {
        text = skip_blanks(text);
        if let [b'}', rest @ ..] = text {
            return Ok((labels, rest));
        }
        let (label, rest) = while_(text, is_word);
        let label = std::str::from_utf8(label).unwrap_or_default();
        let first = label.bytes().next();
        if first.is_none_or(|b| b.is_ascii_digit()) || label.starts_with("__") {
            return Err(format!("invalid label name: {}", shown(text)));
        }
        let [b'=', rest @ ..] = skip_blanks(rest) else {
            return Err(format!("no = behind the label {label}"));
        };
        let [b'"', rest @ ..] = skip_blanks(rest) else {
            return Err(format!("no \" at the value of the label {label}"));
        };
        let mut escaped = false;
        let end = rest.iter().position(|b| match b {
            _ if std::mem::take(&mut escaped) => false,
            b'\\' => {
                escaped = true;
                false
            }
            b => *b == b'"',
        });
        let Some((value, rest)) = end.and_then(|end| rest.split_at_checked(end)) else {
            return Err(format!(
                "no \" at the end of the value of the label {label}"
            ));
        };
        labels.push((label, unescape(value, false)?));
        match skip_blanks(rest.get(1..).unwrap_or_default()) {
            [b',', rest @ ..] => text = rest,
            rest @ [b'}', ..] => text = rest,
            rest => return Err(format!("neither , nor }} behind a label: {}", shown(rest))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        match families(text.as_bytes()) {
            Ok(families) => format!("{families:?}"),
            Err((line, why)) => format!("{line}: {why}"),
        }
    }

    #[test]
    fn families_have_types_help_and_the_labels_of_all_their_series() {
        let text = "# a comment\n\n# HELP a_total What \\\\ it\\nis\n# TYPE a_total COUNTER\n\
            a_total{x=\"1\"} 1e3\n  a_total { y = \"q\\\"\\n\" , } +Inf\nalone .5\n# TYPE empty gauge\n";
        let families = families(text.as_bytes()).unwrap();
        let names: Vec<_> = families.keys().collect();
        assert_eq!(names, ["a_total", "alone"]);
        let a = &families["a_total"];
        assert_eq!(
            (a.kind, a.help.as_deref()),
            (Kind::Counter, Some("What \\ it\nis"))
        );
        assert_eq!(a.series[0].labels["y"], "");
        assert_eq!(
            (a.series[1].labels["y"].as_str(), a.series[1].value),
            ("q\"\n", f64::INFINITY)
        );
        assert_eq!(
            (families["alone"].kind, families["alone"].series[0].value),
            (Kind::Untyped, 0.5)
        );
    }

    #[test]
    fn histograms_and_summaries_are_put_together() {
        let text = "# TYPE h histogram\nh_bucket{le=\"+Inf\",a=\"b\"} 4\nh_bucket{a=\"b\",le=\"0.5\"} 1\nh_sum{a=\"b\"} 5\nh_count{a=\"b\"} 4\n\
            # TYPE s summary\ns{quantile=\"0.9\"} 2\ns{quantile=\"0.5\"} 1\ns_sum 9\ns_count 6\ns_bucket 7\n";
        let families = families(text.as_bytes()).unwrap();
        let h = &families["h"].series[0];
        assert_eq!(h.places, [(0.5, 1.0), (f64::INFINITY, 4.0)]);
        assert_eq!((h.sum, h.count), (5.0, 4.0));
        let s = &families["s"].series;
        assert_eq!(
            (s.len(), s[0].places.as_slice()),
            (1, &[(0.5, 1.0), (0.9, 2.0)][..])
        );
        assert!(families.contains_key("s_bucket"));
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, expected) in [
            ("a 1\nb 2", "2: the file ends within a line"),
            ("a 1 \n", "1: something stands behind the value: \"\""),
            (
                "a 1 1700000000000\n",
                "1: it has a timestamp; a textfile must have none",
            ),
            ("a 1 x\n", "1: something stands behind the value: \"x\""),
            ("a\n", "1: no number: \"\""),
            ("a 1e999\n", "1: no number: \"1e999\""),
            ("a 0x10\n", "1: no number: \"0x10\""),
            ("a 1\r\n", "1: no number: \"1\\r\""),
            ("-a 1\n", "1: invalid metric name: \"-a 1\""),
            (
                "a{b=\"c} 1\n",
                "1: no \" at the end of the value of the label b",
            ),
            ("a{b=\"c\\x\"} 1\n", "1: invalid escape in \"c\\\\x\""),
            (
                "a{b=\"c\" d=\"e\"} 1\n",
                "1: neither , nor } behind a label: \"d=\\\"e\\\"} 1\"",
            ),
            ("a{b=\"c\",b=\"d\"} 1\n", "1: label b twice"),
            (
                "a{1=\"c\"} 1\n",
                "1: invalid label name: \"1=\\\"c\\\"} 1\"",
            ),
            (
                "a{__name__=\"c\"} 1\n",
                "1: invalid label name: \"__name__=\\\"c\\\"} 1\"",
            ),
            (
                "a 1\n# TYPE a gauge\n",
                "2: a second TYPE line for a, or one after its samples",
            ),
            ("# HELP a x\n# HELP a x\n", "2: a second HELP line for a"),
            ("# TYPE a info\n", "1: unknown metric type \"info\""),
            ("# TYPE a gauge \n", "1: unknown metric type \"gauge \""),
            (
                "# TYPE h histogram\nh_count -1\n",
                "2: a histogram counts less than nothing",
            ),
            (
                "# TYPE h histogram\nh_bucket{le=\"x\"} 1\n",
                "2: label le is no number: \"x\"",
            ),
        ] {
            assert_eq!(why(text), expected, "{text:?}");
        }
        assert!(families(b"a{b=\"\xff\"} 1\n").is_err());
        assert_eq!(why(" \t"), "{}");
    }

    #[test]
    fn labels_that_would_multiply_are_refused() {
        let text: String = (0..3000).map(|i| format!("a{{l{i}=\"x\"}} 1\n")).collect();
        assert!(why(&text).ends_with("it has too many different labels"));
    }
}
