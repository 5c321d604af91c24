//! OTLP over gRPC: one unary call, written out on plain HTTP/2.
//!
//! Owns the five-byte frame and the headers of a call (gRPC over HTTP/2). A unary call needs no
//! more of gRPC than this, which is why no gRPC library is here. The outcome is read by
//! [`answer::grpc`](super::answer::grpc).

use std::io;

use hyper::body::Bytes;

use super::gzip;
use super::options::Compression;
use crate::net::client::Request;

/// Bytes before a frame's message: flag and length.
pub const HEAD: usize = 5;
/// A frame's flag for a message that is compressed as `grpc-encoding` says.
const COMPRESSED: u8 = 1;

/// The frame of a message: flag, length in four bytes of big endian, message.
///
/// # Errors
/// A message longer than the length can say, or one that does not compress.
pub fn frame(message: &[u8], compression: Compression) -> io::Result<Bytes> {
    let mut frame = vec![0; HEAD];
    match compression {
        Compression::None => frame.extend_from_slice(message),
        Compression::Gzip => gzip::append(message, &mut frame)?,
    }
    let length = frame.len().saturating_sub(HEAD);
    let length = u32::try_from(length)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "longer than 4 GiB"))?;
    if let Some((head, _)) = frame.split_first_chunk_mut::<HEAD>() {
        let [flag, rest @ ..] = head;
        *flag = if compression == Compression::Gzip {
            COMPRESSED
        } else {
            0
        };
        *rest = length.to_be_bytes();
    }
    Ok(frame.into())
}

/// The message of a unary answer. A compressed frame is nothing that was offered to be read.
pub fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (head, rest) = body.split_first_chunk::<HEAD>()?;
    let [0, length @ ..] = *head else { return None };
    rest.get(..usize::try_from(u32::from_be_bytes(length)).ok()?)
}

/// The call that carries `frame`.
pub fn request(frame: Bytes, compression: Compression) -> Request {
    let request = Request::post(frame)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    match compression {
        Compression::Gzip => request.header("grpc-encoding", "gzip"),
        Compression::None => request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_unframes() {
        let plain = frame(b"abc", Compression::None).unwrap();
        assert_eq!(plain, &b"\0\0\0\0\x03abc"[..]);
        assert_eq!(unframed(&plain), Some(&b"abc"[..]));
        let packed = frame(b"abc", Compression::Gzip).unwrap();
        assert_eq!(packed[0], COMPRESSED);
        assert_eq!(usize::from(packed[4]), packed.len() - 5);
        assert_eq!(unframed(&packed), None);
        for short in [
            &b""[..],
            b"\0\0\0\0",
            b"\0\0\0\0\x04abc",
            b"\0\xff\xff\xff\xff",
        ] {
            assert_eq!(unframed(short), None);
        }
    }
}
