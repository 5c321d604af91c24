//! Lenient parsers over bytes: what the kernel writes, and what a broken file may hold.

use std::borrow::Cow;

/// The lines of a text, without their ends; an empty last line is left out.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|b| *b == b'\n')
        .take(if text.is_empty() { 0 } else { usize::MAX })
}

/// The most bytes of a line that the reference's scanner takes; it stops silently at a longer one.
pub const LONGEST_LINE: usize = 65_535;
/// The most bytes of a small file of /proc that the reference takes; it leaves out the rest silently.
pub const LONGEST_TEXT: usize = 1 << 20;

/// Whether a byte is white space, vertical tab included.
#[must_use]
pub fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r')
}

/// The fields of a line, parted by any run of white space.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(is_blank).filter(|f| !f.is_empty())
}

/// The first `most` bytes of a text, or all of it.
#[must_use]
pub fn cut(text: &[u8], most: usize) -> &[u8] {
    text.get(..most).unwrap_or(text)
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

/// A whole number in the base its prefix names, as the reference reads it: `0x1f`, `0b11`, `0o17`, octal after a bare
/// `0`, single underscores between digits. No sign, no overflow.
#[must_use]
pub fn unsigned_of_any_base(field: &[u8]) -> Option<u64> {
    let (base, digits) = match field {
        [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => (16, rest),
        [b'0', b'b' | b'B', rest @ ..] if !rest.is_empty() => (2, rest),
        [b'0', b'o' | b'O', rest @ ..] if !rest.is_empty() => (8, rest),
        [b'0', rest @ ..] => (8, rest),
        [b'1'..=b'9', ..] => (10, field),
        _ => return None,
    };
    let mut value: u64 = 0;
    // A prefix counts as a digit, so one underscore may follow it.
    let mut after_digit = true;
    for byte in digits {
        if *byte == b'_' {
            if !std::mem::replace(&mut after_digit, false) {
                return None;
            }
            continue;
        }
        after_digit = true;
        let digit = char::from(*byte).to_digit(base)?;
        value = value.checked_mul(base.into())?.checked_add(digit.into())?;
    }
    after_digit.then_some(value)
}

/// A whole number of hexadecimal digits; no prefix, no sign, no overflow.
#[must_use]
pub fn hexadecimal(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0u64, |value, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(value.checked_mul(16)? | u64::from(digit))
    })
}

/// A whole number with an optional sign.
#[must_use]
pub fn signed(field: &[u8]) -> Option<i64> {
    match field.strip_prefix(b"-") {
        Some(rest) => 0i64.checked_sub_unsigned(unsigned(rest)?),
        None => i64::try_from(unsigned(field.strip_prefix(b"+").unwrap_or(field))?).ok(),
    }
}

/// A whole number with an optional sign in the base its prefix names; see [`unsigned_of_any_base`].
#[must_use]
pub fn signed_of_any_base(field: &[u8]) -> Option<i64> {
    match field.strip_prefix(b"-") {
        Some(rest) => 0i64.checked_sub_unsigned(unsigned_of_any_base(rest)?),
        None => {
            let rest = field.strip_prefix(b"+").unwrap_or(field);
            i64::try_from(unsigned_of_any_base(rest)?).ok()
        }
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

/// The name of an id in the text of passwd(5) or group(5).
#[must_use]
pub fn name_of(text: &[u8], id: u32) -> Option<String> {
    lines(text).find_map(|line| {
        let mut parts = line.split(|b| *b == b':');
        let name = parts.next()?;
        let known = unsigned(parts.nth(1)?)? == u64::from(id);
        known.then(|| String::from_utf8_lossy(name).into_owned())
    })
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
        assert_eq!(signed_of_any_base(b"-0x10"), Some(-16));
        assert_eq!(signed_of_any_base(b"0x8000000000000000"), None);
        assert_eq!(signed_of_any_base(b"--1"), None);
        assert_eq!(hexadecimal(b"00fF"), Some(255));
        assert_eq!(hexadecimal(b"ffffffffffffffff"), Some(u64::MAX));
        for bad in ["", "+1", "0x1", "g", "10000000000000000"] {
            assert_eq!(hexadecimal(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_prefix_names_the_base_of_a_number() {
        for (text, value) in [
            ("0", 0),
            ("7", 7),
            ("010", 8),
            ("0x10", 16),
            ("0XfF", 255),
            ("0b11", 3),
            ("0o17", 15),
            ("1_000", 1000),
            ("0x_1", 1),
            ("0_7", 7),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(unsigned_of_any_base(text.as_bytes()), Some(value), "{text}");
        }
        for bad in [
            "",
            "08",
            "0x",
            "0b2",
            "0o8",
            "1__0",
            "1_",
            "_1",
            "+5",
            "-5",
            "1.5",
            "1a",
            "18446744073709551616",
            "0x10000000000000000",
            "\u{e9}",
        ] {
            assert_eq!(unsigned_of_any_base(bad.as_bytes()), None, "{bad}");
        }
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

    #[test]
    fn names_are_found_by_their_whole_id() {
        let text = b"root:x:0:0::/:\nbroken\nwww:x:33:33::/:\n";
        assert_eq!(name_of(text, 33).as_deref(), Some("www"));
        assert_eq!(name_of(text, 3), None);
    }
}
