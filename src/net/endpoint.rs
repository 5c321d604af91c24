//! Where a peer is: the parsed form of `http://host:port/path` or `unix:/path`.
//!
//! Owns the syntax of peer URLs and nothing else: it resolves no name and opens no socket. The
//! surprising decision: an [`Endpoint`] prints as scheme, host and port only, and errors never
//! quote the text they refuse, because paths and queries of webhook URLs are often secrets.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hyper::http::uri::PathAndQuery;

/// Longest path of a Unix socket in bytes: `sun_path` holds 108 with its closing zero (unix(7)).
pub const UNIX_PATH_MAX: usize = 107;

/// A peer to talk HTTP to: a place, and the path its URL named.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    place: Place,
    path: PathAndQuery,
    secure: bool,
}

/// Where the socket of a peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A host name or IP address (IPv6 without brackets) and a port that is never 0.
    Tcp {
        /// Name or address as written.
        host: String,
        /// TCP port, 1 to 65535.
        port: u16,
    },
    /// An absolute path of at most [`UNIX_PATH_MAX`] bytes.
    Unix(PathBuf),
}

/// Why a text is not an [`Endpoint`]. The texts never quote the URL, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing before `://`.
    #[error("the URL has no scheme: write http://host:port/path, https://... or unix:/path")]
    NoScheme,
    /// A scheme other than `http`, `https` and `unix`.
    #[error(
        "the URL's scheme is not known: write http://host:port/path, https://... or unix:/path"
    )]
    UnknownScheme,
    /// `user:password@` in front of the host.
    #[error("the URL carries a user name or password: give credentials by their own setting")]
    Credentials,
    /// No host, or characters that no host name has.
    #[error("the URL's host is empty or not a host name, IPv4 address or [IPv6] address")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the URL's port is not a number from 1 to 65535")]
    Port,
    /// A path or query that RFC 3986 does not allow.
    #[error("the URL's path or query holds characters that must be percent-encoded")]
    Path,
    /// `#...` is never sent to a server (RFC 9110 section 7.1).
    #[error("the URL has a fragment (#...), which is never sent: remove it")]
    Fragment,
    /// The path of a Unix socket is relative, empty or too long.
    #[error("a Unix socket needs an absolute path of at most {UNIX_PATH_MAX} bytes")]
    UnixPath,
}

impl Endpoint {
    /// Where the peer's socket is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Path and query the URL named; `/` when it named none.
    pub fn path(&self) -> &PathAndQuery {
        &self.path
    }

    /// Whether TLS is spoken there (`https`).
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The same path and scheme at an address, such as one that the peer's name was looked up to.
    #[must_use]
    pub fn to(&self, address: SocketAddr) -> Self {
        Self {
            place: Place::Tcp {
                host: address.ip().to_string(),
                port: address.port(),
            },
            ..self.clone()
        }
    }

    /// The same peer at another absolute path and query.
    ///
    /// # Errors
    /// [`EndpointError::Path`] when `path` is not an absolute path.
    pub fn at(&self, path: &str) -> Result<Self, EndpointError> {
        Ok(Self {
            path: path_and_query(path)?,
            ..self.clone()
        })
    }

    /// The same peer at `suffix` below its path, as OTLP does with `v1/metrics` (OTLP
    /// specification, "OTLP/HTTP Request"): `http://c:4318/x/` becomes `http://c:4318/x/v1/metrics`.
    ///
    /// # Errors
    /// [`EndpointError::Path`] when the outcome is not a path.
    pub fn below(&self, suffix: &str) -> Result<Self, EndpointError> {
        let base = self.path.path().trim_end_matches('/');
        let mut path = format!("{base}/{}", suffix.trim_start_matches('/'));
        if let Some(query) = self.path.query() {
            path.push('?');
            path.push_str(query);
        }
        self.at(&path)
    }

    /// What a `Host` header or `:authority` says of this peer (RFC 9110 section 7.2): no port when
    /// it is the scheme's own, `localhost` for a Unix socket.
    pub fn authority(&self) -> String {
        match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Tcp { host, port } if *port == self.scheme().1 => bracketed(host),
            Place::Tcp { host, port } => format!("{}:{port}", bracketed(host)),
        }
    }

    /// The scheme and its own port (RFC 9110 section 4.2).
    fn scheme(&self) -> (&'static str, u16) {
        if self.secure {
            ("https", 443)
        } else {
            ("http", 80)
        }
    }
}

