//! zabbix_agentd and zabbix_agent2, key by key: zabbix_get asks all three and compares the answers. The keys stand in `zabbix/table.rs`.
//!
//! Where the two agents differ (float digits, some error texts) either is right. Values that move are
//! bracketed by asking the agents again and again.

mod table;

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nodeward::subject::TABLE;
use serde_json::Value;

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours};

const NEEDS: &[Peer] = &[Peer::ZabbixAgent, Peer::ZabbixAgent2, Peer::ZabbixGet];

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "zabbix::every_key_answers_as_the_agents_do",
        needs: NEEDS,
        run: || with_all(|all| all.compare()),
    },
    PeerTest {
        name: "zabbix::show_prints_keys_as_the_agent_does",
        needs: &[Peer::ZabbixAgent],
        run: shown,
    },
    PeerTest {
        name: "zabbix::every_key_of_the_agents_that_nodeward_has_stands_in_the_table",
        needs: &[],
        run: complete,
    },
];

/// How an answer is compared.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// The same text; for numbers that move: between two answers of one agent.
    Same,
    /// A percentage with six decimals; the agents' own windows differ, so its value is not compared.
    Percent,
    /// The same of more CPUs than one.
    Rate,
    /// The same JSON, except what only newer agents tell.
    Json,
    /// The same JSON in any order: the agents differ there.
    Set,
    /// The same mounts in the same order, with the same total sizes.
    Mounts,
}

/// How long a value that moves is asked for again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The two agents and ours, running.
struct All {
    files: String,
    agents: [(Running, u16); 2],
    ours: (Running, u16),
    get: std::path::PathBuf,
}

fn with_all(run: impl Fn(&All) -> Result<(), Failed>) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let files = files(&scratch)?;
    let all = All {
        agents: [
            agent(Peer::ZabbixAgent, "AllowRoot=1", &scratch)?,
            agent(Peer::ZabbixAgent2, "", &scratch)?,
        ],
        ours: ours(&files, &scratch)?,
        files,
        get: Peer::ZabbixGet.find()?,
    };
    run(&all)
}

/// The lines of `zabbix_agentd -p` that nodeward has too: the same columns and types, each error in the same words.
fn shown() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let conf = scratch.path().join("agent.conf");
    std::fs::write(&conf, "Hostname=peer\nServer=127.0.0.1\nAllowRoot=1\n")?;
    let print = |command: &mut Command| -> Result<Vec<(String, String, bool)>, Failed> {
        let out = command.output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        // What lies below the first line of a text is none; errors go behind.
        let lines = text.lines().filter_map(|line| {
            let (key, rest) = line.split_once(' ')?;
            let blanks = rest.len() - rest.trim_start().len();
            let aligned = key.len() >= 45 || key.len() + 1 + blanks == 46;
            let kind = rest.trim_start().strip_prefix('[')?;
            let kind = match kind.split_once("] [") {
                Some((failed, why)) if failed.starts_with("m|") => format!("{failed} {why}"),
                _ => kind.split('|').next()?.to_owned(),
            };
            Some((key.to_owned(), kind, aligned))
        });
        Ok(lines.collect())
    };
    let mut agent = Command::new(Peer::ZabbixAgent.find()?);
    let theirs = print(agent.arg("-p").arg("-c").arg(&conf))?;
    let yaml = scratch.path().join("nodeward.yml");
    std::fs::write(&yaml, "zabbix: {hostname: peer}\n")?;
    let mut show = ours::command("show", &scratch);
    let mine = print(show.args(["--format", "zabbix", "--config"]).arg(&yaml))?;
    let mut both = 0;
    let mut wrong = Vec::new();
    for (key, kind, aligned) in &mine {
        let Some((_, expected, _)) = theirs.iter().find(|(theirs, ..)| theirs == key) else {
            continue;
        };
        both += 1;
        // Its collector runs only beside an agent that stays; and what is not told here is not listed.
        let apart = expected.contains("Collector is not started")
            || kind.contains("Unsupported item key")
            || key == "agent.variant";
        if !aligned || (kind != expected && !apart) {
            wrong.push(format!("{key}: {kind}, the agent {expected}"));
        }
    }
    match wrong.is_empty() && both > 30 {
        true => Ok(()),
        false => Err(format!("{both} keys in common\n{}", wrong.join("\n")).into()),
    }
}

