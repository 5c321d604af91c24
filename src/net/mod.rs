//! HTTP client and server, sockets and backoff. It knows no route and no dialect.
//!
//! | module | holds |
//! | --- | --- |
//! | [`endpoint`] | where a peer is: `http://host:port/path` or `unix:/path` |
//! | [`client`] | the one HTTP client of the house, HTTP/1.1 and HTTP/2 |
//! | [`early`] | TCP connections tried before the runtime watches them |
//! | [`stream`] | a connected byte stream, TCP or Unix, and who is at its other end |
//!
//! It never reads the machine, never follows a redirect and never opens a connection that its
//! caller did not name.

pub mod client;
pub mod early;
pub mod endpoint;
pub mod stream;
