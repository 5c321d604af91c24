//! Zabbix packets: the header, its limits and the bodies, plain or compressed.
//!
//! Owns the codec, as pure functions over bytes, and one read with a deadline. It knows nothing of
//! what a body says. Checked against the agents of Zabbix 6.0 and 7.0.
//!
//! ```text
//! 0        4       5            9              13
//! +--------+-------+------------+--------------+------ - -
//! | "ZBXD" | flags | length LE  | reserved LE  | body
//! +--------+-------+------------+--------------+------ - -
//! flags: 0x01 always; 0x02 body is zlib and reserved is its inflated length; 0x04 8-byte lengths
//! ```
//!
//! The surprising decision: whatever is no packet of ours is refused at the first byte that shows
//! it, before a length is believed or memory is reserved, and nothing is sent back. The real agents
//! do the same; large packets (0x04) they refuse too, they pass only between servers and proxies.

use std::io;
use std::ops::Range;
use std::time::Instant;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The bytes every packet starts with.
pub const MAGIC: [u8; 4] = *b"ZBXD";
/// Bytes in a header.
pub const HEADER: usize = 13;

const PROTOCOL: u8 = 0x01;
const COMPRESSED: u8 = 0x02;
const LARGE: u8 = 0x04;

/// How large a body may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// On the wire.
    pub body: usize,
    /// After inflating.
    pub inflated: usize,
}

impl Limits {
    /// A request for passive checks: 64 KiB, and 64 KiB inflated. Servers send less than 3 KiB.
    pub const PASSIVE: Self = Self {
        body: 64 * 1024,
        inflated: 64 * 1024,
    };
    /// A list of active checks from a server: 16 MiB, and 64 MiB inflated.
    pub const ACTIVE: Self = Self {
        body: 16 * 1024 * 1024,
        inflated: 64 * 1024 * 1024,
    };
}

/// Why bytes are no packet that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first bytes are not `ZBXD`.
    #[error("the first bytes are not those of a Zabbix packet")]
    NotZabbix,
    /// A flag that does not exist, or 0x01 missing.
    #[error("flags {0:#04x} are unknown")]
    Flags(u8),
    /// Flag 0x04.
    #[error("the packet is of the large kind, which agents do not take")]
    Large,
    /// Longer than [`Limits::body`].
    #[error("the body has {length} bytes; at most {limit} are taken")]
    TooLong {
        /// Bytes announced.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More than [`Limits::inflated`].
    #[error("the body inflates to {length} bytes; at most {limit} are taken")]
    TooLongInflated {
        /// Bytes announced.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// No zlib stream, or one that does not give exactly the announced length.
    #[error("the compressed body is damaged or not of its announced length")]
    Corrupt,
    /// Bytes behind the body: a connection carries one packet each way.
    #[error("bytes follow the body")]
    Trailing,
}

/// Where a packet stands in what has arrived so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// So far so good; at least this many bytes are still missing.
    Missing(usize),
    /// All there.
    Whole(Body),
}

/// A body that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// As it is, in this range of the bytes given.
    Plain(Range<usize>),
    /// A zlib stream in `at`, which must give `inflated` bytes.
    Compressed {
        /// Where the stream is.
        at: Range<usize>,
        /// Bytes announced; within the limit.
        inflated: usize,
    },
}

/// Looks at the bytes of a packet from its start; call it again when more have arrived.
///
/// # Errors
/// [`Malformed`] as soon as any byte shows that this is no packet to take.
pub fn look(bytes: &[u8], limits: Limits) -> Result<Seen, Malformed> {
    let mut magic = MAGIC.iter();
    if bytes
        .iter()
        .zip(&mut magic)
        .any(|(have, want)| have != want)
    {
        return Err(Malformed::NotZabbix);
    }
    let flags = match bytes.get(4).copied() {
        None => return Ok(Seen::Missing(HEADER - bytes.len())),
        Some(flags) if flags & PROTOCOL == 0 || flags & !(PROTOCOL | COMPRESSED | LARGE) != 0 => {
            return Err(Malformed::Flags(flags));
        }
        Some(flags) if flags & LARGE != 0 => return Err(Malformed::Large),
        Some(flags) => flags,
    };
    let Some(length) = number(bytes, 5) else {
        return Ok(Seen::Missing(HEADER - bytes.len()));
    };
    if length > limits.body {
        let limit = limits.body;
        return Err(Malformed::TooLong { length, limit });
    }
    let Some(reserved) = number(bytes, 9) else {
        return Ok(Seen::Missing(HEADER - bytes.len()));
    };
    if flags & COMPRESSED != 0 && reserved > limits.inflated {
        let (length, limit) = (reserved, limits.inflated);
        return Err(Malformed::TooLongInflated { length, limit });
    }
    let at = HEADER..HEADER + length;
    if bytes.len() < at.end {
        return Ok(Seen::Missing(at.end - bytes.len()));
    }
    if bytes.len() > at.end {
        return Err(Malformed::Trailing);
    }
    Ok(Seen::Whole(if flags & COMPRESSED == 0 {
        Body::Plain(at)
    } else {
        let inflated = reserved;
        Body::Compressed { at, inflated }
    }))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(four)).ok()
}

