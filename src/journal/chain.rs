//! The hash chain: each record's hash covers the hash before it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::model::hex;

/// Hash of a record: SHA-256 over the 64 lower-case hex digits of the hash before it, followed by the record's JSON text as
/// it is stored. Hex and not raw bytes, so that `sha256sum` can do it by hand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands before the first record.
    pub const ZERO: Self = Self([0; 32]);

    /// SHA-256 of a text, outside any chain.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

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
        f.write_str(&hex::written(&self.0))
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
        hex::read(text.as_bytes()).map(Self).ok_or(NotAHash)
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
    fn a_text_alone_is_hashed_as_sha256sum_does() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            Hash::of("abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

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
