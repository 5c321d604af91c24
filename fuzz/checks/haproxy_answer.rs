//! HAProxy's runtime API: a list of servers has a row for each, whole or not at all; a session has a line. The answers to `show servers
//! state` and `show stat` stand together, parted by a zero byte.

use nodeward::peer::haproxy::{servers, sessions};

/// Parses the bytes as each of the answers.
pub fn check(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n').count();
    let at = bytes.iter().position(|byte| *byte == 0);
    let (state, stat) = bytes.split_at(at.unwrap_or(bytes.len()));
    let stat = stat.strip_prefix(b"\0").unwrap_or(bytes);
    if let Ok(servers) = servers(state, stat, "web") {
        assert!(servers.len() <= lines);
        for server in servers {
            assert!(!server.name.is_empty() && !server.name.contains(char::is_whitespace));
            assert!(!server.takes_sessions() || (server.up && server.weight > 0));
        }
    }
    if let Ok(sessions) = sessions(bytes) {
        assert!(sessions.len() <= lines);
        let blank = |text: &str| text.contains(char::is_whitespace);
        assert!(
            !sessions
                .iter()
                .any(|one| blank(&one.client) || blank(&one.server))
        );
    }
}
