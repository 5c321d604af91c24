//! Prometheus 3 as reader: it scrapes both formats, lints the page, and takes our OTLP.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours, web};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "prometheus::both_formats_are_scraped_without_a_warning",
        needs: &[Peer::Prometheus],
        run: both_formats,
    },
    PeerTest {
        name: "prometheus::our_otlp_is_taken",
        needs: &[Peer::Prometheus],
        run: takes_otlp,
    },
    PeerTest {
        name: "prometheus::promtool_says_nothing_it_does_not_say_of_the_reference",
        needs: &[Peer::Promtool, Peer::NodeExporter],
        run: lint,
    },
];

/// Scrapes that must have gone well before anything is judged.
const SCRAPES: f64 = 3.0;

/// Starts Prometheus with a configuration of this text, as receiver of OTLP too.
pub fn start(configuration: &str, scratch: &Scratch) -> Result<Running, Failed> {
    let file = scratch.path().join("prometheus.yml");
    std::fs::write(&file, configuration)?;
    let mut command = Command::new(Peer::Prometheus.find()?);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            scratch.path().join("tsdb").display()
        ))
        .args([
            "--web.listen-address=127.0.0.1:0",
            "--web.enable-otlp-receiver",
        ]);
    Running::start("prometheus", &mut command, scratch)
}

/// An expression for a URL.
pub fn encoded(expression: &str) -> String {
    let mut encoded = String::new();
    for byte in expression.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The value of an instant query that has one result.
pub fn query(prometheus: SocketAddr, expression: &str) -> Option<f64> {
    let encoded = encoded(expression);
    let text = web::page(prometheus, &format!("/api/v1/query?query={encoded}")).ok()?;
    let answer: Value = serde_json::from_str(&text).ok()?;
    let [result] = answer.pointer("/data/result")?.as_array()?.as_slice() else {
        return None;
    };
    result.pointer("/value/1")?.as_str()?.parse().ok()
}

fn both_formats() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    // States of sockets and processes come and go between two scrapes, and the samples are counted.
    let yaml = "http: {listen: [\"127.0.0.1:0\"], openmetrics: true}\nsubjects: {disable: [tcpstat, processes]}\n";
    let mut ours = ours::configured(yaml, &scratch)?;
    let address = ours.address()?;
    let job = |name: &str, protocol: &str| {
        format!(
            "  - job_name: {name}\n    scrape_protocols: [{protocol}]\n    static_configs: \
             [{{targets: [\"{address}\"]}}]\n"
        )
    };
    let configuration = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{}{}",
        job("text", "PrometheusText0.0.4"),
        job("openmetrics", "OpenMetricsText1.0.0"),
    );
    let mut prometheus = start(&configuration, &scratch)?;
    let server = prometheus.address()?;
    for name in ["text", "openmetrics"] {
        let up = format!("sum_over_time(up{{job=\"{name}\"}}[5m])");
        until(&format!("{name} to be scraped"), || {
            query(server, &up).filter(|scrapes| *scrapes >= SCRAPES)
        })
        .map_err(|failed| {
            let reason = failed.message().unwrap_or_default();
            let targets = web::page(server, "/api/v1/targets").unwrap_or_default();
            Failed::from(format!("{reason}\n{targets}\n{}", prometheus.log()))
        })?;
        let down = query(server, &format!("min_over_time(up{{job=\"{name}\"}}[5m])"));
        if down != Some(1.0) {
            return Err(format!("a scrape of {name} failed:\n{}", prometheus.log()).into());
        }
        for family in [
            "node_cpu_seconds_total",
            "node_memory_MemTotal_bytes",
            "process_max_fds",
        ] {
            let expression = format!("count({family}{{job=\"{name}\"}})");
            if query(server, &expression).is_none() {
                return Err(format!("{family} did not arrive by {name}").into());
            }
        }
    }
    // A mount or an interface may come between the two scrapes of a moment, but not between all of them.
    let counted = |name: &str| query(server, &format!("scrape_samples_scraped{{job=\"{name}\"}}"));
    let mut counts = (None, None);
    let same = until("text and OpenMetrics to have as many samples", || {
        counts = (counted("text"), counted("openmetrics"));
        (counts.0.is_some() && counts.0 == counts.1).then_some(())
    });
    same.map_err(|failed| {
        let reason = failed.message().unwrap_or_default();
        Failed::from(format!("{reason}: {counts:?}"))
    })?;
    quiet(&prometheus)
}

/// Prometheus complains about a page in its log: duplicates, timestamps, formats.
pub fn quiet(prometheus: &Running) -> Result<(), Failed> {
    let log = prometheus.log();
    let complaints: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("level=WARN") || line.contains("level=ERROR"))
        .collect();
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n").into())
    }
}

fn takes_otlp() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let mut prometheus = start("otlp: {}\n", &scratch)?;
    let server = prometheus.address()?;
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\n\
         otlp: {{endpoint: \"http://{server}/api/v1/otlp\", protocol: http/protobuf, interval: 1s}}\n"
    );
    let ours = ours::configured(&yaml, &scratch)?;
    for expression in [
        "count(system_cpu_time_seconds_total)",
        "count(system_memory_usage_bytes)",
    ] {
        until(expression, || query(server, expression)).map_err(|failed| {
            let reason = failed.message().unwrap_or_default();
            let logs = format!("nodeward: {}\nprometheus: {}", ours.log(), prometheus.log());
            Failed::from(format!("{reason}\n{logs}"))
        })?;
    }
    quiet(&prometheus)
}

fn lint() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let mut command = Command::new(Peer::NodeExporter.find()?);
    command.args(["--web.listen-address=127.0.0.1:0", "--collector.processes"]);
    let mut reference = Running::start("node_exporter", &mut command, &scratch)?;
    let mut ours = ours::run([""; 0], &scratch)?;
    let theirs = complaints(reference.address()?, "theirs", &scratch)?;
    let mine = complaints(ours.address()?, "ours", &scratch)?;
    let new: Vec<&String> = mine.difference(&theirs).collect();
    if new.is_empty() {
        Ok(())
    } else {
        Err(format!("{new:#?}").into())
    }
}

/// What promtool says of a page, a line each.
fn complaints(of: SocketAddr, name: &str, scratch: &Scratch) -> Result<BTreeSet<String>, Failed> {
    let file = scratch.path().join(format!("{name}.prom"));
    std::fs::write(&file, web::page(of, "/metrics")?)?;
    let mut command = Command::new(Peer::Promtool.find()?);
    let out = command
        .args(["check", "metrics"])
        .stdin(File::open(&file)?)
        .output()?;
    let text = String::from_utf8(out.stdout)? + &String::from_utf8(out.stderr)?;
    Ok(text.lines().map(str::to_owned).collect())
}
