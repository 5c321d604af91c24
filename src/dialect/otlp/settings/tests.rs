//! Every row of the table of variables, and the order of precedence.

use std::collections::BTreeMap;

use super::*;
use crate::model::duration::Period;
use crate::model::secret::Secret;
use crate::model::size::Size;

fn with(options: &Options, variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
    let map: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let lookup = |name: &str| map.get(name).map(|value| (*value).to_owned());
    let (settings, complaints) = resolve(options, &lookup);
    (
        settings,
        complaints.iter().map(ToString::to_string).collect(),
    )
}

fn route_of(variables: &[(&str, &str)], signal: Signal) -> Route {
    let (settings, complaints) = with(&Options::default(), variables);
    assert_eq!(complaints, [""; 0]);
    settings.route(signal).expect("a route").clone()
}

fn at(route: &Route) -> String {
    format!("{}{}", route.endpoint, route.endpoint.path())
}

fn here() -> Options {
    Options {
        endpoint: Some("http://config:1".into()),
        ..Options::default()
    }
}

#[test]
fn nothing_is_sent_until_an_endpoint_is_named() {
    let (settings, complaints) = with(&Options::default(), &[("OTEL_SERVICE_NAME", "x")]);
    assert!(!settings.is_on());
    assert_eq!(complaints, [""; 0]);
    let empty = [("OTEL_EXPORTER_OTLP_ENDPOINT", " ")];
    assert!(!with(&Options::default(), &empty).0.is_on());
}

#[test]
fn an_endpoint_alone_brings_the_defaults() {
    let (settings, _) = with(&here(), &[]);
    let route = settings.route(Signal::Metrics).unwrap();
    assert_eq!(at(route), "http://config:1/v1/metrics");
    assert_eq!(route.protocol, Protocol::HttpProtobuf);
    assert_eq!(route.timeout, Duration::from_secs(10));
    assert_eq!(route.compression, Compression::Gzip);
    assert!(route.headers.is_empty());
    assert_eq!(
        at(settings.route(Signal::Traces).unwrap()),
        "http://config:1/v1/traces"
    );
    assert_eq!(settings.interval, Duration::from_secs(60));
    assert_eq!(settings.queue, 8 << 20);
}

#[test]
fn a_signal_s_own_variable_beats_the_general_one_and_is_used_as_it_is() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:4318/base"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://own:1/push"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "3000"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=general"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "b=own%20word"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "NONE"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "GZip"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
    ];
    let metrics = route_of(&variables, Signal::Metrics);
    assert_eq!(at(&metrics), "http://own:1/push");
    assert_eq!(metrics.timeout, Duration::from_secs(2));
    assert_eq!(metrics.headers.get("b").unwrap(), "own word");
    assert!(metrics.headers.get("a").is_none());
    assert_eq!(metrics.compression, Compression::None);
    let traces = route_of(&variables, Signal::Traces);
    assert_eq!(at(&traces), "http://general:4318/base/v1/traces");
    assert_eq!(traces.timeout, Duration::from_secs(3));
    assert_eq!(traces.headers.get("a").unwrap(), "general");
    assert_eq!(traces.compression, Compression::Gzip);
    assert_eq!(
        with(&Options::default(), &variables).0.interval,
        Duration::from_secs(5)
    );
}

#[test]
fn a_signal_with_an_endpoint_of_its_own_does_not_switch_on_the_other() {
    let variables = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:1/push")];
    let (settings, _) = with(&Options::default(), &variables);
    assert!(settings.route(Signal::Metrics).is_none());
    assert!(settings.route(Signal::Traces).is_some());
}

