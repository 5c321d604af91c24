//! The `http:` section.

use std::path::PathBuf;

use crate::net::tls;

/// The HTTP listener and what it serves (`http:`).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Addresses to listen on: `host:port`, `:port` for all addresses, or `unix:/path`. `systemd` alone takes the sockets that the
    /// unit's socket unit passes (`--web.systemd-socket`).
    pub listen: Vec<String>,
    /// TLS on `listen`; Unix sockets stay plain. Default: none.
    pub tls: Option<tls::ServerOptions>,
    /// A web configuration file of Prometheus' exporters: TLS, headers, logins, a rate for `listen` (`--web.config.file`). It is read again
    /// when it changes. Default: none.
    #[schemars(extend("x-nodeward-type" = "file"))]
    pub web_config: Option<PathBuf>,
    /// Path of the page of metrics (`--web.telemetry-path`).
    pub telemetry_path: String,
    /// Scrapes answered at the same time; one more gets 503. 0 is no limit (`--web.max-requests`).
    pub max_requests: u32,
    /// Whether OpenMetrics 1.0 is offered to those who prefer it; text 0.0.4 otherwise.
    pub openmetrics: bool,
    /// Whether nodeward's own series (`process_*`, `nodeward_*`) are on the page (`--web.disable-exporter-metrics`).
    pub own_metrics: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: vec!["127.0.0.1:9100".into()],
            tls: None,
            web_config: None,
            telemetry_path: "/metrics".into(),
            max_requests: 40,
            openmetrics: false,
            own_metrics: true,
        }
    }
}
