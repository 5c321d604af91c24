//! /proc/net/tcp: never more sockets than lines, and ports are those of their lines.

use nodeward::host::listed;
use nodeward::subject::netdev::parse::Connections;

/// Parses the bytes as /proc/net/tcp.
pub fn check(bytes: &[u8]) {
    let mut connections = Connections::default();
    let mut lines = 0;
    for line in bytes.split(|b| *b == b'\n') {
        lines += 1;
        let Some(socket) = listed(line) else { continue };
        let text = String::from_utf8_lossy(line).to_ascii_uppercase();
        assert!(text.contains(&format!("{:X}", socket.local.port)));
        assert!(text.contains(&format!("{:X}", socket.remote.port)));
        connections.add(&socket);
    }
    let states = connections.states();
    assert!(states.iter().sum::<u64>() <= lines);
    assert_eq!(states.last(), Some(&0));
}
