//! Bytes as hexadecimal digits.

/// Two lower-case digits a byte.
#[must_use]
pub fn written(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    halves
        .filter_map(|half| DIGITS.get(usize::from(half)))
        .collect()
}

/// Exactly so many bytes, of two digits each in either case; none if the text is anything else.
#[must_use]
pub fn read<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        assert_eq!(written(&[]), "");
        assert_eq!(written(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
        let all: [u8; 256] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        assert_eq!(read(written(&all).as_bytes()), Some(all));
        assert_eq!(read(b"0Fa0"), Some([0x0f, 0xa0]));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "", "0", "00", "0000 ", "00000", "+0+0", "0g00", "00\u{e9}", "0x00",
        ] {
            assert_eq!(read::<2>(bad.as_bytes()), None, "{bad}");
        }
    }
}
