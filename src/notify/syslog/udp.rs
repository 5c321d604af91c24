//! Syslog over UDP (RFC 5426): one line a datagram.
//!
//! Nothing comes back, so that a datagram that was sent counts as delivered. Only where the receiver's own machine refuses it
//! does the next one fail.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::line::Format;
use crate::net::endpoint::Place;
use crate::net::resolve::Resolver;
use crate::notify::{Delivery, Message, Sink};

pub(super) struct Udp {
    place: Place,
    format: Format,
    timeout: Duration,
    resolver: Resolver,
    socket: Option<UdpSocket>,
}

impl Udp {
    pub fn new(place: Place, format: Format, timeout: Duration, resolver: Resolver) -> Self {
        Self {
            place,
            format,
            timeout,
            resolver,
            socket: None,
        }
    }

    async fn send(&mut self, line: &str) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.open().await?,
        };
        let sent = socket.send(line.as_bytes()).await?;
        if sent != line.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.socket = Some(socket);
        Ok(())
    }

    async fn open(&self) -> io::Result<UdpSocket> {
        let Place::Tcp { host, port } = &self.place else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let deadline = Instant::now() + self.timeout;
        let addresses = self.resolver.lookup(host, *port, deadline).await?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match connected(address).await {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

#[async_trait]
impl Sink for Udp {
    async fn deliver(&mut self, message: &Message<'_>) -> Delivery {
        let line = self.format.line(message);
        let deadline = Instant::now() + self.timeout;
        match timeout_at(deadline, self.send(&line)).await {
            Ok(Ok(())) => super::written(),
            Ok(Err(error)) => Delivery::failed(format!("send to udp://{}: {error}", self.place)),
            Err(_) => Delivery::failed(format!(
                "send to udp://{}: no way within {:?}",
                self.place, self.timeout
            )),
        }
    }
}
