//! Comparing with a node_exporter, or anything that tells its families, over HTTP.
//!
//! Theirs is scraped before and after ours, as often as something is in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::differ::{About, Apart, Fault, Rounds, is_left_out, round};
use super::report::{Class, Example, Finding, Group, Report, Side};
use super::{Asked, Failed, collectors};
use crate::app::{House, Settings};
use crate::dialect::prometheus::Format;
use crate::dialect::prometheus::parse::page::Scraped;
use crate::net::client::{Client, Limits, Protocol, Request};
use crate::net::endpoint::Endpoint;
use crate::net::resolve::Resolver;
use crate::net::tls;
use crate::subject::Asker;

/// The largest page that is read, in bytes: some 200,000 series, five thousand interfaces with all they tell. Three pages are held at a time,
/// each at about twice its size.
const LARGEST: usize = 16 << 20;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may be looked again at what is in doubt: large pages are looked at less often.
const LOOKING: Duration = Duration::from_secs(60);
/// How long the exporters are asked to take at most.
const TIMEOUT: &str = "50";
/// How often what is in doubt is looked at.
const ROUNDS: usize = 6;
/// What lies between two looks, so that what came and went does so.
const PAUSE: Duration = Duration::from_millis(250);
/// The family in which node_exporter tells its version.
pub(super) const BUILD: &str = "node_exporter_build_info";
/// How many series of a finding are kept.
const EXAMPLES: usize = 3;

/// A page's place, and what proves to it who asks.
struct Place {
    client: Client,
    authorization: Option<String>,
}

impl Place {
    fn new(
        url: &str,
        tls: tls::ClientOptions,
        authorization: Option<String>,
    ) -> Result<Self, String> {
        let endpoint: Endpoint = url.parse().map_err(|why| format!("{url}: {why}"))?;
        let endpoint = match endpoint.path().as_str() {
            "/" => endpoint.at("/metrics").map_err(|why| why.to_string())?,
            _ => endpoint,
        };
        let limits = Limits {
            whole: PATIENCE,
            response: LARGEST,
            ..Limits::default()
        };
        let client = Client::new(endpoint, Protocol::Http1, limits, Resolver::default())
            .trusting(tls::Connector::new(tls));
        Ok(Self {
            client,
            authorization,
        })
    }

    fn name(&self) -> String {
        let endpoint = self.client.endpoint();
        format!("{endpoint}{}", endpoint.path().path())
    }

    async fn page(&self) -> Result<Scraped, String> {
        let mut request = Request::get()
            .header("accept", "text/plain;version=0.0.4")
            .header("x-prometheus-scrape-timeout-seconds", TIMEOUT);
        if let Some(value) = &self.authorization {
            request = request.header("authorization", value);
        }
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|error| match error {
            crate::net::client::Error::TooLarge { .. } => format!(
                "{error}, which is the most that is read: compare its parts, such as {}?collect%5B%5D=cpu",
                self.name()
            ),
            error => error.told(),
        })?;
        if !answer.status.is_success() {
            let hint = match answer.status.as_u16() {
                401 | 403 => ": give --username and --password-file, or --bearer-token-file",
                301..=308 => ": no redirect is followed, name the place that it leads to",
                404 => ": is this the path of its metrics?",
                _ => "",
            };
            return Err(format!("{} answered {}{hint}", self.name(), answer.status));
        }
        Scraped::parse(&answer.body)
            .map_err(|(line, why)| format!("{}: line {line}: {why}", self.name()))
    }
}

/// Where our page comes from.
enum Ours {
    /// Read in this process.
    Here(Box<House>),
    /// A nodeward that runs.
    Running(Box<Place>),
}

impl Ours {
    fn name(&self) -> String {
        match self {
            Self::Here(_) => format!("nodeward {}, this process", env!("CARGO_PKG_VERSION")),
            Self::Running(place) => place.name(),
        }
    }

