//! A client of a container engine: Docker, or Podman by its Docker API, over a Unix socket.
//!
//! Owns the few calls that healing needs, where the socket is, and what answers mean. Never creates, removes or changes a container, and
//! never decides what one needs. The paths carry no version, so that each engine answers in its newest: a version that is too old is
//! refused as well as one that is too new.
//!
//! Docker Engine API 1.41 and later, `/containers`.

mod logs;
#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::net::client::{self, Client, Limits, Protocol, Request, Response};
use crate::net::endpoint::{Endpoint, EndpointError, percent_encoded};
use crate::net::resolve::Resolver;

/// Largest answer read; inspecting a container takes a few KiB.
const ANSWER: usize = 1 << 20;
/// How long the engine has for an answer beside the time that it waits for a container to stop.
pub const MARGIN: Duration = Duration::from_secs(5);
/// How long an engine waits for a container to stop if neither says so.
const STOP_WAIT: u64 = 10;

/// Where the engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Path of the engine's API socket. Default: the first that is there of /run/docker.sock, /run/podman/podman.sock and
    /// $XDG_RUNTIME_DIR/podman/podman.sock, looked for when an action needs it.
    pub socket: Option<PathBuf>,
}

impl Options {
    /// The sockets to try, in order.
    #[must_use]
    pub fn sockets(&self) -> Vec<PathBuf> {
        if let Some(socket) = &self.socket {
            return vec![socket.clone()];
        }
        let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
        let rootless = own.map(|dir| Path::new(&dir).join("podman/podman.sock"));
        ["/run/docker.sock", "/run/podman/podman.sock"]
            .map(PathBuf::from)
            .into_iter()
            .chain(rootless)
            .collect()
    }
}

/// What an engine is asked to do with a container.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Stop it and start it again; start it if it does not run.
    Restart,
    /// Start it; nothing if it runs.
    Start,
    /// Stop it; nothing if it does not run.
    Stop,
    /// Kill it, without asking it to stop.
    Kill,
}

impl Verb {
    /// As the API and the config write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
        }
    }

    /// Whether the engine waits for the container to stop.
    #[must_use]
    pub const fn stops(self) -> bool {
        matches!(self, Self::Restart | Self::Stop)
    }
}

/// What became of what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// It was done.
    Done,
    /// It was so already.
    AlreadySo,
}

/// One container, as far as healing looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`; podman has `stopped` and more.
    pub status: String,
    /// Whether it runs.
    pub running: bool,
    /// Whether the engine is about to start it again by its restart policy.
    pub restarting: bool,
    /// Process id of its first process, or 0.
    pub pid: u64,
    /// When it was last started, in the engine's words.
    pub started_at: String,
    /// When it last ended, in the engine's words.
    pub finished_at: String,
    /// Exit code of its last run.
    pub exit_code: i64,
    /// Whether its last run was ended for want of memory.
    pub oom_killed: bool,
    /// `starting`, `healthy`, `unhealthy`; empty without a health check.
    pub health: String,
    /// Seconds that the engine waits for it to stop.
    pub stop_wait: u64,
}

/// Why the engine did not do, or tell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket.
    #[error(
        "no container engine: none of {0} is there; name its socket, and start it (for Podman: podman.socket)"
    )]
    Nowhere(String),
    /// The path cannot be a socket's.
    #[error("{path}: {why}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: EndpointError,
    },
    /// No whole answer.
    #[error(transparent)]
    Http(#[from] client::Error),
    /// There is no such container.
    #[error("the engine knows no container {0:?}")]
    Unknown(String),
    /// It said no.
    #[error("the engine refused with status {status}: {message}")]
    Refused {
        /// Status of the answer.
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("the engine's answer is not what its API promises: {0}")]
    Unexpected(String),
}

impl Error {
    /// Whether the engine surely has not done it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Nowhere(_) | Self::Path { .. } | Self::Unknown(_) | Self::Refused { .. } => true,
            Self::Http(error) => matches!(
                error,
                client::Error::Connect { .. } | client::Error::BadRequest { .. }
            ),
            Self::Unexpected(_) => false,
        }
    }

    /// Whether we may not use the socket.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Http(client::Error::Connect { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied)
    }
}

/// A client of the engine. Connects for each call: they are minutes apart.
#[derive(Debug, Clone)]
pub struct Engine {
    sockets: Vec<PathBuf>,
}

