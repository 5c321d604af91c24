//! Reads text 0.0.4 (Prometheus, "Exposition formats"), as strict as the reference does: whoever writes it hears of a mistake with
//! its line, and a text that is cut off in the middle is none.
//!
//! Here is what a line says; [`families`] reads a file that is to be told again, [`page`] a page that is to be compared.

pub mod families;
pub mod page;
#[cfg(test)]
mod tests;

use super::{Kind, is_name};

/// Why a text is none: the number of the line, and the reason.
pub type Wrong = (usize, String);

/// What a line says.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    /// Nothing, or a comment.
    Nothing,
    /// The help text of a family.
    Help(&'a str, String),
    /// The type of a family.
    Type(&'a str, Kind),
    /// A value.
    Sample(Sample<'a>),
}

/// One value, with the labels in the order they are written; a label may be there twice.
#[derive(Debug, PartialEq)]
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
    /// Whether a time stands behind it.
    stamped: bool,
}

/// What a sample's name says of it.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Whole,
    Sum,
    Count,
}

/// Hands over what each line says.
fn read<'a>(
    text: &'a [u8],
    mut take: impl FnMut(Line<'a>) -> Result<(), String>,
) -> Result<usize, Wrong> {
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let end = rest.iter().position(|b| *b == b'\n');
        let (text, after) = match end.and_then(|end| rest.split_at_checked(end)) {
            Some((line, after)) => (line, after.get(1..).unwrap_or_default()),
            None if rest.iter().all(is_blank) => break,
            None => return Err((number, "the file ends within a line".into())),
        };
        line(text)
            .and_then(&mut take)
            .map_err(|why| (number, why))?;
        rest = after;
    }
    Ok(number)
}

/// The family that a name belongs to: `x_sum` and `x_count` belong to the summary or histogram `x`, `x_bucket` to the histogram.
fn owner(name: &str, kind: impl Fn(&str) -> Option<Kind>) -> (&str, Part) {
    let parts = [
        ("_count", Part::Count),
        ("_sum", Part::Sum),
        ("_bucket", Part::Whole),
    ];
    for (suffix, part) in parts {
        let Some(base) = name.strip_suffix(suffix) else {
            continue;
        };
        let has = match kind(base) {
            Some(Kind::Histogram) => true,
            Some(Kind::Summary) => part != Part::Whole,
            _ => false,
        };
        if has {
            return (base, part);
        }
    }
    (name, Part::Whole)
}

/// The label that tells the values of one histogram or summary apart.
fn place_label(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Histogram => Some("le"),
        Kind::Summary => Some("quantile"),
        _ => None,
    }
}

/// The place that such a label says.
fn place(label: &str, value: &str) -> Result<f64, String> {
    let bad = || format!("label {label} is no number: {}", shown(value.as_bytes()));
    number(value.as_bytes()).ok_or_else(bad)
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

fn line(text: &[u8]) -> Result<Line<'_>, String> {
    let text = skip_blanks(text);
    match text {
        [] => Ok(Line::Nothing),
        [b'#', rest @ ..] => comment(rest),
        _ => sample(text).map(Line::Sample),
    }
}

fn comment(text: &[u8]) -> Result<Line<'_>, String> {
    let (keyword, rest) = while_(skip_blanks(text), |b| !is_blank(b));
    let rest = skip_blanks(rest);
    if !matches!(keyword, b"HELP" | b"TYPE") || rest.is_empty() {
        return Ok(Line::Nothing);
    }
    let (family, rest) = name(rest)?;
    if !rest.is_empty() && !rest.first().is_some_and(is_blank) {
        return Err("invalid metric name in a comment".into());
    }
    let rest = skip_blanks(rest);
    if rest.is_empty() {
        return Ok(Line::Nothing);
    }
    if keyword == b"HELP" {
        return Ok(Line::Help(family, unescape(rest, true)?));
    }
    let kind = match rest.to_ascii_lowercase().as_slice() {
        b"counter" => Kind::Counter,
        b"gauge" => Kind::Gauge,
        b"untyped" => Kind::Untyped,
        b"histogram" => Kind::Histogram,
        b"summary" => Kind::Summary,
        _ => return Err(format!("unknown metric type {}", shown(rest))),
    };
    Ok(Line::Type(family, kind))
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

fn sample(line: &[u8]) -> Result<Sample<'_>, String> {
    let (name, rest) = name(line)?;
    let mut rest = skip_blanks(rest);
    let mut labels = Labels::new();
    if let [b'{', inside @ ..] = rest {
        let (read, after) = read_labels(inside)?;
        rest = skip_blanks(after);
        labels = read;
    }
    let (value, rest) = while_(rest, |b| !is_blank(b));
    let value = number(value).ok_or_else(|| format!("no number: {}", shown(value)))?;
    let stamped = !rest.is_empty();
    if stamped {
        let rest = skip_blanks(rest);
        let stamp = rest.strip_prefix(b"-").unwrap_or(rest);
        if stamp.is_empty() || !stamp.iter().all(u8::is_ascii_digit) {
            return Err(format!(
                "something stands behind the value: {}",
                shown(rest)
            ));
        }
    }
    Ok(Sample {
        name,
        labels,
        value,
        stamped,
    })
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
