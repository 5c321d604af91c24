//! What the sender is to do: the config joined with the variables.
//!
//! Owns the order of precedence: config file (the command line writes into it before) over the
//! signal's own variable over the general variable over the default. Surprising: the default
//! endpoint of the specification is left out on purpose, so OTLP is off until an endpoint is
//! named. A key of the config beats `OTEL_SDK_DISABLED`, as it beats every variable.

use std::time::Duration;

use hyper::header::HeaderMap;

use super::endpoint::{self, Kind};
use super::environment::{self, Complaint, Origin, Variables};
use super::headers;
use super::options::{Compression, Options, Protocol};
use super::pairs;
use super::resource::Overrides;
use super::signal::Signal;
use crate::dialect::spool::Bounds;
use crate::net::endpoint::Endpoint;
use crate::net::tls;

/// The default of `otlp.timeout` and `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MOST: Duration = Duration::from_secs(600);
/// The default of `otlp.interval` and `OTEL_METRIC_EXPORT_INTERVAL`.
const INTERVAL: Duration = Duration::from_secs(60);
const INTERVAL_LEAST: Duration = Duration::from_millis(100);
const INTERVAL_MOST: Duration = Duration::from_secs(86_400);
const QUEUE_LEAST: u64 = 64 << 10;
const QUEUE_MOST: u64 = 1 << 30;

/// Where and how one signal is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Where each request goes, path included.
    pub endpoint: Endpoint,
    /// Whom to trust, if that is `https`.
    pub tls: tls::ClientOptions,
    /// HTTP or gRPC.
    pub protocol: Protocol,
    /// What the user adds to each request; every value is marked sensitive.
    pub headers: HeaderMap,
    /// The longest a request may take, connecting and answer included.
    pub timeout: Duration,
    /// Of the request's message.
    pub compression: Compression,
}

/// Everything the OTLP side needs to know, with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    routes: [Option<Route>; Signal::ALL.len()],
    /// Time between two exports of metrics.
    pub interval: Duration,
    /// Bytes of telemetry kept in memory, all signals together.
    pub queue: usize,
    /// Metrics kept on the disk, where there is a place for them.
    pub spool: Option<Bounds>,
    /// What the user says about the resource.
    pub resource: Overrides,
    /// Whether a receiver is named and `OTEL_SDK_DISABLED` alone has nothing sent to it.
    pub is_disabled: bool,
}

impl Settings {
    /// The route of a signal, or none if it is not sent.
    pub fn route(&self, signal: Signal) -> Option<&Route> {
        self.routes.get(signal.index())?.as_ref()
    }

    /// Whether anything is sent.
    pub fn is_on(&self) -> bool {
        self.routes.iter().any(Option::is_some)
    }
}

