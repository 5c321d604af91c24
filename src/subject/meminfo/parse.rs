//! The parsers of /proc/meminfo and /proc/swaps (Documentation/filesystems/proc.rst).
//!
//! Ours, not `procfs`'s: numbers may be written in any base the reference reads, kB may wrap, and a bad line is
//! reported and passed over.

use super::KEYS;
use crate::host::parse::{
    LONGEST_LINE, LONGEST_TEXT, cut, fields, label, lines, unsigned, unsigned_of_any_base,
};
use crate::subject::ItemError;

/// One line of the file: its place among the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line(usize);

macro_rules! lines_by_name {
    ($($name:ident $key:literal;)*) => {
        impl Line {
            $(pub(super) const $name: Self = Self::of($key);)*
        }
    };
}

lines_by_name! {
    TOTAL "MemTotal";
    FREE "MemFree";
    AVAILABLE "MemAvailable";
    BUFFERS "Buffers";
    CACHED "Cached";
    ACTIVE "Active";
    INACTIVE "Inactive";
    ANON "AnonPages";
    SLAB "Slab";
    SRECLAIMABLE "SReclaimable";
    SUNRECLAIM "SUnreclaim";
    SWAP_TOTAL "SwapTotal";
    SWAP_FREE "SwapFree";
    DIRTY "Dirty";
    SHMEM "Shmem";
    HUGE_TOTAL "HugePages_Total";
    HUGE_FREE "HugePages_Free";
    HUGE_RESERVED "HugePages_Rsvd";
    HUGE_SURPLUS "HugePages_Surp";
    HUGE_SIZE "Hugepagesize";
}

impl Line {
    /// The line of a key; a key that is not in the table does not compile.
    #[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
    const fn of(key: &str) -> Self {
        let mut at = 0;
        while !same(KEYS[at].as_bytes(), key.as_bytes()) {
            at += 1;
        }
        Self(at)
    }
}

#[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// Values of the lines in the order of the keys, in bytes where the file says kB; a line that is not there is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values([Option<u64>; KEYS.len()]);

impl Values {
    pub(super) fn get(&self, line: Line) -> Option<u64> {
        self.0.get(line.0).copied().flatten()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Option<u64>> {
        self.0.iter().copied()
    }
}

/// Parses /proc/meminfo; what cannot be read of it joins `errors`, one a line.
pub fn values(text: &[u8], errors: &mut Vec<ItemError>) -> Values {
    let mut values = [None; KEYS.len()];
    let mut expected = 0;
    for line in lines(cut(text, LONGEST_TEXT)) {
        if line.len() > LONGEST_LINE {
            break;
        }
        let mut parts = fields(line);
        let Some(key) = parts.next() else { continue };
        // Without its colon a key is another key.
        let at = key.strip_suffix(b":").and_then(|key| place(key, expected));
        let Some(at) = at else { continue };
        expected = at + 1;
        match value(key, parts) {
            Ok(value) => {
                if let Some(place) = values.get_mut(at) {
                    *place = Some(value);
                }
            }
            Err(why) => errors.push(ItemError {
                kind: "line",
                item: label(key).into_owned(),
                why: why.into(),
            }),
        }
    }
    Values(values)
}

/// The place of a key. The kernel writes them in one order, so it is nearly always the expected one or shortly after.
fn place(key: &[u8], expected: usize) -> Option<usize> {
    let is = |known: &&str| known.as_bytes() == key;
    let ahead = KEYS.get(expected..).unwrap_or_default();
    match ahead.iter().position(is) {
        Some(after) => Some(expected + after),
        None => KEYS.iter().position(is),
    }
}

fn value<'a>(key: &[u8], mut parts: impl Iterator<Item = &'a [u8]>) -> Result<u64, &'static str> {
    let number = parts.next().ok_or("no number")?;
    let number = unsigned_of_any_base(number).ok_or("not a whole number of 64 bits")?;
    match (parts.next(), parts.next()) {
        (None, _) => Ok(number),
        (Some(b"kB"), None) if key.starts_with(b"HugePages_") => Ok(number),
        // Wraps in the reference too.
        (Some(b"kB"), None) => Ok(number.wrapping_mul(1024)),
        (Some(_), None) => Err("a unit other than kB"),
        (Some(_), Some(_)) => Err("more than a number and a unit"),
    }
}

/// One swap device or file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    pub(super) device: String,
    pub(super) total: u64,
    pub(super) used: u64,
}

/// Parses /proc/swaps; sizes are bytes. A line that does not read as the kernel writes it is passed over.
pub fn swaps(text: &[u8]) -> Vec<Swap> {
    lines(text).skip(1).filter_map(swap).collect()
}

fn swap(line: &[u8]) -> Option<Swap> {
    let mut parts = fields(line);
    let device = parts.next()?;
    let mut kibibytes = parts.skip(1).map(|f| unsigned(f)?.checked_mul(1024));
    Some(Swap {
        device: unescaped(device),
        total: kibibytes.next()??,
        used: kibibytes.next()??,
    })
}

/// The kernel writes blanks, newlines and backslashes of a path as three octal digits.
fn unescaped(path: &[u8]) -> String {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let octal = match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *byte == b'\\' => {
                Some(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'))
            }
            _ => None,
        };
        if octal.is_some() {
            rest = after.get(3..).unwrap_or_default();
        }
        out.push(octal.unwrap_or(*byte));
    }
    label(&out).into_owned()
}
