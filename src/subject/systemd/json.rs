//! D-Bus values as JSON, spelled as agent 2 spells them: keys sorted, bytes as base64, structures as arrays, and
//! `<`, `>`, `&` escaped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::peer::systemd::Value;

/// Appends a text, quoted.
pub(super) fn text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends a list, with each entry written by `one`.
pub(super) fn list<T>(
    out: &mut String,
    [open, close]: [char; 2],
    entries: impl IntoIterator<Item = T>,
    mut one: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (at, entry) in entries.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        one(out, entry);
    }
    out.push(close);
}

/// Appends a map with the keys in their order.
pub(super) fn object<'a>(
    out: &mut String,
    entries: impl IntoIterator<Item = (&'a str, &'a Value)>,
) {
    list(out, ['{', '}'], entries, |out, (name, entry)| {
        text(out, name);
        out.push(':');
        value(out, entry);
    });
}

/// Appends a value.
pub(super) fn value(out: &mut String, value: &Value) {
    match value {
        Value::Str(t) => text(out, t),
        Value::Bytes(bytes) => {
            out.push('"');
            base64(out, bytes);
            out.push('"');
        }
        Value::Array(values) | Value::Struct(values) => {
            list(out, ['[', ']'], values, self::value);
        }
        Value::Dict(entries) => {
            let entries: BTreeMap<String, &Value> =
                entries.iter().map(|(k, v)| (plain(k), v)).collect();
            object(out, entries.iter().map(|(k, v)| (&**k, *v)));
        }
        Value::Descriptor => out.push_str("null"),
        Value::Bool(_) | Value::U64(_) | Value::I64(_) | Value::F64(_) => {
            out.push_str(&plain(value));
        }
    }
}

/// A single value as the text of a key; lists are JSON there too.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::U64(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::F64(number) => format!("{number:.6}"),
        Value::Str(text) => text.clone(),
        Value::Bytes(_)
        | Value::Array(_)
        | Value::Struct(_)
        | Value::Dict(_)
        | Value::Descriptor => {
            let mut out = String::new();
            self::value(&mut out, value);
            out
        }
    }
}

/// RFC 4648 section 4, with padding.
fn base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let mut bits = three
            .iter()
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        bits <<= 8 * (3 - three.len());
        for place in 0..4 {
            let digit = bits >> (18 - 6 * place) & 63;
            let digit = DIGITS.get(digit as usize).filter(|_| place <= three.len());
            out.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value) -> String {
        let mut out = String::new();
        super::value(&mut out, value);
        out
    }

    #[test]
    fn bytes_are_base64_with_padding() {
        for (bytes, digits) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"\xff\xff\xfe", "///+"),
        ] {
            assert_eq!(
                written(&Value::Bytes(bytes.to_vec())),
                format!("\"{digits}\"")
            );
        }
    }

    #[test]
    fn texts_are_escaped_as_agent_2_escapes_them() {
        let text = Value::Str("a\"\\\n\u{1}<&>\u{2028}ü\u{7f}".to_owned());
        assert_eq!(
            written(&text),
            "\"a\\\"\\\\\\n\\u0001\\u003c\\u0026\\u003e\\u2028ü\u{7f}\""
        );
    }

    #[test]
    fn structures_are_arrays_and_keys_are_sorted() {
        let number = |n| Value::U64(n);
        let name = |n: &str| Value::Str(n.to_owned());
        let value = Value::Array(vec![
            Value::Struct(vec![number(u64::MAX), Value::I64(-1), Value::Bool(true)]),
            Value::Dict(vec![
                (name("b"), number(1)),
                (name("a"), Value::Array(vec![])),
            ]),
        ]);
        assert_eq!(
            written(&value),
            "[[18446744073709551615,-1,true],{\"a\":[],\"b\":1}]"
        );
        assert_eq!(plain(&value), written(&value));
        assert_eq!(plain(&name("a\"")), "a\"");
    }
}
