//! Listening sockets: from an [`Address`] to a [`Bound`] that gives out connections.
//!
//! Owns the socket options and the file of a Unix socket. It never decides how many connections
//! are taken ([`crate::net::accept`]). The surprising decision: the mode of a Unix socket is set on
//! the socket before it is bound, which Linux hands on to the file (unix(7), "Pathname socket
//! ownership and permissions" applies the umask to it), so there is no instant at which others can
//! connect.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FileType, Mode};
use tokio::net::{TcpSocket, UnixListener, UnixSocket, UnixStream};
use tokio::time::Instant;

use super::address::Address;
use super::early;
use super::resolve::Resolver;
use super::stream::{Peer, Stream};

/// Connections the kernel may hold before they are accepted; `net.core.somaxconn` caps it.
const BACKLOG: u32 = 1024;
/// How long the name of an address may take to be looked up.
const LOOKUP: Duration = Duration::from_secs(10);

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The host name of the address has no IP address.
    #[error("cannot listen on {address}: the name does not resolve")]
    Resolve {
        /// The address as configured.
        address: Address,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The system refused the socket; its kind tells a taken port from a forbidden one.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address as configured.
        address: Address,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process listens on the Unix socket.
    #[error("cannot listen on {address}: another process is listening there")]
    Alive {
        /// The address as configured.
        address: Address,
    },
    /// What lies at the path is no socket, and so is not ours to replace.
    #[error("cannot listen on {address}: a file that is not a socket is in the way")]
    NotSocket {
        /// The address as configured.
        address: Address,
    },
}

impl BindError {
    /// What kind of failure it is: `AddrInUse` for a taken port or a live socket, and so on.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Resolve { source, .. } | Self::Listen { source, .. } => source.kind(),
            Self::Alive { .. } => io::ErrorKind::AddrInUse,
            Self::NotSocket { .. } => io::ErrorKind::AlreadyExists,
        }
    }
}

/// A listening socket. Dropping it stops listening and removes the file of a Unix socket.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    address: Address,
}

#[derive(Debug)]
enum Listener {
    Tcp(early::Listener, SocketAddr),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "removes the file when dropped")] Option<SocketFile>,
    ),
}

impl Bound {
    /// Listens on `address`; `resolver` looks its name up, if it has one.
    ///
    /// # Errors
    /// See [`BindError`]; its [`kind`](BindError::kind) is `AddrInUse` when somebody else listens.
    pub async fn to(address: &Address, resolver: &Resolver) -> Result<Self, BindError> {
        let refused = |source| BindError::Listen {
            address: address.clone(),
            source,
        };
        let listener = match address {
            Address::Ip(place) => tcp(*place),
            Address::All(port) => match tcp((Ipv6Addr::UNSPECIFIED, *port).into()) {
                Err(error) if without_ipv6(&error) => tcp((Ipv4Addr::UNSPECIFIED, *port).into()),
                outcome => outcome,
            },
            Address::Name { host, port } => {
                let place =
                    resolved(host, *port, resolver)
                        .await
                        .map_err(|source| BindError::Resolve {
                            address: address.clone(),
                            source,
                        })?;
                tcp(place)
            }
            Address::Unix(path) => return unix(address, path).await,
            // Whoever has them passes them on; they are not for anybody to bind.
            Address::Passed => Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        Ok(Self {
            listener: listener.map_err(refused)?,
            address: address.clone(),
        })
    }

    /// A TCP socket that was passed on.
    pub(super) fn passed_tcp(listener: early::Listener, local: SocketAddr) -> Self {
        Self {
            listener: Listener::Tcp(listener, local),
            address: Address::Passed,
        }
    }

    /// A Unix socket that was passed on, whose file is not ours to remove.
    pub(super) fn passed_unix(listener: UnixListener) -> Self {
        Self {
            listener: Listener::Unix(listener, None),
            address: Address::Passed,
        }
    }

    /// The address as it was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The address as it is, with the port the kernel chose for port 0; none for a Unix socket.
    pub fn local(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(_, local) => Some(*local),
            Listener::Unix(..) => None,
        }
    }

