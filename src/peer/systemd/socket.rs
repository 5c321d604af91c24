//! The Unix socket under a D-Bus connection, with bounds on what the other end may send.
//!
//! zbus accepts what the D-Bus specification allows: messages up to 128 MiB, each allocated and
//! zeroed as soon as its header has arrived, and a handshake of any length. Here a message is
//! refused by its header before anything is allocated for it. Reads go through a small buffer, so
//! that a run of pipelined replies costs one system call and not two each, and a run of calls is
//! written with one.
//!
//! File descriptors are never accepted: plain reads make the kernel discard any that are sent.

use std::io;
use std::os::fd::OwnedFd;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use zbus::Message;
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};

use super::sender::make_unique;

/// Largest message accepted, in bytes. `ListUnits` of 10,000 units is about 3 MB.
pub(super) const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// Most bytes of header fields accepted: names and paths.
const LARGEST_HEADER: usize = 64 * 1024;

/// Most bytes accepted before the first message: the authentication takes about 60.
const LARGEST_HANDSHAKE: usize = 16 * 1024;

/// Bytes asked of the kernel at once.
const READ_AHEAD: usize = 16 * 1024;

/// Bytes of a message that say how long all of it is (D-Bus specification, "Message Format").
pub(super) const PRIMARY_HEADER: usize = 16;

/// A connected stream to a D-Bus peer, bounded as the module says.
#[derive(Debug)]
pub(super) struct BoundedSocket {
    pub(super) stream: UnixStream,
    /// Whether the other end is systemd itself, which signs its messages in its own way.
    pub(super) direct: bool,
}

impl Socket for BoundedSocket {
    type ReadHalf = BoundedRead;
    type WriteHalf = BatchedWrite;

    fn split(self) -> Split<BoundedRead, BatchedWrite> {
        let (read, write) = self.stream.into_split();
        let ahead = ReadAhead {
            stream: read,
            held: Vec::new(),
            taken: 0,
        };
        Split::new(
            BoundedRead {
                ahead,
                direct: self.direct,
                handshake_left: LARGEST_HANDSHAKE,
            },
            BatchedWrite {
                stream: write,
                batch: Vec::new(),
            },
        )
    }
}

/// The read half that looks at each message's length before zbus does.
#[derive(Debug)]
pub(super) struct BoundedRead {
    ahead: ReadAhead,
    direct: bool,
    handshake_left: usize,
}

#[async_trait]
impl ReadHalf for BoundedRead {
    async fn receive_message(
        &mut self,
        seq: u64,
        already_received_bytes: &mut Vec<u8>,
        already_received_fds: &mut Vec<OwnedFd>,
    ) -> zbus::Result<Message> {
        if !already_received_bytes.is_empty() {
            self.ahead.put_back(std::mem::take(already_received_bytes));
        }
        let lengths = lengths(self.ahead.peek(PRIMARY_HEADER).await?)?;
        if lengths.whole > LARGEST_MESSAGE || lengths.header > LARGEST_HEADER {
            return Err(zbus::Error::ExcessData);
        }
        if self.direct {
            make_unique(self.ahead.peek(lengths.header).await?);
        }
        self.ahead
            .receive_message(seq, already_received_bytes, already_received_fds)
            .await
    }

    // Only the handshake reads through here; messages are read by `receive_message`.
    async fn recvmsg(&mut self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let got = self.ahead.recvmsg(buf).await?;
        self.handshake_left = self.handshake_left.checked_sub(got.0).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the D-Bus handshake is too long",
            )
        })?;
        Ok(got)
    }
}

/// Reads in large steps and hands out small ones.
#[derive(Debug)]
struct ReadAhead {
    stream: OwnedReadHalf,
    held: Vec<u8>,
    taken: usize,
}

impl ReadAhead {
    fn waiting(&self) -> &[u8] {
        self.held.get(self.taken..).unwrap_or_default()
    }

    fn put_back(&mut self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(self.waiting());
        self.held = bytes;
        self.taken = 0;
    }

    async fn read_more(&mut self) -> io::Result<()> {
        self.held.drain(..self.taken);
        self.taken = 0;
        self.held.reserve(READ_AHEAD);
        match self.stream.read_buf(&mut self.held).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next `length` bytes, left in place.
    async fn peek(&mut self, length: usize) -> io::Result<&mut [u8]> {
        while self.waiting().len() < length {
            self.read_more().await?;
        }
        Ok(self
            .held
            .get_mut(self.taken..self.taken + length)
            .unwrap_or_default())
    }
}

#[async_trait]
impl ReadHalf for ReadAhead {
    async fn recvmsg(&mut self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        if self.waiting().is_empty() {
            // A large rest of a message goes straight to where it belongs.
            if buf.len() >= READ_AHEAD {
                return Ok((self.stream.read(buf).await?, Vec::new()));
            }
            self.read_more().await?;
        }
        let length = self.waiting().len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(self.waiting()) {
            *to = *from;
        }
        self.taken += length;
        Ok((length, Vec::new()))
    }
}

/// How long the message is that a primary header opens, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Lengths {
    /// The primary header and the header fields, without padding.
    header: usize,
    /// All of it.
    whole: usize,
}

