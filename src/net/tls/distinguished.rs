//! Distinguished names as texts, as Zabbix compares them: the issuer and the subject of a certificate.
//!
//! Owns the two spellings that Zabbix has, each compared whole: what OpenSSL writes (`XN_FLAG_RFC2253` without `ASN1_STRFLGS_ESC_MSB`) and
//! what GnuTLS does (`gnutls_x509_dn_get_str`). Both are RFC 4514, the most special part first, letters beyond ASCII as they are; they differ
//! in words. What is no name of that kind has no text, and so equals none: a NUL in it, a type of string that is none.

use std::fmt::Write as _;

use super::der::value;

/// The longest name that is read, in bytes.
const LONGEST: usize = 8192;

/// Whose words a name is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    OpenSsl,
    GnuTls,
}

/// Kinds of a part, by the content of their OIDs, with the words of OpenSSL and of GnuTLS for them; empty: it has none.
const WORDS: [(&[u8], &str, &str); 30] = [
    (&[0x55, 4, 3], "CN", "CN"),
    (&[0x55, 4, 4], "SN", "surName"),
    (&[0x55, 4, 5], "serialNumber", "serialNumber"),
    (&[0x55, 4, 6], "C", "C"),
    (&[0x55, 4, 7], "L", "L"),
    (&[0x55, 4, 8], "ST", "ST"),
    (&[0x55, 4, 9], "street", "street"),
    (&[0x55, 4, 10], "O", "O"),
    (&[0x55, 4, 11], "OU", "OU"),
    (&[0x55, 4, 12], "title", "title"),
    (&[0x55, 4, 13], "description", "description"),
    (&[0x55, 4, 15], "businessCategory", "businessCategory"),
    (&[0x55, 4, 17], "postalCode", "postalCode"),
    (&[0x55, 4, 20], "telephoneNumber", "telephoneNumber"),
    (&[0x55, 4, 41], "name", "name"),
    (&[0x55, 4, 42], "GN", "givenName"),
    (&[0x55, 4, 43], "initials", "initials"),
    (&[0x55, 4, 44], "generationQualifier", "generationQualifier"),
    (&[0x55, 4, 45], "x500UniqueIdentifier", ""),
    (&[0x55, 4, 46], "dnQualifier", "dnQualifier"),
    (&[0x55, 4, 65], "pseudonym", "pseudonym"),
    (&[0x55, 4, 72], "role", ""),
    (&[0x55, 4, 97], "organizationIdentifier", ""),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        "emailAddress",
        "EMAIL",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 2],
        "unstructuredName",
        "",
    ),
    (
        &[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1],
        "UID",
        "UID",
    ),
    (
        &[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
        "DC",
    ),
    (
        &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 60, 2, 1, 1],
        "jurisdictionL",
        "jurisdictionOfIncorporationLocalityName",
    ),
    (
        &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 60, 2, 1, 2],
        "jurisdictionST",
        "jurisdictionOfIncorporationStateOrProvinceName",
    ),
    (
        &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 60, 2, 1, 3],
        "jurisdictionC",
        "jurisdictionOfIncorporationCountryName",
    ),
];

/// The text of a name: the DER content of an RDNSequence (RFC 5280 section 4.1.2.4), without its own tag and length. None if
/// it has none.
pub(super) fn text(name: &[u8]) -> Option<String> {
    spelled(name, Spelling::OpenSsl)
}

/// Whether a name has this text, in either spelling.
pub(super) fn is(name: &[u8], wanted: &str) -> bool {
    [Spelling::OpenSsl, Spelling::GnuTls]
        .into_iter()
        .any(|spelling| spelled(name, spelling).is_some_and(|text| text == wanted))
}

fn spelled(name: &[u8], spelling: Spelling) -> Option<String> {
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
        // GnuTLS writes one of them and leaves the others out, which says less than is there.
        if joined.len() > 1 && spelling == Spelling::GnuTls {
            return None;
        }
        // OpenSSL turns the order round within a set too.
        for (kind, shown) in joined.into_iter().rev() {
            text.push_str(joint);
            one(kind, shown, spelling, &mut text)?;
            joint = "+";
        }
    }
    Some(text)
}

/// One part: its kind and its value.
fn one(kind: &[u8], shown: &[u8], spelling: Spelling, text: &mut String) -> Option<()> {
    let known = WORDS.iter().find(|(known, ..)| *known == kind);
    let word = known.map(|(_, openssl, gnutls)| match spelling {
        Spelling::OpenSsl => *openssl,
        Spelling::GnuTls => *gnutls,
    });
    match word.filter(|word| !word.is_empty()) {
        Some(word) => text.push_str(word),
        None => text.push_str(&numbers(kind)?),
    }
    if word.is_some() || spelling == Spelling::GnuTls {
        text.push('=');
        return escaped(&letters(shown)?, text);
    }
    text.push_str("=#");
    let mut bytes = shown.iter();
    bytes.try_for_each(|byte| write!(text, "{byte:02X}").ok())
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
    }

    /// What zabbix_get built with GnuTLS says of the same certificate ("subject: peer: ..."), and `openssl x509` as above.
    #[test]
    fn both_words_for_a_kind_are_taken_and_no_mixture_of_them() {
        let text = |kind: u8, value: &'static [u8]| ([0x55, 4, kind], value);
        let kinds = [
            text(46, b"q1"),
            text(41, b"nm"),
            text(65, b"ps"),
            text(4, b"sur"),
            text(42, b"giv"),
            text(44, b"III"),
            text(72, b"ro"),
        ];
        let mail: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
        let odd: &[u8] = &[0x2a, 3, 4, 5];
        let mut parts: Vec<(&[u8], u8, &[u8], bool)> = kinds
            .iter()
            .map(|(kind, value)| (&kind[..], 0x0c, *value, false))
            .collect();
        parts.push((mail, 0x16, b"a@b", false));
        parts.push((odd, 0x0c, b"od", false));
        let whole = name(&parts);
        let openssl = "1.2.3.4.5=#0C026F64,emailAddress=a@b,role=ro,generationQualifier=III,GN=giv,SN=sur,pseudonym=ps,name=nm,dnQualifier=q1";
        let gnutls = "1.2.3.4.5=od,EMAIL=a@b,2.5.4.72=ro,generationQualifier=III,givenName=giv,surName=sur,pseudonym=ps,name=nm,dnQualifier=q1";
        assert!(is(&whole, openssl) && is(&whole, gnutls));
        let mixed = openssl.replace("emailAddress=", "EMAIL=");
        assert!(!is(&whole, &mixed), "{mixed}");
        // A word within a value is a part of the value.
        let inside = name(&[(CN, 0x0c, b"emailAddress=a@b", false)]);
        assert!(is(&inside, "CN=emailAddress=a@b") && !is(&inside, "CN=EMAIL=a@b"));
        // GnuTLS would take it for `CN=y,O=b`.
        let joined = name(&[
            (O, 0x0c, b"b", false),
            (CN, 0x0c, b"y", false),
            (&[0x55, 4, 11], 0x0c, b"x", true),
        ]);
        assert!(is(&joined, "OU=x+CN=y,O=b") && !is(&joined, "CN=y,O=b"));
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
