//! One request to a server, and its answer.
//!
//! Owns the connection: one for each request, closed after the answer, within one deadline for all of it. It knows nothing of
//! what is asked. Whatever comes back is bounded by the packet's limits before it is believed.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::dialect::zabbix::packet::{self, Limits, NotRead};
use crate::net::connect::connect;
use crate::net::endpoint::Place;
use crate::net::resolve::Resolver;
use crate::net::stream::Stream;
use crate::net::tls::{Refusal, mutual};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// Not all of it in time.
    #[error("no answer in time")]
    Late,
    /// The connection broke or was closed before the answer was whole.
    #[error("{0}")]
    Broken(String),
    /// What came is no answer.
    #[error("{0}")]
    Malformed(String),
    /// The server said no, in these words.
    #[error("the server says: {0}")]
    Refused(String),
    /// The connection is not protected as `tls` asks.
    #[error("no TLS: {0}")]
    Tls(Refusal),
}

impl Failure {
    /// The words for labels, in the order of declaration.
    pub const KINDS: [&'static str; 6] = [
        "connect",
        "timeout",
        "broken",
        "malformed",
        "refused",
        "tls",
    ];

    /// The place of its word.
    pub(super) const fn kind(&self) -> usize {
        match self {
            Self::Connect(_) => 0,
            Self::Tls(_) => 5,
            Self::Late => 1,
            Self::Broken(_) => 2,
            Self::Malformed(_) => 3,
            Self::Refused(_) => 4,
        }
    }
}

/// How servers are reached.
#[derive(Clone)]
pub struct Wire {
    resolver: Resolver,
    timeout: Duration,
    tls: Option<mutual::Client>,
}

impl Wire {
    /// A wire that gives each request this long; without `tls` all is sent in plain.
    pub const fn new(resolver: Resolver, timeout: Duration, tls: Option<mutual::Client>) -> Self {
        Self {
            resolver,
            timeout,
            tls,
        }
    }

    /// Sends a body and gives the body of the answer; compressed, and the answer is then as well.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask(&self, place: &Place, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut stream = self
            .told(place, &packet::encode_compressed(body), deadline)
            .await?;
        let answer = packet::read(&mut stream, Limits::ACTIVE, deadline.into_std()).await;
        answer.map_err(|error| match error {
            NotRead::Late => Failure::Late,
            NotRead::Malformed(_) => Failure::Malformed(error.to_string()),
            NotRead::Io(cause) => broken(&cause, "could not read from the peer"),
            NotRead::Cut(_) => Failure::Broken(error.to_string()),
        })
    }

    /// Sends a body that is not answered.
    ///
    /// # Errors
    /// It could not be sent.
    pub async fn tell(&self, place: &Place, body: &[u8]) -> Result<(), Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut stream = self.told(place, &packet::encode(body), deadline).await?;
        match timeout_at(deadline, stream.shutdown()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(broken(&error, "could not end the connection")),
            Err(_) => Err(Failure::Late),
        }
    }

    async fn told(
        &self,
        place: &Place,
        packet: &[u8],
        deadline: Instant,
    ) -> Result<Stream, Failure> {
        let connected = connect(place, deadline, &self.resolver).await;
        let mut stream = connected.map_err(Failure::Connect)?;
        if let Some(tls) = &self.tls {
            // Large, and nobody who speaks in plain needs carry its room.
            let protected = timeout_at(deadline, Box::pin(tls.connect(stream))).await;
            let protected = protected.map_err(|_| Failure::Late)?;
            stream = protected.map_err(Failure::Tls)?;
        }
        let sent = async {
            stream.write_all(packet).await?;
            stream.flush().await
        };
        match timeout_at(deadline, sent).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(error)) => Err(unsent(&mut stream, &error, deadline).await),
            Err(_) => Err(Failure::Late),
        }
    }
}

/// Why a packet could not be sent. Who does not take our certificate says so and closes, and of a long packet the close is noticed
/// first: what it said lies there unread.
async fn unsent(stream: &mut Stream, error: &io::Error, deadline: Instant) -> Failure {
    if stream.has_farewell() {
        let heard = timeout_at(deadline, stream.read(&mut [0])).await;
        if let Ok(Err(heard)) = heard
            && let Some(refusal) = Refusal::of(&heard)
        {
            return Failure::Tls(refusal);
        }
    }
    broken(error, "could not send")
}

/// What became of a connection that was there. Under TLS 1.3 it is heard only now that the other end did not take a certificate.
fn broken(cause: &io::Error, what: &str) -> Failure {
    match Refusal::of(cause) {
        Some(refusal) => Failure::Tls(refusal),
        None => Failure::Broken(format!("{what}: {cause}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::net::TcpListener;

    use super::*;
    use crate::net::tls::testing::Authority;

    /// By a certificate of `own`, and taking those of `trusted`.
    fn options(directory: &Path, own: &str, trusted: &str) -> mutual::Options {
        let at = |name: String| Some(directory.join(name));
        mutual::Options {
            accept: vec![mutual::Kind::Cert],
            connect: Some(mutual::Kind::Cert),
            ca_file: at(format!("{trusted}.pem")),
            cert_file: at(format!("{own}.crt")),
            key_file: at(format!("{own}.key")),
            ..mutual::Options::default()
        }
    }

    /// Under TLS 1.3 a client hears of it behind its own handshake: with the answer to a short packet, within a long one while it is sent.
    #[tokio::test]
    async fn a_certificate_that_is_refused_is_said_however_much_was_to_be_sent() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["ours", "theirs"] {
            let authority = Authority::new(name);
            authority.write(directory.path(), name);
            authority
                .issue(&["a.example"])
                .write(directory.path(), name);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let server = mutual::Server::new(options(directory.path(), "ours", "ours"));
        let refusing = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let refused = server.meet(Stream::Tcp(stream)).await;
                assert!(matches!(refused, Err(Refusal::Certificate(_))));
            }
        };
        let client = mutual::Client::new(options(directory.path(), "theirs", "ours"));
        let wire = Wire::new(Resolver::default(), Duration::from_secs(60), Some(client));
        let place: Place = place.parse().unwrap();
        let refused = |said: Failure| match said {
            Failure::Tls(Refusal::Ours(_)) => {}
            other => panic!("{other:?}"),
        };
        let asking = async {
            refused(wire.ask(&place, b"x").await.unwrap_err());
            // More than sockets hold, so that nobody gets to wait for an answer.
            refused(wire.tell(&place, &vec![0; 16 << 20]).await.unwrap_err());
        };
        tokio::select! {
            () = refusing => {}
            () = asking => {}
        }
    }
}
