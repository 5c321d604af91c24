//! `key=value,key=value` with percent-encoding, the form of `OTEL_EXPORTER_OTLP_HEADERS` and
//! `OTEL_RESOURCE_ATTRIBUTES`.
//!
//! Owns that grammar (W3C Baggage without its properties). One bad escape spoils the whole text:
//! the OpenTelemetry specification takes all of it or nothing. Messages name the position, never
//! the value, because headers hold secrets.

/// Why a text is no list of pairs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPairs {
    /// An entry without `=`.
    #[error("entry {0} has no \"=\"; the form is key=value,key=value")]
    NoValue(usize),
    /// An entry that begins with `=`.
    #[error("entry {0} has no key; the form is key=value,key=value")]
    NoKey(usize),
    /// `%` not followed by two hexadecimal digits.
    #[error(
        "entry {0} has a \"%\" without two hexadecimal digits after it; write a percent sign as %25"
    )]
    Escape(usize),
    /// The decoded bytes are no UTF-8.
    #[error("entry {0} does not decode to UTF-8")]
    Utf8(usize),
}

/// Splits and decodes `text`. Spaces around keys and values are dropped, empty entries skipped.
///
/// # Errors
/// The first [`NotPairs`], with the entry's number, counted from 1.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, NotPairs> {
    let mut pairs = Vec::new();
    for (number, entry) in (1..).zip(text.split(',')) {
        let entry = entry.trim();
        if entry.is_empty() {
            continue;
        }
        let (key, value) = entry.split_once('=').ok_or(NotPairs::NoValue(number))?;
        let key = decode(key.trim(), number)?;
        if key.is_empty() {
            return Err(NotPairs::NoKey(number));
        }
        pairs.push((key, decode(value.trim(), number)?));
    }
    Ok(pairs)
}

fn decode(text: &str, number: usize) -> Result<String, NotPairs> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = rest.next().map(char::from)?.to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(NotPairs::Escape(number));
        };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| NotPairs::Utf8(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_decodes() {
        let pairs =
            parse("service.name=web%201, k8s.node.name = n1 ,,x=a=b%3D%C3%A9,empty=").unwrap();
        let expected = [
            ("service.name", "web 1"),
            ("k8s.node.name", "n1"),
            ("x", "a=b=é"),
            ("empty", ""),
        ];
        assert_eq!(
            pairs,
            expected.map(|(key, value)| (key.into(), value.into()))
        );
        assert_eq!(parse(" ").unwrap(), []);
    }

    #[test]
    fn one_bad_entry_spoils_the_text() {
        for (text, error) in [
            ("a=1,b", NotPairs::NoValue(2)),
            ("=1", NotPairs::NoKey(1)),
            ("a=1,b=%", NotPairs::Escape(2)),
            ("a=%4", NotPairs::Escape(1)),
            ("a=%+1", NotPairs::Escape(1)),
            ("a=%é1", NotPairs::Escape(1)),
            ("a=%ff", NotPairs::Utf8(1)),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
    }
}
