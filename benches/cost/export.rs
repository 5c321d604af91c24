//! An export over OTLP: ours and the Collector's hostmetrics, both to a sink; and ours scraped as often, for what telling alone costs.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use crate::client::Http;
use crate::meter::{cpu, float, median, memory, mib, time};
use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scrape::{self, Set};
use crate::scratch::Scratch;

const INTERVAL: Duration = Duration::from_millis(200);
const ROUND: Duration = Duration::from_secs(5);
const ROUNDS: usize = 5;

/// Takes OTLP over HTTP and says it is fine.
pub struct Sink {
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Sink {
    pub fn start() -> Result<Self, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (requests, bytes) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (r, b) = (Arc::clone(&requests), Arc::clone(&bytes));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (r, b) = (Arc::clone(&r), Arc::clone(&b));
                std::thread::spawn(move || serve(stream, &r, &b));
            }
        });
        Ok(Self {
            address,
            requests,
            bytes,
        })
    }
}

/// Answers until the other side goes away.
fn serve(stream: TcpStream, requests: &AtomicU64, bytes: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.trim_end().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        requests.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        let answer =
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        reader.get_mut().write_all(answer).ok()?;
    }
}

/// Scrapes, plain, as often as the others export.
struct Scraping {
    bytes: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

impl Scraping {
    fn start(address: SocketAddr) -> Result<Self, Failed> {
        let mut client = Http::connect(address, false)?;
        let (bytes, requests) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let told = Self {
            bytes: Arc::clone(&bytes),
            requests: Arc::clone(&requests),
        };
        std::thread::spawn(move || {
            let mut next = Instant::now();
            // Ends with the program that is scraped.
            while let Ok(size) = client.scrape() {
                bytes.fetch_add(size as u64, Ordering::Relaxed);
                requests.fetch_add(1, Ordering::Relaxed);
                next += INTERVAL;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Ok(told)
    }
}

fn ours(sink: &Sink, scratch: &Scratch) -> Result<Running, Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeward"));
    command
        .arg("run")
        .arg("--web.listen-address=127.0.0.1:0")
        .args(Set::Processes.ours())
        .env("RUNTIME_DIRECTORY", scratch.path())
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", sink.address),
        )
        .env("OTEL_TRACES_EXPORTER", "none")
        .env(
            "OTEL_METRIC_EXPORT_INTERVAL",
            INTERVAL.as_millis().to_string(),
        );
    Running::start("nodeward", &mut command, scratch)
}

fn collector(sink: &Sink, scratch: &Scratch) -> Result<Running, Failed> {
    let config = scratch.path().join("collector.yaml");
    let interval = INTERVAL.as_millis();
    std::fs::write(
        &config,
        format!(
            "receivers:\n  hostmetrics:\n    collection_interval: {interval}ms\n    scrapers: {{cpu: , memory: , filesystem: , network: , processes: }}\n\
             exporters:\n  otlphttp: {{endpoint: 'http://{}', compression: gzip}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}\n  pipelines: {{metrics: {{receivers: [hostmetrics], exporters: [otlphttp]}}}}\n",
            sink.address
        ),
    )?;
    let mut command = Command::new(Peer::Collector.find()?);
    command.arg("--config").arg(config);
    Running::start("otelcol", &mut command, scratch)
}

pub fn run(page: &mut String) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    writeln!(
        page,
        "\n## An export over OTLP\n\nThe same subjects every {} ms over HTTP with gzip to a sink that takes them at once, and a plain scrape of them \
         as often (with tcpstat, since an export tells the states of sockets too); {ROUNDS} rounds of {} s, side by side.\n\n\
         | who | CPU an interval | bytes an interval | resident | of it anonymous |\n| --- | ---: | ---: | ---: | ---: |",
        INTERVAL.as_millis(),
        ROUND.as_secs()
    )?;
    let sinks = [Sink::start()?, Sink::start()?];
    let sockets = ["--collector.tcpstat".to_owned()];
    let (scraped, address) = scrape::ours(&sockets, Set::Processes, &scratch)?;
    let scraping = Scraping::start(address)?;
    let programs = [
        (
            "nodeward",
            ours(&sinks[0], &scratch)?,
            &sinks[0].requests,
            &sinks[0].bytes,
        ),
        (
            "Collector with hostmetrics",
            collector(&sinks[1], &scratch)?,
            &sinks[1].requests,
            &sinks[1].bytes,
        ),
        (
            "nodeward, scraped",
            scraped,
            &scraping.requests,
            &scraping.bytes,
        ),
    ];
    for (name, _, requests, _) in &programs {
        until(&format!("an export of {name}"), || {
            (requests.load(Ordering::Relaxed) > 10).then_some(())
        })?;
    }
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    let mut sizes = costs.clone();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let so_far = || {
            let each = programs.iter();
            each.map(|(_, program, _, bytes)| (cpu(program.id()), bytes.load(Ordering::Relaxed)))
        };
        let before: Vec<_> = so_far().collect();
        std::thread::sleep(ROUND);
        let intervals = start.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
        for (at, (seconds, bytes)) in so_far().enumerate() {
            costs[at].push((seconds - before[at].0) / intervals);
            sizes[at].push(float(bytes - before[at].1) / intervals);
        }
    }
    for (at, (name, program, ..)) in programs.iter().enumerate() {
        let (rss, anon) = memory(program.id());
        writeln!(
            page,
            "| {name} | {} | {:.1} kB | {} | {} |",
            time(median(costs[at].clone())),
            median(sizes[at].clone()) / 1e3,
            mib(rss),
            mib(anon)
        )?;
    }
    let [export, _, scrape] = costs.map(median);
    writeln!(
        page,
        "\nAn export costs {:.2} of a plain scrape.",
        export / scrape
    )?;
    Ok(())
}
