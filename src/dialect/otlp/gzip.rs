//! Compression of requests (RFC 1952), the one kind that every OTLP receiver must take.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Appends `message`, compressed as one gzip member, to `out`.
///
/// The level is the fastest: telemetry repeats its names so much that the better levels save a
/// tenth of the bytes for several times the work.
///
/// # Errors
/// Never for a `Vec`; the writer's type says so.
pub fn append(message: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = GzEncoder::new(out, Compression::fast());
    encoder.write_all(message)?;
    encoder.finish().map(drop)
}
