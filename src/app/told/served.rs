//! What was served and refused.

use std::sync::Arc;

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::net::accept::Counters;
use crate::serve::Requests;

/// Tells requests by path and code.
pub struct Served {
    /// Requests of the HTTP listener.
    pub requests: Arc<Requests>,
    /// Connections of the HTTP listeners.
    pub connections: Arc<Counters>,
}

crate::families! { Served:
    REQUESTS counter "nodeward_http_requests_total" ["path", "code"] "HTTP requests answered, by path and code";
    OPEN gauge "nodeward_http_connections" [] "HTTP connections open now";
    ACCEPTED counter "nodeward_http_connections_total" [] "HTTP connections taken";
    REFUSED counter "nodeward_http_connections_refused_total" [] "HTTP connections closed at once because too many are open";
    TROUBLE counter "nodeward_http_connection_errors_total" ["kind"] "HTTP connections that went wrong, by kind";
}

impl Told for Served {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let mut requests = page.family(&REQUESTS);
        for (path, code, count) in self.requests.all() {
            requests.push([path, itoa::Buffer::new().format(code)], count);
        }
        let connections = &self.connections;
        page.value(&OPEN, connections.open() as u64);
        page.value(&ACCEPTED, connections.accepted.get());
        page.value(&REFUSED, connections.refused.get());
        let mut trouble = page.family(&TROUBLE);
        for (kind, tally) in [
            ("accept", &connections.accept_errors),
            ("bad_request", &connections.bad_requests),
            ("cut", &connections.cut),
            ("panic", &connections.panicked),
            ("timeout", &connections.timed_out),
        ] {
            trouble.push([kind], tally.get());
        }
    }
}