/// Inflates a zlib stream that must give exactly `length` bytes. Memory grows with what really
/// comes out, never with what a header promises, and never beyond `length` and a little.
///
/// # Errors
/// [`Malformed::Corrupt`] for a damaged stream, or one that gives more or less.
pub fn inflate(stream: &[u8], length: usize) -> Result<Vec<u8>, Malformed> {
    let mut inflater = Decompress::new(true);
    // One byte of room more than announced shows a stream that gives too much.
    let most = length + 1;
    let mut out = Vec::with_capacity(most.min(stream.len().saturating_mul(8).max(64)));
    loop {
        let taken = usize::try_from(inflater.total_in()).map_err(|_| Malformed::Corrupt)?;
        let rest = stream.get(taken..).unwrap_or_default();
        let before = out.len();
        let status = inflater
            .decompress_vec(rest, &mut out, FlushDecompress::Finish)
            .map_err(|_| Malformed::Corrupt)?;
        if out.len() > length {
            return Err(Malformed::Corrupt);
        }
        match status {
            Status::StreamEnd if out.len() == length => return Ok(out),
            Status::StreamEnd => return Err(Malformed::Corrupt),
            Status::Ok | Status::BufError => {}
        }
        if out.len() < out.capacity() && out.len() == before {
            // Room is left and nothing came: the stream is cut short.
            return Err(Malformed::Corrupt);
        }
        if out.len() == out.capacity() {
            let room = out.capacity().min(most - out.len());
            out.reserve_exact(room);
        }
    }
}

/// Begins a packet at the end of `out`; append the body, then call [`Open::seal`].
pub fn begin(out: &mut Vec<u8>) -> Open {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[PROTOCOL, 0, 0, 0, 0, 0, 0, 0, 0]);
    Open { start }
}

/// A packet whose body is being written.
#[must_use = "a packet without its length cannot be read"]
#[derive(Debug)]
pub struct Open {
    start: usize,
}

impl Open {
    /// Writes the length of everything appended since [`begin`]. A body past 4 GiB, which no
    /// caller builds, would be announced as the largest number and so refused by its reader.
    pub fn seal(self, out: &mut [u8]) {
        let length = out.len().saturating_sub(self.start + HEADER);
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        if let Some(field) = out.get_mut(self.start + 5..self.start + 9) {
            field.copy_from_slice(&length);
        }
    }
}

/// A whole packet, plain.
pub fn encode(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + body.len());
    let open = begin(&mut out);
    out.extend_from_slice(body);
    open.seal(&mut out);
    out
}

/// A whole packet, compressed. Servers of 6.0 and 7.0 take it; a passive reply is better plain.
pub fn encode_compressed(body: &[u8]) -> Vec<u8> {
    let mut deflater = Compress::new(Compression::default(), true);
    let mut out = Vec::with_capacity(HEADER + 64 + body.len() / 2);
    let open = begin(&mut out);
    loop {
        let taken = usize::try_from(deflater.total_in()).unwrap_or(usize::MAX);
        let rest = body.get(taken..).unwrap_or_default();
        match deflater.compress_vec(rest, &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => break,
            Ok(Status::Ok | Status::BufError) => out.reserve(out.capacity()),
            // zlib has no other failure with parameters as they are here; plain is always right.
            Err(_) => return encode(body),
        }
    }
    let inflated = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    if let Some(flags) = out.get_mut(4) {
        *flags |= COMPRESSED;
    }
    if let Some(field) = out.get_mut(9..HEADER) {
        field.copy_from_slice(&inflated);
    }
    open.seal(&mut out);
    out
}

/// Why no packet was read.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// Something else arrived.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The peer closed before the packet was whole.
    #[error("the peer closed after {0} bytes of a packet")]
    Cut(usize),
    /// The packet was not whole at the deadline.
    #[error("no whole packet arrived in time")]
    Late,
    /// Reading failed.
    #[error("could not read from the peer")]
    Io(#[source] io::Error),
}

/// Reads one packet and gives its body, inflated. A packet that has arrived whole costs one read.
///
/// # Errors
/// [`NotRead`]; the connection is of no further use then.
pub async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    limits: Limits,
    deadline: Instant,
) -> Result<Vec<u8>, NotRead> {
    let whole = tokio::time::timeout_at(deadline.into(), read_whole(stream, limits));
    let (mut bytes, body) = whole.await.map_err(|_| NotRead::Late)??;
    match body {
        Body::Plain(at) => {
            bytes.truncate(at.end);
            bytes.drain(..at.start);
            Ok(bytes)
        }
        Body::Compressed { at, inflated } => {
            let stream = bytes.get(at).unwrap_or_default();
            Ok(inflate(stream, inflated)?)
        }
    }
}

async fn read_whole<S: AsyncRead + Unpin>(
    stream: &mut S,
    limits: Limits,
) -> Result<(Vec<u8>, Body), NotRead> {
    // Room for any usual request, and for a byte too many behind it.
    let mut bytes = Vec::with_capacity(512);
    loop {
        let count = stream.read_buf(&mut bytes).await.map_err(NotRead::Io)?;
        match look(&bytes, limits)? {
            Seen::Whole(body) => return Ok((bytes, body)),
            Seen::Missing(_) if count == 0 => return Err(NotRead::Cut(bytes.len())),
            // Never more at once than has already been sent: memory follows the peer's effort.
            Seen::Missing(count) => {
                let room = (count + 1).min(bytes.len().max(512));
                if bytes.capacity() - bytes.len() < room {
                    bytes.reserve(room);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
