//! Distinguished names as texts, as Zabbix compares them: the issuer and the subject of a certificate.
//!
//! Owns the one spelling: RFC 4514, the most special part first, letters beyond ASCII as they are, as OpenSSL's
//! `XN_FLAG_RFC2253` without `ASN1_STRFLGS_ESC_MSB` and GnuTLS's `gnutls_x509_dn_get_str` write it. What is no name of that kind has no
//! text, and so equals none: a NUL in it, a type of string that is none.

use std::fmt::Write as _;

/// The longest name that is read, in bytes.
const LONGEST: usize = 8192;

/// Kinds of a part, by the content of their OIDs, and the words of OpenSSL for them.
const WORDS: [(&[u8], &str); 17] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "street"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 13], "description"),
    (&[0x55, 4, 17], "postalCode"),
    (&[0x55, 4, 42], "GN"),
    (&[0x55, 4, 43], "initials"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        "emailAddress",
    ),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
];

/// The text of a name: the DER content of an RDNSequence (RFC 5280 section 4.1.2.4), without its own tag and length. None if
/// it has none.
pub(super) fn text(name: &[u8]) -> Option<String> {
    if name.len() > LONGEST {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let (set, after) = value(rest, 0x31)?;
        parts.push(set);
        rest = after;
    }
    let mut text = String::new();
    for set in parts.into_iter().rev() {
        let mut joined = Vec::new();
        let mut rest = set;
        while !rest.is_empty() {
            let (part, after) = value(rest, 0x30)?;
            joined.push(value(part, 6)?);
            rest = after;
        }
        let mut joint = match text.is_empty() {
            true => "",
            false => ",",
        };
        // OpenSSL turns the order round within a set too.
        for (kind, shown) in joined.into_iter().rev() {
            text.push_str(joint);
            one(kind, shown, &mut text)?;
            joint = "+";
        }
    }
    Some(text)
}

/// Whether a name has this text; GnuTLS has a word of its own for addresses of mail.
pub(super) fn is(name: &[u8], wanted: &str) -> bool {
    let Some(text) = text(name) else { return false };
    text == wanted || text.replace("emailAddress=", "EMAIL=") == wanted
}

/// One part: its kind and its value.
fn one(kind: &[u8], shown: &[u8], text: &mut String) -> Option<()> {
    let word = WORDS.iter().find(|(known, _)| *known == kind);
    match word {
        Some((_, word)) => {
            write!(text, "{word}=").ok()?;
            escaped(&letters(shown)?, text)
        }
        None => {
            write!(text, "{}=#", numbers(kind)?).ok()?;
            let mut bytes = shown.iter();
            bytes.try_for_each(|byte| write!(text, "{byte:02X}").ok())
        }
    }
}

/// The letters of a string, whatever its type.
fn letters(shown: &[u8]) -> Option<String> {
    let (tag, content) = (*shown.first()?, value(shown, *shown.first()?)?.0);
    let pairs = || content.chunks_exact(2);
    let fours = || content.chunks_exact(4);
    match tag {
        // UTF8String; Numeric, Printable, IA5 and VisibleString are a part of it.
        0x0c | 0x12 | 0x13 | 0x16 | 0x1a => String::from_utf8(content.to_vec()).ok(),
        // T61String, which everybody fills with ISO 8859-1.
        0x14 => Some(content.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString.
        0x1e if pairs().remainder().is_empty() => {
            let units: Option<Vec<u16>> = pairs()
                .map(|two| Some(u16::from_be_bytes(two.try_into().ok()?)))
                .collect();
            String::from_utf16(&units?).ok()
        }
        // UniversalString.
        0x1c if fours().remainder().is_empty() => fours()
            .map(|four| char::from_u32(u32::from_be_bytes(four.try_into().ok()?)))
            .collect(),
        _ => None,
    }
}

/// A value with what must not stand there bare: RFC 4514 section 2.4.
fn escaped(value: &str, text: &mut String) -> Option<()> {
    let last = value.chars().count().saturating_sub(1);
    for (place, letter) in value.chars().enumerate() {
        match letter {
            '\0' => return None,
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => text.push('\\'),
            '#' if place == 0 => text.push('\\'),
            ' ' if place == 0 || place == last => text.push('\\'),
            _ => {}
        }
        match letter {
            _ if letter.is_ascii_control() => write!(text, "\\{:02X}", u32::from(letter)).ok()?,
            _ => text.push(letter),
        }
    }
    Some(())
}

/// An OID as numbers with dots.
fn numbers(kind: &[u8]) -> Option<String> {
    let mut all: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for byte in kind {
        number = number.checked_mul(128)? + u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            all.push(number);
            number = 0;
        }
    }
    let (first, others) = all.split_first()?;
    let root = (first / 40).min(2);
    let mut text = format!("{root}.{}", first - root * 40);
    for number in others {
        write!(text, ".{number}").ok()?;
    }
    (kind.last()? & 0x80 == 0).then_some(text)
}

