//! HTTP client and server, sockets and backoff. It knows no route and no dialect.
