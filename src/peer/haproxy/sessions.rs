//! The sessions of HAProxy: `show sess`, a line each.

use super::error::first_line;
use super::server::Malformed;

/// One session (HAProxy's stream): between requests a kept connection has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Address and port of the client, or `unix:N`.
    pub client: String,
    /// The backend, or `<NONE>`.
    pub backend: String,
    /// The server, or `<none>` while it has none.
    pub server: String,
}

/// Reads `show sess`. A line that names no backend and no server is left out: HAProxy writes more than one for some.
///
/// # Errors
/// [`Malformed::Said`] if it is text of another kind.
pub fn sessions(answer: &[u8]) -> Result<Vec<Session>, Malformed> {
    let text = std::str::from_utf8(answer).map_err(|_| Malformed::Encoding)?;
    let mut sessions = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with("0x") {
            return Err(Malformed::Said(first_line(line.as_bytes())));
        }
        let (mut client, mut backend, mut server) = (None, None, None);
        for word in line.split_ascii_whitespace() {
            match word.split_once('=') {
                Some(("src", value)) => client = client.or(Some(value)),
                Some(("be", value)) => backend = backend.or(Some(value)),
                Some(("srv", value)) => server = server.or(Some(value)),
                _ => {}
            }
        }
        if let (Some(client), Some(backend), Some(server)) = (client, backend, server) {
            sessions.push(Session {
                client: client.to_owned(),
                backend: backend.to_owned(),
                server: server.to_owned(),
            });
        }
    }
    Ok(sessions)
}
