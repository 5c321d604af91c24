//! The command line of node_exporter: every flag that its `--help` shows is taken, and so are systemd's sockets.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use libtest_mimic::Failed;

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours, web};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "flags::every_flag_of_the_reference_is_taken",
        needs: &[Peer::NodeExporter],
        run: every_flag,
    },
    PeerTest {
        name: "flags::queries_are_answered_with_the_codes_of_the_reference",
        needs: &[Peer::NodeExporter],
        run: queries,
    },
    PeerTest {
        name: "flags::the_sockets_that_systemd_passes_are_served",
        needs: &[Peer::SocketActivate],
        run: passed_sockets,
    },
];

/// Spellings that the reference takes and its help leaves out.
const HIDDEN: &[(&str, bool)] = &[
    ("collector.diskstats.ignored-devices", false),
    ("collector.filesystem.ignored-fs-types", false),
    ("collector.filesystem.ignored-mount-points", false),
    ("collector.filesystem.mount-timeout", false),
    ("collector.filesystem.stat-workers", false),
    ("collector.netdev.device-blacklist", false),
    ("collector.netdev.device-whitelist", false),
    ("collector.systemd.private", true),
    ("collector.systemd.unit-blacklist", false),
    ("collector.systemd.unit-whitelist", false),
];

/// The flags in the help of the reference: name, and whether it is a switch.
fn flags(help: &str) -> BTreeSet<(String, bool)> {
    let mut flags = BTreeSet::new();
    for line in help.lines() {
        // What stands further in is the end of a description.
        let flag = ["      --", "  -h, --"];
        let Some(rest) = flag.iter().find_map(|start| line.strip_prefix(start)) else {
            continue;
        };
        let end = rest.find([' ', '=']).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or(rest);
        match word.strip_prefix("[no-]") {
            Some(name) => flags.insert((name.to_owned(), true)),
            None => flags.insert((word.to_owned(), false)),
        };
    }
    flags
}

/// A value that suits a flag.
fn value(name: &str) -> &'static str {
    match name {
        "web.listen-address" => "127.0.0.1:0",
        "web.telemetry-path" => "/metrics",
        "web.config.file" => "",
        "log.level" => "info",
        "log.format" => "logfmt",
        "path.procfs" => "/proc",
        "path.sysfs" => "/sys",
        "path.rootfs" => "/",
        _ if name.ends_with("timeout") || name.ends_with("distance") => "5s",
        _ if name.ends_with("tolerance") => "1ms",
        _ => "1",
    }
}

/// Whether the command line as such is what is wrong.
fn is_usage(output: &Output) -> bool {
    output.status.code() == Some(2)
}

fn every_flag() -> Result<(), Failed> {
    let help = Command::new(Peer::NodeExporter.find()?)
        .arg("--help")
        .output()?;
    // It goes to standard error.
    let help = [help.stdout, help.stderr].concat();
    let mut flags = flags(&String::from_utf8(help)?);
    if flags.len() < 150 {
        return Err(format!("the help has only {} flags", flags.len()).into());
    }
    flags.extend(
        HIDDEN
            .iter()
            .map(|(name, switch)| ((*name).to_owned(), *switch)),
    );
    let scratch = Scratch::new()?;
    // A config that is not there ends nodeward once its command line was taken; bare, as node_exporter is started.
    let nodeward = |word: &str| {
        let mut command = Command::new(ours::program());
        command.env_clear().env("STATE_DIRECTORY", scratch.path());
        command
            .args(["--config", "/nonexistent/nodeward.yml", word])
            .output()
    };
    let mut wrong = Vec::new();
    for (name, switch) in &flags {
        let words = match switch {
            true => vec![format!("--{name}"), format!("--no-{name}")],
            false => vec![format!("--{name}={}", value(name))],
        };
        for word in words {
            if is_usage(&nodeward(&word)?) {
                wrong.push(word);
            }
        }
    }
    // And one that nobody has is refused, or nothing was shown.
    if !is_usage(&nodeward("--collector.cpu.no-such-flag=1")?) {
        wrong.push("a flag that nobody has is taken".into());
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("not taken: {}", wrong.join(" ")).into()),
    }
}

