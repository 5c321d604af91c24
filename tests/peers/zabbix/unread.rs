//! What may not be read of a process, held against the agents of 7.0: nodeward and they have no capabilities, and the process is of
//! another user.

use std::ffi::OsStr;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::Value;

use super::odd::Odd;
use super::{agent_as, ask, yaml};
use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::zabbix_server::Release;
use crate::{PeerTest, ours};

pub const TEST: PeerTest = PeerTest {
    name: "zabbix::memory_that_may_not_be_shared_out_is_told_as_the_agents_of_7_tell_it",
    needs: &[
        Peer::Root,
        Peer::Setpriv,
        Peer::ZabbixAgent7,
        Peer::ZabbixAgent2of7,
        Peer::ZabbixGet,
    ],
    run: share,
};

/// A command without capabilities: root reads of other users' processes what anybody may.
fn bare(program: &OsStr) -> Result<Command, Failed> {
    let mut command = Command::new(Peer::Setpriv.find()?);
    command
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(program);
    Ok(command)
}

fn ours_bare(scratch: &Scratch) -> Result<(Running, u16), Failed> {
    let (port, file) = (free_port()?, scratch.path().join("nodeward.yml"));
    std::fs::write(&file, yaml(port, ""))?;
    let plain = ours::command("run", scratch);
    let mut command = bare(plain.get_program())?;
    let set = |(name, value)| Some((name, value?));
    command
        .args(plain.get_args())
        .arg("--config")
        .arg(&file)
        .envs(plain.get_envs().filter_map(set));
    let mut running = Running::start("nodeward", &mut command, scratch)?;
    running.listens(port)?;
    Ok((running, port))
}

/// What a process of the user without a name has: pss and rss.
fn memory(said: &str) -> Option<(u64, u64)> {
    let said: Value = serde_json::from_str(said).ok()?;
    let mut rows = said.as_array()?.iter();
    let row = rows.find(|row| row.get("uid").and_then(Value::as_u64) == Some(54_321))?;
    row.get("pss")?.as_u64().zip(row.get("rss")?.as_u64())
}

fn share() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let odd = Odd::start(&scratch)?;
    let started = |peer: Peer, more| {
        let command = bare(peer.find()?.as_os_str())?;
        agent_as(command, peer, more, &scratch)
    };
    let (classic, two) = (Release::Seven.agent(), Release::Seven.agent2());
    let (classic, two) = (started(classic, "AllowRoot=1")?, started(two, "")?);
    let ours = ours_bare(&scratch)?;
    let get = Peer::ZabbixGet.find()?;
    // The process is called sleep, and its command line begins with the name.
    let key = format!("proc.get[sleep,,^{}]", odd.name());
    let mut last = String::new();
    let agree = || {
        let said = [classic.1, two.1, ours.1].map(|port| ask(&get, port, &key).ok());
        last = format!("{said:?}");
        let [classic, two, mine] = said.map(|said| memory(&said?));
        // All of it, since how much is shared may not be read.
        let whole = mine.is_some_and(|(pss, rss)| pss == rss && rss > 0);
        (whole && classic == mine && two == mine).then_some(())
    };
    until("the same memory", agree).map_err(|_| format!("the agents and ours: {last}").into())
}
