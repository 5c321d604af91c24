//! Connects to a TCP port or a Unix socket, speaks TLS there if it should, and closes the connection at once.
//!
//! A connection that the kernel takes on behalf of a program that never accepts passes, until the program's queue is
//! full: that the program works is for `http` to say.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use super::{Ask, Kind, Outcome, Prober, World, certificate};
use crate::model::duration::Period;
use crate::model::moment::Timestamp;
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
    /// Whether TLS is spoken, from the first byte on, and whom to trust; `{}` trusts the authorities of the system. A certificate that
    /// is not valid, or not for the host, fails the check. Default: no TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::ClientOptions>,
    /// A certificate that ends sooner than this fails: each that the peer sends counts, and not the authority that is trusted here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires_in: Option<Period>,
    /// A connection that takes longer than this fails, though it is made; looking up the name and the handshake of TLS included.
    /// Default: only the check's `timeout` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slower_than: Option<Period>,
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
        let mut faults = Vec::new();
        match (self.place(), &self.tls) {
            (Err(why), _) => faults.push(("address", why)),
            (Ok(Place::Unix(_)), Some(tls)) if tls.server_name.is_none() => {
                let why =
                    "a Unix socket has no name that a certificate could be for: write it here";
                faults.push(("tls.server_name", why.to_owned()));
            }
            _ => {}
        }
        let wrong = self.tls.iter().flat_map(|tls| tls.faults(true));
        faults.extend(wrong.map(|fault| (fault.key, fault.why)));
        faults.extend(certificate::fault(
            self.certificate_expires_in,
            self.tls.is_some(),
        ));
        faults
    }

    fn port(&self) -> Option<u16> {
        match self.place().ok()? {
            Place::Tcp { port, .. } => Some(port),
            Place::Unix(_) => None,
        }
    }

    fn prober(&self, _: Duration, world: &World) -> Result<Box<dyn Prober>, String> {
        let place = self.place()?;
        let host = match &place {
            Place::Tcp { host, .. } => host.clone(),
            Place::Unix(_) => String::new(),
        };
        let tls = self.tls.clone();
        Ok(Box::new(Connecting {
            tls: tls.map(|tls| (tls::Connector::new(tls), host)),
            place,
            resolver: world.resolver.clone(),
            options: self.clone(),
        }))
    }
}

struct Connecting {
    place: Place,
    /// With whom TLS is spoken, if it is.
    tls: Option<(tls::Connector, String)>,
    resolver: Resolver,
    options: Tcp,
}

#[async_trait]
impl Prober for Connecting {
    async fn probe(&self, ask: Ask) -> Outcome {
        let place = &self.place;
        if let Some((tls, host)) = &self.tls
            && let Err(blind) = ready(tls, host, ask.deadline).await
        {
            return blind;
        }
        let began = Instant::now();
        let stream = match connect(place, ask.deadline, &self.resolver).await {
            Ok(stream) => stream,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                return Outcome::silent(format!("timed out: no connection to {place}"));
            }
            Err(error) => {
                let why = format!("cannot connect to {place}: {error}");
                return match is_ours(&error) {
                    true => Outcome::blind(why),
                    false => Outcome::silent(why),
                };
            }
        };
        let Some((tls, host)) = &self.tls else {
            let connected = Outcome::passed(format!("connected to {place}"), json!({}));
            return self.options.judge(connected, None, began.elapsed());
        };
        match timeout_at(ask.deadline, tls.connect(stream, host, None)).await {
            Ok(Ok(mut stream)) => {
                let took = began.elapsed();
                let chain = stream.chain();
                // A peer that is not told of the end may log that somebody cut it off.
                drop(timeout_at(ask.deadline, stream.shutdown()).await);
                let connected = Outcome::passed(format!("TLS with {place}"), json!({}));
                self.options.judge(connected, chain.as_ref(), took)
            }
            Ok(Err(error)) => Outcome::silent(format!("no TLS with {place}: {error}")),
            Err(_) => Outcome::silent(format!("timed out: no handshake of TLS with {place}")),
        }
    }
}

impl Tcp {
    fn judge(&self, connected: Outcome, chain: Option<&tls::Chain>, took: Duration) -> Outcome {
        let now = Timestamp::now().seconds();
        let judged = certificate::judged(connected, chain, self.certificate_expires_in, now);
        slow(judged, self.slower_than, took)
    }
}

/// What came of a probe that took so long, given the line for that.
pub(super) fn slow(mut outcome: Outcome, line: Option<Period>, took: Duration) -> Outcome {
    if let Some(line) = line.filter(|line| outcome.ok && took > line.get()) {
        outcome.ok = false;
        outcome.why = format!("took {took:.1?}, which is more than {line}");
    }
    outcome
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
