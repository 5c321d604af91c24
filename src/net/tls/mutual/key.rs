//! A pre-shared key in a file: hex digits, as Zabbix has it.

use std::fmt;
use std::path::Path;

use super::super::files;

/// Hex digits of a key: 128 to 2048 bits.
const DIGITS: std::ops::RangeInclusive<usize> = 32..=512;

/// The key. Nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

impl Key {
    /// The key itself, for the one place that computes with it.
    #[cfg_attr(
        not(any(feature = "psk", test)),
        expect(dead_code, reason = "nothing computes with it")
    )]
    pub(super) fn reveal(&self) -> &[u8] {
        &self.0
    }
}

/// Reads the first line of a file, of which there must be no other.
///
/// # Errors
/// Why there is no key in it, without a digit of it.
pub(super) fn read(path: &Path) -> Result<Key, String> {
    let text = files::read(path)?;
    let shown = path.display();
    let digits = text.trim_ascii_end();
    if !DIGITS.contains(&digits.len()) {
        return Err(format!(
            "the key in {shown} has {} digits; 32 to 512 hex digits are a key (openssl rand -hex 32 makes one)",
            digits.len()
        ));
    }
    if digits.len() % 2 == 1 {
        return Err(format!("the key in {shown} has an odd number of digits"));
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let bytes = digits.chunks_exact(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    bytes.map(Key).ok_or_else(|| {
        format!("the key in {shown} has something in it that is no hex digit (0-9, a-f)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_hex_digits_and_of_a_length_that_zabbix_takes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("psk");
        let read_of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        let good = read_of("00FFa1b2c3d4e5f60718293a4b5c6d7e\n").unwrap();
        assert_eq!(good.reveal().get(..3), Some(&[0, 0xff, 0xa1][..]));
        assert_eq!(format!("{good:?}"), "[key]");
        assert_eq!(read_of(&"ab".repeat(256)).unwrap().reveal().len(), 256);
        for (text, why) in [
            (String::new(), "0 digits"),
            ("a".repeat(30), "30 digits"),
            ("a".repeat(514), "514 digits"),
            ("a".repeat(33), "odd"),
            ("g".repeat(32), "no hex digit"),
            (
                format!("{}\n{}", "a".repeat(20), "a".repeat(19)),
                "no hex digit",
            ),
        ] {
            let said = read_of(&text).unwrap_err();
            assert!(said.contains(why) && !said.contains("aaa"), "{said}");
        }
        assert!(read(&directory.path().join("gone")).is_err());
    }
}