#[test]
fn grpc_goes_without_a_scheme_and_knows_insecure() {
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "gRPC"),
    ];
    let path = Signal::Metrics.grpc_path();
    let route = route_of(&variables, Signal::Metrics);
    assert_eq!(at(&route), format!("https://collector:4317{path}"));
    variables.push(("OTEL_EXPORTER_OTLP_INSECURE", "True"));
    let route = route_of(&variables, Signal::Metrics);
    assert_eq!(at(&route), format!("http://collector:4317{path}"));
    assert_eq!(route.protocol, Protocol::Grpc);
    variables.push(("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "false"));
    let route = route_of(&variables, Signal::Metrics);
    assert_eq!(at(&route), format!("https://collector:4317{path}"));
    let logs = at(&route_of(&variables, Signal::Logs));
    assert!(logs.starts_with("http://collector:4317"), "{logs}");
}

#[test]
fn the_config_beats_every_variable() {
    let options = Options {
        protocol: Some(Protocol::Grpc),
        headers: [("a".to_owned(), "config".to_owned())].into(),
        timeout: Some(Period::secs(1)),
        interval: Some(Period::secs(15)),
        compression: Some(Compression::None),
        queue: Size::mib(1),
        metrics: Some(true),
        ..here()
    };
    let variables = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://own:1/push"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "b=variable"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ("OTEL_SDK_DISABLED", "true"),
    ];
    let (settings, complaints) = with(&options, &variables);
    assert_eq!(complaints, [""; 0]);
    let route = settings.route(Signal::Metrics).unwrap();
    assert_eq!(route.endpoint.authority(), "config:1");
    assert_eq!(route.protocol, Protocol::Grpc);
    assert_eq!(route.headers.get("a").unwrap(), "config");
    assert_eq!(route.headers.len(), 1);
    assert_eq!(route.timeout, Duration::from_secs(1));
    assert_eq!(route.compression, Compression::None);
    assert_eq!(settings.interval, Duration::from_secs(15));
    assert_eq!(settings.queue, 1 << 20);
    assert!(
        settings.route(Signal::Traces).is_none(),
        "no key speaks for traces"
    );
}

#[test]
fn signals_are_switched_off_by_variables() {
    let on = |variables: &[(&str, &str)]| {
        let (settings, complaints) = with(&here(), variables);
        let [metrics, traces, logs] = Signal::ALL.map(|signal| settings.route(signal).is_some());
        (metrics, traces, logs, complaints.len())
    };
    for (name, value, expected) in [
        ("OTEL_SDK_DISABLED", "TRUE", (false, false, false, 0)),
        ("OTEL_SDK_DISABLED", "false", (true, true, true, 0)),
        ("OTEL_SDK_DISABLED", "1", (true, true, true, 1)),
        ("OTEL_METRICS_EXPORTER", "None", (false, true, true, 0)),
        ("OTEL_TRACES_EXPORTER", "none", (true, false, true, 0)),
        ("OTEL_LOGS_EXPORTER", "none", (true, true, false, 0)),
        (
            "OTEL_METRICS_EXPORTER",
            "prometheus",
            (false, true, true, 0),
        ),
        (
            "OTEL_METRICS_EXPORTER",
            "prometheus, OTLP",
            (true, true, true, 0),
        ),
        ("OTEL_METRICS_EXPORTER", "otpl", (true, true, true, 1)),
    ] {
        assert_eq!(on(&[(name, value)]), expected, "{name}={value}");
    }
}

#[test]
fn who_named_a_receiver_is_told_that_a_variable_disables_all() {
    let disabled = ("OTEL_SDK_DISABLED", "true");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/x");
    let is_disabled = |options: &Options, variables: &[_]| with(options, variables).0.is_disabled;
    assert!(is_disabled(&here(), &[disabled]));
    assert!(is_disabled(&Options::default(), &[disabled, own]));
    assert!(!is_disabled(&Options::default(), &[disabled]));
    assert!(!is_disabled(&here(), &[]));
    let metrics = Options {
        metrics: Some(true),
        ..here()
    };
    assert!(!is_disabled(&metrics, &[disabled]));
}

#[test]
fn logs_have_a_key_and_an_endpoint_of_their_own() {
    let options = Options {
        logs: Some(false),
        ..here()
    };
    let (settings, _) = with(&options, &[("OTEL_LOGS_EXPORTER", "otlp")]);
    assert!(settings.route(Signal::Logs).is_none());
    assert!(settings.route(Signal::Traces).is_some());
    let variables = [(
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        "http://siem:4318/intake/logs",
    )];
    let (settings, _) = with(&Options::default(), &variables);
    let route = settings.route(Signal::Logs).unwrap();
    assert_eq!(route.endpoint.path(), "/intake/logs");
    assert!(settings.route(Signal::Metrics).is_none());
}

#[test]
fn all_wrong_variables_are_named_at_once_and_ignored() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "c:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=%zzhunter2"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "soon"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b"),
    ];
    let (settings, complaints) = with(&Options::default(), &variables);
    for (name, _) in variables
        .iter()
        .filter(|(name, _)| *name != "OTEL_EXPORTER_OTLP_ENDPOINT")
    {
        let lines = complaints
            .iter()
            .filter(|line| line.starts_with(&format!("{name}: ")));
        assert_eq!(lines.count(), 1, "{name} in {complaints:#?}");
    }
    assert_eq!(complaints.len(), variables.len() - 1, "{complaints:#?}");
    assert!(!complaints.concat().contains("hunter2"));
    let route = settings.route(Signal::Metrics).unwrap();
    assert_eq!(
        at(route),
        "http://c:4318/v1/metrics",
        "falls back to the weaker variable"
    );
    assert_eq!(route.timeout, TIMEOUT);
    assert_eq!(settings.interval, INTERVAL);
    assert_eq!(settings.resource.attributes, []);
}

