//! Values of ASN.1 in DER (X.690), taken apart.
//!
//! Owns the reading of one value after the other. What is longer than any file that is read here is no value.

/// The content of the value of this tag that comes first, and what comes behind it.
pub(super) fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [first, length @ 0..=0x7f, rest @ ..] if *first == tag => (u32::from(*length), rest),
        [first, 0x81, length, rest @ ..] if *first == tag => (u32::from(*length), rest),
        [first, 0x82, high, low, rest @ ..] if *first == tag => {
            (u32::from_be_bytes([0, 0, *high, *low]), rest)
        }
        [first, 0x83, high, middle, low, rest @ ..] if *first == tag => {
            (u32::from_be_bytes([0, *high, *middle, *low]), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// The time that comes first, in Unix seconds (0 before 1970), and what comes behind it: UTCTime or GeneralizedTime as RFC 5280
/// section 4.1.2.5 has them.
pub(super) fn time(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (text, rest) = value(bytes, 0x17).or_else(|| value(bytes, 0x18))?;
    let digits = std::str::from_utf8(text.strip_suffix(b"Z")?).ok()?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest_of) = digits.split_at_checked(digits.len().checked_sub(10)?)?;
    let year: i16 = match (year.len(), year.parse().ok()?) {
        (2, year @ 0..50) => 2000 + year,
        (2, year) => 1900 + year,
        (4, year) => year,
        _ => return None,
    };
    let two = |place: usize| rest_of.get(place..place + 2)?.parse::<i8>().ok();
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    let then = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let seconds = jiff::tz::TimeZone::UTC.to_timestamp(then).ok()?.as_second();
    Some((seconds.try_into().unwrap_or_default(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_its_tag_and_all_of_its_length() {
        assert_eq!(value(&[4, 2, 7, 8, 9], 4), Some((&[7, 8][..], &[9][..])));
        for (head, length) in [
            (&[4, 0x81, 0x80][..], 0x80),
            (&[4, 0x82, 1, 2], 0x102),
            (&[4, 0x83, 1, 2, 3], 0x1_0203),
        ] {
            let whole = [head, &vec![0; length]].concat();
            let (content, rest) = value(&whole, 4).unwrap();
            assert_eq!((content.len(), rest.len()), (length, 0));
            assert_eq!(value(&whole[..whole.len() - 1], 4), None, "cut short");
        }
        assert_eq!(value(&[4, 1, 0], 5), None, "another tag");
        assert_eq!(value(&[4, 0x84, 0, 0, 0, 1, 0], 4), None, "too long");
        assert_eq!(value(&[], 4), None);
    }

    /// What `date -u -d @SECONDS` says.
    #[test]
    fn times_have_two_spellings() {
        for (tag, text, seconds) in [
            (0x17, "700101000000Z", 0),
            (0x17, "491231235959Z", 2_524_607_999),
            (0x17, "991231235959Z", 946_684_799),
            (0x17, "500101000000Z", 0),
            (0x18, "20500101000000Z", 2_524_608_000),
        ] {
            let length = u8::try_from(text.len()).unwrap();
            let whole = [&[tag, length], text.as_bytes()].concat();
            assert_eq!(time(&whole), Some((seconds, &[][..])), "{text}");
        }
        for text in [
            "",
            "Z",
            "701301000000Z",
            "7001010000Z",
            "+00101000000Z",
            "700101000000",
        ] {
            let length = u8::try_from(text.len()).unwrap();
            let whole = [&[0x17, length], text.as_bytes()].concat();
            assert_eq!(time(&whole), None, "{text}");
        }
    }
}
