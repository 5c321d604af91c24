//! The agent's own file, read by the agent and by nodeward: both answer the same servers under the same name, and a rule of it
//! holds here where it does not there.

use std::process::Command;

use libtest_mimic::Failed;

use crate::process::{Running, free_port};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::zabbix::ask;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "zabbix_conf::nodeward_takes_the_agents_file_and_its_rules_hold_where_the_agents_do_not",
    needs: &[Peer::ZabbixAgent, Peer::ZabbixGet],
    run: one_file,
}];

/// Denied by the agent and by nodeward.
const DENIED: [&str; 4] = [
    "vfs.fs.size[/]",
    "system.hostname",
    "net.if.in[lo]",
    "vfs.file.contents[/sys/class/net/lo/ifindex]",
];
/// Denied as well, though not by the agent: a comma more, another spelling of a path, parameters where the rule has none, none where
/// it has a star.
const AROUND: [&str; 6] = [
    "system.cpu.load",
    "vfs.fs.size[/,]",
    "vfs.fs.size[.]",
    "vfs.fs.size[/proc/..]",
    "vfs.fs.size[//]",
    "system.hostname[host]",
];
/// Answered by both.
const ALLOWED: [&str; 6] = [
    // A link of the kernel's into what no rule allows.
    "vfs.file.contents[/sys/class/net/lo/operstate]",
    "agent.ping",
    "agent.hostname",
    "vfs.fs.size[/proc,total]",
    "kernel.maxproc",
    "net.if.in[lo,packets]",
];

fn one_file() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let text = |port: u16| {
        format!(
            "# both\nPidFile={home}/agentd.pid\nLogType=console\nServer=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\n\
             Hostname=the same\nAllowRoot=1\nStartAgents=2\nInclude={home}/rules.d/*.conf\n",
            home = scratch.path().display()
        )
    };
    std::fs::create_dir(scratch.path().join("rules.d"))?;
    let rules = "AllowKey=net.if.in[lo,packets]\nDenyKey=net.if.in[*]\nDenyKey=vfs.fs.size[/]\nDenyKey=system.hostname\nDenyKey=system.cpu.load[*]\n\
        AllowKey=vfs.file.contents[/sys/class/net/*/operstate]\nDenyKey=vfs.file.contents[*]\n";
    std::fs::write(scratch.path().join("rules.d/rules.conf"), rules)?;
    let (theirs, ours) = (free_port()?, free_port()?);
    let file = |port: u16| -> Result<std::path::PathBuf, Failed> {
        let file = scratch.path().join(format!("zabbix_agentd-{port}.conf"));
        std::fs::write(&file, text(port))?;
        Ok(file)
    };
    let mut agent = Command::new(Peer::ZabbixAgent.find()?);
    agent.arg("-f").arg("-c").arg(file(theirs)?);
    let mut agent = Running::start("zabbix_agentd", &mut agent, &scratch)?;
    agent.listens(theirs)?;
    let flag = format!("--zabbix-conf={}", file(ours)?.display());
    let mut nodeward = ours::run([flag], &scratch)?;
    nodeward.listens(ours)?;

    let get = Peer::ZabbixGet.find()?;
    let both = |key: &str| -> Result<[String; 2], Failed> {
        Ok([ask(&get, theirs, key)?, ask(&get, ours, key)?])
    };
    let unsupported = |said: &str| said.contains("ZBX_NOTSUPPORTED");
    let mut wrong = Vec::new();
    for (keys, expected) in [
        (&DENIED[..], [true, true]),
        (&AROUND, [false, true]),
        (&ALLOWED, [false, false]),
    ] {
        for key in keys {
            let said = both(key)?;
            if [unsupported(&said[0]), unsupported(&said[1])] != expected {
                wrong.push(format!(
                    "{key}: the agent {:?}, ours {:?}",
                    said[0], said[1]
                ));
            }
        }
    }
    let [theirs, ours] = both("agent.hostname")?;
    if theirs != ours {
        wrong.push(format!("names {theirs:?} and {ours:?}"));
    }
    let log = nodeward.log();
    let told = log
        .lines()
        .filter(|line| line.contains("without meaning here: PidFile, LogType, AllowRoot"))
        .count();
    if told != 1 {
        wrong.push(format!("what has no meaning is told {told} times:\n{log}"));
    }
    // The others that are denied with a star are nothing without a parameter.
    if !log.contains("without parameters too, which the agent answers: system.cpu.load;") {
        wrong.push(format!(
            "it is not told where a rule is stricter here:\n{log}"
        ));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}
