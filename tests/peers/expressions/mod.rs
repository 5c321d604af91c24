//! Prometheus scrapes node_exporter and nodeward side by side, and users' expressions come to the same for both.
//!
//! Asked at one time, the two were scraped at different ones. So what the reference told of that time is taken from its scrapes
//! around it: where these came to one value, ours must be exactly that; where they moved, ours may lie outside by no more than they
//! moved. What was wrong is asked again for later times; a real fault is wrong for each.

mod list;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use libtest_mimic::Failed;
use serde_json::Value;

use crate::hosts::Host;
use crate::process::{Running, until};
use crate::programs::Peer;
use crate::prometheus;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{PeerTest, ours, web};
use list::{Asked, EXPRESSIONS};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "expressions::every_one_comes_to_the_same_beside_the_reference",
        needs: &[
            Peer::NodeExporter,
            Peer::Prometheus,
            Peer::Root,
            Peer::Systemd,
            Peer::DbusDaemon,
        ],
        run: same,
    },
    PeerTest {
        name: "expressions::there_are_a_hundred_and_every_subject_has_one",
        needs: &[],
        run: every_subject,
    },
];

/// Captured machines, each with two exporters.
const HOSTS: [&str; 4] = ["server", "storage", "arm", "vm"];
/// What is on at both programs beside what is on by default.
const MORE: [&str; 4] = [
    "--collector.processes",
    "--collector.interrupts",
    "--collector.cpu.info",
    "--collector.stat.softirq",
];
/// Seconds between two scrapes.
const INTERVAL: i64 = 2;
/// Scrapes of the reference around the time that is asked for, on either side.
const AROUND: i64 = 2;
/// Scrapes that must be there before anything is asked: more than any range selects.
const SCRAPES: f64 = 14.0;
/// Times that are asked for until all must agree.
const ROUNDS: usize = 12;

/// Values by their labels, at each time around the one that is asked for; in scrapes.
type Results = BTreeMap<BTreeMap<String, String>, BTreeMap<i64, f64>>;

/// Both programs over one machine.
struct Pair {
    host: String,
    reference: Running,
    ours: Running,
    _state: Scratch,
}

impl Pair {
    fn start(host: &str, flags: &[String], bus: Option<&str>) -> Result<Self, Failed> {
        let state = Scratch::new()?;
        let mut theirs = Command::new(Peer::NodeExporter.find()?);
        let mut ours = ours::command("run", &state);
        for command in [&mut theirs, &mut ours] {
            command.arg("--web.listen-address=127.0.0.1:0").args(flags);
            if let Some(bus) = bus {
                command.env("DBUS_SYSTEM_BUS_ADDRESS", bus);
            }
        }
        Ok(Self {
            host: host.to_owned(),
            reference: Running::start("node_exporter", &mut theirs, &state)?,
            ours: Running::start("nodeward", &mut ours, &state)?,
            _state: state,
        })
    }

    /// Its targets in the configuration of Prometheus.
    fn targets(&mut self) -> Result<String, Failed> {
        let (theirs, ours) = (self.reference.address()?, self.ours.address()?);
        let host = &self.host;
        let target = |address, exporter| {
            format!(
                "      - {{targets: [\"{address}\"], labels: {{host: {host}, exporter: {exporter}}}}}\n"
            )
        };
        Ok(target(theirs, "reference") + &target(ours, "ours"))
    }
}

/// What an expression comes to for one of the programs, around a time.
fn results(
    server: SocketAddr,
    text: &str,
    (host, exporter): (&str, &str),
    time: i64,
) -> Result<Results, Failed> {
    let text = text.replace("$i", &format!("exporter=\"{exporter}\", host=\"{host}\""));
    let path = format!(
        "/api/v1/query_range?query={}&start={}&end={}&step={INTERVAL}",
        prometheus::encoded(&text),
        time - AROUND * INTERVAL,
        time + AROUND * INTERVAL
    );
    let answer: Value = serde_json::from_str(&web::page(server, &path)?)?;
    let series = answer.pointer("/data/result").and_then(Value::as_array);
    let mut results = Results::new();
    for one in series.ok_or_else(|| format!("{text}: {answer}"))? {
        let labels = one.get("metric").and_then(Value::as_object);
        let labels = labels.into_iter().flatten();
        // What tells the two apart is no difference of theirs.
        let labels = labels.filter(|(name, _)| !matches!(name.as_str(), "instance" | "exporter"));
        let labels = labels.map(|(name, value)| {
            let value = value.as_str().unwrap_or_default();
            (name.clone(), value.to_owned())
        });
        let mut values = BTreeMap::new();
        let told = one.get("values").and_then(Value::as_array);
        for pair in told.into_iter().flatten() {
            let at = pair.get(0).and_then(Value::as_f64).ok_or("no time")?;
            let value = pair.get(1).and_then(Value::as_str).ok_or("no value")?;
            #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
            values.insert((at as i64 - time) / INTERVAL, value.parse()?);
        }
        results.insert(labels.collect(), values);
    }
    Ok(results)
}