/// Joins the config with the variables that `lookup` gives.
///
/// The complaints hold everything wrong at once; those with [`Origin::Key`] are the caller's reason not to start,
/// the others are warnings. The settings are usable in either case.
pub fn resolve(
    options: &Options,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> (Settings, Vec<Complaint>) {
    let mut variables = Variables::new(lookup);
    let mut keys = Vec::new();
    check_lengths(options, &mut keys);
    let headers = config_headers(options, &mut keys);
    let routes =
        Signal::ALL.map(|signal| route(options, &headers, signal, &mut variables, &mut keys));
    let interval = options
        .interval
        .map(Duration::from)
        .or_else(|| variables.parsed("OTEL_METRIC_EXPORT_INTERVAL", environment::milliseconds))
        .unwrap_or(INTERVAL)
        .clamp(INTERVAL_LEAST, INTERVAL_MOST);
    if routes.iter().any(Option::is_some) {
        refuse_what_is_not_there(&mut variables);
    }
    let resource = Overrides {
        config: options.resource.clone(),
        service_name: variables.text("OTEL_SERVICE_NAME"),
        attributes: variables
            .parsed("OTEL_RESOURCE_ATTRIBUTES", pairs::parse)
            .unwrap_or_default(),
    };
    let mut endpoints = Signal::ALL
        .map(|signal| environment::own(signal, "ENDPOINT"))
        .into_iter();
    let is_named = options.endpoint.is_some()
        || variables.text(&environment::general("ENDPOINT")).is_some()
        || endpoints.any(|name| variables.text(&name).is_some());
    let is_disabled = is_named && routes.iter().all(Option::is_none) && variables.are_disabled();
    let queue = options.queue.bytes().clamp(QUEUE_LEAST, QUEUE_MOST);
    let settings = Settings {
        routes,
        interval,
        queue: usize::try_from(queue).unwrap_or(usize::MAX),
        spool: options.spool.bounds(),
        resource,
        is_disabled,
    };
    keys.extend(variables.into_complaints());
    (settings, keys)
}

fn check_lengths(options: &Options, keys: &mut Vec<Complaint>) {
    let mut range = |key, inside: bool, least: &str, most: &str| {
        if !inside {
            keys.push(key_complaint(
                key,
                &format!("must be from {least} to {most}"),
            ));
        }
    };
    let within = |period: Option<_>, least, most| {
        period
            .map(Duration::from)
            .is_none_or(|period| (least..=most).contains(&period))
    };
    let timeout = within(options.timeout, Duration::from_millis(1), TIMEOUT_MOST);
    range("timeout", timeout, "1ms", "10m");
    let interval = within(options.interval, INTERVAL_LEAST, INTERVAL_MOST);
    range("interval", interval, "100ms", "1d");
    let queue = (QUEUE_LEAST..=QUEUE_MOST).contains(&options.queue.bytes());
    range("queue", queue, "64KiB", "1GiB");
    if let Some((key, why)) = options.spool.check() {
        keys.push(key_complaint("spool", &format!("{key}: {why}")));
    }
}

/// The headers that the config gives; none if the variables have the word.
fn config_headers(options: &Options, keys: &mut Vec<Complaint>) -> Option<HeaderMap> {
    if options.headers.is_empty() && options.headers_file.is_none() {
        return None;
    }
    let mut take = |key, read: Result<HeaderMap, Vec<headers::NotAHeader>>| {
        read.unwrap_or_else(|wrong| {
            keys.extend(
                wrong
                    .iter()
                    .map(|error| key_complaint(key, &error.to_string())),
            );
            HeaderMap::new()
        })
    };
    let mut all = take("headers", headers::from_config(&options.headers));
    if let Some(file) = &options.headers_file {
        all.extend(take("headers_file", headers::from_file(file.reveal())));
    }
    Some(all)
}

fn route(
    options: &Options,
    config_headers: &Option<HeaderMap>,
    signal: Signal,
    variables: &mut Variables<'_>,
    keys: &mut Vec<Complaint>,
) -> Option<Route> {
    let switch = match signal {
        Signal::Metrics => options.metrics,
        Signal::Traces => options.traces,
        Signal::Logs => options.logs,
    };
    if !switch.unwrap_or_else(|| variables.wanted(signal)) {
        return None;
    }
    let protocol = options
        .protocol
        .or_else(|| variables.of(signal, "PROTOCOL", environment::protocol))
        .unwrap_or(Protocol::HttpProtobuf);
    let insecure = variables
        .of(signal, "INSECURE", environment::boolean)
        .unwrap_or(false);
    let endpoint = if let Some(text) = &options.endpoint {
        endpoint::place(text, Kind::Base, signal, protocol, insecure)
            .map_err(|error| {
                let complaint = key_complaint("endpoint", &error.to_string());
                if !keys.contains(&complaint) {
                    keys.push(complaint);
                }
            })
            .ok()?
    } else {
        let parse =
            |kind| move |text: &str| endpoint::place(text, kind, signal, protocol, insecure);
        variables
            .parsed(&environment::own(signal, "ENDPOINT"), parse(Kind::Exact))
            .or_else(|| variables.parsed(&environment::general("ENDPOINT"), parse(Kind::Base)))?
    };
    let tls = match &options.tls {
        Some(tls) => {
            for fault in tls.faults(endpoint.is_secure()) {
                let complaint = Complaint {
                    origin: Origin::Key("tls"),
                    text: fault.to_string(),
                };
                if !keys.contains(&complaint) {
                    keys.push(complaint);
                }
            }
            tls.clone()
        }
        None => trusted(signal, variables),
    };
    let headers = match config_headers {
        Some(headers) => headers.clone(),
        None => variables
            .of(signal, "HEADERS", headers::from_variable)
            .unwrap_or_default(),
    };
    let timeout = options
        .timeout
        .map(Duration::from)
        .or_else(|| variables.of(signal, "TIMEOUT", environment::milliseconds))
        .or_else(|| match signal {
            // For the export as a whole, which here is the request.
            Signal::Metrics => {
                variables.parsed("OTEL_METRIC_EXPORT_TIMEOUT", environment::milliseconds)
            }
            Signal::Traces | Signal::Logs => None,
        })
        .unwrap_or(TIMEOUT)
        .clamp(Duration::from_millis(1), TIMEOUT_MOST);
    let compression = options
        .compression
        .or_else(|| variables.of(signal, "COMPRESSION", environment::compression))
        .unwrap_or(Compression::Gzip);
    Some(Route {
        endpoint,
        tls,
        protocol,
        headers,
        timeout,
        compression,
    })
}

/// Variables whose wish cannot be granted: silence would let people believe it was.
fn refuse_what_is_not_there(variables: &mut Variables<'_>) {
    variables.parsed(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        environment::temporality,
    );
    variables.parsed("OTEL_TRACES_SAMPLER", environment::sampler);
}

/// Whom the variables trust, and the certificate they show.
fn trusted(signal: Signal, variables: &mut Variables<'_>) -> tls::ClientOptions {
    let usable = |options: &tls::ClientOptions| match options.faults(true).into_iter().next() {
        Some(fault) => Err(fault.why),
        None => Ok(()),
    };
    let authorities = |text: &str| {
        let ca_file = Some(text.into());
        usable(&tls::ClientOptions {
            ca_file,
            ..Default::default()
        })
        .map(|()| text.into())
    };
    let mut options = tls::ClientOptions {
        ca_file: variables.of(signal, "CERTIFICATE", authorities),
        ..Default::default()
    };
    let path = |text: &str| Ok::<_, String>(text.into());
    let pair = tls::ClientOptions {
        cert_file: variables.of(signal, "CLIENT_CERTIFICATE", path),
        key_file: variables.of(signal, "CLIENT_KEY", path),
        ..Default::default()
    };
    match usable(&pair) {
        Ok(()) => (options.cert_file, options.key_file) = (pair.cert_file, pair.key_file),
        Err(why) => variables.complain(&environment::general("CLIENT_CERTIFICATE"), &why),
    }
    options
}

fn key_complaint(key: &'static str, text: &str) -> Complaint {
    Complaint {
        origin: Origin::Key(key),
        text: format!("{key}: {text}"),
    }
}

#[cfg(test)]
mod tests;
