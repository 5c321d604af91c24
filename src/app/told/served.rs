//! What was served and refused.

use std::sync::Arc;

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::net::accept::Counters;
use crate::net::tls;
use crate::serve::Requests;
use crate::serve::web::Web;

/// Tells requests by path and code.
pub struct Served {
    /// Requests of the HTTP listener.
    pub requests: Arc<Requests>,
    /// Connections of the HTTP listeners.
    pub connections: Arc<Counters>,
    /// TLS handshakes on them.
    pub handshakes: Arc<tls::Counters>,
    /// What each kind of listener speaks, by the section of the config it is of.
    pub speaks: [(&'static str, tls::Slot); 3],
    /// What is asked of who uses `http.listen`.
    pub web: Arc<Web>,
}

crate::families! { Served:
    SCRAPES counter "promhttp_metric_handler_requests_total" ["code"] "Scrapes answered, by code: the name that Prometheus' own programs count them under";
    SCRAPING gauge "promhttp_metric_handler_requests_in_flight" [] "Scrapes being answered now, this one among them";
    REQUESTS counter "nodeward_http_requests_total" ["path", "code"] "HTTP requests answered, by path and code";
    OPEN gauge "nodeward_http_connections" [] "HTTP connections open now";
    ACCEPTED counter "nodeward_http_connections_total" [] "HTTP connections taken";
    REFUSED counter "nodeward_http_connections_refused_total" [] "HTTP connections closed at once because too many are open";
    TROUBLE counter "nodeward_http_connection_errors_total" ["kind"] "HTTP connections that went wrong, by kind";
    WEB_CURRENT gauge "nodeward_web_config_current" [] "Whether what the web configuration file says is in force: 0 while it has changed and cannot be used";
    LOGINS counter "nodeward_http_refused_logins_total" ["why"] "Logins to the HTTP listener that were refused, by why";
    LIMITED counter "nodeward_http_rate_limited_total" [] "Requests turned away because they came faster than rate_limit";
    HANDSHAKES counter "nodeward_tls_handshakes_total" [] "TLS handshakes completed on HTTP listeners";
    HANDSHAKE_FAILURES counter "nodeward_tls_handshake_failures_total" ["kind"] "TLS handshakes on HTTP listeners that failed, by kind";
    EXPIRY gauge "nodeward_tls_certificate_expiry_timestamp_seconds" ["listener"] "End of the certificate that a listener shows, in Unix seconds";
}

impl Told for Served {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let counts = self.requests.all();
        let scraped = |code| {
            let mut counts = counts.iter();
            let count = counts.find(|(path, of, _)| (*path, *of) == ("/metrics", code));
            count.map_or(0, |(_, _, count)| *count)
        };
        let mut scrapes = page.family(&SCRAPES);
        for code in [200_u16, 500, 503] {
            scrapes.push([itoa::Buffer::new().format(code)], scraped(code));
        }
        page.value(&SCRAPING, u64::from(self.requests.scrapes()));
        let mut requests = page.family(&REQUESTS);
        for (path, code, count) in &counts {
            requests.push([path, itoa::Buffer::new().format(*code)], *count);
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
        if let Some(current) = self.web.is_current() {
            page.value(&WEB_CURRENT, u64::from(current));
            let mut logins = page.family(&LOGINS);
            for (why, count) in self.web.refused() {
                logins.push([why], count);
            }
            page.value(&LIMITED, self.web.limited());
        }
        let speaking = self.speaks.iter();
        let speaking: Vec<_> = speaking
            .filter_map(|(name, slot)| Some((*name, slot.get()?)))
            .collect();
        if speaking.is_empty() {
            return;
        }
        page.value(&HANDSHAKES, self.handshakes.done.get());
        let mut failures = page.family(&HANDSHAKE_FAILURES);
        for (failure, kind) in tls::FAILURES {
            failures.push([kind], self.handshakes.failed(failure));
        }
        let mut expiry = page.family(&EXPIRY);
        for (listener, server) in speaking {
            if let Some(end) = server.not_after() {
                expiry.push([listener], end);
            }
        }
    }
}