    /// The page, and why subjects are not on it.
    async fn page(&self) -> Result<(Scraped, BTreeMap<&'static str, String>), String> {
        let house = match self {
            Self::Running(place) => return Ok((place.page().await?, BTreeMap::new())),
            Self::Here(house) => house,
        };
        let deadline = Instant::now() + PATIENCE;
        let sampler = &house.view.sampler;
        let snapshot = sampler
            .snapshot(Asker::Prometheus, |_| true, deadline)
            .await;
        let text = crate::serve::page(&house.view, &snapshot, Format::Text);
        let absent = snapshot.parts.iter().filter_map(|part| {
            let why = part.held.as_ref().err()?;
            Some((part.subject, why.to_string()))
        });
        let page = Scraped::parse(&text)
            .map_err(|(line, why)| format!("nodeward's own page: line {line}: {why}"))?;
        Ok((page, absent.collect()))
    }
}

/// Compares; an error is why it could not.
pub(super) fn compare(
    runtime: &Runtime,
    asked: &Asked,
    settings: &Settings,
) -> Result<Report, Failed> {
    runtime.block_on(looked_at(asked, settings))
}

async fn looked_at(asked: &Asked, settings: &Settings) -> Result<Report, Failed> {
    let theirs = Place::new(&asked.url, asked.tls.clone(), asked.authorization.clone())?;
    let ours = match &asked.with {
        Some(url) => Ours::Running(Box::new(Place::new(url, asked.tls.clone(), None)?)),
        None => Ours::Here(Box::new(House::build(settings)?)),
    };
    let mut rounds = Rounds::default();
    let mut before = theirs.page().await?;
    if !before.families.keys().any(|name| name.starts_with("node_")) {
        let why = format!("{}: no family there begins with node_", theirs.name());
        return Err(why.into());
    }
    let mut looked = 0;
    let begun = Instant::now();
    let (here, absent) = loop {
        let (page, absent) = ours.page().await?;
        let after = theirs.page().await?;
        rounds.add(round(&before, &page, &after));
        before = after;
        looked += 1;
        if looked == ROUNDS || rounds.are_well() || begun.elapsed() > LOOKING {
            break (page, absent);
        }
        tokio::time::sleep(PAUSE).await;
    };
    let mut report = Report {
        there: side(&before, theirs.name()),
        here: side(&here, ours.name()),
        ..Report::default()
    };
    if before.families.contains_key(BUILD) {
        let version = version(&before).unwrap_or("of no version");
        report.there.name = format!("node_exporter {version}, {}", report.there.name);
    }
    settle(&mut report, &before, &here, rounds.findings(), &absent);
    Ok(report)
}

fn side(page: &Scraped, name: String) -> Side {
    let told = page.families.iter().filter(|(name, _)| !is_left_out(name));
    let (families, series) = told.fold((0, 0), |(families, series), (_, told)| {
        (families + 1, series + told.series.len())
    });
    Side {
        name,
        families,
        series,
    }
}

/// The version that the page says of its program.
fn version(page: &Scraped) -> Option<&str> {
    let told = page.families.get(BUILD)?;
    let labels = told.series.keys().next()?.split(['{', ',']);
    let mut versions = labels.filter_map(|label| label.strip_prefix("version=\""));
    versions.next()?.split('"').next()
}

/// Puts what was found into groups, and says what is behind it.
fn settle(
    report: &mut Report,
    there: &Scraped,
    here: &Scraped,
    wrong: BTreeMap<About, Apart>,
    absent: &BTreeMap<&str, String>,
) {
    for (name, told) in &there.families {
        if is_left_out(name) {
            continue;
        }
        // Of families that tell of collectors each series is of its collector.
        let collector = match name.starts_with("node_scrape_collector_") {
            true => collectors::OTHERS,
            false => collectors::of(name, ""),
        };
        let group = report.groups.entry(collector.to_owned()).or_default();
        group.families += usize::from(!told.series.is_empty());
    }
    let mut silent = BTreeSet::new();
    let mut purpose = 0;
    for ((family, fault, series), apart) in wrong {
        let collector = collectors::of(&family, &series);
        if is_on_purpose(&family, fault, &apart) {
            purpose += 1;
            continue;
        }
        // What is not read here is told by its own families, if it has any on this machine.
        if family.starts_with("node_scrape_collector_") && fault == Fault::MissingSeries {
            silent.insert(collector.to_owned());
            continue;
        }
        if family.starts_with("node_scrape_collector_") && fault == Fault::ExtraSeries {
            continue;
        }
        let group = report.groups.entry(collector.to_owned()).or_default();
        group.take(&family, fault, &series, &apart);
    }
    for (collector, group) in &mut report.groups {
        if group
            .findings
            .iter()
            .any(|finding| finding.class == Class::Missing)
        {
            group.note = why(collector, here, absent);
        }
    }
    silent.retain(|name| {
        let group = report.groups.get(name);
        group.is_none_or(|group| group.families == 0)
    });
    if !silent.is_empty() {
        report.notes.push(format!(
            "on there, not here, and telling nothing of this machine: {}",
            Vec::from_iter(silent).join(", ")
        ));
    }
    if purpose > 0 {
        report.notes.push(format!(
            "{purpose} series differ on purpose (docs/NODE_EXPORTER.md)"
        ));
    }
}

