//! /proc/net/tcp: never more sockets than lines.

use nodeward::subject::netdev::parse::Sockets;

/// Parses the bytes as /proc/net/tcp.
pub fn check(bytes: &[u8]) {
    let mut sockets = Sockets::default();
    let mut lines = 0;
    for line in bytes.split(|b| *b == b'\n') {
        sockets.line(line);
        lines += 1;
    }
    let states = sockets.states();
    assert!(states.iter().sum::<u64>() <= lines);
    assert_eq!(states.last(), Some(&0));
}
