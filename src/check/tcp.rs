//! Connects to a TCP port or a Unix socket, and closes the connection at once.
//!
//! A connection that the kernel takes on behalf of a program that never accepts passes, until the program's queue is
//! full: that the program works is for `http` to say.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{Ask, Kind, Outcome, Prober, World};
use crate::net::connect::{connect, is_ours};
use crate::net::endpoint::Place;
use crate::net::resolve::Resolver;
use crate::net::tls;

/// A TCP port or Unix socket takes a connection, which is closed at once.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Where to connect: `host:port`, `[::1]:port` or `unix:/path`.
    pub address: String,
}

impl Tcp {
    fn place(&self) -> Result<Place, String> {
        self.address
            .parse()
            .map_err(|_| "write host:port, [IPv6]:port or unix:/path".to_owned())
    }
}

impl Kind for Tcp {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let wrong = self.place().err();
        wrong.map(|why| ("address", why)).into_iter().collect()
    }

    fn prober(&self, _: Duration, world: &World) -> Result<Box<dyn Prober>, String> {
        Ok(Box::new(Connecting {
            place: self.place()?,
            resolver: world.resolver.clone(),
        }))
    }
}

struct Connecting {
    place: Place,
    resolver: Resolver,
}

#[async_trait]
impl Prober for Connecting {
    async fn probe(&self, ask: Ask) -> Outcome {
        let place = &self.place;
        match connect(place, ask.deadline, &self.resolver).await {
            Ok(_) => Outcome::passed(format!("connected to {place}"), json!({})),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                Outcome::silent(format!("timed out: no connection to {place}"))
            }
            Err(error) => {
                let why = format!("cannot connect to {place}: {error}");
                match is_ours(&error) {
                    true => Outcome::blind(why),
                    false => Outcome::silent(why),
                }
            }
        }
    }
}

/// Whether TLS can be spoken to `host` from here; else nothing can be said of what answers there.
pub(super) async fn ready(
    tls: &tls::Connector,
    host: &str,
    deadline: Instant,
) -> Result<(), Outcome> {
    match timeout_at(deadline, tls.ready(host)).await {
        Ok(ready) => ready.map_err(|why| Outcome::blind(format!("cannot speak TLS: {why}"))),
        Err(_) => Err(Outcome::late("the files of tls were not read")),
    }
}