impl Engine {
    /// A client; opens nothing yet.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            sockets: options.sockets(),
        }
    }

    /// Where it looks for the engine.
    #[must_use]
    pub fn sockets(&self) -> &[PathBuf] {
        &self.sockets
    }

    /// The state of a container, by its name or id.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn inspect(&self, name: &str, within: Duration) -> Result<Container, Error> {
        read(&self.inspection(name, within).await?.body)
    }

    async fn inspection(&self, name: &str, within: Duration) -> Result<Response, Error> {
        let path = format!("/containers/{}/json", percent_encoded(name));
        let answer = self.send(Request::get().at(&path).within(within)).await?;
        match answer.status.as_u16() {
            200 => Ok(answer),
            _ => Err(refusal(name, &answer)),
        }
    }

    /// All that the engine tells of a container, as it tells it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn inspect_whole(
        &self,
        name: &str,
        within: Duration,
    ) -> Result<serde_json::Value, Error> {
        let answer = self.inspection(name, within).await?;
        serde_json::from_slice(&answer.body).map_err(|e| Error::Unexpected(e.to_string()))
    }

    /// The last lines that a container wrote; fewer of them where they are too long. Bytes as it wrote them.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn logs(&self, name: &str, lines: u32, within: Duration) -> Result<Vec<u8>, Error> {
        let until = Instant::now() + within;
        let mut lines = lines;
        loop {
            let path = format!(
                "/containers/{}/logs?stdout=1&stderr=1&timestamps=1&tail={lines}",
                percent_encoded(name)
            );
            let left = until.saturating_duration_since(Instant::now());
            match self.send(Request::get().at(&path).within(left)).await {
                Err(Error::Http(client::Error::TooLarge { .. })) if lines > 1 => lines /= 8,
                Err(error) => return Err(error),
                Ok(answer) if answer.status == 200 => return Ok(logs::text(answer.body.into())),
                Ok(answer) => return Err(refusal(name, &answer)),
            }
            lines = lines.max(1);
        }
    }

    /// Has the engine do something with a container; for those that stop it, after at most `stop_wait` it is killed. Waits until the
    /// engine says that it is done, at most `within`, which has to be longer than `stop_wait`.
    ///
    /// # Errors
    /// [`Error`]; unless [`Error::is_refusal`] it may have been done.
    pub async fn act(
        &self,
        verb: Verb,
        name: &str,
        stop_wait: u64,
        within: Duration,
    ) -> Result<Did, Error> {
        let mut path = format!("/containers/{}/{}", percent_encoded(name), verb.as_str());
        if verb.stops() {
            path.push_str(&format!("?t={stop_wait}"));
        }
        let request = Request::post("").at(&path).within(within).at_most_once();
        let answer = self.send(request).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(Did::Done),
            304 => Ok(Did::AlreadySo),
            _ => Err(refusal(name, &answer)),
        }
    }

    async fn send(&self, request: Request) -> Result<Response, Error> {
        let limits = Limits {
            response: ANSWER,
            ..Limits::default()
        };
        let mut first = None;
        for socket in &self.sockets {
            let endpoint: Endpoint =
                format!("unix:{}", socket.display())
                    .parse()
                    .map_err(|why| Error::Path {
                        path: socket.display().to_string(),
                        why,
                    })?;
            let client = Client::new(endpoint, Protocol::Http1, limits, Resolver::default());
            match client.send(request.clone()).await {
                // Nobody is there: nothing was sent.
                Err(client::Error::Connect { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error @ client::Error::Connect { .. }) => {
                    first.get_or_insert(error);
                }
                answer => return Ok(answer?),
            }
        }
        let tried: Vec<_> = self
            .sockets
            .iter()
            .map(|s| s.display().to_string())
            .collect();
        Err(first.map_or_else(|| Error::Nowhere(tried.join(", ")), Error::Http))
    }
}

fn refusal(name: &str, answer: &Response) -> Error {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Said {
        message: String,
    }
    if answer.status == 404 {
        return Error::Unknown(name.to_owned());
    }
    let said: Said = serde_json::from_slice(&answer.body).unwrap_or_default();
    Error::Refused {
        status: answer.status.as_u16(),
        message: said.message.chars().take(512).collect(),
    }
}

/// Reads `ContainerInspect`'s answer; a field that an engine leaves out is empty.
fn read(body: &[u8]) -> Result<Container, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Whole {
        id: String,
        state: State,
        #[serde(default)]
        config: Config,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct State {
        status: String,
        #[serde(default)]
        running: bool,
        #[serde(default)]
        restarting: bool,
        #[serde(default)]
        pid: i64,
        #[serde(default)]
        started_at: String,
        #[serde(default)]
        finished_at: String,
        #[serde(default)]
        exit_code: i64,
        #[serde(default, rename = "OOMKilled")]
        oom_killed: bool,
        #[serde(default)]
        health: Option<Health>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Health {
        #[serde(default)]
        status: String,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        #[serde(default)]
        stop_timeout: Option<i64>,
    }
    let whole: Whole =
        serde_json::from_slice(body).map_err(|e| Error::Unexpected(e.to_string()))?;
    let stop_wait = whole.config.stop_timeout.map(u64::try_from);
    Ok(Container {
        id: whole.id,
        status: whole.state.status,
        running: whole.state.running,
        restarting: whole.state.restarting,
        pid: u64::try_from(whole.state.pid).unwrap_or_default(),
        started_at: whole.state.started_at,
        finished_at: whole.state.finished_at,
        exit_code: whole.state.exit_code,
        oom_killed: whole.state.oom_killed,
        health: whole
            .state
            .health
            .map(|health| health.status)
            // Docker's word for "no health check".
            .filter(|status| status != "none")
            .unwrap_or_default(),
        stop_wait: stop_wait.and_then(Result::ok).unwrap_or(STOP_WAIT),
    })
}
