//! Lenient parsers over bytes: what the kernel writes, and what a broken file may hold.

use std::borrow::Cow;

/// The lines of a text, without their ends; an empty last line is left out.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|b| *b == b'\n')
        .take(if text.is_empty() { 0 } else { usize::MAX })
}

/// The fields of a line, parted by any run of white space.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace())
        .filter(|f| !f.is_empty())
}

/// A whole number; nothing but digits, no sign, no overflow.
#[must_use]
pub fn unsigned(field: &[u8]) -> Option<u64> {
    if field.is_empty() || field.len() > 20 {
        return None;
    }
    let mut value: u64 = 0;
    for byte in field {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// A whole number with an optional sign.
#[must_use]
pub fn signed(field: &[u8]) -> Option<i64> {
    match field.strip_prefix(b"-") {
        Some(rest) => 0i64.checked_sub_unsigned(unsigned(rest)?),
        None => i64::try_from(unsigned(field.strip_prefix(b"+").unwrap_or(field))?).ok(),
    }
}

/// A decimal number as the kernel or a sensor writes it.
#[must_use]
pub fn float(field: &[u8]) -> Option<f64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Text without white space at its ends.
#[must_use]
pub fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// Text for a label: each run of bytes that is not UTF-8 becomes one U+FFFD, as the reference does.
#[must_use]
pub fn label(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut out = String::with_capacity(bytes.len());
            let mut broken = false;
            for chunk in bytes.utf8_chunks() {
                if !chunk.valid().is_empty() {
                    out.push_str(chunk.valid());
                    broken = false;
                }
                if !chunk.invalid().is_empty() && !broken {
                    out.push(char::REPLACEMENT_CHARACTER);
                    broken = true;
                }
            }
            Cow::Owned(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_or_nothing() {
        assert_eq!(unsigned(b"18446744073709551615"), Some(u64::MAX));
        for bad in [
            &b""[..],
            b"-1",
            b"+1",
            b"1x",
            b"18446744073709551616",
            b" 1",
        ] {
            assert_eq!(unsigned(bad), None, "{bad:?}");
        }
        assert_eq!(signed(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed(b"9223372036854775808"), None);
    }

    #[test]
    fn a_run_of_bad_bytes_becomes_one_replacement() {
        assert_eq!(label(b"a\xff\xfe\xfdb\xff"), "a\u{fffd}b\u{fffd}");
        assert_eq!(label("grün".as_bytes()), "grün");
    }

    #[test]
    fn lines_keep_empty_ones_inside_and_drop_the_last_end() {
        let text: Vec<_> = lines(b"a\n\nb\n").collect();
        assert_eq!(text, [&b"a"[..], b"", b"b"]);
        assert_eq!(lines(b"").count(), 0);
    }
}
