//! Where to listen, as node_exporter's `--web.listen-address` and our config write it.
//!
//! Owns the syntax only; [`crate::net::bind`] makes a socket of it. The surprising decision:
//! `localhost` means 127.0.0.1 without asking the resolver (RFC 6761 section 6.3), so that a start
//! never waits for DNS.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use super::endpoint::{UNIX_PATH_MAX, decimal, host_name, unix_path};

/// How [`Address::Passed`] is written.
const PASSED: &str = "systemd";

/// A place to listen on. Port 0 lets the kernel choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `:9100`: every address of the machine, IPv6 and IPv4 where both exist.
    All(u16),
    /// `127.0.0.1:9100`, `[::1]:9100`, `localhost:9100`.
    Ip(SocketAddr),
    /// `web-1.internal:9100`: resolved when it is bound, IPv4 first as Go programs do.
    Name {
        /// Host name as written.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `unix:/run/nodeward.sock`: an absolute path.
    Unix(PathBuf),
    /// `systemd`: the sockets that the service manager passes ([`crate::net::passed`]). Only [`Address::or_passed`] reads it.
    Passed,
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `:port` at the end.
    #[error("the listen address {0:?} has no port: write host:port, :port or unix:/path")]
    NoPort(String),
    /// The port is not 0 to 65535.
    #[error("the port of the listen address {0:?} is not a number from 0 to 65535")]
    Port(String),
    /// The part before the port is not a host.
    #[error("the host of the listen address {0:?} is not a name, IPv4 address or [IPv6] address")]
    Host(String),
    /// An IPv6 address without its brackets.
    #[error("the IPv6 listen address {0:?} needs brackets: write [address]:port")]
    Brackets(String),
    /// A URL where an address belongs.
    #[error("the listen address {0:?} is a URL: write only host:port, :port or unix:/path")]
    Url(String),
    /// node_exporter can listen on vsock; nodeward cannot.
    #[error(
        "listening on vsock is not supported: {0:?}; listen on a port, or on unix:/path and forward vsock to it (socat)"
    )]
    Vsock(String),
    /// The path of the Unix socket is relative, empty or too long.
    #[error("the listen address {0:?} needs an absolute path of at most {UNIX_PATH_MAX} bytes")]
    UnixPath(String),
}

impl Address {
    /// Reads an address where the service manager may pass sockets instead.
    ///
    /// # Errors
    /// Why it is neither.
    pub fn or_passed(text: &str) -> Result<Self, AddressError> {
        match text {
            PASSED => Ok(Self::Passed),
            text => text.parse(),
        }
    }

    /// Whether only this machine can reach it: loopback addresses and Unix sockets. A name counts
    /// as reachable from outside, since nothing says what it resolves to, and so does what systemd passes.
    pub fn is_local(&self) -> bool {
        match self {
            Self::All(_) | Self::Name { .. } | Self::Passed => false,
            Self::Ip(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || text.chars().take(120).collect::<String>();
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let path = unix_path(path).ok_or_else(|| AddressError::UnixPath(refused()))?;
            return Ok(Self::Unix(path));
        }
        if text.starts_with("vsock:") {
            return Err(AddressError::Vsock(refused()));
        }
        if text.contains("://") {
            return Err(AddressError::Url(refused()));
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| AddressError::NoPort(refused()))?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if text.ends_with(']') {
            return Err(AddressError::NoPort(refused()));
        }
        if host.contains(':') && bracketed.is_none() {
            return Err(AddressError::Brackets(refused()));
        }
        let port = decimal(port).ok_or_else(|| AddressError::Port(refused()))?;
        let ip = |ip: IpAddr| Self::Ip(SocketAddr::new(ip, port));
        if let Some(host) = bracketed {
            // Charts write [$(HOST_IP)] whichever the address is, and Go programs take both.
            let address = host.parse().map_err(|_| AddressError::Host(refused()))?;
            return Ok(ip(address));
        }
        if host.is_empty() {
            return Ok(Self::All(port));
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(ip(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        }
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok(ip(IpAddr::V4(address)));
        }
        if !host_name(host) {
            return Err(AddressError::Host(refused()));
        }
        Ok(Self::Name {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(port) => write!(f, ":{port}"),
            Self::Ip(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Passed => f.write_str(PASSED),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Address {
        text.parse().expect(text)
    }

    #[test]
    fn takes_the_addresses_that_people_write() {
        for (text, shown, local) in [
            (":9100", ":9100", false),
            (":0", ":0", false),
            ("0.0.0.0:9100", "0.0.0.0:9100", false),
            ("127.0.0.1:9100", "127.0.0.1:9100", true),
            ("localhost:9100", "127.0.0.1:9100", true),
            ("[::1]:9100", "[::1]:9100", true),
            ("[10.0.0.5]:9100", "10.0.0.5:9100", false),
            ("[::]:9100", "[::]:9100", false),
            ("web-1.internal:9100", "web-1.internal:9100", false),
            ("unix:/run/x.sock", "unix:/run/x.sock", true),
            ("unix:///run/x.sock", "unix:/run/x.sock", true),
        ] {
            let address = parsed(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.is_local(), local, "{text}");
        }
    }

    #[test]
    fn what_systemd_passes_may_be_reached_by_anybody_and_is_no_address_elsewhere() {
        let passed = Address::or_passed("systemd").unwrap();
        assert_eq!(
            (passed.is_local(), &*passed.to_string()),
            (false, "systemd")
        );
        assert_eq!(Address::or_passed(":1"), ":1".parse());
        assert!("systemd".parse::<Address>().is_err());
    }

    #[test]
    fn says_what_is_wrong_with_an_address() {
        type Make = fn(String) -> AddressError;
        for (text, make) in [
            ("", AddressError::NoPort as Make),
            ("9100", AddressError::NoPort),
            ("localhost", AddressError::NoPort),
            ("[::1]", AddressError::NoPort),
            (":", AddressError::Port),
            (":http", AddressError::Port),
            (":+1", AddressError::Port),
            (":65536", AddressError::Port),
            ("::1:9100", AddressError::Brackets),
            ("[::1:9100", AddressError::Brackets),
            ("[localhost]:9100", AddressError::Host),
            ("a b:9100", AddressError::Host),
            ("*:9100", AddressError::Host),
            ("300.0.0.1:9100", AddressError::Host),
            ("http://0.0.0.0:9100", AddressError::Url),
            ("vsock://:9100", AddressError::Vsock),
            ("unix:x.sock", AddressError::UnixPath),
        ] {
            assert_eq!(text.parse::<Address>(), Err(make(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_what_it_takes_it_takes_again(text in "[\\[\\]:.0-9a-z/é%]{0,30}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
