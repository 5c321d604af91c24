//! Many checks on a short schedule, and the memory of everything together.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::{Map, Value, json};

use crate::client::Http;
use crate::export::Sink;
use crate::meter::{cpu, median, memory, mib};
use crate::process::{Running, free_port};
use crate::scratch::Scratch;

const CHECKS: usize = 300;
const EVERY: &str = "250ms";
const ROUND: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
const SCRAPES: usize = 100;

/// A service that is asked: it says 200 and hangs up.
fn service() -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut part = [0; 1024];
                while stream.read(&mut part).is_ok_and(|size| size > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    drop(stream.write_all(answer));
                }
            });
        }
    });
    Ok(address)
}

fn start(name: &str, config: &Value, scratch: &Scratch) -> Result<Running, Failed> {
    let file = scratch.path().join(format!("{name}.yml"));
    std::fs::write(&file, config.to_string())?;
    let state = scratch.path().join(name);
    std::fs::create_dir_all(&state)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeward"));
    command
        .arg("run")
        .arg("--config")
        .arg(file)
        .env("RUNTIME_DIRECTORY", &state)
        .env("STATE_DIRECTORY", &state);
    let mut running = Running::start(name, &mut command, scratch)?;
    running.address()?;
    Ok(running)
}

fn many(address: SocketAddr) -> Map<String, Value> {
    let kinds = [
        json!({"http": {"url": format!("http://{address}/")}}),
        json!({"tcp": {"address": address.to_string()}}),
        json!({"process": {"name": "nodeward"}}),
        json!({"reading": {"metric": "node_memory_MemAvailable_bytes", "below": "1MiB"}}),
    ];
    let check = |number: usize| json!({"probe": kinds[number % kinds.len()], "every": EVERY});
    (0..CHECKS).map(|n| (format!("c{n}"), check(n))).collect()
}

pub fn run(page: &mut String) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let address = service()?;
    let config = json!({"http": {"listen": ["127.0.0.1:0"]}, "checks": many(address)});
    let nodeward = start("nodeward-checks", &config, &scratch)?;
    // The first round connects and opens everything.
    std::thread::sleep(Duration::from_secs(1));
    let mut shares = Vec::new();
    for _ in 0..ROUNDS {
        let (before, start) = (cpu(nodeward.id()), Instant::now());
        std::thread::sleep(ROUND);
        shares.push((cpu(nodeward.id()) - before) / start.elapsed().as_secs_f64());
    }
    writeln!(
        page,
        "\n## Checks\n\n{CHECKS} checks every {EVERY} (http, tcp, process, reading in equal parts, all of this machine): {:.1} % of one CPU, median of \
         {ROUNDS} rounds of {} s; resident {}.",
        median(shares) * 100.0,
        ROUND.as_secs(),
        mib(memory(nodeward.id()).0)
    )?;
    drop(nodeward);
    whole(page, address, &scratch)
}

/// Three dialects and healing.
fn whole(page: &mut String, service: SocketAddr, scratch: &Scratch) -> Result<(), Failed> {
    let sink = Sink::start()?;
    let zabbix = free_port()?;
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "zabbix": {"listen": [format!("127.0.0.1:{zabbix}")], "server": ["127.0.0.1"]},
        "otlp": {"endpoint": format!("http://{}", sink.address), "interval": "1s"},
        "hooks": {"alertmanager": {}},
        "checks": {"web": {"probe": {"http": {"url": format!("http://{service}/")}}, "every": "1s"}},
        "playbooks": {"web": {
            "match": {"alertname": "CheckFailed", "check": "web"},
            "target": {"service": "web"},
            "ladder": [{"do": {"command": {"argv": ["/usr/bin/true"]}}}],
            "verify": {"all": [{"check": "web"}]},
        }},
    });
    let mut nodeward = start("nodeward-whole", &config, scratch)?;
    let mut client = Http::connect(nodeward.address()?, true)?;
    let ask = b"ZBXD\x01\x16\0\0\0\0\0\0\0system.cpu.util[,idle]";
    for _ in 0..SCRAPES {
        client.scrape()?;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", zabbix))?;
        stream.write_all(ask)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
    }
    let (rss, anon) = memory(nodeward.id());
    writeln!(
        page,
        "\n## Everything at once\n\nThree dialects and healing on, after {SCRAPES} scrapes and as many passive checks: resident {}, of it {} anonymous.",
        mib(rss),
        mib(anon)
    )?;
    Ok(())
}