/// Every key of nodeward that is not its own stands in the table.
fn complete() -> Result<(), Failed> {
    let rows = table::ROWS.iter().map(|(key, _)| *key);
    let asked = rows.chain(table::DIFFERENCES.iter().map(|(key, _)| *key));
    let asked: BTreeSet<&str> = asked.filter_map(|key| key.split('[').next()).collect();
    let keys = TABLE
        .iter()
        .flat_map(|entry| (entry.items)())
        .map(|item| item.name);
    let missing: Vec<&str> = keys
        .chain(nodeward::dialect::zabbix::agent::KEYS)
        // Those of units are held against agent2 in `systemd.rs`, where there is a service manager.
        .filter(|key| !key.starts_with("nodeward.") && !key.starts_with("systemd."))
        .filter(|key| !asked.contains(key))
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("not in the table: {missing:?}").into()),
    }
}

/// Files that keys ask for, and one outside of what may be told.
fn files(scratch: &Scratch) -> Result<String, Failed> {
    let dir = scratch.path().join("files");
    let at = |name: &str| dir.join(name);
    std::fs::create_dir_all(at("d/below"))?;
    for (name, bytes) in [
        ("f", &b"hello\nworld\n\n"[..]),
        ("empty", b""),
        ("no-end", b"no end"),
        ("nul", b"a\0b"),
        ("latin", b"a\xffb\n"),
        ("large", &[b'x'; 70_000]),
        ("odd", b"1"),
        ("d/deep", b"12"),
        ("d/below/deeper", b"123"),
        ("../escape", b"secret"),
    ] {
        std::fs::write(at(name), bytes)?;
    }
    // Names there are none for; only root can give a file away.
    drop(std::os::unix::fs::chown(
        at("odd"),
        Some(54_321),
        Some(54_322),
    ));
    symlink("f", at("link"))?;
    symlink("nowhere", at("dangling"))?;
    symlink("../escape", at("escape"))?;
    let dir = dir.to_str().ok_or("a directory that is no text")?;
    Ok(dir.to_owned())
}

/// Starts an agent on a loopback port, with more lines of configuration.
pub fn agent(peer: Peer, more: &str, scratch: &Scratch) -> Result<(Running, u16), Failed> {
    agent_as(Command::new(peer.find()?), peer, more, scratch)
}

/// An agent started by a command that may have an environment of its own.
pub fn agent_as(
    mut command: Command,
    peer: Peer,
    more: &str,
    scratch: &Scratch,
) -> Result<(Running, u16), Failed> {
    let (name, port, home) = (peer.name(), free_port()?, scratch.path().display());
    let sockets = match peer {
        Peer::ZabbixAgent2 => format!("ControlSocket={home}/c.sock\nPluginSocket={home}/p.sock\n"),
        _ => String::new(),
    };
    let text = format!(
        "Server=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\nLogType=console\n\
         PidFile={home}/{name}.pid\nHostname=peer\n{sockets}{more}\n"
    );
    let file = scratch.path().join(format!("{name}.conf"));
    std::fs::write(&file, text)?;
    command.arg("-f").arg("-c").arg(&file);
    let mut running = Running::start(name, &mut command, scratch)?;
    running.listens(port)?;
    Ok((running, port))
}

