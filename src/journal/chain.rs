//! The hash chain: each record's hash covers the hash before it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Hash of a record: SHA-256 over the 64 lower-case hex digits of the hash before it, followed by the record's JSON text as
/// it is stored. Hex and not raw bytes, so that `sha256sum` can do it by hand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands before the first record.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of the record that follows this one.
    #[must_use]
    pub fn next(self, line: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(self.to_string())
            .chain_update(line)
            .finalize();
        Self(digest.into())
    }
}

impl fmt::Display for Hash {
    /// 64 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hex digits")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(NotAHash);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let mut value = 0;
            for digit in pair {
                let digit = char::from(*digit).to_digit(16).ok_or(NotAHash)?;
                value = value * 16 + digit;
            }
            *byte = u8::try_from(value).map_err(|_| NotAHash)?;
        }
        Ok(Self(hash))
    }
}

/// The end of the chain, or the last record that was deleted by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number, from 1; 0 where there is none yet.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// Before the first record.
    pub const START: Self = Self {
        seq: 0,
        hash: Hash::ZERO,
    };
}

/// A record as it is exported: the stored text with its hash as the last member.
#[must_use]
pub fn exported(line: &str, hash: &str) -> String {
    // What is stored is an object; a text that somebody damaged is shown as it is.
    let open = line.strip_suffix('}').unwrap_or(line);
    format!("{open},\"hash\":\"{hash}\"}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_sha256sum_says_of_the_hash_before_and_the_text() {
        // printf '%064d{"seq":1}' 0 | sha256sum
        assert_eq!(
            Hash::ZERO.next("{\"seq\":1}").to_string(),
            "0a00898550374c41186879d92f30325cd0a550ce8c5da4d9aeef34a95c0b85ea"
        );
    }

    #[test]
    fn is_read_and_said_in_hex() {
        let hash = Hash::ZERO.next("x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
        for text in ["", "00", &"g".repeat(64), &"0".repeat(63), &"é".repeat(32)] {
            assert!(text.parse::<Hash>().is_err(), "{text}");
        }
    }
}
