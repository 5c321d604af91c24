//! Passive checks: a Zabbix server connects, asks for keys, and is answered on the same connection.
//!
//! Owns the conversation: who may ask, how long everything may take, plain and JSON requests and
//! their replies, and what is counted of it. It knows no subject: values come from [`Answers`],
//! and the keys about the agent itself from [`Agent`], before anything else.
//!
//! ```text
//! accept -> allowed? -> TLS, if it is asked for -> one packet -> "{...": JSON, every check answered in turn -> one packet -> close
//!             no: close    not as accepted: close    bad: close  else: a plain key
//! ```
//!
//! The surprising decisions. A body that starts with `{` and is no JSON is a bad key, as for the
//! real agents. A bad key or a value that does not come is always answered, because a server takes
//! a silent close for a dead host; bytes that are no packet are never answered. All checks of one
//! JSON request are answered (the real agents answer the first), each within its own timeout
//! counted from the arrival of the request, so a request never takes longer than its longest.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::agent::Agent;
use super::answer::{Answers, Unsupported};
use super::key::Key;
use super::packet::{self, HEADER, Limits, NotRead};
use super::rules::Rules;
use super::values::Values;
use crate::net::allow::AllowList;
use crate::net::resolve::Resolver;
use crate::net::stream::Stream;
use crate::net::tls::{LONGEST_HANDSHAKE, mutual};

mod listen;
mod outcome;
mod request;

pub use super::options::{Invalid, Options};
pub use listen::serve;
pub use outcome::{Counters, Outcome};

use request::{Request, Timeout};

/// What the plain reply to an unsupported key starts with.
const NOT_SUPPORTED: &[u8] = b"ZBX_NOTSUPPORTED\0";

/// Everything needed to serve passive checks on any number of connections.
pub struct Server {
    values: Arc<Values>,
    allow: AllowList,
    /// Nothing: everybody speaks in plain.
    tls: Option<mutual::Server>,
    timeout: Duration,
    connections: usize,
    counters: Arc<Counters>,
    resolver: Resolver,
}

impl Server {
    /// Makes a server from its options. `node` is the host's name unless the options give one;
    /// the counters outlive the server, so that a reload does not set them back. `resolver` looks up
    /// the names of the `server` list.
    ///
    /// # Errors
    /// Everything that is wrong with the options.
    pub fn new(
        options: &Options,
        node: &str,
        answers: Arc<dyn Answers>,
        counters: Arc<Counters>,
        resolver: Resolver,
    ) -> Result<Self, Vec<Invalid>> {
        options.check()?;
        let bad = |bad: Vec<_>| bad.into_iter().map(Invalid::Server).collect::<Vec<_>>();
        let allow = AllowList::parse(&options.server).map_err(bad)?;
        if allow.is_open() && !options.listen.is_empty() {
            tracing::warn!(
                "zabbix.server lets everybody ask; list the addresses of your Zabbix servers"
            );
        }
        let rules = Rules::new(&options.rules).map_err(|why| vec![Invalid::Rules(why)])?;
        let agent = Agent {
            hostname: options.hostname.clone().unwrap_or_else(|| node.to_owned()),
            metadata: options.host_metadata.clone(),
        };
        Ok(Self {
            values: Arc::new(Values::new(agent, answers, rules)),
            allow,
            tls: options.tls.clone().map(mutual::Server::new),
            timeout: options.timeout.get(),
            connections: usize::from(options.connections),
            counters,
            resolver,
        })
    }

