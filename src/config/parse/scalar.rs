//! What a text without quotes means.
//!
//! Owns the core schema of YAML 1.2 and the one exception to it.

use super::super::tree::{Style, Value};

/// Resolves a scalar by the core schema (YAML 1.2.2, section 10.3.2), but for whole numbers with a
/// leading zero: YAML 1.1 reads them as octal and 1.2 as decimal, so they stay texts here and are
/// refused where a number is wanted.
pub fn scalar(text: String, plain: bool) -> Value {
    if !plain {
        return Value::Text(text, Style::Quoted);
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Some(number) = whole(&text) {
        return Value::Int(number);
    }
    match fraction(&text) {
        Some(number) => Value::Float(number),
        None => Value::Text(text, Style::Plain),
    }
}

fn whole(text: &str) -> Option<i128> {
    if let Some(digits) = text.strip_prefix("0x") {
        return digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| i128::from_str_radix(digits, 16).ok())?;
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| i128::from_str_radix(digits, 8).ok())?;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if leading_zero || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn fraction(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    let leading_zero = unsigned.len() > 1
        && unsigned.starts_with('0')
        && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let shaped = unsigned
        .bytes()
        .all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    if leading_zero || !begins || !shaped {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, value) in [
            ("~", Value::Null),
            ("", Value::Null),
            ("True", Value::Bool(true)),
            ("yes", Value::Text("yes".to_owned(), Style::Plain)),
            ("0x1F", Value::Int(31)),
            ("0o17", Value::Int(15)),
            ("-5", Value::Int(-5)),
            ("0600", Value::Text("0600".to_owned(), Style::Plain)),
            ("1e3", Value::Float(1000.0)),
            (".5", Value::Float(0.5)),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
            ("1.2.3", Value::Text("1.2.3".to_owned(), Style::Plain)),
            ("0x", Value::Text("0x".to_owned(), Style::Plain)),
            ("-", Value::Text("-".to_owned(), Style::Plain)),
            ("e5", Value::Text("e5".to_owned(), Style::Plain)),
        ] {
            let resolved = scalar(text.to_owned(), true);
            assert_eq!(resolved, value, "{text}");
        }
    }
}
