//! zabbix_agentd and zabbix_agent2, key by key: zabbix_get asks all three and compares the answers.
//!
//! Where the two agents differ (float digits, some error texts) either is right. Values that move are
//! bracketed by asking the agents again and again.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
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
        run: || with_all(|all| all.compare(VALUES)),
    },
    PeerTest {
        name: "zabbix::wrong_keys_are_refused_in_the_agents_words",
        needs: NEEDS,
        run: || with_all(|all| all.compare(REFUSALS)),
    },
];

/// How an answer is compared.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// The same text; for numbers that move: between two answers of one agent.
    Same,
    /// A percentage with six decimals; the agents' own windows differ, so its value is not compared.
    Percent,
    /// The same JSON, except what only newer agents tell.
    Json,
    /// The same JSON in any order: the agents differ there.
    Set,
    /// The same mounts in the same order, with the same total sizes.
    Mounts,
}

const VALUES: &[(&str, Told)] = &[
    ("agent.ping", Told::Same),
    ("kernel.maxproc", Told::Same),
    ("kernel.maxfiles", Told::Same),
    ("kernel.openfiles", Told::Same),
    ("system.swap.in", Told::Same),
    ("system.swap.in[all,pages]", Told::Same),
    ("system.swap.out[,pages]", Told::Same),
    ("net.tcp.listen[0]", Told::Same),
    ("net.tcp.listen[ 07]", Told::Same),
    ("net.tcp.socket.count[,,,,listen]", Told::Same),
    ("net.tcp.socket.count[::/0,,,,listen]", Told::Same),
    ("net.tcp.socket.count[127.0.0.0/8,0,,,listen]", Told::Same),
    ("net.tcp.socket.count[203.0.113.9]", Told::Same),
    ("net.tcp.socket.count[,,,,close_wait]", Told::Same),
    ("net.udp.listen[9]", Told::Same),
    ("net.udp.socket.count", Told::Same),
    ("net.udp.socket.count[,,,,established]", Told::Same),
    ("net.udp.socket.count[,,,,unconn]", Told::Same),
    ("system.boottime", Told::Same),
    ("system.uptime", Told::Same),
    ("system.localtime", Told::Same),
    ("system.localtime[utc]", Told::Same),
    ("system.uname", Told::Same),
    ("system.sw.arch", Told::Same),
    ("system.sw.os", Told::Same),
    ("system.sw.os[full]", Told::Same),
    ("system.sw.os[short]", Told::Same),
    ("system.sw.os[name]", Told::Same),
    ("system.hostname", Told::Same),
    ("system.hostname[host]", Told::Same),
    ("system.hostname[shorthost,lower]", Told::Same),
    ("system.cpu.load", Told::Same),
    ("system.cpu.load[all,avg5]", Told::Same),
    ("system.cpu.load[percpu,avg15]", Told::Same),
    ("system.cpu.switches", Told::Same),
    ("system.cpu.intr", Told::Same),
    ("system.cpu.num", Told::Same),
    ("system.cpu.num[max]", Told::Same),
    ("system.cpu.discovery", Told::Json),
    ("system.cpu.util", Told::Percent),
    ("system.cpu.util[,idle]", Told::Percent),
    ("system.cpu.util[all,system,avg5]", Told::Percent),
    ("system.cpu.util[0,iowait,avg15]", Told::Percent),
    ("vm.memory.size", Told::Same),
    ("vm.memory.size[total]", Told::Same),
    ("vm.memory.size[\"total\"]", Told::Same),
    ("vm.memory.size[ total]", Told::Same),
    ("vm.memory.size[[total]]", Told::Same),
    ("vm.memory.size[free]", Told::Same),
    ("vm.memory.size[used]", Told::Same),
    ("vm.memory.size[pused]", Told::Same),
    ("vm.memory.size[available]", Told::Same),
    ("vm.memory.size[pavailable]", Told::Same),
    ("vm.memory.size[buffers]", Told::Same),
    ("vm.memory.size[cached]", Told::Same),
    ("vm.memory.size[active]", Told::Same),
    ("vm.memory.size[inactive]", Told::Same),
    ("vm.memory.size[anon]", Told::Same),
    ("vm.memory.size[slab]", Told::Same),
    ("net.if.discovery", Told::Json),
    ("net.if.in[lo]", Told::Same),
    ("net.if.in[\"lo\",packets]", Told::Same),
    ("net.if.in[lo,errors]", Told::Same),
    ("net.if.in[lo,dropped]", Told::Same),
    ("net.if.in[lo,overruns]", Told::Same),
    ("net.if.in[lo,frame]", Told::Same),
    ("net.if.in[lo,compressed]", Told::Same),
    ("net.if.in[lo,multicast]", Told::Same),
    ("net.if.out[lo]", Told::Same),
    ("net.if.out[lo,collisions]", Told::Same),
    ("net.if.out[lo,carrier]", Told::Same),
    ("vfs.dev.discovery", Told::Set),
    ("vfs.dev.read[,sectors]", Told::Same),
    ("vfs.dev.read[all,operations]", Told::Same),
    ("vfs.dev.write[,operations]", Told::Same),
    ("vfs.dev.write[loop0,sectors]", Told::Same),
    ("vfs.dev.read[loop0]", Told::Same),
    ("vfs.dev.read[loop0,ops,avg5]", Told::Same),
    ("vfs.fs.discovery", Told::Json),
    ("vfs.fs.get", Told::Mounts),
    ("vfs.fs.size[/]", Told::Same),
    ("vfs.fs.size[/,free]", Told::Same),
    ("vfs.fs.size[/,used]", Told::Same),
    ("vfs.fs.size[/,pfree]", Told::Same),
    ("vfs.fs.size[/,pused]", Told::Same),
    ("vfs.fs.size[/proc,pfree]", Told::Same),
    ("vfs.fs.inode[/]", Told::Same),
    ("vfs.fs.inode[/,used]", Told::Same),
    ("vfs.fs.inode[/,pfree]", Told::Same),
    ("vfs.fs.inode[/proc,pfree]", Told::Same),
    ("proc.num", Told::Same),
    ("proc.num[zabbix_agentd]", Told::Same),
    ("proc.num[zabbix_agent2]", Told::Same),
    ("proc.num[,root]", Told::Same),
    ("proc.num[,no-such-user]", Told::Same),
    ("proc.num[,,sleep]", Told::Same),
    ("proc.num[,,zomb]", Told::Same),
    ("proc.num[,,disk]", Told::Same),
    ("proc.num[,,trace]", Told::Same),
    ("proc.num[,,,^zabbix]", Told::Same),
];

