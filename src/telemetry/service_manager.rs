//! Word to the service manager: ready, reloading, stopping, alive (sd_notify(3)).
//!
//! A datagram to the socket that `$NOTIFY_SOCKET` names; without one every call does nothing. Our
//! own few lines and not a crate: the one at hand takes the socket only from the environment, knows
//! no abstract sockets, and can wait on a full one for ever. Here a full one is waited for without
//! holding the runtime.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::timeout;

/// How long a message may wait for room in the service manager's queue.
const PATIENCE: Duration = Duration::from_secs(1);

/// A message could not be delivered.
#[derive(Debug, thiserror::Error)]
#[error("telling the service manager at {socket:?} {message:?}")]
pub struct Error {
    /// Value of `$NOTIFY_SOCKET`.
    pub socket: OsString,
    /// The first line of what was to be told.
    pub message: String,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// The service manager, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceManager {
    socket: Option<OsString>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// As the environment of this process names it: `NOTIFY_SOCKET`, `WATCHDOG_USEC`,
    /// `WATCHDOG_PID`.
    #[must_use]
    pub fn from_env() -> Self {
        let text = |name| std::env::var(name).ok();
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()),
            watchdog: watchdog(
                text("WATCHDOG_USEC").as_deref(),
                text("WATCHDOG_PID").as_deref(),
                std::process::id(),
            ),
        }
    }

    /// At `socket`: a path, or `@` and an abstract name.
    #[must_use]
    pub fn at(socket: impl Into<OsString>) -> Self {
        Self {
            socket: Some(socket.into()),
            watchdog: None,
        }
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// How long the service manager waits for [`alive`](Self::alive) before it takes us for hung;
    /// call it at half of that (sd_watchdog_enabled(3)). `None`: it does not watch.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Serving; also after a reload. `status` is shown by `systemctl status`.
    ///
    /// # Errors
    /// [`Error`], as all below: worth a line in the log, not more.
    pub async fn ready(&self, status: &str) -> Result<(), Error> {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)))
            .await
    }

    /// Reading the configuration again; [`ready`](Self::ready) must follow, whatever came of it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn reloading(&self) -> Result<(), Error> {
        // Type=notify-reload wants to know when, to tell this from an older message.
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"))
            .await
    }

    /// A line for `systemctl status`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn status(&self, status: &str) -> Result<(), Error> {
        self.send(&format!("STATUS={}", one_line(status))).await
    }

    /// Shutting down.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn stopping(&self) -> Result<(), Error> {
        self.send("STOPPING=1").await
    }

    /// Not hung.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn alive(&self) -> Result<(), Error> {
        self.send("WATCHDOG=1").await
    }

    async fn send(&self, message: &str) -> Result<(), Error> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let sent = timeout(PATIENCE, send_to(socket.as_bytes(), message)).await;
        sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| Error {
                socket: socket.clone(),
                message: message.lines().next().unwrap_or_default().to_owned(),
                source,
            })
    }
}

async fn send_to(socket: &[u8], message: &str) -> io::Result<()> {
    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?,
    };
    let datagram = UnixDatagram::unbound()?;
    datagram.set_nonblocking(true)?;
    // Only a connected socket tells when there is room at its other end.
    datagram.connect_addr(&address)?;
    let datagram = tokio::net::UnixDatagram::from_std(datagram)?;
    datagram.send(message.as_bytes()).await?;
    Ok(())
}

/// The interval, if it is meant for the process `own` and makes sense.
fn watchdog(microseconds: Option<&str>, process: Option<&str>, own: u32) -> Option<Duration> {
    if process.is_some_and(|process| process.parse() != Ok(own)) {
        return None;
    }
    let microseconds = microseconds?.parse().ok().filter(|number| *number > 0)?;
    Some(Duration::from_micros(microseconds))
}

