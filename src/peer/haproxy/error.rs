//! Why HAProxy did not do, or tell.

use std::io;

/// Longest text of HAProxy's shown.
const SHOWN: usize = 200;

/// Which server of which HAProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom {
    /// Where its socket is.
    pub place: String,
    /// The backend.
    pub backend: String,
    /// The server.
    pub server: String,
}

/// Why HAProxy did not do, or tell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there.
    #[error("HAProxy at {place} cannot be reached: {why}{}", help(place, why))]
    Connect {
        /// Where its socket is.
        place: String,
        /// Why.
        why: io::Error,
    },
    /// It took too long.
    #[error("HAProxy at {place} did not answer `{command}` in time")]
    Late {
        /// Where its socket is.
        place: String,
        /// What it was asked.
        command: String,
    },
    /// The connection broke.
    #[error("HAProxy at {place}: the connection broke at `{command}`: {why}")]
    Broken {
        /// Where its socket is.
        place: String,
        /// What it was asked.
        command: String,
        /// Why.
        why: io::Error,
    },
    /// More than is read.
    #[error(
        "HAProxy at {place} answers `{command}` with more than {most} bytes, and no more is read"
    )]
    TooLong {
        /// Where its socket is.
        place: String,
        /// What it was asked.
        command: String,
        /// The most that is read, in bytes.
        most: usize,
    },
    /// The socket's level does not allow it.
    #[error(
        "HAProxy at {place} denies `{command}`: give this `stats socket` of its config `level admin`"
    )]
    Denied {
        /// Where its socket is.
        place: String,
        /// What it was asked.
        command: String,
    },
    /// There is no such backend.
    #[error("HAProxy at {} has no backend {:?} (`backend`)", .0.place, .0.backend)]
    NoBackend(Whom),
    /// There is no such server.
    #[error("HAProxy at {} has no server {:?} in its backend {:?} (`server`, `backend`)", .0.place, .0.server, .0.backend)]
    NoServer(Whom),
    /// It does not know the command.
    #[error(
        "HAProxy at {place} does not know `{command}`: nodeward needs 2.0 or later, and its own socket, not that of its master process"
    )]
    Unknown {
        /// Where its socket is.
        place: String,
        /// What it was asked.
        command: String,
    },
    /// It said no.
    #[error("HAProxy at {place} refused `{command}`: {said}")]
    Refused {
        /// Where its socket is.
        place: String,
        /// What it was asked.
        command: String,
        /// In its words: the first line.
        said: String,
    },
    /// The answer is not what the runtime API promises.
    #[error("{place} does not answer `{command}` as HAProxy's runtime API does: {why}")]
    Unexpected {
        /// Where its socket is.
        place: String,
        /// What it was asked.
        command: String,
        /// What is wrong with it.
        why: String,
    },
}

fn help(place: &str, why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::NotFound if place.starts_with("unix:") => {
            " (is that the path of a `stats socket` in HAProxy's config?)"
        }
        io::ErrorKind::PermissionDenied => {
            " (may the user that nodeward runs as open it? `stats socket` has user, group and mode)"
        }
        io::ErrorKind::ConnectionRefused => {
            " (does HAProxy run, with a `stats socket` there in its config?)"
        }
        _ => "",
    }
}

/// What a refusal means.
pub(super) fn refusal(whom: Whom, command: &str, said: String) -> Error {
    let (place, command) = (whom.place.clone(), command.to_owned());
    match said.as_str() {
        "Permission denied" => Error::Denied { place, command },
        "No such server." => Error::NoServer(whom),
        "No such backend." | "Can't find backend." | "No such proxy." => Error::NoBackend(whom),
        text if text.starts_with("Unknown command") => Error::Unknown { place, command },
        _ => Error::Refused {
            place,
            command,
            said,
        },
    }
}

/// The first line that says something, without what a terminal or a log would take for more than text.
pub(super) fn first_line(answer: &[u8]) -> String {
    let line = answer
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(SHOWN).collect()
}