/// What is wrong with ours, if anything.
fn judge(asked: &Asked, theirs: &Results, ours: &Results) -> Option<String> {
    if asked.quiet {
        let loud = theirs.keys().chain(ours.keys()).next()?;
        return Some(format!("there is something: {loud:?}"));
    }
    if theirs.is_empty() {
        return Some("the reference itself has nothing".to_owned());
    }
    let labels: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
    labels.into_iter().find_map(|labels| {
        let around = theirs.get(labels);
        let value = ours.get(labels).and_then(|values| values.get(&0).copied());
        match (around, value) {
            // What comes or goes around that time is nobody's fault.
            (Some(around), None) => {
                let all = 2 * AROUND + 1;
                let steady = i64::try_from(around.len()).is_ok_and(|many| many == all);
                steady.then(|| format!("{labels:?} is missing, {around:?} there"))
            }
            (None, Some(value)) => Some(format!("{labels:?} is {value}, and only here")),
            (Some(around), Some(value)) => {
                (!fits(around, value)).then(|| format!("{labels:?} is {value}, {around:?} there"))
            }
            (None, None) => None,
        }
    })
}

/// Whether a value may be what the reference told around its time.
fn fits(around: &BTreeMap<i64, f64>, value: f64) -> bool {
    let mut values = around.values().copied();
    if value.is_nan() {
        return values.any(f64::is_nan);
    }
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let moved = high - low;
    // Infinities that stand still moved by no number.
    let moved = if moved.is_finite() { moved } else { 0.0 };
    (low - moved..=high + moved).contains(&value)
}

fn same() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let booted = Booted::boot(&scratch)?;
    let more = MORE.map(str::to_owned).to_vec();
    let live = [more.clone(), vec!["--collector.tcpstat".to_owned()]].concat();
    let mut pairs = vec![Pair::start("live", &live, None)?];
    for name in HOSTS {
        let host = Host::copy(name, &scratch)?;
        let off = ["tcpstat", "netdev.netlink", "arp.netlink"];
        let off = off.map(|name| format!("--no-collector.{name}"));
        let flags = [more.clone(), host.flags(), off.to_vec()].concat();
        pairs.push(Pair::start(name, &flags, None)?);
    }
    let flags = [
        "disable-defaults",
        "systemd",
        "systemd.enable-restarts-metrics",
    ];
    let flags = flags.map(|name| format!("--collector.{name}"));
    pairs.push(Pair::start("systemd", &flags, Some(&booted.bus))?);
    let mut configuration = format!(
        "global: {{scrape_interval: {INTERVAL}s, scrape_timeout: {INTERVAL}s}}\n\
         scrape_configs:\n  - job_name: node\n    static_configs:\n"
    );
    for pair in &mut pairs {
        configuration.push_str(&pair.targets()?);
    }
    let mut running = prometheus::start(&configuration, &scratch)?;
    let server = running.address()?;
    let scraped = "min(sum_over_time(up[1h]))";
    until("every target to be scraped", || {
        prometheus::query(server, scraped).filter(|scrapes| *scrapes >= SCRAPES)
    })
    .map_err(|failed| {
        let targets = web::page(server, "/api/v1/targets").unwrap_or_default();
        let reason = failed.message().unwrap_or_default();
        Failed::from(format!("{reason}\n{targets}\n{}", running.log()))
    })?;
    let mut wrong: Option<BTreeMap<(&str, &str), String>> = None;
    for _ in 0..ROUNDS {
        let time = settled(server)?;
        let now = round(server, time, wrong.as_ref())?;
        if now.is_empty() {
            return Ok(());
        }
        wrong = Some(now);
    }
    let wrong = wrong.unwrap_or_default();
    let wrong = wrong.iter();
    let lines: Vec<String> = wrong
        .map(|((host, text), why)| format!("{text} on {host}: {why}"))
        .collect();
    Err(format!("at each of {ROUNDS} times:\n{}", lines.join("\n")).into())
}

/// A time around which all scrapes are there, later than any that was asked for.
fn settled(server: SocketAddr) -> Result<i64, Failed> {
    let now = || -> Option<i64> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok()
    };
    let time = now().ok_or("no clock")?;
    // The last scrape that counts is over when one is there that began later.
    let after = format!("min(timestamp(up)) > {}", time + AROUND * INTERVAL);
    until("the scrapes around a time", || {
        prometheus::query(server, &after)
    })?;
    Ok(time)
}

/// What is wrong at one time, of what was wrong before.
fn round(
    server: SocketAddr,
    time: i64,
    before: Option<&BTreeMap<(&'static str, &'static str), String>>,
) -> Result<BTreeMap<(&'static str, &'static str), String>, Failed> {
    let mut wrong = BTreeMap::new();
    for asked in EXPRESSIONS {
        for host in asked.hosts {
            if before.is_some_and(|before| !before.contains_key(&(*host, asked.text))) {
                continue;
            }
            let of = |exporter| results(server, asked.text, (host, exporter), time);
            if let Some(why) = judge(asked, &of("reference")?, &of("ours")?) {
                wrong.insert((*host, asked.text), why);
            }
        }
    }
    Ok(wrong)
}

fn every_subject() -> Result<(), Failed> {
    if EXPRESSIONS.len() < 100 {
        return Err(format!("only {} expressions", EXPRESSIONS.len()).into());
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let names: BTreeSet<&str> = EXPRESSIONS
        .iter()
        .flat_map(|asked| asked.text.split(move |c| !word(c)))
        .collect();
    let ours = |name: &str| name.starts_with("nodeward_");
    let lacking = nodeward::subject::TABLE.iter().filter(|entry| {
        let mut families = entry.families.iter();
        let alone = entry
            .families
            .iter()
            .all(|family| ours(family.descriptor().name));
        !alone && !families.any(|family| names.iter().any(|name| family.tells(name)))
    });
    let lacking: Vec<&str> = lacking.map(|entry| entry.name).collect();
    match lacking.is_empty() {
        true => Ok(()),
        false => Err(format!("no expression of {lacking:?}").into()),
    }
}
