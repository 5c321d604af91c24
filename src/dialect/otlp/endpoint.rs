//! From the text a person wrote to where a request goes.
//!
//! Owns the rules of the OTLP exporter specification: a general endpoint is a base for HTTP, a
//! signal's own endpoint is used as it stands, and gRPC looks at host and port alone. No default
//! endpoint exists here: nodeward connects to nothing that was not named.

use super::options::Protocol;
use super::signal::Signal;
use crate::net::endpoint::{Endpoint, EndpointError};

/// Where an endpoint's text came from, which decides what is appended to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For all signals: `v1/<signal>` is appended for HTTP.
    Base,
    /// For one signal: used as it is.
    Exact,
}

/// Where one signal's requests go, path included.
///
/// `insecure` is `OTEL_EXPORTER_OTLP_INSECURE`: with gRPC and no scheme it chooses plain text over
/// TLS.
///
/// # Errors
/// [`EndpointError`] if no request could be sent there.
pub fn place(
    text: &str,
    kind: Kind,
    signal: Signal,
    protocol: Protocol,
    insecure: bool,
) -> Result<Endpoint, EndpointError> {
    let bare = !text.contains("://") && !text.starts_with("unix:");
    let endpoint: Endpoint = match (protocol, insecure) {
        (Protocol::Grpc, true) if bare => format!("http://{text}").parse()?,
        (Protocol::Grpc, false) if bare => format!("https://{text}").parse()?,
        _ => text.parse()?,
    };
    match (protocol, kind) {
        (Protocol::Grpc, _) => endpoint.at(signal.grpc_path()),
        (Protocol::HttpProtobuf, Kind::Base) => endpoint.below(signal.http_path()),
        (Protocol::HttpProtobuf, Kind::Exact) => Ok(endpoint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_table_of_the_specification() {
        use Kind::{Base, Exact};
        use Protocol::{Grpc, HttpProtobuf as Http};
        let call = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
        for (text, kind, protocol, insecure, peer, path) in [
            (
                "http://c:4318",
                Base,
                Http,
                false,
                "http://c:4318",
                "/v1/metrics",
            ),
            (
                "http://c/a/b/",
                Base,
                Http,
                false,
                "http://c:80",
                "/a/b/v1/metrics",
            ),
            (
                "http://c/a?key=1",
                Base,
                Http,
                false,
                "http://c:80",
                "/a/v1/metrics?key=1",
            ),
            ("http://c:4318", Exact, Http, false, "http://c:4318", "/"),
            (
                "http://c/push?key=1",
                Exact,
                Http,
                false,
                "http://c:80",
                "/push?key=1",
            ),
            (
                "http://[::1]:4318",
                Base,
                Http,
                false,
                "http://[::1]:4318",
                "/v1/metrics",
            ),
            (
                "unix:/run/c.sock",
                Base,
                Http,
                false,
                "unix:/run/c.sock",
                "/v1/metrics",
            ),
            ("http://c:4317/a", Base, Grpc, false, "http://c:4317", call),
            ("c:4317", Exact, Grpc, true, "http://c:4317", call),
            (
                "unix:/run/c.sock",
                Base,
                Grpc,
                false,
                "unix:/run/c.sock",
                call,
            ),
        ] {
            let place = place(text, kind, Signal::Metrics, protocol, insecure).unwrap();
            assert_eq!(place.to_string(), peer, "{text}");
            assert_eq!(place.path(), path, "{text}");
        }
    }

    #[test]
    fn plain_text_is_never_a_silent_choice() {
        let refused =
            |text, protocol| place(text, Kind::Base, Signal::Traces, protocol, false).unwrap_err();
        for (text, protocol, peer) in [
            ("c:4317", Protocol::Grpc, "https://c:4317"),
            ("https://c", Protocol::HttpProtobuf, "https://c:443"),
        ] {
            let place = place(text, Kind::Base, Signal::Traces, protocol, false).unwrap();
            assert_eq!(place.to_string(), peer);
        }
        assert_eq!(
            refused("c:4318", Protocol::HttpProtobuf),
            EndpointError::NoScheme
        );
        assert_eq!(refused("", Protocol::HttpProtobuf), EndpointError::NoScheme);
    }
}