/// Whether it is one of the differences that are declared: a thermal zone that is off is told as 0 degrees there.
fn is_on_purpose(family: &str, fault: Fault, apart: &Apart) -> bool {
    let zone = family == "node_thermal_zone_temp" && fault == Fault::MissingSeries;
    zone && *apart == Apart::Alone(0.0)
}

/// Why families of a collector are missing.
fn why(collector: &str, here: &Scraped, absent: &BTreeMap<&str, String>) -> Option<String> {
    if let Some(why) = absent.get(collector) {
        return Some(format!("not read here: {why}"));
    }
    if !collectors::is_known(collector) {
        let ours = format!("nodeward has no collector {collector}");
        return (collector != collectors::OTHERS).then_some(ours);
    }
    let success = here.families.get("node_scrape_collector_success");
    let key = format!("{{collector=\"{collector}\"}}");
    let read = success.is_some_and(|told| told.series.contains_key(key.as_str()));
    (!read).then(|| format!("off here: --collector.{collector} switches it on"))
}

impl Group {
    /// Takes what is wrong with one series, or with a family.
    fn take(&mut self, family: &str, fault: Fault, series: &str, apart: &Apart) {
        let class = match fault {
            _ if fault.is_missing() => Class::Missing,
            _ if fault.is_extra() => Class::Extra,
            _ => Class::Differs,
        };
        let what = match (fault, apart) {
            (_, Apart::Family { kind, series }) => format!("{kind}, {series} series"),
            (_, Apart::Words { there, here }) => {
                format!("{} {there} there, {here} here", fault.name())
            }
            (Fault::Value, _) => "value".to_owned(),
            _ => "series".to_owned(),
        };
        let same = |finding: &&mut Finding| finding.name == family && finding.kind == fault.name();
        let last = self.findings.last_mut().filter(same);
        let finding = match last {
            Some(finding) => finding,
            None => {
                self.findings.push(Finding {
                    class,
                    kind: fault.name(),
                    name: family.to_owned(),
                    what,
                    examples: Vec::new(),
                    series: 0,
                });
                match self.findings.last_mut() {
                    Some(finding) => finding,
                    None => return,
                }
            }
        };
        finding.series += match apart {
            Apart::Family { series, .. } => *series,
            Apart::Words { .. } => 0,
            Apart::Values { .. } | Apart::Alone(_) => 1,
        };
        let example = match apart {
            Apart::Family { .. } | Apart::Words { .. } => return,
            Apart::Values { there, here, .. } => (Some(span(*there)), Some(span(*here))),
            Apart::Alone(value) if class == Class::Missing => (Some(value.to_string()), None),
            Apart::Alone(value) => (None, Some(value.to_string())),
        };
        if finding.examples.len() < EXAMPLES {
            let (there, here) = example;
            finding.examples.push(Example {
                series: format!("{family}{series}"),
                there,
                here,
            });
        }
    }
}

/// A value, or where it was seen.
fn span((least, most): (f64, f64)) -> String {
    match least.to_bits() == most.to_bits() {
        true => least.to_string(),
        false => format!("{least} to {most}"),
    }
}