/// A line end would begin another assignment.
fn one_line(status: &str) -> String {
    status.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Listening {
        directory: std::path::PathBuf,
        socket: UnixDatagram,
    }

    fn listening(name: &str) -> Listening {
        let name = format!("nodeward-notify-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let socket = UnixDatagram::bind(directory.join("notify")).unwrap();
        Listening { directory, socket }
    }

    impl Listening {
        fn manager(&self) -> ServiceManager {
            ServiceManager::at(self.directory.join("notify"))
        }
    }

    impl Drop for Listening {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.directory).ok();
        }
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn each_word_is_one_datagram() {
        let listening = listening("words");
        let manager = listening.manager();
        manager.ready("serving on 127.0.0.1:9100").await.unwrap();
        assert_eq!(
            heard(&listening.socket),
            "READY=1\nSTATUS=serving on 127.0.0.1:9100"
        );
        manager.status("a\nREADY=1").await.unwrap();
        assert_eq!(heard(&listening.socket), "STATUS=a READY=1");
        manager.alive().await.unwrap();
        assert_eq!(heard(&listening.socket), "WATCHDOG=1");
        manager.stopping().await.unwrap();
        assert_eq!(heard(&listening.socket), "STOPPING=1");
    }

    #[tokio::test]
    async fn a_reload_tells_the_monotonic_time_in_the_same_datagram() {
        let listening = listening("reload");
        let before = clock_gettime(ClockId::Monotonic).tv_sec;
        listening.manager().reloading().await.unwrap();
        let heard = heard(&listening.socket);
        let time = heard.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let seconds = time.parse::<i64>().unwrap() / 1_000_000;
        assert!(seconds >= before && seconds <= clock_gettime(ClockId::Monotonic).tv_sec);
    }

    #[tokio::test]
    async fn abstract_sockets_are_spoken_to() {
        let name = format!("nodeward-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        ServiceManager::at(format!("@{name}"))
            .alive()
            .await
            .unwrap();
        assert_eq!(heard(&socket), "WATCHDOG=1");
    }

    #[tokio::test]
    async fn without_a_service_manager_nothing_happens_and_a_dead_one_is_an_error() {
        let nobody = ServiceManager {
            socket: None,
            watchdog: None,
        };
        assert!(
            !nobody.is_there()
                && nobody.ready("x").await.is_ok()
                && nobody.reloading().await.is_ok()
        );
        let error = ServiceManager::at("/nonexistent/notify")
            .ready("x")
            .await
            .unwrap_err();
        assert_eq!(error.message, "READY=1");
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }

    /// Sends until there is no room; how many messages that took.
    fn fill(listening: &Listening) -> usize {
        // A sender has a limit of its own, which may come before that of the queue.
        let by_one = || {
            let filler = UnixDatagram::unbound().unwrap();
            filler.connect(listening.directory.join("notify")).unwrap();
            filler.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| filler.send(b"x").ok()).count()
        };
        std::iter::from_fn(|| Some(by_one()).filter(|sent| *sent > 0)).sum()
    }

    #[tokio::test]
    async fn a_full_queue_is_waited_for_while_others_work() {
        let listening = listening("full");
        let before = fill(&listening);
        listening.socket.set_nonblocking(true).unwrap();
        let socket = listening.socket.try_clone().unwrap();
        let socket = tokio::net::UnixDatagram::from_std(socket).unwrap();
        let manager = listening.manager();
        let reading = async {
            let mut bytes = [0; 64];
            let mut last = 0;
            for _ in 0..=before {
                last = socket.recv(&mut bytes).await.unwrap();
            }
            String::from_utf8(bytes[..last].to_vec()).unwrap()
        };
        let (sent, last) = tokio::join!(manager.alive(), reading);
        sent.unwrap();
        assert_eq!(last, "WATCHDOG=1");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_who_reads_is_an_error_in_the_end() {
        let listening = listening("deaf");
        fill(&listening);
        let error = listening.manager().stopping().await.unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn the_watchdog_is_ours_only_if_it_names_us() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), None, 7), second);
        assert_eq!(watchdog(Some("1000000"), Some("7"), 7), second);
        for (usec, pid) in [
            (Some("1000000"), Some("8")),
            (Some("1000000"), Some("x")),
            (Some("0"), None),
            (Some("-1"), None),
            (Some("soon"), None),
            (None, Some("7")),
        ] {
            assert_eq!(watchdog(usec, pid, 7), None, "{usec:?} {pid:?}");
        }
    }
}