#[test]
fn wrong_keys_are_all_reported_and_told_from_variables() {
    let options = Options {
        endpoint: Some("config:1".into()),
        timeout: Some(Period::secs(0)),
        interval: Some(Period::millis(1)),
        queue: Size::new(1),
        headers: [("cookie".to_owned(), "hunter2".to_owned())].into(),
        headers_file: Some(Secret::new("hunter2")),
        ..Options::default()
    };
    let (settings, complaints) = resolve(&options, &|_| None);
    let keys: Vec<_> = complaints
        .iter()
        .map(|complaint| complaint.origin.clone())
        .collect();
    let expected = [
        "timeout",
        "interval",
        "queue",
        "headers",
        "headers_file",
        "endpoint",
    ];
    assert_eq!(keys, expected.map(Origin::Key));
    assert!(
        complaints
            .iter()
            .all(|complaint| !complaint.to_string().contains("hunter2"))
    );
    assert!(
        complaints[5]
            .to_string()
            .starts_with("otlp.endpoint: the URL has no scheme")
    );
    assert!(!settings.is_on());
}

#[test]
fn the_headers_file_joins_the_headers_of_the_config() {
    let options = Options {
        headers: [("X-Scope-OrgID".to_owned(), "ops".to_owned())].into(),
        headers_file: Some(Secret::new("Authorization: Bearer x")),
        ..here()
    };
    let lookup = |name: &str| (name == "OTEL_EXPORTER_OTLP_HEADERS").then(|| "c=d".to_owned());
    let (settings, complaints) = resolve(&options, &lookup);
    assert_eq!(complaints, []);
    let headers = &settings.route(Signal::Metrics).unwrap().headers;
    assert_eq!(headers.len(), 2);
    assert_eq!(headers.get("authorization").unwrap(), "Bearer x");
}

#[test]
fn the_section_reads_as_documented() {
    let options: Options = serde_json::from_str(
        r#"{"endpoint": "http://127.0.0.1:4318", "interval": "15s", "protocol": "grpc",
            "compression": "none", "queue": "1MiB", "headers_file": "otlp.headers",
            "resource": {"deployment.environment.name": "test"}}"#,
    )
    .unwrap();
    assert_eq!(options.interval, Some(Period::secs(15)));
    assert_eq!(options.protocol, Some(Protocol::Grpc));
    assert!(serde_json::from_str::<Options>(r#"{"endpiont": ""}"#).is_err());
    assert!(serde_json::from_str::<Options>(r#"{"protocol": "http/json"}"#).is_err());
}

#[test]
fn certificates_come_from_the_config_or_from_variables() {
    let place = crate::net::tls::tests::Place::new();
    let ca = place.path("ca.pem");
    let mine = place.showing("mine", &place.authority.issue(&["node.example"]));
    let text = |path: &Option<std::path::PathBuf>| path.clone().unwrap().display().to_string();
    let (authority, cert, key) = (
        text(&mine.ca_file),
        text(&mine.cert_file),
        text(&mine.key_file),
    );
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", authority.as_str()),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", cert.as_str()),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.as_str()),
    ];
    let (settings, complaints) = with(&Options::default(), &variables);
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(settings.route(Signal::Metrics).unwrap().tls, mine);
    assert_eq!(settings.route(Signal::Traces).unwrap().tls.ca_file, None);
    let (settings, complaints) = with(&Options::default(), &variables[..3]);
    assert!(
        complaints[0].contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: needs its key"),
        "{complaints:?}"
    );
    assert_eq!(settings.route(Signal::Metrics).unwrap().tls.cert_file, None);
    let keys = Options {
        tls: Some(crate::net::tls::ClientOptions {
            ca_file: Some(ca.clone()),
            ..Default::default()
        }),
        ..Options::default()
    };
    let (settings, _) = with(&keys, &variables);
    let route = settings.route(Signal::Metrics).unwrap();
    assert_eq!(
        (route.tls.ca_file.as_ref(), route.tls.cert_file.as_ref()),
        (Some(&ca), None)
    );
    let (_, complaints) = with(&keys, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]);
    assert!(
        complaints[0].starts_with("otlp.tls: means nothing without TLS"),
        "{complaints:?}"
    );
}

