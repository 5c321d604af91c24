//! What can go wrong when asking systemd, in words an operator can act on.

use std::sync::Arc;

/// Why systemd gave no usable answer.
///
/// Cheap to clone: one failure of the connection is told to every call that waited for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The configured or inherited bus address cannot be used.
    #[error(
        "the D-Bus address {address:?} cannot be used: {why}; set DBUS_SYSTEM_BUS_ADDRESS or \
         `address` to something like unix:path=/run/dbus/system_bus_socket"
    )]
    Address {
        /// The address as it was given.
        address: Arc<str>,
        /// What is wrong with it.
        why: Arc<str>,
    },
    /// Nobody answers at the bus address, or the handshake failed.
    #[error("connecting to systemd at {address} failed: {why}")]
    Connect {
        /// The address that was tried first.
        address: Arc<str>,
        /// The system's or the peer's reason.
        why: Arc<str>,
    },
    /// No answer within the caller's deadline. The call is parked from here on.
    #[error("systemd did not answer {call} within the deadline")]
    Late {
        /// The D-Bus method.
        call: &'static str,
    },
    /// An earlier call is still unanswered, so this one was not sent.
    #[error("not asking systemd for {call}: an earlier call is still unanswered")]
    Parked {
        /// The D-Bus method.
        call: &'static str,
    },
    /// Too many callers wait already, so this one was not sent.
    #[error("not asking systemd for {call}: too many callers wait for it already")]
    Busy {
        /// The D-Bus method.
        call: &'static str,
    },
    /// The connection ended before the answer came.
    #[error("the connection to systemd ended before it answered: {why}")]
    Broken {
        /// How it ended.
        why: Arc<str>,
    },
    /// systemd, or the bus, answered with an error.
    #[error("systemd refused {call}: {name}: {text}")]
    Refused {
        /// The D-Bus method.
        call: &'static str,
        /// The D-Bus error name, for example `org.freedesktop.DBus.Error.UnknownProperty`.
        name: Arc<str>,
        /// The human readable part; may be empty.
        text: Arc<str>,
    },
    /// The answer does not have the shape that the D-Bus interface of systemd documents.
    #[error("the answer of systemd to {call} is not what its interface promises: {why}")]
    Unexpected {
        /// The D-Bus method.
        call: &'static str,
        /// What did not fit.
        why: Arc<str>,
    },
    /// A job had not ended when its caller stopped waiting. It goes on.
    #[error("systemd's job {job} had not ended within the deadline, and goes on")]
    Unfinished {
        /// Its object path.
        job: Arc<str>,
    },
    /// A path, interface or property name that D-Bus does not allow; nothing was sent.
    #[error("{name:?} is not a valid D-Bus name or object path")]
    Name {
        /// The name as it was given.
        name: Arc<str>,
    },
}

impl Error {
    /// Whether the failure concerns the connection as a whole and not the one thing asked for.
    #[must_use]
    pub fn is_of_connection(&self) -> bool {
        !matches!(
            self,
            Self::Refused { .. } | Self::Unexpected { .. } | Self::Name { .. }
        )
    }
}