/// The content of the DER value of this tag that comes first, and what comes behind it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [first, length @ 0..=0x7f, rest @ ..] if *first == tag => (usize::from(*length), rest),
        [first, 0x81, length, rest @ ..] if *first == tag => (usize::from(*length), rest),
        [first, 0x82, high, low, rest @ ..] if *first == tag => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut whole = vec![tag, u8::try_from(content.len()).unwrap()];
        whole.extend_from_slice(content);
        whole
    }

    /// A name of these parts, each of a kind, a type and a value; `joined` is put into one set with the part before.
    fn name(parts: &[(&[u8], u8, &[u8], bool)]) -> Vec<u8> {
        let mut sets: Vec<Vec<u8>> = Vec::new();
        for (kind, tag, content, joined) in parts {
            let part = wrapped(0x30, &[wrapped(6, kind), wrapped(*tag, content)].concat());
            match joined {
                true => sets.last_mut().unwrap().extend(part),
                false => sets.push(part),
            }
        }
        sets.iter().flat_map(|set| wrapped(0x31, set)).collect()
    }

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];

    /// What `openssl x509 -nameopt RFC2253,-esc_msb` writes for the same names.
    #[test]
    fn names_are_written_as_openssl_writes_them() {
        for (parts, expected) in [
            (
                name(&[
                    (O, 0x0c, b"Zabbix SIA", false),
                    (CN, 0x13, b"Zabbix server", false),
                ]),
                "CN=Zabbix server,O=Zabbix SIA",
            ),
            (
                name(&[
                    // DER has the parts of a set in this order.
                    (CN, 0x0c, b"b", false),
                    (O, 0x0c, b"a", true),
                    (CN, 0x0c, b"c", false),
                ]),
                "CN=c,O=a+CN=b",
            ),
            (
                name(&[(CN, 0x0c, "# <a, b>+\"c\";\\ é ".as_bytes(), false)]),
                "CN=\\# \\<a\\, b\\>\\+\\\"c\\\"\\;\\\\ é\\ ",
            ),
            (name(&[(CN, 0x1e, b"\0a\x01\x07", false)]), "CN=ać"),
            (name(&[(CN, 0x14, b"\xe9", false)]), "CN=é"),
            (name(&[(CN, 0x0c, b" ", false)]), "CN=\\ "),
            (name(&[(CN, 0x0c, b"a\nb", false)]), "CN=a\\0Ab"),
            (
                name(&[(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 1], 0x0c, b"x", false)]),
                "1.3.6.1.4.1.311.1=#0C0178",
            ),
            (Vec::new(), ""),
        ] {
            assert_eq!(text(&parts).as_deref(), Some(expected));
        }
        let mail = name(&[(
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
            0x16,
            b"a@b",
            false,
        )]);
        assert!(is(&mail, "emailAddress=a@b") && is(&mail, "EMAIL=a@b"));
        assert!(!is(&mail, "emailAddress=a@c"));
    }

    #[test]
    fn what_is_no_name_equals_none() {
        let nul = name(&[(CN, 0x0c, b"a\0b", false)]);
        let whole = name(&[(CN, 0x0c, b"abc", false)]);
        for bytes in [
            &nul[..],
            &whole[..whole.len() - 1],
            &whole[..3],
            &[0x31, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0],
            &name(&[(CN, 0x02, b"1", false)]),
            &name(&[(CN, 0x1e, b"a", false)]),
            &name(&[(CN, 0x0c, b"\xff", false)]),
            &vec![0; LONGEST + 1],
        ] {
            assert_eq!(text(bytes), None, "{bytes:?}");
            assert!(!is(bytes, ""));
        }
    }
}