/// The table of the exporter specification: each variable for all signals, and for each signal before that.
#[test]
fn every_variable_speaks_for_all_signals_and_its_own_speaks_louder() {
    let place = crate::net::tls::tests::Place::new();
    let pair = |name: &str| {
        let options = place.showing(name, &place.authority.issue(&["node.example"]));
        let text = |path: Option<std::path::PathBuf>| path.unwrap().display().to_string();
        [options.ca_file, options.cert_file, options.key_file].map(text)
    };
    let [ca, general_cert, general_key] = pair("general");
    let [_, own_cert, own_key] = pair("own");
    let debug = |route: &Route| {
        let tls = &route.tls;
        let headers = route.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        [
            at(route),
            format!("{:?}", route.protocol),
            headers.join(","),
            format!("{:?}", route.timeout),
            format!("compression={:?}", route.compression),
            format!("{:?}", tls.ca_file),
            format!("{:?}", (&tls.cert_file, &tls.key_file)),
        ]
        .join(" ")
    };
    let certificates = |cert: &str, key: &str| {
        vec![
            ("CLIENT_CERTIFICATE", cert.to_owned()),
            ("CLIENT_KEY", key.to_owned()),
        ]
    };
    let one = |suffix: &'static str, value: &str| vec![(suffix, value.to_owned())];
    for (general, own, said) in [
        (
            one("ENDPOINT", "https://general:1"),
            one("ENDPOINT", "https://own:1/x"),
            ["https://general:1/v1/", "https://own:1/x "],
        ),
        (
            one("PROTOCOL", "grpc"),
            one("PROTOCOL", "http/protobuf"),
            ["Grpc", "HttpProtobuf"],
        ),
        (
            one("HEADERS", "a=b%20c"),
            one("HEADERS", "d=%65"),
            ["a=b c", "d=e"],
        ),
        (
            one("TIMEOUT", "1500"),
            one("TIMEOUT", "2500"),
            ["1.5s", "2.5s"],
        ),
        (
            one("COMPRESSION", "none"),
            one("COMPRESSION", "gzip"),
            ["compression=None", "compression=Gzip"],
        ),
        (
            one("CERTIFICATE", &ca),
            one("CERTIFICATE", &general_cert),
            [&*ca, &*general_cert],
        ),
        (
            certificates(&general_cert, &general_key),
            certificates(&own_cert, &own_key),
            [&*general_cert, &*own_cert],
        ),
    ] {
        for signal in Signal::ALL {
            let default = (
                "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
                "https://default:1".to_owned(),
            );
            let mut set = BTreeMap::from([default]);
            let mut add = |all: &[(&str, String)], name: fn(Signal, &str) -> String| {
                set.extend(
                    all.iter()
                        .map(|(suffix, value)| (name(signal, suffix), value.clone())),
                );
                set.clone()
            };
            let weak = add(&general, |_, suffix| environment::general(suffix));
            let strong = add(&own, environment::own);
            for (set, expected) in [(weak, said[0]), (strong, said[1])] {
                let set: Vec<_> = set
                    .iter()
                    .map(|(name, value)| (&**name, &**value))
                    .collect();
                let told = debug(&route_of(&set, signal));
                assert!(told.contains(expected), "{expected:?} in {told} of {set:?}");
            }
        }
    }
}

#[test]
fn the_time_of_an_export_is_that_of_its_request_unless_that_has_its_own() {
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "3000"),
    ];
    assert_eq!(
        route_of(&variables, Signal::Metrics).timeout,
        Duration::from_secs(3)
    );
    assert_eq!(route_of(&variables, Signal::Traces).timeout, TIMEOUT);
    variables.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"));
    assert_eq!(
        route_of(&variables, Signal::Metrics).timeout,
        Duration::from_secs(2)
    );
}

#[test]
fn the_spool_is_bounded_as_the_config_says() {
    let bounds = |text: &str| {
        let options: Options = serde_json::from_str(text).unwrap();
        let (settings, complaints) = resolve(&options, &|_| None);
        (settings.spool, complaints)
    };
    let default = bounds("{}").0.unwrap();
    assert_eq!(
        (default.size, default.age),
        (64 << 20, Duration::from_secs(7 * 86_400))
    );
    let chosen = bounds(r#"{"spool": {"max_size": "1GiB", "keep": "1d"}}"#)
        .0
        .unwrap();
    assert_eq!(
        (chosen.size, chosen.age),
        (1 << 30, Duration::from_secs(86_400))
    );
    assert_eq!(bounds(r#"{"spool": {"max_size": "0B"}}"#), (None, vec![]));
    for wrong in [
        r#"{"spool": {"max_size": "7MiB"}}"#,
        r#"{"spool": {"keep": "59s"}}"#,
    ] {
        let (_, complaints) = bounds(wrong);
        assert_eq!(complaints[0].origin, Origin::Key("spool"));
    }
}
