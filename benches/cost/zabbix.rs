//! Passive checks: ours and both agents, one connection a check as a server makes them.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Instant;

use libtest_mimic::Failed;

use crate::meter::{cpu_of_group, median, memory, mib, time};
use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;

const ROUNDS: usize = 7;
/// Key and checks a round.
const KEYS: [(&str, u32); 7] = [
    ("agent.ping", 2000),
    ("vm.memory.size[available]", 1000),
    ("vfs.fs.size[/,pused]", 1000),
    ("vfs.fs.get", 400),
    ("proc.num", 400),
    ("system.cpu.util", 1000),
    ("net.if.discovery", 600),
];
/// Checks at a time.
const IN_FLIGHT: [u32; 2] = [1, 4];

fn check(address: SocketAddr, request: &[u8], answer: &mut Vec<u8>) -> Result<(), Failed> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    answer.clear();
    stream.read_to_end(answer)?;
    if answer.len() < 13 || answer.windows(16).any(|w| w == b"ZBX_NOTSUPPORTED") {
        return Err(format!("answered {:?}", String::from_utf8_lossy(answer)).into());
    }
    Ok(())
}

/// So many checks, some at a time.
fn checks(address: SocketAddr, request: &[u8], count: u32, at_a_time: u32) -> Result<(), Failed> {
    let client = || {
        let mut answer = Vec::new();
        (0..count / at_a_time).try_for_each(|_| check(address, request, &mut answer))
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..at_a_time).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| {
            client
                .join()
                .map_err(|_| Failed::from("a client panicked"))?
        })
    })
}

fn agent(peer: Peer, scratch: &Scratch) -> Result<(Running, SocketAddr), Failed> {
    let port = free_port()?;
    let name = peer.name();
    let path = scratch.path().join(format!("{name}.conf"));
    let own = if peer == Peer::ZabbixAgent2 {
        format!(
            "PluginSocket={0}/plugin.sock\nControlSocket={0}/control.sock\nPidFile={0}/{name}.pid\n",
            scratch.path().display()
        )
    } else {
        format!(
            "AllowRoot=1\nPidFile={}/{name}.pid\n",
            scratch.path().display()
        )
    };
    std::fs::write(
        &path,
        format!(
            "Server=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\nHostname=bench\nLogType=console\n{own}"
        ),
    )?;
    let mut command = Command::new(peer.find()?);
    command.arg("-f").arg("-c").arg(path);
    let mut running = Running::start(name, &mut command, scratch)?;
    let address = running.listens(port)?;
    Ok((running, address))
}

fn ours(scratch: &Scratch) -> Result<(Running, SocketAddr), Failed> {
    let port = free_port()?;
    let config = scratch.path().join("nodeward.yml");
    std::fs::write(
        &config,
        format!(
            "http: {{listen: ['127.0.0.1:0']}}\nzabbix: {{listen: ['127.0.0.1:{port}'], server: ['127.0.0.1']}}\n"
        ),
    )?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeward"));
    command
        .arg("run")
        .arg("--config")
        .arg(config)
        .env("RUNTIME_DIRECTORY", scratch.path());
    let mut running = Running::start("nodeward-zabbix", &mut command, scratch)?;
    let address = running.listens(port)?;
    Ok((running, address))
}

pub fn run(page: &mut String) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let agents = [
        ("nodeward", ours(&scratch)?),
        ("zabbix_agentd", agent(Peer::ZabbixAgent, &scratch)?),
        ("zabbix_agent2", agent(Peer::ZabbixAgent2, &scratch)?),
    ];
    writeln!(
        page,
        "\n## Zabbix passive checks\n\nBy `cargo bench --all-features --bench cost -- zabbix`: one connection a check; checks a second and CPU a check, {ROUNDS} rounds, alternating.\n\n\
         | key, checks at a time | nodeward | zabbix_agentd | zabbix_agent2 |\n| --- | ---: | ---: | ---: |"
    )?;
    let cases = KEYS
        .iter()
        .flat_map(|case| IN_FLIGHT.map(|many| (case, many)));
    for (&(key, count), many) in cases {
        let length = u32::try_from(key.len())?;
        let request = [
            b"ZBXD\x01",
            &length.to_le_bytes()[..],
            &[0; 4],
            key.as_bytes(),
        ]
        .concat();
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        let mut costs = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (at, (_, (running, address))) in agents.iter().enumerate() {
                // A rate has no value before its second sample.
                until(key, || checks(*address, &request, many, many).ok())?;
                let (before, start) = (cpu_of_group(running.id()), Instant::now());
                checks(*address, &request, count, many)?;
                let wall = start.elapsed().as_secs_f64();
                rates[at].push(f64::from(count) / wall);
                costs[at].push((cpu_of_group(running.id()) - before) / f64::from(count));
            }
        }
        let cell = |at: usize| {
            format!(
                "{:.0}/s, {}",
                median(rates[at].clone()),
                time(median(costs[at].clone()))
            )
        };
        writeln!(
            page,
            "| `{key}`, {many} | {} | {} | {} |",
            cell(0),
            cell(1),
            cell(2)
        )?;
    }
    let mut cells = Vec::new();
    for (_, (running, _)) in &agents {
        let (rss, anon) = memory(running.id());
        cells.push(format!("{} ({} anonymous)", mib(rss), mib(anon)));
    }
    writeln!(page, "| resident, main process | {} |", cells.join(" | "))?;
    Ok(())
}