impl FromStr for Place {
    type Err = EndpointError;

    /// Reads `host:port` or `unix:/path`.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return unix_path(path)
                .map(Self::Unix)
                .ok_or(EndpointError::UnixPath);
        }
        let (host, port) = split_port(text)?;
        let port = port.ok_or(EndpointError::Port)?;
        Ok(Self::Tcp { host, port })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{}:{port}", bracketed(host)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { host, port } => {
                write!(f, "{}://{}:{port}", self.scheme().0, bracketed(host))
            }
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("unix:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            return Ok(Self {
                place: Place::Unix(unix_path(path).ok_or(EndpointError::UnixPath)?),
                path: PathAndQuery::from_static("/"),
                secure: false,
            });
        }
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::NoScheme)?;
        let secure = scheme.eq_ignore_ascii_case("https");
        if !secure && !scheme.eq_ignore_ascii_case("http") {
            return Err(EndpointError::UnknownScheme);
        }
        if rest.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(cut).ok_or(EndpointError::Host)?;
        if authority.contains('@') {
            return Err(EndpointError::Credentials);
        }
        let (host, port) = split_port(authority)?;
        let path = if path.starts_with('/') {
            path_and_query(path)?
        } else {
            path_and_query(&format!("/{path}"))?
        };
        Ok(Self {
            place: Place::Tcp {
                host,
                port: port.unwrap_or(if secure { 443 } else { 80 }),
            },
            path,
            secure,
        })
    }
}

/// `text` as one segment of a path or one value of a query: every byte but the unreserved ones (RFC 3986 section 2.3) as `%XX`.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// An absolute Unix socket path that the kernel can hold, or nothing.
pub(crate) fn unix_path(text: &str) -> Option<PathBuf> {
    let fits = text.len() <= UNIX_PATH_MAX && !text.contains('\0');
    let absolute = text.starts_with('/') && !text.starts_with("//") && !text.ends_with('/');
    (fits && absolute).then(|| Path::new(text).to_owned())
}

/// Whether `text` can be a host name: letters, digits, `-`, `.`, `_`, at most 253 bytes
/// (RFC 1035 section 2.3.4); names with `_` exist in container networks.
pub(crate) fn host_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.is_empty() || text.len() > 253 || !text.bytes().all(allowed) {
        return false;
    }
    // Four dotted numbers that are no address (256.1.1.1) would otherwise be asked of the resolver.
    let numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    !numeric || text.parse::<Ipv4Addr>().is_ok()
}

fn split_port(authority: &str) -> Result<(String, Option<u16>), EndpointError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(EndpointError::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| EndpointError::Host)?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(EndpointError::Port),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if !host_name(host) {
            return Err(EndpointError::Host);
        }
        (host, port)
    };
    let port = port.map(|port| {
        decimal(port)
            .filter(|port| *port != 0)
            .ok_or(EndpointError::Port)
    });
    Ok((host.to_owned(), port.transpose()?))
}

