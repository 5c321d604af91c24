//! An OTLP receiver of the tests' own: takes what comes over HTTP, or is away when told so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Only ever used up by a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// The receiver; it goes with the process of the test.
pub struct Collector {
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    away: AtomicBool,
    refused: Mutex<Option<(&'static str, u16)>>,
    /// Path and body of each request that was taken.
    taken: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serve(stream, &serving));
            }
        });
        Self { url, shared }
    }

    /// Whether it hangs up on everybody.
    pub fn set_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }

    /// From now on a request that holds this text is answered with this status, whole; none for no text.
    pub fn refuse(&self, refused: Option<(&'static str, u16)>) {
        *self.shared.refused.lock().unwrap() = refused;
    }

    fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let taken = self.shared.taken.lock().unwrap();
        let of = taken.iter().filter(|(to, _)| to == path);
        of.map(|(_, body)| body.clone()).collect()
    }

    /// The spans that came, in their order.
    pub fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies("/v1/traces").into_iter();
        let requests = bodies.map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The log records that came, in their order.
    pub fn logs(&self) -> Vec<LogRecord> {
        let bodies = self.bodies("/v1/logs").into_iter();
        let requests = bodies.map(|body| ExportLogsServiceRequest::decode(&body[..]).unwrap());
        let resources = requests.flat_map(|request| request.resource_logs);
        let scopes = resources.flat_map(|resource| resource.scope_logs);
        scopes.flat_map(|scope| scope.log_records).collect()
    }

    /// The metrics that came, in their order.
    pub fn metrics(&self) -> Vec<Metric> {
        let bodies = self.bodies("/v1/metrics").into_iter();
        let requests = bodies.map(|body| ExportMetricsServiceRequest::decode(&body[..]).unwrap());
        let resources = requests.flat_map(|request| request.resource_metrics);
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }

    /// Waits until `seen` finds what it looks for.
    pub fn until<T>(&self, what: &str, seen: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = seen(self) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}: {:#?} {:#?}",
                self.spans(),
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut answers = stream.try_clone().ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).ok()?;
            let header = header.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        if shared.away.load(Ordering::SeqCst) {
            return None;
        }
        let refused = *shared.refused.lock().unwrap();
        let holds = |text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
        if let Some((_, status)) = refused.filter(|(text, _)| holds(text)) {
            let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
            answers.write_all(answer.as_bytes()).ok()?;
            continue;
        }
        shared.taken.lock().unwrap().push((path, body));
        answers
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .ok()?;
    }
}

/// The text of an attribute; numbers in decimal.
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(flag) => Some(flag.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}
