//! /proc/net/tcp: never more sockets than lines.

use nodeward::subject::netdev::parse::{STATES, sockets};

/// Parses the bytes as /proc/net/tcp.
pub fn check(bytes: &[u8]) {
    let mut states = [0; STATES.len()];
    sockets(bytes, &mut states);
    let lines = bytes.split(|b| *b == b'\n').count() as u64;
    assert!(states.iter().sum::<u64>() <= lines);
    assert_eq!(states.last(), Some(&0));
}