/// A port in plain decimal digits: `u16::from_str` would also take `+80`.
pub(crate) fn decimal(text: &str) -> Option<u16> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn path_and_query(text: &str) -> Result<PathAndQuery, EndpointError> {
    if !text.starts_with('/') || text.contains('#') || !text.is_ascii() {
        return Err(EndpointError::Path);
    }
    PathAndQuery::try_from(text).map_err(|_| EndpointError::Path)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Endpoint {
        text.parse().expect(text)
    }

    #[test]
    fn takes_the_urls_that_people_write() {
        for (text, shown, authority, path) in [
            (
                "http://localhost:4318",
                "http://localhost:4318",
                "localhost:4318",
                "/",
            ),
            ("HTTP://web", "http://web:80", "web", "/"),
            ("HTTPS://web/a", "https://web:443", "web", "/a"),
            ("https://web:80", "https://web:80", "web:80", "/"),
            ("http://web:443", "http://web:443", "web:443", "/"),
            (
                "http://10.0.0.1:9090/a/b?c=d",
                "http://10.0.0.1:9090",
                "10.0.0.1:9090",
                "/a/b?c=d",
            ),
            ("http://[::1]:80/x", "http://[::1]:80", "[::1]", "/x"),
            (
                "http://[fd00::2]:8080",
                "http://[fd00::2]:8080",
                "[fd00::2]:8080",
                "/",
            ),
            (
                "http://my_app.internal?q",
                "http://my_app.internal:80",
                "my_app.internal",
                "/?q",
            ),
            (
                "unix:/run/docker.sock",
                "unix:/run/docker.sock",
                "localhost",
                "/",
            ),
            (
                "unix:///run/docker.sock",
                "unix:/run/docker.sock",
                "localhost",
                "/",
            ),
        ] {
            let endpoint = parsed(text);
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(endpoint.authority(), authority);
            assert_eq!(endpoint.path().as_str(), path);
        }
    }

    #[test]
    fn says_which_part_of_a_url_is_wrong() {
        use EndpointError::*;
        for (text, error) in [
            ("", NoScheme),
            ("localhost:4318", NoScheme),
            ("ftp://x", UnknownScheme),
            ("http://user:secret@host/", Credentials),
            ("http:///path", Host),
            ("http://ho st/", Host),
            ("http://256.1.1.1/", Host),
            ("http://[::1/", Host),
            ("http://[12345::]/", Host),
            ("http://[::1]x/", Port),
            ("http://host:/", Port),
            ("http://host:0/", Port),
            ("http://host:+80/", Port),
            ("http://host:65536/", Port),
            ("http://host/a b", Path),
            ("http://host/é", Path),
            ("http://host/a#b", Fragment),
            ("unix:", UnixPath),
            ("unix:relative.sock", UnixPath),
            ("unix:/run/", UnixPath),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_MAX));
        assert_eq!(long.parse::<Endpoint>(), Err(UnixPath));
    }

    #[test]
    fn a_place_is_a_host_with_its_port_or_a_socket() {
        for text in ["web:80", "127.0.0.1:1", "[::1]:65535", "unix:/run/x.sock"] {
            assert_eq!(text.parse::<Place>().expect(text).to_string(), text);
        }
        for (text, error) in [
            ("web", EndpointError::Port),
            ("web:0", EndpointError::Port),
            ("::1:80", EndpointError::Host),
            (":80", EndpointError::Host),
            ("http://web:80", EndpointError::Port),
            ("a b:80", EndpointError::Host),
            ("unix:x", EndpointError::UnixPath),
        ] {
            assert_eq!(text.parse::<Place>(), Err(error), "{text}");
        }
    }

    #[test]
    fn encodes_all_that_could_end_a_segment_or_a_value() {
        assert_eq!(percent_encoded("a-b._~Z9"), "a-b._~Z9");
        assert_eq!(
            percent_encoded("a/b?c&d=é #%"),
            "a%2Fb%3Fc%26d%3D%C3%A9%20%23%25"
        );
    }

    #[test]
    fn goes_below_a_base_path_without_doubling_the_slash() {
        for (base, whole) in [
            ("http://c:4318", "/v1/metrics"),
            ("http://c:4318/", "/v1/metrics"),
            ("http://c:4318/otlp/", "/otlp/v1/metrics"),
            ("http://c:4318/otlp?tenant=a", "/otlp/v1/metrics?tenant=a"),
        ] {
            assert_eq!(
                parsed(base).below("v1/metrics").unwrap().path().as_str(),
                whole
            );
        }
    }

    #[test]
    fn keeps_paths_and_queries_out_of_what_it_prints() {
        let endpoint = parsed("http://hooks.example/T0/SECRET?token=SECRET");
        assert!(!format!("{endpoint} {endpoint:?}").contains("SECRET"));
    }

    proptest! {
        #[test]
        fn never_panics_and_what_it_takes_it_takes_again(text in "(https?://|unix:)?[ -~é]{0,40}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                let again: Endpoint = endpoint.to_string().parse().expect("its own text");
                prop_assert_eq!(again.place(), endpoint.place());
                prop_assert_eq!(again.is_secure(), endpoint.is_secure());
            }
        }
    }
}