fn ours(files: &str, scratch: &Scratch) -> Result<(Running, u16), Failed> {
    let port = free_port()?;
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\n\
         zabbix: {{listen: [\"127.0.0.1:{port}\"], server: [127.0.0.1], hostname: peer}}\n\
         subjects: {{files: {{contents: [\"{files}/**\", \"/sys/class/net/*/*\", \"/sys/block/*/stat\"], \
         details: [{files}, \"{files}/**\", /etc/passwd]}}}}\n"
    );
    let mut running = ours::configured(&yaml, scratch)?;
    running.listens(port)?;
    Ok((running, port))
}

/// What zabbix_get prints for a key.
pub fn ask(get: &Path, port: u16, key: &str) -> Result<String, Failed> {
    let out = Command::new(get)
        .args(["-s", "127.0.0.1", "-p", &port.to_string(), "-k", key])
        .output()?;
    let text = String::from_utf8(out.stdout)? + &String::from_utf8(out.stderr)?;
    Ok(text.trim_end_matches('\n').to_owned())
}

impl All {
    fn ask(&self, port: u16, key: &str) -> Result<String, Failed> {
        ask(&self.get, port, key)
    }

    fn spelled(&self, key: &str) -> String {
        let port = self.agents[0].1.to_string();
        key.replace("{dir}", &self.files).replace("{port}", &port)
    }

    fn compare(&self) -> Result<(), Failed> {
        let mut complaints = Vec::new();
        for (key, told) in table::ROWS {
            let key = self.spelled(key);
            complaints.extend(self.compare_one(&key, *told)?);
        }
        for (key, why) in table::DIFFERENCES {
            let key = self.spelled(key);
            let mine = self.ask(self.ours.1, &key)?;
            for (_, port) in &self.agents {
                if self.ask(*port, &key)? == mine {
                    complaints.push(format!("{key}: said to differ ({why}): {mine:?}"));
                }
            }
        }
        if complaints.is_empty() {
            Ok(())
        } else {
            Err(complaints.join("\n").into())
        }
    }

    /// What is wrong with our answer after so many rounds, if anything is.
    fn compare_one(&self, key: &str, told: Told) -> Result<Option<String>, Failed> {
        if let Told::Percent | Told::Rate = told {
            // There is none before the second sample of the counters.
            let most = if let Told::Rate = told { 1e6 } else { 100.0 };
            let ours = || {
                let mine = self.ask(self.ours.1, key).ok();
                mine.filter(|mine| percent(mine, most))
            };
            return Ok(until(key, ours)
                .err()
                .map(|_| format!("{key}: never a percentage")));
        }
        // Ours may be as old as a second: it is held against all that an agent said meanwhile.
        let end = Instant::now() + PATIENCE;
        let mut said = vec![Vec::new(); self.agents.len()];
        loop {
            let mine = self.ask(self.ours.1, key)?;
            for (said, (_, port)) in said.iter_mut().zip(&self.agents) {
                said.push(self.ask(*port, key)?);
            }
            let agrees = |said: &Vec<String>| {
                said.iter()
                    .any(|one| said.iter().any(|other| agrees(told, one, &mine, other)))
            };
            if said.iter().any(agrees) {
                return Ok(None);
            }
            if Instant::now() > end {
                return Ok(Some(format!("{key}: ours {mine:?}, agents {said:?}")));
            }
        }
    }
}

fn agrees(told: Told, before: &str, mine: &str, after: &str) -> bool {
    match told {
        Told::Same => before == mine || after == mine || between(before, mine, after),
        Told::Percent => percent(mine, 100.0),
        Told::Rate => percent(mine, f64::MAX),
        Told::Json => match (json(before), json(mine)) {
            (Some(theirs), Some(mine)) => theirs == mine,
            _ => false,
        },
        Told::Set => match (json(before), json(mine)) {
            (Some(Value::Array(theirs)), Some(Value::Array(mine))) => {
                let all =
                    |one: &[Value], other: &[Value]| one.iter().all(|row| other.contains(row));
                theirs.len() == mine.len() && all(&theirs, &mine) && all(&mine, &theirs)
            }
            _ => false,
        },
        Told::Mounts => match (mounts(before), mounts(mine)) {
            (Some(theirs), Some(mine)) => theirs == mine,
            _ => false,
        },
    }
}

/// Whether a number lies between two of an agent's, give or take the last of its six decimals.
fn between(before: &str, mine: &str, after: &str) -> bool {
    let (Ok(before), Ok(value), Ok(after)) = (
        before.parse::<f64>(),
        mine.parse::<f64>(),
        after.parse::<f64>(),
    ) else {
        return false;
    };
    (before.min(after) - 1e-6..=before.max(after) + 1e-6).contains(&value)
}

fn percent(text: &str, most: f64) -> bool {
    let decimals = text.split_once('.').map(|(_, decimals)| decimals.len());
    let value = text.parse::<f64>();
    decimals == Some(6) && value.is_ok_and(|value| (0.0..=most).contains(&value))
}

/// A discovery without the macro that only agents after 6.0 tell.
fn json(text: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    for row in value.as_array_mut().into_iter().flatten() {
        row.as_object_mut()?.remove("{#FSOPTIONS}");
    }
    Some(value)
}

/// Name, type and total size of every mount that vfs.fs.get tells.
fn mounts(text: &str) -> Option<Vec<(String, String, u64)>> {
    let value: Value = serde_json::from_str(text).ok()?;
    let row = |row: &Value| {
        let name = row.get("fsname")?.as_str()?.to_owned();
        let kind = row.get("fstype")?.as_str()?.to_owned();
        Some((name, kind, row.get("bytes")?.get("total")?.as_u64()?))
    };
    value.as_array()?.iter().map(row).collect()
}
