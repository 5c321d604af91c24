//! Comparing with a Zabbix agent, which is asked key by key as a server asks it.
//!
//! No agent lists its keys, so that those of the templates that come with Zabbix are asked, for every interface and mount that the agent
//! discovers, or those that the command line names. It is asked before and after nodeward, as often as something is in doubt.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::report::{Class, Example, Finding, Report, Side, Things};
use super::said::{Apart, Said, apart};
use super::{Asked, Failed};
use crate::app::{BadSettings, House, Settings};
use crate::dialect::zabbix::active::target::Target;
use crate::dialect::zabbix::active::wire::{Failure, Wire};
use crate::dialect::zabbix::agent;
use crate::dialect::zabbix::answer::Unsupported;
use crate::dialect::zabbix::key::Key;
use crate::dialect::zabbix::passive;
use crate::net::endpoint::Place;
use crate::net::resolve::Resolver;
use crate::subject::TABLE;

/// The port of agents.
const PORT: u16 = 10050;
/// How long one answer may take, here and there: some keys look at the machine for a second first.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often what is in doubt is looked at.
const ROUNDS: usize = 6;
/// What lies between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How many interfaces and mounts are asked for each.
const MOST: usize = 16;
/// The most letters of a value that are shown.
const SHOWN: usize = 60;
/// What is another program's on purpose.
const OTHERS: [&str; 2] = ["agent.version", "agent.variant"];

/// Keys of the templates that come with Zabbix 6.0 and 7.0, and a few of those of people.
const KEYS: [&str; 43] = [
    "agent.ping",
    "agent.hostname",
    "agent.hostmetadata",
    "kernel.maxfiles",
    "kernel.maxproc",
    "kernel.openfiles",
    "net.if.discovery",
    "net.tcp.listen[22]",
    "proc.num",
    "proc.num[,,run]",
    "system.boottime",
    "system.cpu.discovery",
    "system.cpu.intr",
    "system.cpu.load[all,avg1]",
    "system.cpu.load[all,avg5]",
    "system.cpu.load[all,avg15]",
    "system.cpu.num",
    "system.cpu.switches",
    "system.cpu.util",
    "system.cpu.util[,idle]",
    "system.cpu.util[,iowait]",
    "system.hostname",
    "system.localtime",
    "system.sw.arch",
    "system.sw.os",
    "system.sw.packages",
    "system.swap.size[,free]",
    "system.swap.size[,pfree]",
    "system.swap.size[,total]",
    "system.uname",
    "system.uptime",
    "system.users.num",
    "vfs.dev.discovery",
    "vfs.file.cksum[/etc/passwd,sha256]",
    "vfs.file.contents[/etc/hostname]",
    "vfs.file.exists[/etc/passwd]",
    "vfs.fs.discovery",
    "vfs.fs.get",
    "vm.memory.size[available]",
    "vm.memory.size[free]",
    "vm.memory.size[pavailable]",
    "vm.memory.size[total]",
    "vm.memory.size[used]",
];
/// Keys of what is discovered: the key that discovers, the macro, and what is asked of each.
const EACH: [(&str, &str, &[&str]); 2] = [
    (
        "net.if.discovery",
        "{#IFNAME}",
        &[
            "net.if.in[\"X\"]",
            "net.if.in[\"X\",errors]",
            "net.if.in[\"X\",dropped]",
            "net.if.out[\"X\"]",
            "net.if.out[\"X\",errors]",
            "net.if.out[\"X\",dropped]",
        ],
    ),
    (
        "vfs.fs.discovery",
        "{#FSNAME}",
        &[
            "vfs.fs.size[X,total]",
            "vfs.fs.size[X,used]",
            "vfs.fs.size[X,pused]",
            "vfs.fs.inode[X,pfree]",
        ],
    ),
];

/// The agent that runs today.
struct Theirs {
    wire: Wire,
    place: Place,
    name: String,
}

impl Theirs {
    fn new(url: &str, settings: &Settings) -> Result<Self, String> {
        let text = url.strip_prefix("zabbix://").unwrap_or(url);
        let text = text.trim_end_matches('/');
        let bare = match text.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => text.to_owned(),
        };
        let target = Target::parse(&format!("{bare}:{PORT}")).or_else(|_| Target::parse(&bare));
        let target = target.map_err(|_| format!("{url}: write zabbix://HOST:{PORT}"))?;
        let [place] = target.nodes() else {
            return Err(format!("{url}: one agent is compared at a time"));
        };
        Ok(Self {
            wire: Wire::new(
                Resolver::default(),
                PATIENCE,
                settings.config.zabbix.asking(),
            ),
            place: place.clone(),
            name: format!("zabbix://{}", target.name()),
        })
    }

    async fn ask(&self, key: &str) -> Result<Said, String> {
        let answer = self.wire.ask(&self.place, key.as_bytes()).await;
        let answer = answer.map_err(|failure| {
            let hint = match failure {
                Failure::Broken(_) => {
                    ": is this machine's address in its Server, and does it take what zabbix.tls.accept says (--zabbix-conf)?"
                }
                _ => "",
            };
            format!("{}: {key}: {failure}{hint}", self.name)
        })?;
        Ok(match answer.strip_prefix(b"ZBX_NOTSUPPORTED") {
            Some(why) => {
                let why = String::from_utf8_lossy(why);
                Said::Unsupported(why.trim_start_matches('\0').to_owned())
            }
            None => Said::Value(String::from_utf8_lossy(&answer).into_owned()),
        })
    }
}

