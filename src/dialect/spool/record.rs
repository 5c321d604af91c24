//! One record as it lies in a file of the spool.
//!
//! ```text
//!  length u32 │ CRC-32 u32 │ at u64 │ items u64 │ kind u8 │ body
//!  of body      of all that is behind it, and of the length
//! ```
//!
//! Numbers are little-endian. Length and checksum together tell a record that was cut off, by a kill or a full disk, from a
//! whole one. The reader allocates what a record holds and never more than [`MOST`], whatever its length says.

use std::io::{self, Read};

use flate2::Crc;
use hyper::body::Bytes;

use crate::model::moment::Timestamp;

/// Bytes before the body.
pub const HEAD: usize = 4 + 4 + 8 + 8 + 1;

/// The most a body has: a message of 4 MiB that compression made longer, with a frame before it.
pub const MOST: usize = (4 << 20) + (64 << 10);

/// What waits for its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was read, in milliseconds since 1970.
    pub at: u64,
    /// What is counted of it: data points, values.
    pub items: u64,
    /// What `body` is, as its writer says.
    pub kind: u8,
    /// The message.
    pub body: Bytes,
}

/// Why there is no record.
#[derive(Debug)]
pub enum NoRecord {
    /// The file ends here, between two records.
    End,
    /// What stands here is no whole record.
    Broken,
    /// The file cannot be read.
    Unread(io::Error),
}

impl Record {
    /// The wall clock as [`at`](Self::at) has it.
    #[must_use]
    pub fn now() -> u64 {
        u64::try_from(Timestamp::now().0).unwrap_or_default()
    }

    /// Bytes it takes in a file.
    pub fn size(&self) -> u64 {
        (HEAD + self.body.len()) as u64
    }

    /// Appends it to `out`; `None` if the body is longer than [`MOST`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        let length = u32::try_from(self.body.len()).ok()?;
        if self.body.len() > MOST {
            return None;
        }
        let head = self.head();
        out.extend(length.to_le_bytes());
        out.extend(checksum(length, &head, &self.body).to_le_bytes());
        out.extend(head);
        out.extend(&self.body);
        Some(())
    }

    /// What stands between the checksum and the body.
    fn head(&self) -> [u8; HEAD - 8] {
        let mut head = [0; HEAD - 8];
        let numbers = self.at.to_le_bytes().into_iter();
        let numbers = numbers.chain(self.items.to_le_bytes());
        let all = numbers.chain([self.kind]);
        for (place, byte) in head.iter_mut().zip(all) {
            *place = byte;
        }
        head
    }

    /// Reads the next.
    ///
    /// # Errors
    /// Why there is none.
    pub fn decode(from: &mut impl Read) -> Result<Self, NoRecord> {
        let mut first = [0; 8];
        match fill(from, &mut first)? {
            0 => return Err(NoRecord::End),
            8 => {}
            _ => return Err(NoRecord::Broken),
        }
        let [length, sum] = [&first[..4], &first[4..]].map(|four| {
            let four = four.try_into().unwrap_or_default();
            u32::from_le_bytes(four)
        });
        let mut head = [0; HEAD - 8];
        if fill(from, &mut head)? != head.len() {
            return Err(NoRecord::Broken);
        }
        let long = usize::try_from(length).unwrap_or(usize::MAX);
        if long > MOST {
            return Err(NoRecord::Broken);
        }
        let mut body = Vec::new();
        let read = from.take(length.into()).read_to_end(&mut body);
        if read.map_err(NoRecord::Unread)? != long || checksum(length, &head, &body) != sum {
            return Err(NoRecord::Broken);
        }
        let number = |from: usize| {
            let eight = head
                .get(from..from + 8)
                .and_then(|eight| eight.try_into().ok());
            eight.map_or(0, u64::from_le_bytes)
        };
        Ok(Self {
            at: number(0),
            items: number(8),
            kind: head.last().copied().unwrap_or_default(),
            body: body.into(),
        })
    }
}

/// Fills `into` as far as there is something; tells how far.
fn fill(from: &mut impl Read, into: &mut [u8]) -> Result<usize, NoRecord> {
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(NoRecord::Unread(error)),
        }
    }
    Ok(filled)
}

fn checksum(length: u32, head: &[u8], body: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(&length.to_le_bytes());
    crc.update(head);
    crc.update(body);
    crc.sum()
}
