//! The sockets of the machine: by sock_diag(7) where its network is ours, else as the files of /proc/net list them
//! (Documentation/networking/proc_net_tcp.rst).
//!
//! Sockets are handed over one by one: a busy machine has hundreds of thousands. The kernel tells them by netlink in a
//! fraction of the time that it takes to write them as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::netlink::request;
use super::parse::{fields, hexadecimal};
use super::pass::Pass;
use super::{ReadError, messages};

const BY_FAMILY: u16 = 20;
/// `TCPDIAG_GETSOCK`, the older request: TCP over both versions of IP, so that the kernel walks its table once and not twice.
const BOTH_FAMILIES: u16 = 18;
/// All states; the kernel has twelve.
const STATES: u32 = 0xfff;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Which sockets: a protocol over one version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sockets {
    /// TCP over IPv4.
    Tcp,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp,
    /// UDP over IPv6.
    Udp6,
}

impl Sockets {
    /// The file that lists them.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tcp6 => "tcp6",
            Self::Udp => "udp",
            Self::Udp6 => "udp6",
        }
    }

    /// A request for all of them: `inet_diag_req_v2` with nothing asked beside what each message has.
    fn message(self) -> Vec<u8> {
        let (family, protocol) = match self {
            Self::Tcp => (AF_INET, 6),
            Self::Tcp6 => (AF_INET6, 6),
            Self::Udp => (AF_INET, 17),
            Self::Udp6 => (AF_INET6, 17),
        };
        let mut body = vec![family, protocol, 0, 0];
        body.extend(STATES.to_ne_bytes());
        body.resize(56, 0);
        request(BY_FAMILY, &body)
    }
}

/// A request for all TCP sockets: `inet_diag_req` with nothing asked beside what each message has.
fn all_tcp() -> Vec<u8> {
    let mut body = vec![AF_INET, 0, 0, 0];
    body.resize(52, 0);
    body.extend(STATES.to_ne_bytes());
    body.resize(60, 0);
    request(BOTH_FAMILIES, &body)
}

/// One end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct End {
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 for none.
    pub port: u16,
}

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Its state as the kernel numbers it, from 1.
    pub state: u8,
    /// The near end.
    pub local: End,
    /// The far end.
    pub remote: End,
    /// Bytes received and not read; of a listener, connections not accepted yet.
    pub received: u64,
    /// Bytes not acknowledged; of a listener, how many connections may wait.
    pub sent: u64,
}

/// The socket of a message of sock_diag: `inet_diag_msg`.
#[must_use]
pub fn told(body: &[u8]) -> Option<Socket> {
    let [family, state, ..] = *body.first_chunk::<2>()?;
    let port = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
    let address = |at: usize| -> Option<IpAddr> {
        match family {
            AF_INET => Some(Ipv4Addr::from(*body.get(at..)?.first_chunk::<4>()?).into()),
            AF_INET6 => Some(Ipv6Addr::from(*body.get(at..)?.first_chunk::<16>()?).into()),
            _ => None,
        }
    };
    let number = |at: usize| Some(u32::from_ne_bytes(*body.get(at..)?.first_chunk()?));
    Some(Socket {
        state,
        local: End {
            address: address(8)?,
            port: port(4)?,
        },
        remote: End {
            address: address(24)?,
            port: port(6)?,
        },
        received: number(56)?.into(),
        sent: number(60)?.into(),
    })
}

/// The socket of a line of /proc/net/tcp or one of its kin; none for a title, and for a line that is cut or makes no sense.
#[must_use]
pub fn listed(line: &[u8]) -> Option<Socket> {
    let mut parts = fields(line).skip(1);
    let (local, remote) = (end(parts.next()?)?, end(parts.next()?)?);
    let state = u8::try_from(hexadecimal(parts.next()?)?).ok()?;
    let (sent, received) = halves(parts.next()?)?;
    Some(Socket {
        state,
        local,
        remote,
        received: hexadecimal(received)?,
        sent: hexadecimal(sent)?,
    })
}

fn halves(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, second) = field.split_at_checked(field.iter().position(|b| *b == b':')?)?;
    Some((first, second.get(1..)?))
}

/// An address and a port. The address stands there in words of 32 bits, each in the order of the machine's own bytes.
fn end(field: &[u8]) -> Option<End> {
    let (address, port) = halves(field)?;
    let port = u16::try_from(hexadecimal(port)?).ok()?;
    let mut bytes = [0; 16];
    let words = address.chunks(8);
    if !matches!(address.len(), 8 | 32) {
        return None;
    }
    for (into, word) in bytes.chunks_mut(4).zip(words) {
        into.copy_from_slice(&u32::try_from(hexadecimal(word)?).ok()?.to_ne_bytes());
    }
    let address = match address.len() {
        8 => Ipv4Addr::from(*bytes.first_chunk::<4>()?).into(),
        _ => Ipv6Addr::from(bytes).into(),
    };
    Some(End { address, port })
}