/// Compares; an error is why it could not.
pub(super) fn compare(
    runtime: &Runtime,
    asked: &Asked,
    settings: &Settings,
) -> Result<Report, Failed> {
    if asked.with.is_some() || asked.authorization.is_some() || asked.tls.ca_file.is_some() {
        let why = "--with, --ca-file and logins are for exporters; an agent is spoken to as zabbix.tls.accept of the config says";
        return Err(why.to_owned().into());
    }
    runtime.block_on(looked_at(asked, settings))
}

async fn ours(server: &passive::Server, key: &str) -> Said {
    let key = match Key::parse(key) {
        Ok(key) => key,
        Err(_) => return Said::Unsupported(Unsupported::INVALID_FORMAT.as_str().to_owned()),
    };
    match server.value(&key, Instant::now() + PATIENCE).await {
        Ok(value) => Said::Value(value.into_owned()),
        Err(why) => Said::Unsupported(why.as_str().to_owned()),
    }
}

async fn looked_at(asked: &Asked, settings: &Settings) -> Result<Report, Failed> {
    let theirs = Theirs::new(&asked.url, settings)?;
    let version = theirs.ask("agent.version").await?;
    let house = Arc::new(House::build(settings)?);
    let options = house.named(&settings.config.zabbix).await;
    let server = house.passive(&options, Arc::default());
    let server = server.map_err(BadSettings::Config)?;
    let keys = match asked.keys.is_empty() {
        true => keys(&theirs).await?,
        false => asked.keys.clone(),
    };
    let mut report = Report {
        things: Things::KEYS,
        ..Report::default()
    };
    report.there.name = theirs.name.clone();
    if let Said::Value(version) = version {
        report.there.name = format!("Zabbix agent {}, {}", version.trim(), theirs.name);
    }
    report.here.name = format!("nodeward {}, this process", env!("CARGO_PKG_VERSION"));
    let mut doubt: Vec<(String, Vec<Said>, Option<Apart>)> = Vec::new();
    for key in keys {
        let name = key.split('[').next().unwrap_or_default();
        if OTHERS.contains(&name) {
            continue;
        }
        let before = theirs.ask(&key).await?;
        let here = ours(&server, &key).await;
        let after = theirs.ask(&key).await?;
        count(&mut report.there, &before);
        count(&mut report.here, &here);
        let group = report.groups.entry(group(name).to_owned()).or_default();
        group.families += 1;
        let there = vec![before, after];
        let found = apart(&key, &there, &here);
        doubt.push((key, there, found));
    }
    doubt.retain(|(.., found)| found.is_some());
    for _ in 1..ROUNDS {
        let open = |found: &Option<Apart>| found.as_ref().is_some_and(|found| !found.stays());
        if !doubt.iter().any(|(.., found)| open(found)) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        for (key, there, found) in doubt.iter_mut().filter(|(.., found)| open(found)) {
            there.push(theirs.ask(key).await?);
            let here = ours(&server, key).await;
            there.push(theirs.ask(key).await?);
            *found = apart(key, there, &here);
        }
    }
    for (key, _, found) in doubt {
        if let Some(found) = found {
            settle(&mut report, &key, found);
        }
    }
    let notes = &mut report.notes;
    notes.push(
        "agents do not list their keys: --key asks for those that your own templates have"
            .to_owned(),
    );
    Ok(report)
}

fn count(side: &mut Side, said: &Said) {
    side.families += 1;
    side.series += usize::from(matches!(said, Said::Value(_)));
}

/// The keys of templates, for all that the agent discovers.
async fn keys(theirs: &Theirs) -> Result<Vec<String>, String> {
    let mut keys: Vec<String> = KEYS.iter().map(|key| (*key).to_owned()).collect();
    for (discovery, name, each) in EACH {
        let Said::Value(found) = theirs.ask(discovery).await? else {
            continue;
        };
        let found: serde_json::Value = serde_json::from_str(&found).unwrap_or_default();
        // Before 4.2 it stood within {"data": ...}.
        let found = found.get("data").unwrap_or(&found).as_array();
        let names = found
            .into_iter()
            .flatten()
            .filter_map(|one| one.get(name)?.as_str());
        let plain = |name: &&str| !name.contains(['"', '\\', ',', ']', '[', ' ']);
        let names: BTreeSet<&str> = names.filter(plain).take(MOST).collect();
        let asked = names
            .iter()
            .flat_map(|name| each.iter().map(|key| key.replace('X', name)));
        keys.extend(asked);
    }
    Ok(keys)
}

/// The subject whose key it is.
fn group(name: &str) -> &'static str {
    let of = |items: Vec<&'static str>| items.contains(&name);
    let subject = TABLE
        .iter()
        .find(|entry| of((entry.items)().into_iter().map(|item| item.name).collect()));
    match subject {
        Some(entry) => entry.name,
        None if agent::KEYS.contains(&name) => "agent",
        None => "no subject",
    }
}

/// Puts what was found into its group.
fn settle(report: &mut Report, key: &str, found: Apart) {
    let name = key.split('[').next().unwrap_or_default();
    let group = report.groups.entry(group(name).to_owned()).or_default();
    if found.class == Class::Missing && group.note.is_none() {
        group.note = found.note();
    }
    group.findings.push(Finding {
        class: found.class,
        kind: found.kind,
        name: key.to_owned(),
        what: found.kind.to_owned(),
        examples: vec![Example {
            series: key.to_owned(),
            there: Some(cut(&found.there)),
            here: Some(cut(&found.here)),
        }],
        series: 1,
    });
}

fn cut(text: &str) -> String {
    let text = text.trim();
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}