const REFUSALS: &[(&str, Told)] = &[
    ("no.such.key", Told::Same),
    ("no.such.key[a]", Told::Same),
    ("AGENT.PING", Told::Same),
    ("agent.ping[x]", Told::Same),
    ("agent.ping]", Told::Same),
    ("agent.ping[", Told::Same),
    ("agent.ping[a]x", Told::Same),
    ("kernel.maxproc[x]", Told::Same),
    ("kernel.maxfiles[x]", Told::Same),
    ("kernel.openfiles[x]", Told::Same),
    ("system.swap.in[/dev/x]", Told::Same),
    ("system.swap.in[,bogus]", Told::Same),
    ("system.swap.in[all,pages,x]", Told::Same),
    ("net.tcp.listen", Told::Same),
    ("net.tcp.listen[http]", Told::Same),
    ("net.tcp.listen[65536]", Told::Same),
    ("net.tcp.listen[-1]", Told::Same),
    ("net.tcp.listen[1,x]", Told::Same),
    ("net.tcp.socket.count[bogus]", Told::Same),
    ("net.tcp.socket.count[127.0.0.1/33]", Told::Same),
    ("net.tcp.socket.count[,bogus]", Told::Same),
    ("net.tcp.socket.count[,70000]", Told::Same),
    ("net.tcp.socket.count[,,bogus]", Told::Same),
    ("net.tcp.socket.count[,,,bogus]", Told::Same),
    ("net.tcp.socket.count[,,,,LISTEN]", Told::Same),
    ("net.tcp.socket.count[,,,,listen,x]", Told::Same),
    ("net.udp.listen[x]", Told::Same),
    ("net.udp.socket.count[,,,,listen]", Told::Same),
    ("system.boottime[x]", Told::Same),
    ("system.uptime[x]", Told::Same),
    ("system.localtime[bogus]", Told::Same),
    ("system.localtime[utc,x]", Told::Same),
    ("system.uname[x]", Told::Same),
    ("system.sw.arch[x]", Told::Same),
    ("system.sw.os[bogus]", Told::Same),
    ("system.sw.os[full,x]", Told::Same),
    ("system.hostname[bogus]", Told::Same),
    ("system.hostname[host,bogus]", Told::Same),
    ("system.hostname[host,none,x]", Told::Same),
    ("system.cpu.load[bogus]", Told::Same),
    ("system.cpu.load[all,bogus]", Told::Same),
    ("system.cpu.load[bogus,bogus]", Told::Same),
    ("system.cpu.load[0]", Told::Same),
    ("system.cpu.load[all,avg1,x]", Told::Same),
    ("system.cpu.num[bogus]", Told::Same),
    ("system.cpu.num[max,x]", Told::Same),
    ("system.cpu.discovery[x]", Told::Same),
    ("system.cpu.util[bogus]", Told::Same),
    ("system.cpu.util[99]", Told::Same),
    ("system.cpu.util[,bogus]", Told::Same),
    ("system.cpu.util[,,bogus]", Told::Same),
    ("system.cpu.util[,,,,x]", Told::Same),
    ("vm.memory.size[bogus]", Told::Same),
    ("vm.memory.size[TOTAL]", Told::Same),
    ("vm.memory.size[total ]", Told::Same),
    ("vm.memory.size[shared]", Told::Same),
    ("vm.memory.size[total,x]", Told::Same),
    ("net.if.discovery[x]", Told::Same),
    ("net.if.in", Told::Same),
    ("net.if.in[]", Told::Same),
    ("net.if.in[no-such]", Told::Same),
    ("net.if.in[lo,bogus]", Told::Same),
    ("net.if.in[lo,bytes,x]", Told::Same),
    ("net.if.out[lo,multicast]", Told::Same),
    ("sensor", Told::Same),
    ("sensor[a]", Told::Same),
    ("sensor[a,]", Told::Same),
    ("sensor[no-such,temp1]", Told::Same),
    ("sensor[no-such,temp1,max]", Told::Same),
    ("sensor[a,b,bogus]", Told::Same),
    ("sensor[a,b,avg,x]", Told::Same),
    ("vfs.dev.discovery[x]", Told::Same),
    ("vfs.dev.read[no-such]", Told::Same),
    ("vfs.dev.read[no-such,sectors]", Told::Same),
    ("vfs.dev.read[no-such,bogus]", Told::Same),
    ("vfs.dev.read[,bytes]", Told::Same),
    ("vfs.dev.read[,sps,bogus]", Told::Same),
    ("vfs.dev.write[,sectors,avg1]", Told::Same),
    ("vfs.dev.write[,sps,avg1,x]", Told::Same),
    ("vfs.fs.size", Told::Same),
    ("vfs.fs.size[]", Told::Same),
    ("vfs.fs.size[/no-such]", Told::Same),
    ("vfs.fs.size[/,bogus]", Told::Same),
    ("vfs.fs.size[/,total,x]", Told::Same),
    ("vfs.fs.inode", Told::Same),
    ("vfs.fs.inode[/,bogus]", Told::Same),
    ("vfs.fs.discovery[x]", Told::Same),
    ("vfs.fs.get[x]", Told::Same),
    ("proc.num[,,bogus]", Told::Same),
    ("proc.num[,,,,x]", Told::Same),
    ("proc.num[,,,,,x]", Told::Same),
];

