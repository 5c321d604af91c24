//! zabbix_agentd and zabbix_agent2 of 6.0 and of 7.0, key by key: zabbix_get asks those of a release and nodeward, and the answers are
//! compared. The keys stand in `zabbix/table`.
//!
//! Where the two agents of a release differ (float digits, some error texts) either is right. Values that move are
//! bracketed by asking the agents again and again.

mod odd;
mod table;
mod told;
mod unread;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nodeward::subject::TABLE;

use crate::process::{Running, free_port, patience, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::zabbix_server::Release;
use crate::{PeerTest, ours};
use odd::Odd;
use table::{Difference, rows};
use told::{Told, percent};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "zabbix::every_key_answers_as_the_agents_do",
        needs: &[Peer::ZabbixAgent, Peer::ZabbixAgent2, Peer::ZabbixGet],
        run: || compare(Release::Six),
    },
    PeerTest {
        name: "zabbix::every_key_answers_as_the_agents_of_7_do",
        needs: &[Peer::ZabbixAgent7, Peer::ZabbixAgent2of7, Peer::ZabbixGet],
        run: || compare(Release::Seven),
    },
    unread::TEST,
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

/// How long a value that moves is asked for again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The two agents of a release and ours, running.
struct All {
    release: Release,
    files: String,
    odd: Odd,
    agents: [(Running, u16); 2],
    ours: (Running, u16),
}

fn compare(release: Release) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let files = files(&scratch)?;
    let all = All {
        release,
        odd: Odd::start(&scratch)?,
        agents: [
            agent(release.agent(), "AllowRoot=1", &scratch)?,
            agent(release.agent2(), "", &scratch)?,
        ],
        ours: ours(&files, &scratch)?,
        files,
    };
    all.compare()
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

/// Every key of nodeward that is not its own stands in the table, and one that differs in one release stands there for the other.
fn complete() -> Result<(), Failed> {
    let whole: BTreeSet<&str> = rows().map(|(key, _)| key).collect();
    let halves = table::DIFFERENCES.iter().filter(|one| one.only.is_some());
    if let Some(half) = halves.map(|one| one.key).find(|key| !whole.contains(key)) {
        return Err(format!("{half} differs in one release and is in no table").into());
    }
    let asked = rows().map(|(key, _)| key);
    let asked = asked.chain(table::DIFFERENCES.iter().map(|one| one.key));
    let asked: BTreeSet<&str> = asked.map(name).collect();
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

/// A key without its parameters.
fn name(key: &str) -> &str {
    key.split('[').next().unwrap_or(key)
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
        Peer::ZabbixAgent2 | Peer::ZabbixAgent2of7 => {
            format!("ControlSocket={home}/c.sock\nPluginSocket={home}/p.sock\n")
        }
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

/// What nodeward is configured with, and with more lines.
fn yaml(port: u16, more: &str) -> String {
    format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\n\
         zabbix: {{listen: [\"127.0.0.1:{port}\"], server: [127.0.0.1], hostname: peer}}\n{more}\n"
    )
}

fn ours(files: &str, scratch: &Scratch) -> Result<(Running, u16), Failed> {
    let port = free_port()?;
    let subjects = format!(
        "subjects: {{files: {{contents: [\"{files}/**\", \"/sys/class/net/*/*\", \"/sys/block/*/stat\"], \
         details: [{files}, \"{files}/**\", /etc/passwd]}}}}"
    );
    let mut running = ours::configured(&yaml(port, &subjects), scratch)?;
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

/// What a packet is answered with.
pub fn exchange(address: SocketAddr, body: &str) -> Result<String, Failed> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience()))?;
    let mut packet = b"ZBXD\x01".to_vec();
    packet.extend(u64::try_from(body.len())?.to_le_bytes());
    packet.extend(body.as_bytes());
    stream.write_all(&packet)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let body = answer.get(13..).ok_or("not a Zabbix packet")?;
    Ok(String::from_utf8(body.to_vec())?)
}

impl All {
    fn ask(&self, port: u16, key: &str) -> Result<String, Failed> {
        ask(&Peer::ZabbixGet.find()?, port, key)
    }

    fn spelled(&self, key: &str) -> String {
        let port = self.agents[0].1.to_string();
        key.replace("{dir}", &self.files)
            .replace("{port}", &port)
            .replace("{odd}", self.odd.name())
            .replace("{ended}", self.odd.ended())
    }

    fn compare(&self) -> Result<(), Failed> {
        let mut complaints = Vec::new();
        let differs = |key: &str| {
            let later = self.release == Release::Six && table::SINCE_7.contains(&name(key));
            let declared = Difference::of(key, self.release).map(|one| one.why);
            declared.or(later.then_some("a key of 7.0"))
        };
        for (key, told) in rows().filter(|(key, _)| differs(key).is_none()) {
            complaints.extend(self.compare_one(&self.spelled(key), told)?);
        }
        let alone = table::DIFFERENCES.iter().map(|one| one.key);
        for key in rows().map(|(key, _)| key).chain(alone) {
            let Some(why) = differs(key) else {
                continue;
            };
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
        if let Some(most) = told.most() {
            // There is none before the second sample of the counters.
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
                    .any(|one| said.iter().any(|other| told.agrees(one, &mine, other)))
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
