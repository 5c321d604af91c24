//! Listening sockets that the service manager opened and passed on: sd_listen_fds(3), `--web.systemd-socket`.
//!
//! Owns taking them out of the environment, once and before any thread runs, since that changes the environment. They are
//! systemd's: their options, their mode and the file of a Unix socket are left as they are.

use std::io;

use listenfd::ListenFd;

use super::bind::Bound;
use super::early;

/// The sockets, in the order of the unit; each is given out once.
#[derive(Debug, Default)]
pub struct Passed(Vec<Socket>);

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Passed {
    /// Takes what was passed to this process.
    ///
    /// # Errors
    /// None was passed, or one of them is no stream socket.
    pub fn take() -> Result<Self, String> {
        let mut passed = ListenFd::from_env();
        let sockets: Result<Vec<_>, _> = (0..passed.len())
            .map(|index| match passed.take_tcp_listener(index) {
                Ok(socket) => Ok(socket.map(Socket::Tcp)),
                Err(_) => Ok(passed.take_unix_listener(index)?.map(Socket::Unix)),
            })
            .collect();
        let sockets = sockets.map_err(|error: io::Error| {
            format!(
                "a socket that systemd passed cannot be used: {error}; ListenStream= of the socket unit makes one that can"
            )
        })?;
        let sockets: Vec<_> = sockets.into_iter().flatten().collect();
        match sockets.is_empty() {
            true => Err(
                "systemd passed no socket (LISTEN_FDS): start the socket unit, or leave out --web.systemd-socket and \
                 http.listen: [systemd]"
                    .into(),
            ),
            false => Ok(Self(sockets)),
        }
    }

    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that are left, listening. Must be called on the runtime.
    ///
    /// # Errors
    /// What the system says when they are to be watched.
    pub fn bound(&mut self) -> io::Result<Vec<Bound>> {
        let sockets = std::mem::take(&mut self.0).into_iter();
        let bound = sockets.map(|socket| match socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let local = listener.local_addr()?;
                Ok(Bound::passed_tcp(early::Listener::watch(listener)?, local))
            }
            Socket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Bound::passed_unix(tokio::net::UnixListener::from_std(
                    listener,
                )?))
            }
        });
        bound.collect()
    }
}