    /// Reads what connections are protected with.
    pub async fn prepare(&self) {
        if let Some(tls) = &self.tls {
            tls.prepare().await;
        }
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Serves one connection from accept to close, protected as the options ask.
    pub async fn take(&self, stream: Stream, peer: IpAddr) {
        match &self.tls {
            None => self.serve_connection(stream, peer).await,
            // Large, and nobody who speaks in plain needs carry its room.
            Some(tls) => Box::pin(self.protect(tls, stream, peer)).await,
        }
    }

    /// Serves one connection in plain; dropping the stream closes it. It ends by itself within three timeouts and whatever
    /// timeout a JSON request asks for.
    pub async fn serve_connection<S>(&self, mut stream: S, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let deadline = now() + self.timeout;
        if self.admits(peer, deadline).await {
            self.converse(&mut stream, peer, deadline).await;
        }
    }

    /// Whether who is at this address may ask.
    async fn admits(&self, peer: IpAddr, deadline: Instant) -> bool {
        let allowed = self.allow.allows(peer, &self.resolver, deadline).await;
        if !allowed {
            self.counters.of(Outcome::Refused).note(|left_out| {
                tracing::warn!(%peer, left_out, "refused a Zabbix peer: it is not in zabbix.server");
            });
        }
        allowed
    }

    /// The same behind the first byte, which says whether TLS is spoken.
    async fn protect(&self, tls: &mutual::Server, stream: Stream, peer: IpAddr) {
        let deadline = now() + self.timeout;
        if !self.admits(peer, deadline).await {
            return;
        }
        // Of a stranger, who may be waited for no longer than at any other listener.
        let patience = self.timeout.min(LONGEST_HANDSHAKE);
        let shaken = deadline.min(now() + patience);
        let met = tokio::time::timeout_at(shaken.into(), tls.meet(stream)).await;
        let mut stream = match met {
            Ok(Ok(Some(stream))) => stream,
            // Somebody looked whether the port is open.
            Ok(Ok(None)) => return self.counters.of(Outcome::Malformed).add(),
            Ok(Err(why)) => {
                self.counters.of(Outcome::Tls).note(|left_out| {
                    tracing::warn!(%peer, %why, left_out, "closed a Zabbix connection that is not as zabbix.tls asks");
                });
                return;
            }
            Err(_) => {
                self.counters.of(Outcome::TimedOut).note(|left_out| {
                    tracing::warn!(%peer, ?patience, left_out, "closed a Zabbix connection: no TLS handshake in time (zabbix.timeout, at most 10s)");
                });
                return;
            }
        };
        self.converse(&mut stream, peer, deadline).await;
        if stream.has_farewell() {
            // Whoever is gone by then has what it asked for.
            drop(tokio::time::timeout(self.timeout, stream.shutdown()).await);
        }
    }

    /// One request and its reply.
    async fn converse<S>(&self, stream: &mut S, peer: IpAddr, deadline: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let reply = match packet::read(stream, Limits::PASSIVE, deadline).await {
            Ok(body) => self.reply(&body).await,
            Err(NotRead::Cut(0)) => {
                // Somebody looked whether the port is open. The classic agent answers even that.
                self.counters.of(Outcome::Malformed).add();
                plain(Err(&Unsupported::INVALID_FORMAT))
            }
            Err(error) => {
                let outcome = match error {
                    NotRead::Late => Outcome::TimedOut,
                    _ => Outcome::Malformed,
                };
                self.counters.of(outcome).note(|left_out| {
                    tracing::warn!(%peer, left_out, %error, "closed on a bad Zabbix request");
                });
                return;
            }
        };
        let sending = async {
            stream.write_all(&reply).await?;
            stream.flush().await
        };
        let sent = tokio::time::timeout(self.timeout, sending).await;
        if !matches!(sent, Ok(Ok(()))) {
            self.counters.of(Outcome::Unsent).add();
        }
    }

    /// Notes a connection that is closed because too many are open already.
    fn turn_away(&self, peer: IpAddr) {
        self.counters.of(Outcome::TooMany).note(|left_out| {
            let limit = self.connections;
            tracing::warn!(
                %peer, limit, left_out,
                "closed a Zabbix connection: the limit of zabbix.connections is reached",
            );
        });
    }

    /// The packet that answers a request.
    async fn reply(&self, body: &[u8]) -> Vec<u8> {
        let arrived = now();
        match Request::parse(body) {
            Request::Plain(key) => {
                let answer = self.answer(key, arrived + self.timeout).await;
                plain(answer.as_deref())
            }
            Request::Json(checks) => {
                let mut reply = request::Reply::begin();
                for check in &checks {
                    let answer = match check.timeout {
                        _ if reply.is_full() => {
                            self.counters.of(Outcome::Unsupported).add();
                            Err(Unsupported::from("Too much for one reply."))
                        }
                        Timeout::Default => self.answer(check.key(), arrived + self.timeout).await,
                        Timeout::Of(timeout) => self.answer(check.key(), arrived + timeout).await,
                        Timeout::Unsupported => {
                            self.counters.of(Outcome::Unsupported).add();
                            Err(Unsupported::UNSUPPORTED_TIMEOUT)
                        }
                    };
                    reply.push(answer.as_deref());
                }
                reply.end()
            }
            Request::Bad(error) => {
                self.counters.of(Outcome::Malformed).add();
                request::Reply::error(&error)
            }
        }
    }

    /// Answers one key and counts how that went.
    async fn answer(&self, key: &[u8], deadline: Instant) -> Result<Cow<'_, str>, Unsupported> {
        let answer = self.find(key, deadline).await;
        let outcome = match &answer {
            Ok(_) => Outcome::Answered,
            Err(why) if *why == Unsupported::TIMED_OUT => Outcome::TimedOut,
            Err(_) => Outcome::Unsupported,
        };
        self.counters.of(outcome).add();
        answer
    }

    async fn find(&self, key: &[u8], deadline: Instant) -> Result<Cow<'_, str>, Unsupported> {
        self.value(&Key::parse_bytes(key)?, deadline).await
    }

    /// The value of a key until `deadline`: of the agent itself at once, of anything else as [`Answers`] knows it. Nothing
    /// is counted.
    ///
    /// # Errors
    /// Why there is none, in the agent's words.
    pub async fn value(
        &self,
        key: &Key<'_>,
        deadline: Instant,
    ) -> Result<Cow<'_, str>, Unsupported> {
        self.values.value(key, deadline).await
    }

    /// Who knows values, to whoever asks otherwise.
    pub fn values(&self) -> &Arc<Values> {
        &self.values
    }
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The reply to a plain key.
fn plain(answer: Result<&str, &Unsupported>) -> Vec<u8> {
    let (prefix, text) = match answer {
        Ok(text) => (&b""[..], text),
        Err(why) => (NOT_SUPPORTED, why.as_str()),
    };
    let mut out = Vec::with_capacity(HEADER + prefix.len() + text.len());
    let open = packet::begin(&mut out);
    out.extend_from_slice(prefix);
    out.extend_from_slice(text.as_bytes());
    open.seal(&mut out);
    out
}

#[cfg(test)]
mod tests;