/// # Errors
/// [`zbus::Error::IncorrectEndian`] if the byte order mark is neither `l` nor `B`, and
/// [`zbus::Error::ExcessData`] if the lengths are beyond counting.
fn lengths(header: &[u8]) -> zbus::Result<Lengths> {
    if !matches!(header.first(), Some(b'l' | b'B')) {
        return Err(zbus::Error::IncorrectEndian);
    }
    let length = |at| Some(usize::try_from(word(header, at)?).ok());
    match (length(4).flatten(), length(12).flatten()) {
        (Some(body), Some(fields)) => {
            let header = PRIMARY_HEADER.saturating_add(fields);
            let whole = header
                .checked_next_multiple_of(8)
                .and_then(|padded| padded.checked_add(body));
            Ok(Lengths {
                header,
                whole: whole.ok_or(zbus::Error::ExcessData)?,
            })
        }
        _ => Err(zbus::Error::ExcessData),
    }
}

/// The 32 bit number at `at` of a message, in the message's own byte order.
pub(super) fn word(message: &[u8], at: usize) -> Option<u32> {
    let bytes = *message.get(at..)?.first_chunk()?;
    match message.first() {
        Some(b'B') => Some(u32::from_be_bytes(bytes)),
        _ => Some(u32::from_le_bytes(bytes)),
    }
}

/// The write half that sends a run of messages as one piece.
#[derive(Debug)]
pub(super) struct BatchedWrite {
    stream: OwnedWriteHalf,
    batch: Vec<u8>,
}

#[async_trait]
impl WriteHalf for BatchedWrite {
    async fn send_messages(&mut self, messages: &[Message]) -> zbus::Result<()> {
        self.batch.clear();
        for message in messages {
            self.batch.extend_from_slice(message.data());
        }
        self.stream.write_all(&self.batch).await?;
        Ok(())
    }

    async fn sendmsg(
        &mut self,
        buffer: &[u8],
        _fds: &[std::os::fd::BorrowedFd<'_>],
    ) -> io::Result<usize> {
        self.stream.write(buffer).await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(order: u8, body: u32, fields: u32) -> [u8; PRIMARY_HEADER] {
        let bytes = |number: u32| match order {
            b'B' => number.to_be_bytes(),
            _ => number.to_le_bytes(),
        };
        let mut header = [0; PRIMARY_HEADER];
        header[0] = order;
        header[4..8].copy_from_slice(&bytes(body));
        header[12..16].copy_from_slice(&bytes(fields));
        header
    }

    #[test]
    fn a_length_counts_header_fields_padding_and_body_in_either_byte_order() {
        let of = |order, body, fields| lengths(&header(order, body, fields)).unwrap();
        assert_eq!(
            of(b'l', 100, 0),
            Lengths {
                header: 16,
                whole: 116
            }
        );
        assert_eq!(
            of(b'l', 3, 9),
            Lengths {
                header: 25,
                whole: 16 + 16 + 3
            }
        );
        assert_eq!(
            of(b'B', 3, 9),
            Lengths {
                header: 25,
                whole: 16 + 16 + 3
            }
        );
        assert!(of(b'l', u32::MAX, u32::MAX).whole > LARGEST_MESSAGE);
    }

    #[test]
    fn an_unknown_byte_order_is_refused() {
        assert!(lengths(&header(b'x', 0, 0)).is_err());
        assert!(lengths(b"l").is_err());
    }

    #[tokio::test]
    async fn bytes_put_back_come_before_those_read_later() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (stream, _write) = near.into_split();
        let mut ahead = ReadAhead {
            stream,
            held: Vec::new(),
            taken: 0,
        };
        ahead.put_back(b"abc".to_vec());
        far.write_all(b"def").await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 6 {
            let mut small = [0; 2];
            let (count, fds) = ahead.recvmsg(&mut small).await.unwrap();
            assert!(fds.is_empty());
            seen.extend_from_slice(&small[..count]);
        }
        assert_eq!(seen, b"abcdef");
    }
}
