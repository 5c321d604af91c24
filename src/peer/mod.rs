//! Clients of other programs, on the same machine for the most part.
//!
//! Each peer is one room that owns everything known about that program's protocol: connecting,
//! bounds on what it may send, deadlines, and counting what went wrong. A peer never decides what
//! a number means or what to do about it; subjects and actions above do.

pub mod alertmanager;
pub mod container;
pub mod haproxy;
pub mod smtp;
pub mod systemd;