fn queries() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let mut command = Command::new(Peer::NodeExporter.find()?);
    command.arg("--web.listen-address=127.0.0.1:0");
    let mut reference = Running::start("node_exporter", &mut command, &scratch)?;
    let mut ours = ours::run([] as [&str; 0], &scratch)?;
    let (theirs, mine) = (reference.address()?, ours.address()?);
    let mut wrong = Vec::new();
    for query in [
        "",
        "?collect[]=cpu",
        "?collect%5B%5D=cpu",
        "?collect[]=cpu&collect[]=cpu",
        "?collect[]=cpu&collect[]=zfs",
        "?collect[]=no-such",
        "?collect[]=cpu&collect[]=no-such",
        "?collect[]=systemd",
        "?collect[]=",
        "?exclude[]=cpu",
        "?exclude[]=no-such",
        "?exclude[]=systemd",
        "?exclude[]=",
        "?collect[]=cpu&exclude[]=meminfo",
        "?collect=cpu&x",
    ] {
        let path = format!("/metrics{query}");
        let ask = |at| web::Request::send(at, &path)?.answer();
        let (their, my) = (ask(theirs)?.status, ask(mine)?.status);
        if their != my {
            wrong.push(format!("{path}: {their} there, {my} here"));
        }
    }
    ours.terminate()?;
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

/// The upstream unit: `--web.systemd-socket $OPTIONS`, with the OPTIONS of its sysconfig.
fn passed_sockets() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let texts = scratch.path().join("textfile_collector");
    std::fs::create_dir(&texts)?;
    std::fs::write(texts.join("x.prom"), "passed 1\n")?;
    let config = scratch.path().join("nodeward.yml");
    std::fs::write(&config, "log: {level: info}\n")?;
    let ports = [free_port()?, free_port()?];
    let unix = scratch.path().join("passed.sock");
    let mut command = Command::new(Peer::SocketActivate.find()?);
    for port in ports {
        command.arg(format!("--listen=127.0.0.1:{port}"));
    }
    command
        .arg(format!("--listen={}", unix.display()))
        .arg(format!(
            "--setenv=RUNTIME_DIRECTORY={}",
            scratch.path().display()
        ))
        .arg(format!(
            "--setenv=STATE_DIRECTORY={}",
            scratch.path().display()
        ))
        .arg(ours::program())
        .arg(format!("--config={}", config.display()))
        .args(["--web.systemd-socket", "--collector.textfile.directory"])
        .arg(&texts);
    let running = Running::start("activated", &mut command, &scratch)?;
    let ask = |port: u16| web::page(([127, 0, 0, 1], port).into(), "/metrics");
    // The first connection has it started.
    let [first, second] = ports;
    let page = until("the page behind a passed socket", || ask(first).ok())?;
    if !page.contains("\npassed 1\n") || !page.contains("\nnode_load1 ") {
        return Err(format!("not the page: {page}").into());
    }
    ask(second)?;
    // A reload keeps them, since nobody else could open them again.
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.id())?).ok_or("no process")?;
    rustix::process::kill_process(pid, rustix::process::Signal::HUP)?;
    until("the reload", || {
        running.log().contains("config reloaded").then_some(())
    })?;
    for port in ports {
        ask(port)?;
    }
    let answer = unix_get(&unix)?;
    if !answer.starts_with("HTTP/1.0 200") {
        return Err(format!("on the Unix socket: {answer}").into());
    }
    running.terminate()?;
    // The file is systemd's to remove.
    match unix.exists() {
        true => Ok(()),
        false => Err("the file of a passed socket was removed".into()),
    }
}

fn unix_get(path: &std::path::Path) -> Result<String, Failed> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.write_all(b"GET /-/healthy HTTP/1.0\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