    /// The next connection. Cancel-safe.
    ///
    /// # Errors
    /// What accept(2) says, also for a connection that broke before it was taken.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.listener {
            Listener::Tcp(listener, _) => {
                let (stream, address) = listener.accept().await?;
                Ok((Stream::Early(stream), Peer::tcp(address)))
            }
            Listener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let credentials = stream.peer_cred().ok();
                let peer = Peer::Unix {
                    pid: credentials.as_ref().and_then(tokio::net::unix::UCred::pid),
                    uid: credentials.as_ref().map(tokio::net::unix::UCred::uid),
                };
                Ok((Stream::Unix(stream), peer))
            }
        }
    }
}

fn tcp(place: SocketAddr) -> io::Result<Listener> {
    let socket = match place {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if place.ip() == Ipv6Addr::UNSPECIFIED {
        // Whatever net.ipv6.bindv6only says: `:9100` means all addresses.
        rustix::net::sockopt::set_ipv6_v6only(socket.as_fd(), false)?;
    }
    socket.set_reuseaddr(true)?;
    // Linux hands TCP_NODELAY on to accepted connections, which saves a call for each.
    socket.set_nodelay(true)?;
    socket.bind(place)?;
    let listener = socket.listen(BACKLOG)?.into_std()?;
    let local = listener.local_addr()?;
    Ok(Listener::Tcp(early::Listener::watch(listener)?, local))
}

/// Whether the kernel has no IPv6 (not built in, or `net.ipv6.conf.all.disable_ipv6`).
fn without_ipv6(error: &io::Error) -> bool {
    let kind = error
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error);
    matches!(
        kind,
        Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL)
    )
}

async fn resolved(host: &str, port: u16, resolver: &Resolver) -> io::Result<SocketAddr> {
    let deadline = Instant::now() + LOOKUP;
    let places = resolver.lookup(host, port, deadline).await?;
    let first = places
        .iter()
        .find(|place| place.is_ipv4())
        .or(places.first());
    first.copied().ok_or_else(|| io::ErrorKind::NotFound.into())
}

async fn unix(address: &Address, path: &Path) -> Result<Bound, BindError> {
    let refused = |source| BindError::Listen {
        address: address.clone(),
        source,
    };
    let (listener, file) = match listen_unix(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if !is_socket(path).map_err(refused)? {
                return Err(BindError::NotSocket {
                    address: address.clone(),
                });
            }
            // Only a refusal proves that nobody listens: a full backlog is a live process too.
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                _ => {
                    return Err(BindError::Alive {
                        address: address.clone(),
                    });
                }
            }
            rustix::fs::unlink(path).map_err(|errno| refused(errno.into()))?;
            listen_unix(path).map_err(refused)?
        }
        outcome => outcome.map_err(refused)?,
    };
    Ok(Bound {
        listener: Listener::Unix(listener, Some(file)),
        address: address.clone(),
    })
}

fn listen_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let mode = Mode::RUSR | Mode::WUSR;
    let socket = UnixSocket::new_stream()?;
    rustix::fs::fchmod(socket.as_fd(), mode)?;
    socket.bind(path)?;
    let file = SocketFile::at(path)?;
    // A kernel that does not hand the mode on gets it here, before anybody can connect.
    rustix::fs::chmod(path, mode)?;
    Ok((socket.listen(BACKLOG)?, file))
}

fn is_socket(path: &Path) -> io::Result<bool> {
    let stat = rustix::fs::lstat(path)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
}

/// The file of a Unix socket, removed on drop if it is still the one that was made here.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        let stat = rustix::fs::lstat(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = rustix::fs::lstat(&self.path)
            .is_ok_and(|stat| stat.st_dev == self.device && stat.st_ino == self.inode);
        if same {
            rustix::fs::unlink(&self.path).ok();
        }
    }
}
