//! HAProxy asks this node: its agent-check.
//!
//! HAProxy connects every `agent-inter` and reads one line. What of it is said to whom is decided here: `ready` takes back any
//! maintenance, an operator's too, and so only who had `drain` or `maint` from nodeward gets it, and no more often than is needed.
//!
//! ```text
//!  up                  nothing is wanted: leaves whatever else is set
//!  drain, maint        the node is to be out
//!  ready up 40%        the same HAProxy had one of these: twice, for a connection may break after the first
//!  up 40%              a share
//! ```
//!
//! HAProxy goes on with what it has when nobody answers: a nodeward that ends changes nothing.

mod askers;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use self::askers::Askers;
use super::{Asked, Gate, Heard, Kind, Wanted, World};
use crate::net::address::Address;
use crate::net::allow::AllowList;
use crate::net::resolve::Resolver;
use crate::net::stream::Stream;
use crate::net::tally::Tally;

/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most of what is read of what a client sends (`agent-send`), in bytes.
const UNREAD: usize = 4096;

/// A gate that HAProxy asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HaproxyAgent {
    /// Where HAProxy asks (`agent-port`): `host:port`, or `:port` for all addresses. Where one HAProxy has this node in several
    /// backends, give each an address of its own.
    pub listen: Vec<String>,
    /// Who may ask: addresses, networks and names. Default: this machine and private networks.
    #[serde(default = "private")]
    pub allow: Vec<String>,
}

/// Loopback, and the networks of RFC 1918 and RFC 4193.
fn private() -> Vec<String> {
    let networks = [
        "127.0.0.0/8",
        "::1",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
    ];
    networks.map(str::to_owned).to_vec()
}

impl Kind for HaproxyAgent {
    fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.listen.is_empty() {
            let why = "is empty, so nobody could ask; name an address, such as 10.0.0.7:9201";
            faults.push(("listen".into(), why.into()));
        }
        for (index, text) in self.listen.iter().enumerate() {
            let why = match text.parse::<Address>() {
                Ok(Address::Unix(_)) => {
                    "HAProxy asks over TCP only; write an address and a port".to_owned()
                }
                Ok(_) => continue,
                Err(error) => error.to_string(),
            };
            faults.push((format!("listen.{index}"), why));
        }
        if self.allow.is_empty() {
            let why = "is empty, so nobody could ask; list the addresses of your HAProxies";
            faults.push(("allow".into(), why.into()));
        }
        for (index, entry) in self.allow.iter().enumerate() {
            for bad in AllowList::parse(&[entry]).err().into_iter().flatten() {
                faults.push((format!("allow.{index}"), bad.to_string()));
            }
        }
        faults
    }

    fn gates(&self, world: &World) -> Result<Vec<Arc<dyn Gate>>, String> {
        let places: Result<Vec<_>, _> = self.listen.iter().map(|text| text.parse()).collect();
        let allow = AllowList::parse(&self.allow);
        let agent = Agent {
            name: format!("haproxy_agent:{}", self.listen.join(",")),
            places: places.map_err(|error: crate::net::address::AddressError| error.to_string())?,
            allow: allow.map_err(|bad| format!("allow: {bad:?}"))?,
            resolver: world.resolver.clone(),
            askers: Mutex::default(),
            asks: Asks::default(),
        };
        Ok(vec![Arc::new(agent)])
    }

    fn listens(&self) -> &[String] {
        &self.listen
    }
}

/// What came of connections.
#[derive(Debug, Default)]
struct Asks {
    answered: Tally,
    refused: Tally,
    /// The answer could not be written.
    unsent: Tally,
    /// More addresses ask than are kept apart.
    crowded: Tally,
}

/// The gate.
struct Agent {
    name: String,
    places: Vec<Address>,
    allow: AllowList,
    resolver: Resolver,
    askers: Mutex<Askers>,
    asks: Asks,
}

impl Agent {
    fn askers(&self) -> MutexGuard<'_, Askers> {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Gate for Agent {
    fn name(&self) -> &str {
        &self.name
    }

    async fn tell(&self, wanted: &Wanted, _: Instant) -> Result<Heard, String> {
        let mut askers = self.askers();
        let now = Instant::now();
        askers.tell(wanted.say, wanted.lifts);
        Ok(if askers.have_heard(now) {
            Heard::Yes
        } else {
            Heard::NotYet
        })
    }

    fn asked(&self) -> Option<&dyn Asked> {
        Some(self)
    }
}

#[async_trait]
impl Asked for Agent {
    fn listens(&self) -> &[Address] {
        &self.places
    }

    async fn serve(&self, at: &str, mut stream: Stream, peer: IpAddr) {
        let deadline = Instant::now() + PATIENCE;
        let allowed = self.allow.allows(peer, &self.resolver, deadline.into_std());
        if !allowed.await {
            self.asks.refused.note(|left_out| {
                tracing::warn!(
                    %peer, gate = self.name, left_out,
                    "refused an agent check: its address is not in allow of this gate"
                );
            });
            return;
        }
        let place = self
            .places
            .iter()
            .position(|place| place.to_string() == at)
            .unwrap_or(0);
        let asker = (place, peer.to_canonical());
        let (line, word) = self.askers().line(asker);
        let answer = async {
            stream.write_all(line.as_bytes()).await?;
            match stream.shutdown().await {
                // HAProxy resets the connection as soon as it has the line.
                Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
                closed => closed,
            }
        };
        if !matches!(timeout_at(deadline, answer).await, Ok(Ok(()))) {
            self.asks.unsent.note(|left_out| {
                tracing::warn!(
                    %peer, gate = self.name, left_out,
                    "an agent check was not there any more to be answered"
                );
            });
            return;
        }
        self.asks.answered.add();
        if !self.askers().had(asker, word, Instant::now()) {
            self.asks.crowded.note(|left_out| {
                tracing::warn!(
                    %peer, gate = self.name, left_out,
                    "too many addresses ask this gate to keep them apart: narrow its allow"
                );
            });
        }
        // To close on what was sent unread would cut the answer off on its way.
        let mut unread = [0; UNREAD];
        let mut left = UNREAD;
        let reading = async {
            while let Ok(read @ 1..) = stream.read(&mut unread).await {
                left = left.saturating_sub(read);
                if left == 0 {
                    break;
                }
            }
        };
        // A client that does not close has had its answer.
        drop(timeout_at(deadline, reading).await);
    }

    fn asks(&self) -> [(&'static str, u64); 4] {
        [
            ("answered", self.asks.answered.get()),
            ("refused", self.asks.refused.get()),
            ("unsent", self.asks.unsent.get()),
            ("crowded", self.asks.crowded.get()),
        ]
    }
}

#[cfg(test)]
mod tests;
