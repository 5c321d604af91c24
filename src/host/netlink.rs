//! Dumps of the kernel's network tables by netlink(7).
//!
//! Owns the socket and the framing of messages, not what they say. A dump never blocks: the kernel puts the next
//! part together when it is asked for it, so a part that is not there means that something else went wrong.

use std::io;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{Protocol, recv, send, socket_with};

use super::file::LARGEST;

/// The most the kernel puts into one part of a dump (`NLMSG_GOODSIZE` and its kin).
const PART: usize = 32 << 10;
const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST_DUMP: u16 = 0x301;
const IFLA_EXT_MASK: u16 = 29;

/// A table of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dump {
    /// Network interfaces: `RTM_NEWLINK` messages.
    Links,
    /// Their addresses: `RTM_NEWADDR` messages.
    Addresses,
    /// What is known of others on the links, by IPv4 (ARP): `RTM_NEWNEIGH` messages.
    Neighbours,
}

impl Dump {
    /// Type of the request, and what follows its header: `ifinfomsg`, `ifaddrmsg` or `ndmsg`.
    fn request(self) -> (u16, Vec<u8>) {
        match self {
            Self::Links => {
                let mut body = vec![0; 16];
                // Without the counters of IPv6 (`RTEXT_FILTER_SKIP_STATS`), which nobody reads here and which cost
                // the kernel more than all the rest.
                body.extend(8u16.to_ne_bytes());
                body.extend(IFLA_EXT_MASK.to_ne_bytes());
                body.extend(8u32.to_ne_bytes());
                (18, body)
            }
            Self::Addresses => (22, vec![0; 8]),
            Self::Neighbours => {
                let mut body = vec![0; 12];
                if let Some(family) = body.first_mut() {
                    *family = 2;
                }
                (30, body)
            }
        }
    }

    /// Type of the messages in the answer.
    #[must_use]
    pub const fn answer(self) -> u16 {
        match self {
            Self::Links => 16,
            Self::Addresses => 20,
            Self::Neighbours => 28,
        }
    }

    /// What the request is called, for messages to people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Links => "rtnetlink RTM_GETLINK",
            Self::Addresses => "rtnetlink RTM_GETADDR",
            Self::Neighbours => "rtnetlink RTM_GETNEIGH",
        }
    }

    /// The request as it is sent.
    fn message(self) -> Vec<u8> {
        let (kind, body) = self.request();
        request(kind, &body)
    }
}

/// A request for a dump as it is sent.
pub(super) fn request(kind: u16, body: &[u8]) -> Vec<u8> {
    let total = u32::try_from(HEADER + body.len()).unwrap_or_default();
    let mut request = Vec::with_capacity(HEADER + body.len());
    request.extend(total.to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    // Number of the request and of the sender.
    request.resize(HEADER, 0);
    request.extend(body);
    request
}

/// A socket to ask the kernel with, kept open between dumps.
#[derive(Debug)]
pub(super) struct Netlink {
    protocol: Option<Protocol>,
    socket: Option<OwnedFd>,
}

impl Netlink {
    /// One for rtnetlink(7), which is protocol 0.
    pub(super) const ROUTE: Self = Self::of(None);
    /// One for sock_diag(7).
    pub(super) const SOCKETS: Self = Self::of(Some(SOCK_DIAG));

    const fn of(protocol: Option<Protocol>) -> Self {
        Self {
            protocol,
            socket: None,
        }
    }

    /// All messages of a table, one behind the other, of the network namespace the socket was made in.
    pub(super) fn dump(&mut self, dump: Dump) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        self.ask(&dump.message(), &mut |part| {
            if out.len() <= LARGEST {
                out.extend_from_slice(part);
            }
        })?;
        match out.len() > LARGEST {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(out),
        }
    }

    /// Sends a request for a dump and hands over the answer part by part, each of whole messages.
    pub(super) fn ask(&mut self, request: &[u8], each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => socket_with(
                AddressFamily::NETLINK,
                SocketType::RAW,
                SocketFlags::CLOEXEC,
                self.protocol,
            )?,
        };
        take(&socket, request, each)?;
        // After an error the rest of an answer may still be waiting in it: then it is not kept.
        self.socket = Some(socket);
        Ok(())
    }
}

fn take(socket: &OwnedFd, request: &[u8], each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    send(socket, request, SendFlags::empty())?;
    let mut part = Vec::with_capacity(PART);
    loop {
        part.clear();
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let (_, length) = recv(socket, spare_capacity(&mut part), flags)?;
        if length == 0 || length > part.capacity() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if let Some(failed) = messages(&part).find(|m| m.kind == ERROR) {
            let code = failed.body.first_chunk();
            let code = code.map_or(0, |b| i32::from_ne_bytes(*b));
            return Err(io::Error::from_raw_os_error(code.wrapping_neg()));
        }
        each(&part);
        if messages(&part).any(|m| m.kind == DONE) {
            return Ok(());
        }
    }
}

/// One message of a dump.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type.
    pub kind: u16,
    /// What follows its header.
    pub body: &'a [u8],
}

/// The messages in some bytes, up to the first that is cut or has an impossible length.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*rest.first_chunk()?)).ok()?;
        let kind = u16::from_ne_bytes(*rest.get(4..)?.first_chunk()?);
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, body })
    })
}

/// The attributes in some bytes, with their types, up to the first that is cut or has an impossible length.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    /// Bits of the type that say how the value is written.
    const FLAGS: u16 = 0xc000;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & !FLAGS, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_its_loopback() {
        let mut netlink = Netlink::ROUTE;
        let bytes = netlink.dump(Dump::Links).unwrap();
        let loopback = messages(&bytes)
            .filter(|m| m.kind == Dump::Links.answer())
            .any(|m| attributes(m.body.get(16..).unwrap()).any(|a| a == (3, b"lo\0")));
        assert!(loopback);
        let addresses = netlink.dump(Dump::Addresses).unwrap();
        let told = |m: &Message<'_>| m.kind == Dump::Addresses.answer();
        assert!(messages(&addresses).any(|m| told(&m)));
        let again = netlink.dump(Dump::Links).unwrap();
        assert!(!messages(&again).any(|m| told(&m)));
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_ends_the_list() {
        let good = [
            20u32.to_ne_bytes(),
            16u32.to_ne_bytes(),
            [0; 4],
            [0; 4],
            [7; 4],
        ]
        .concat();
        let mut bytes = [good.clone(), good.clone()].concat();
        assert_eq!(messages(&bytes).count(), 2);
        bytes.pop();
        assert_eq!(messages(&bytes).count(), 1);
        for length in [0u32, 15, 21, u32::MAX] {
            let mut lie = good.clone();
            lie.splice(..4, length.to_ne_bytes());
            assert_eq!(messages(&lie).count(), 0, "{length}");
        }
        assert_eq!(messages(&good).next().unwrap().body, [7; 4]);
        assert_eq!(attributes(&[0; 8]).count(), 0);
        assert_eq!(attributes(&[255; 8]).count(), 0);
    }
}