/// How long a value that moves is asked for again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The two agents and ours, running.
struct All {
    agents: [(Running, u16); 2],
    ours: (Running, u16),
    get: std::path::PathBuf,
}

fn with_all(run: impl Fn(&All) -> Result<(), Failed>) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let all = All {
        agents: [
            agent(Peer::ZabbixAgent, "AllowRoot=1", &scratch)?,
            agent(Peer::ZabbixAgent2, "", &scratch)?,
        ],
        ours: ours(&scratch)?,
        get: Peer::ZabbixGet.find()?,
    };
    run(&all)
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

fn ours(scratch: &Scratch) -> Result<(Running, u16), Failed> {
    let port = free_port()?;
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\n\
         zabbix: {{listen: [\"127.0.0.1:{port}\"], server: [127.0.0.1]}}\n"
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

    fn compare(&self, keys: &[(&str, Told)]) -> Result<(), Failed> {
        let mut complaints = Vec::new();
        for (key, told) in keys {
            if let Some(complaint) = self.compare_one(key, *told)? {
                complaints.push(complaint);
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
        if let Told::Percent = told {
            // There is none before the second sample of the counters.
            let ours = || self.ask(self.ours.1, key).ok().filter(|mine| percent(mine));
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
        Told::Percent => percent(mine),
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

fn percent(text: &str) -> bool {
    let decimals = text.split_once('.').map(|(_, decimals)| decimals.len());
    let value = text.parse::<f64>();
    decimals == Some(6) && value.is_ok_and(|value| (0.0..=100.0).contains(&value))
}

/// A discovery without the macro that only agents after 6.0 tell.
fn json(text: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    for row in value.as_array_mut()? {
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
