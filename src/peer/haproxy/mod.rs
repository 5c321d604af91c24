//! A client of HAProxy's runtime API, over a Unix socket or TCP.
//!
//! Owns the commands that nodeward gives and what the answers mean. It never decides whether a server is to be out. The surprising
//! decision: one command a connection, as HAProxy itself ends each without its prompt: an answer has no other mark of its end that
//! holds for every command, and an answer that is cut off must not look like a short one.
//!
//! HAProxy 2.0 and later, management guide section 9.3 ("Unix Socket commands"); measured with 2.6.

mod csv;
mod error;
mod name;
mod server;
mod sessions;
#[cfg(test)]
mod tests;

use std::fmt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::net::connect::connect;
use crate::net::endpoint::Place;
use crate::net::resolve::Resolver;

pub use error::Error;
use error::{first_line, refusal};
pub use name::{Name, NotAName};
pub use server::{Admin, Malformed, Server, servers};
pub use sessions::{Session, sessions};

/// Largest list of servers read; 1,000 servers take about half of it.
const SERVERS: usize = 1 << 20;
/// Largest list of sessions read: about 3,000 of them.
const SESSIONS: usize = 1 << 20;
/// Largest answer read of a command that tells nothing.
const WORD: usize = 16 << 10;

/// What a server is told to be (`set server B/S state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It takes sessions; lifts drain and maintenance, whoever set them.
    Ready,
    /// It takes no new sessions, but those that are bound to it, by a cookie for one.
    Drain,
    /// It takes none, and is not checked. A request that runs is left alone.
    Maint,
}

impl State {
    /// As the command writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

/// What a server's weight is set to (`set server B/S weight`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Percent of the weight that HAProxy's own config gives it, rounded down: 10 % of 1 is 0.
    Percent(u8),
    /// The weight itself, 0 to 256.
    Absolute(u32),
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Absolute(weight) => write!(f, "{weight}"),
        }
    }
}

/// One server of one backend of the HAProxy behind one socket. It keeps no connection.
#[derive(Debug, Clone)]
pub struct Runtime {
    place: Place,
    backend: Name,
    server: Name,
    resolver: Resolver,
}

impl Runtime {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(place: Place, backend: Name, server: Name, resolver: Resolver) -> Self {
        Self {
            place,
            backend,
            server,
            resolver,
        }
    }

    /// Where its socket is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The name of the server that it speaks for.
    #[must_use]
    pub fn server(&self) -> &Name {
        &self.server
    }

    /// That the server is not among those of the backend.
    #[must_use]
    pub fn no_server(&self) -> Error {
        Error::NoServer(self.whom())
    }

    /// The servers of the backend: whole, or an error. The one that it speaks for is among them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn servers(&self, deadline: Instant) -> Result<Vec<Server>, Error> {
        let state = format!("show servers state {}", self.backend);
        let states = self.ask(&state, SERVERS, deadline).await?;
        let states = server::states(&states).map_err(|why| self.told(&state, why))?;
        let Some(id) = states.first().map(server::State::backend) else {
            return Err(self.no_server());
        };
        // By its number: a frontend may have the name of a backend, and is found first.
        let stat = format!("show stat {id} 4 -1");
        let counts = self.ask(&stat, SERVERS, deadline).await?;
        let counts = server::counts(&counts).map_err(|why| self.told(&stat, why))?;
        let joined = server::join(states, counts, self.backend.as_str())
            .map_err(|why| self.told(&stat, why))?;
        if !joined.iter().any(|one| one.name == self.server.as_str()) {
            return Err(self.no_server());
        }
        Ok(joined)
    }

    /// The sessions of all of HAProxy, each with where it comes from and who serves it.
    ///
    /// # Errors
    /// [`Error::TooLong`] if there are more than about 3,000; see [`Error`].
    pub async fn sessions(&self, deadline: Instant) -> Result<Vec<Session>, Error> {
        let command = "show sess";
        let answer = self.ask(command, SESSIONS, deadline).await?;
        sessions(&answer).map_err(|why| self.told(command, why))
    }

    /// Sets the state of the server.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_state(&self, state: State, deadline: Instant) -> Result<(), Error> {
        let command = format!("set server {} state {}", self.path(), state.as_str());
        self.order(&command, deadline).await
    }

    /// Sets the weight of the server.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_weight(&self, weight: Weight, deadline: Instant) -> Result<(), Error> {
        let command = format!("set server {} weight {weight}", self.path());
        self.order(&command, deadline).await
    }

    /// Ends the sessions that the server has; they are gone soon after the answer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn shutdown_sessions(&self, deadline: Instant) -> Result<(), Error> {
        let command = format!("shutdown sessions server {}", self.path());
        self.order(&command, deadline).await
    }

    /// Gives a command that is answered by an empty line when it was done.
    async fn order(&self, command: &str, deadline: Instant) -> Result<(), Error> {
        let answer = self.ask(command, WORD, deadline).await?;
        if answer.trim_ascii().is_empty() {
            return Ok(());
        }
        Err(self.refused(command, &answer))
    }

    async fn ask(&self, command: &str, most: usize, deadline: Instant) -> Result<Vec<u8>, Error> {
        let whole = self.exchange(command, most, deadline);
        let answer = timeout_at(deadline, whole)
            .await
            .unwrap_or_else(|_| Err(self.late(command)))?;
        // HAProxy ends each answer with an empty line; without it the connection broke before.
        if answer.ends_with(b"\n") {
            return Ok(answer);
        }
        Err(Error::Unexpected {
            place: self.place.to_string(),
            command: command.into(),
            why: if answer.is_empty() {
                "it closed the connection without an answer".into()
            } else {
                "the answer is cut off".into()
            },
        })
    }

    async fn exchange(
        &self,
        command: &str,
        most: usize,
        deadline: Instant,
    ) -> Result<Vec<u8>, Error> {
        let connecting = connect(&self.place, deadline, &self.resolver).await;
        let mut stream = connecting.map_err(|why| Error::Connect {
            place: self.place.to_string(),
            why,
        })?;
        let broken = |why| Error::Broken {
            place: self.place.to_string(),
            command: command.into(),
            why,
        };
        let line = format!("{command}\n");
        stream.write_all(line.as_bytes()).await.map_err(broken)?;
        let mut answer = Vec::new();
        let mut bounded = stream.take(most as u64 + 1);
        bounded.read_to_end(&mut answer).await.map_err(broken)?;
        if answer.len() > most {
            return Err(Error::TooLong {
                place: self.place.to_string(),
                command: command.into(),
                most,
            });
        }
        Ok(answer)
    }

    fn late(&self, command: &str) -> Error {
        Error::Late {
            place: self.place.to_string(),
            command: command.into(),
        }
    }

    /// What is not the list that was asked for: HAProxy says no, or this is no HAProxy.
    fn told(&self, command: &str, why: Malformed) -> Error {
        match why {
            Malformed::Said(text) => self.refused(command, text.as_bytes()),
            why => self.unexpected(command, why),
        }
    }

    fn unexpected(&self, command: &str, why: Malformed) -> Error {
        Error::Unexpected {
            place: self.place.to_string(),
            command: command.into(),
            why: why.to_string(),
        }
    }

    fn refused(&self, command: &str, answer: &[u8]) -> Error {
        refusal(self.whom(), command, first_line(answer))
    }

    fn whom(&self) -> error::Whom {
        error::Whom {
            place: self.place.to_string(),
            backend: self.backend.to_string(),
            server: self.server.to_string(),
        }
    }

    fn path(&self) -> String {
        format!("{}/{}", self.backend, self.server)
    }
}
