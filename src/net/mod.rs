//! HTTP client and server, TLS, sockets and backoff. It knows no route and no dialect.
//!
//! | module | holds |
//! | --- | --- |
//! | [`endpoint`] | where a peer is: `http://host:port/path` or `unix:/path` |
//! | [`client`] | the one HTTP client of the house, HTTP/1.1 and HTTP/2 |
//! | [`connect`] | connecting to a place |
//! | [`credentials`] | what proves to a server who asks |
//! | [`early`] | TCP connections tried before the runtime watches them |
//! | [`backoff`] | how long to wait before trying again |
//! | [`address`] | where to listen: `:9100`, `localhost:9100`, `unix:/path` |
//! | [`bind`] | listening sockets |
//! | [`kept`] | what is made of files, and made anew when one changed |
//! | [`passed`] | sockets that the service manager passes on |
//! | [`resolve`] | names to addresses, on threads of its own |
//! | [`allow`] | who may ask: addresses, networks, names |
//! | [`accept`] | taking connections: cap, trouble, drain; shared by HTTP and Zabbix |
//! | [`server`] | the HTTP/1.1 server |
//! | [`tls`] | certificates, keys and handshakes, both ways |
//! | [`tally`] | counters of trouble that also keep logs quiet |
//! | [`stream`] | a connected byte stream, TCP, TLS or Unix, and who is at its other end |
//!
//! It never reads the machine, never follows a redirect and never opens a connection that its
//! caller did not name.

pub mod accept;
pub mod address;
pub mod allow;
pub mod backoff;
pub mod bind;
pub mod client;
pub mod connect;
pub mod credentials;
pub mod early;
pub mod endpoint;
mod gathered;
pub mod kept;
pub mod passed;
pub mod resolve;
pub mod server;
pub mod stream;
pub mod tally;
pub mod tls;
mod watched;
