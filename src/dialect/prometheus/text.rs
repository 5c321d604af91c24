//! Text 0.0.4, the format every Prometheus reads.
//!
//! One growing buffer, one pass. Escapes as the format asks: `\` and newline in HELP, `"` too in label values;
//! numbers in the shortest form that reads back the same.

use super::Descriptor;
use super::foreign::QUANTILE;
use super::histogram::{LE, SUFFIXES};
use crate::dialect::Number;

/// Names of labels and their values, one for one.
pub(super) type Labels<'a> = (&'a [&'a str], &'a [&'a str]);

/// The page in text 0.0.4.
pub(super) struct Text {
    page: Vec<u8>,
    /// The open family's name, once its header is written.
    name: String,
    header: Vec<u8>,
}

impl Text {
    pub(super) fn with_capacity(size: usize) -> Self {
        Self {
            page: Vec::with_capacity(size),
            name: String::new(),
            header: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, family: Descriptor<'_>) {
        self.name.clear();
        self.name.push_str(family.name);
        let header = &mut self.header;
        header.clear();
        header.extend_from_slice(b"# HELP ");
        header.extend_from_slice(family.name.as_bytes());
        header.push(b' ');
        escape(family.help, false, header);
        header.extend_from_slice(b"\n# TYPE ");
        header.extend_from_slice(family.name.as_bytes());
        header.push(b' ');
        header.extend_from_slice(family.kind.text().as_bytes());
        header.push(b'\n');
    }

    pub(super) fn sample(&mut self, labels: Labels<'_>, value: Number) {
        self.line("", labels, None, value);
    }

    /// A histogram of so many values at or below each bound.
    pub(super) fn distribution(
        &mut self,
        labels: Labels<'_>,
        buckets: impl Iterator<Item = (f64, Number)>,
        sum: f64,
        count: Number,
    ) {
        let [bucket, ..] = SUFFIXES;
        for (bound, below) in buckets {
            self.line(bucket, labels, Some((LE, bound)), below);
        }
        self.totals(labels, sum, count);
    }

    pub(super) fn quantiles(
        &mut self,
        labels: Labels<'_>,
        quantiles: &[(f64, f64)],
        sum: f64,
        count: u64,
    ) {
        for (quantile, value) in quantiles {
            self.line("", labels, Some((QUANTILE, *quantile)), (*value).into());
        }
        self.totals(labels, sum, count.into());
    }

    fn totals(&mut self, labels: Labels<'_>, sum: f64, count: Number) {
        let [_, total, all] = SUFFIXES;
        self.line(total, labels, None, sum.into());
        self.line(all, labels, None, count);
    }

    fn line(
        &mut self,
        suffix: &str,
        (names, values): Labels<'_>,
        place: Option<(&str, f64)>,
        value: Number,
    ) {
        let page = &mut self.page;
        page.append(&mut self.header);
        page.extend_from_slice(self.name.as_bytes());
        page.extend_from_slice(suffix.as_bytes());
        let mut opening = b'{';
        for (name, value) in names.iter().zip(values) {
            page.push(opening);
            page.extend_from_slice(name.as_bytes());
            page.extend_from_slice(b"=\"");
            escape(value, true, page);
            page.push(b'"');
            opening = b',';
        }
        if let Some((name, bound)) = place {
            page.push(opening);
            page.extend_from_slice(name.as_bytes());
            page.extend_from_slice(b"=\"");
            number(Number::Float(bound), page);
            page.push(b'"');
            opening = b',';
        }
        if opening == b',' {
            page.push(b'}');
        }
        page.push(b' ');
        number(value, page);
        page.push(b'\n');
    }

    pub(super) fn clear(&mut self) {
        self.page.clear();
        self.header.clear();
    }

    pub(super) fn shrink(&mut self, most: usize) {
        self.page.clear();
        self.page.shrink_to(most);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.page
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.page
    }
}

fn escape(text: &str, quotes: bool, into: &mut Vec<u8>) {
    let special = |b: u8| b == b'\\' || b == b'\n' || (quotes && b == b'"');
    if !text.bytes().any(special) {
        into.extend_from_slice(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'\n' => into.extend_from_slice(b"\\n"),
            b if special(b) => into.extend_from_slice(&[b'\\', b]),
            b => into.push(b),
        }
    }
}

/// Writes a number in its shortest form that reads back the same.
pub(super) fn number(value: Number, into: &mut Vec<u8>) {
    match value {
        Number::Unsigned(v) => into.extend_from_slice(itoa::Buffer::new().format(v).as_bytes()),
        Number::Signed(v) => into.extend_from_slice(itoa::Buffer::new().format(v).as_bytes()),
        Number::Float(v) if v.is_nan() => into.extend_from_slice(b"NaN"),
        Number::Float(v) if v.is_infinite() => {
            into.extend_from_slice(if v > 0.0 { b"+Inf" } else { b"-Inf" });
        }
        Number::Float(v) => {
            let mut buffer = ryu::Buffer::new();
            let text = buffer.format_finite(v);
            into.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_the_same() {
        for v in [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e21,
            123_456_789.01,
            f64::MIN_POSITIVE,
            f64::MAX,
            -2.5,
        ] {
            let mut text = Vec::new();
            number(Number::Float(v), &mut text);
            let back: f64 = std::str::from_utf8(&text).unwrap().parse().unwrap();
            assert_eq!(back.to_bits(), v.to_bits());
        }
        for (v, expected) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut text = Vec::new();
            number(Number::Float(v), &mut text);
            assert_eq!(text, expected.as_bytes());
        }
    }
}