impl Pass<'_> {
    /// Hands over the sockets of a kind one by one, and says how many lines of a file are none.
    ///
    /// # Errors
    /// Where they can be had neither way; a kind that this machine does not have is not found.
    pub fn sockets(
        &mut self,
        kind: Sockets,
        each: &mut dyn FnMut(Socket),
    ) -> Result<u64, ReadError> {
        if self.dumped_sockets(BY_FAMILY, &kind.message(), each)? {
            return Ok(0);
        }
        self.listed_sockets(kind, each)
    }

    /// Hands over the TCP sockets of both versions of IP one by one, those that listen before the others of their version. Says what
    /// was read, and how many lines of it are no sockets; nothing where this machine has neither.
    ///
    /// # Errors
    /// Where some can be had neither way: half of the sockets would be a wrong number.
    pub fn tcp_sockets(
        &mut self,
        each: &mut dyn FnMut(Socket),
    ) -> Result<Vec<(Sockets, u64)>, ReadError> {
        if self.dumped_sockets(BOTH_FAMILIES, &all_tcp(), each)? {
            return Ok(vec![(Sockets::Tcp, 0)]);
        }
        let mut read = Vec::new();
        for kind in [Sockets::Tcp, Sockets::Tcp6] {
            match self.sockets(kind, each) {
                Ok(bad) => read.push((kind, bad)),
                Err(e) if e.is_not_found() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(read)
    }

    /// Hands over what sock_diag answers to a request; false where it does not answer.
    fn dumped_sockets(
        &mut self,
        kind: u16,
        request: &[u8],
        each: &mut dyn FnMut(Socket),
    ) -> Result<bool, ReadError> {
        if !self.host().shares_network() {
            return Ok(false);
        }
        let mut begun = false;
        let dumped = self.diagnose(request, &mut |part| {
            let sockets = messages(part).filter(|m| m.kind == kind);
            for socket in sockets.filter_map(|m| told(m.body)) {
                begun = true;
                each(socket);
            }
        });
        match dumped {
            Ok(()) => Ok(true),
            Err(source) if begun => {
                let path = "sock_diag".into();
                Err(ReadError { path, source })
            }
            // Asking is not allowed, or not known to this kernel.
            Err(_) => Ok(false),
        }
    }

    /// As [`Pass::sockets`], but from the file always. Its first line is a title, whatever it says.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn listed_sockets(
        &mut self,
        kind: Sockets,
        each: &mut dyn FnMut(Socket),
    ) -> Result<u64, ReadError> {
        let (mut titled, mut bad) = (false, 0);
        self.net_lines(kind.file(), &mut |line| match listed(line) {
            _ if !std::mem::replace(&mut titled, true) => {}
            Some(socket) => each(socket),
            None => bad += 1,
        })?;
        Ok(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_a_message_say_the_same() {
        let line = b"   0: 0100007F:46A0 0200000A:0050 0A 00000080:00000003 00:00000000 00000000     0        0 1 1";
        let socket = listed(line).unwrap();
        assert_eq!(socket.local.address.to_string(), "127.0.0.1");
        assert_eq!((socket.local.port, socket.remote.port), (18_080, 80));
        assert_eq!(socket.remote.address.to_string(), "10.0.0.2");
        assert_eq!((socket.state, socket.sent, socket.received), (10, 128, 3));
        let mut body = vec![AF_INET, 10, 0, 0];
        body.extend(18_080u16.to_be_bytes());
        body.extend(80u16.to_be_bytes());
        body.extend([127, 0, 0, 1]);
        body.resize(24, 0);
        body.extend([10, 0, 0, 2]);
        body.resize(56, 0);
        body.extend(3u32.to_ne_bytes());
        body.extend(128u32.to_ne_bytes());
        assert_eq!(told(&body), Some(socket));
        body.pop();
        assert_eq!(told(&body), None);
    }

    #[test]
    fn what_is_no_socket_is_passed_over() {
        let v6 = b" 1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0";
        assert_eq!(listed(v6).unwrap().local.address.to_string(), "::1");
        for bad in [
            "",
            "  sl  local_address rem_address   st tx_queue rx_queue",
            "0: 0100007F:46A0 00000000:0000 0A",
            "0: 0100007F:46A0 00000000:0000 100 0:0",
            "0: 0100007F:146A0 00000000:0000 0A 0:0",
            "0: 017F:46A0 00000000:0000 0A 0:0",
            "0: 0100007F:46A0 00000000:0000 0A 00",
            "0: 0100007G:46A0 00000000:0000 0A 0:0",
        ] {
            assert_eq!(listed(bad.as_bytes()), None, "{bad}");
        }
    }
}
