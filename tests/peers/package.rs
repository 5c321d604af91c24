//! The Debian package on a machine of its own that a systemd has booted: it installs, runs, is upgraded with what an administrator changed,
//! is removed and leaves nothing once it is purged.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;

use crate::PeerTest;
use crate::pools::apart::apart;
use crate::process::until;
use crate::product::root;
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{ours, web};

const NAME: &str = "package::the_debian_package_installs_upgrades_and_purges";

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: NAME,
    needs: &[
        Peer::Root,
        Peer::Unshare,
        Peer::Ip,
        Peer::Systemd,
        Peer::DbusDaemon,
        Peer::DpkgDeb,
        Peer::CargoDeb,
        Peer::ZabbixGet,
    ],
    // It serves on the port of its default.
    run: || apart(NAME, run),
}];

/// What the booted machine has not: the targets of a whole one.
const DROP_IN: &str = "[Unit]\nDefaultDependencies=no\n";
const PLACE: &str = "/run/packages";

/// What a program printed, if it went well.
fn done(command: &mut Command) -> Result<String, Failed> {
    let out = command.output()?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    match out.status.success() {
        true => Ok(said),
        false => {
            let why = String::from_utf8_lossy(&out.stderr);
            Err(format!("{command:?}: {}\n{said}{why}", out.status).into())
        }
    }
}

/// The package of the program under test.
fn package(scratch: &Scratch) -> Result<PathBuf, Failed> {
    let cargo_deb = Peer::CargoDeb.find()?;
    let tools = cargo_deb.parent().ok_or("a program without a place")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let file = scratch.path().join("nodeward.deb");
    done(
        Command::new(root().join("packaging/debian/build"))
            .args(["--offline", "--fast", "--output"])
            .arg(&file)
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("CARGO_TARGET_DIR", scratch.path().join("target"))
            .env("PROGRAM", ours::program()),
    )?;
    Ok(file)
}

/// What is built for a package: a program that knows pre-shared keys, for who comes from an agent of Zabbix that does.
fn features(scratch: &Scratch) -> Result<(), Failed> {
    let tools = scratch.path().join("tools");
    std::fs::create_dir_all(&tools)?;
    let said = tools.join("said");
    let cargo = tools.join("cargo");
    let text = format!("#!/bin/sh\necho \"$@\" >{}; exit 1\n", said.display());
    std::fs::write(&cargo, text)?;
    std::fs::set_permissions(&cargo, PermissionsExt::from_mode(0o755))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let out = Command::new(root().join("packaging/debian/build"))
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("CARGO_TARGET_DIR", scratch.path().join("nothing"))
        .env_remove("FEATURES")
        .env_remove("PROGRAM")
        .output()?;
    let said = std::fs::read_to_string(said)?;
    match said.trim() {
        "build --release --locked --features psk" if !out.status.success() => Ok(()),
        _ => Err(format!("cargo was asked to {said:?}, {out:?}").into()),
    }
}

/// The same as a later version.
fn later(package: &Path, scratch: &Scratch) -> Result<PathBuf, Failed> {
    let tree = scratch.path().join("later");
    let dpkg = Peer::DpkgDeb.find()?;
    done(Command::new(&dpkg).arg("-R").arg(package).arg(&tree))?;
    let control = tree.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control)?;
    let version = text.lines().find(|line| line.starts_with("Version: "));
    let version = version.ok_or("the package has no version")?;
    std::fs::write(&control, text.replace(version, &format!("{version}.1")))?;
    // What it ships as a default is another one, too.
    let default = tree.join("etc/default/nodeward");
    let text = std::fs::read_to_string(&default)?;
    std::fs::write(default, format!("{text}# One more line.\n"))?;
    let file = scratch.path().join("later.deb");
    done(
        Command::new(&dpkg)
            .args(["-Znone", "-b"])
            .arg(&tree)
            .arg(&file),
    )?;
    Ok(file)
}

struct Machine {
    booted: Booted,
    root: PathBuf,
}

impl Machine {
    fn run(&self, words: &[&str]) -> Result<String, Failed> {
        let target = format!("--target={}", self.booted.first);
        done(
            Command::new("nsenter")
                .args([&*target, "--all", "--"])
                .args(words)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    }

    fn property(&self, name: &str) -> Result<String, Failed> {
        let said = self.run(&[
            "systemctl",
            "show",
            "--value",
            "-p",
            name,
            "nodeward.service",
        ])?;
        Ok(said.trim().to_owned())
    }

    fn installs(&self, package: &str) -> Result<String, Failed> {
        let said = self.run(&["dpkg", "--force-confold", "-i", package])?;
        self.serves()?;
        Ok(said)
    }

    /// Waits until it is up and answers where its default says.
    fn serves(&self) -> Result<(), Failed> {
        until("the service to be active", || {
            (self.property("ActiveState").ok()? == "active").then_some(())
        })
        .map_err(|failed| {
            let why = failed.message().unwrap_or_default();
            let status = self.property("Result").unwrap_or_default();
            Failed::from(format!("{why}: {status}"))
        })?;
        let page = web::page(([127, 0, 0, 1], 9100).into(), "/metrics")?;
        match page.contains("\nnode_memory_MemTotal_bytes ") {
            true => Ok(()),
            false => Err("the page shows no memory".into()),
        }
    }

    /// Has the service, shut in as it is, answer a passive check by a pre-shared key as that lay beside the agent.
    fn answers_by_key(&self, scratch: &Scratch) -> Result<(), Failed> {
        let (etc, key) = (self.root.join("etc/nodeward"), scratch.path().join("psk"));
        std::fs::write(&key, "0123456789abcdef".repeat(4))?;
        std::fs::copy(&key, etc.join("zabbix.psk"))?;
        self.run(&["chgrp", "nodeward", "/etc/nodeward/zabbix.psk"])?;
        self.run(&["chmod", "640", "/etc/nodeward/zabbix.psk"])?;
        let config = etc.join("nodeward.d/zabbix.yml");
        std::fs::write(
            &config,
            "zabbix: {listen: [\"127.0.0.1:10050\"], server: [127.0.0.1], \
             tls: {accept: [psk], psk_identity: web-1, psk_file: /etc/nodeward/zabbix.psk}}\n",
        )?;
        self.run(&["systemctl", "reload", "nodeward"])?;
        let get = |more: &[&str]| -> Result<String, Failed> {
            let mut command = Command::new(Peer::ZabbixGet.find()?);
            command
                .args(["-s", "127.0.0.1", "-k", "agent.ping"])
                .args(more);
            let out = command.output()?;
            Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
        };
        let file = key.display().to_string();
        let by_key = ["--tls-connect", "psk", "--tls-psk-identity", "web-1"];
        let said = get(&[&by_key[..], &["--tls-psk-file", &file]].concat())?;
        let plain = get(&[])?;
        std::fs::remove_file(config)?;
        std::fs::remove_file(etc.join("zabbix.psk"))?;
        self.run(&["systemctl", "reload", "nodeward"])?;
        match (said.as_str(), plain.as_str()) {
            ("1", "") => Ok(()),
            _ => Err(format!("by key {said:?}, in plain {plain:?}").into()),
        }
    }

    fn has(&self, path: &str) -> bool {
        self.root.join(path.trim_start_matches('/')).exists()
    }
}

fn run() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    features(&scratch)?;
    let first = package(&scratch)?;
    let second = later(&first, &scratch)?;
    let booted = Booted::writable(&scratch)?;
    let root = PathBuf::from(format!("/proc/{}/root", booted.first));
    let machine = Machine { booted, root };
    std::fs::create_dir_all(machine.root.join(PLACE.trim_start_matches('/')))?;
    for (from, name) in [(&first, "first.deb"), (&second, "second.deb")] {
        std::fs::copy(from, machine.root.join("run/packages").join(name))?;
    }
    // A machine that is built may be forbidden to start services.
    machine.run(&["rm", "-f", "/usr/sbin/policy-rc.d"])?;
    let drop_in = machine.root.join("run/systemd/system/nodeward.service.d");
    std::fs::create_dir_all(&drop_in)?;
    std::fs::write(drop_in.join("test.conf"), DROP_IN)?;

    machine.installs("/run/packages/first.deb")?;
    assert_eq!(
        machine
            .run(&["systemctl", "is-enabled", "nodeward"])?
            .trim(),
        "enabled"
    );
    let user = machine.run(&["stat", "-c", "%U %a", "/var/lib/nodeward"])?;
    assert_eq!(user.trim(), "nodeward 700");
    let files = machine.run(&["dpkg", "-L", "nodeward"])?;
    for file in [
        "/usr/share/man/man1/nodeward.1",
        "/usr/share/bash-completion/completions/nodeward",
        "/usr/share/nodeward/alert-rules/thresholds.yml",
        "/usr/share/nodeward/dashboards/fleet.json",
        "/usr/share/nodeward/playbooks/00-node.yml",
        "/usr/share/nodeward/zabbix-templates/nodeward_agent.yaml",
    ] {
        assert!(files.contains(file), "{file} is not in it: {files}");
    }
    // A hook is enough to be told what to heal, and so for a journal.
    let hook = machine.root.join("etc/nodeward/nodeward.d");
    std::fs::create_dir_all(&hook)?;
    std::fs::write(hook.join("hook.yml"), "hooks: {alertmanager: {}}\n")?;
    machine.run(&["systemctl", "reload", "nodeward"])?;
    machine.run(&["nodeward", "maintenance", "on", "--reason", "an upgrade"])?;
    if cfg!(feature = "psk") {
        machine.answers_by_key(&scratch)?;
    }

    // What the administrator wrote stays, so does what nodeward was told.
    let options = machine.root.join("etc/default/nodeward");
    std::fs::write(&options, "OPTIONS=--log.level=warn\n")?;
    let invocation = machine.property("InvocationID")?;
    machine.installs("/run/packages/second.deb")?;
    assert_ne!(machine.property("InvocationID")?, invocation);
    let version = machine.run(&["dpkg-query", "-W", "-f", "${Version}", "nodeward"])?;
    assert!(version.ends_with(".1"), "{version}");
    assert_eq!(
        std::fs::read_to_string(&options)?,
        "OPTIONS=--log.level=warn\n"
    );
    let status = machine.run(&["nodeward", "status"])?;
    assert!(status.contains("an upgrade"), "{status}");
    let proven = machine.run(&[
        "nodeward",
        "journal",
        "verify",
        "--state-dir",
        "/var/lib/nodeward",
    ]);
    proven?;

    machine.run(&["dpkg", "-r", "nodeward"])?;
    assert_ne!(machine.property("ActiveState")?, "active");
    assert!(!machine.has("/usr/bin/nodeward"));
    assert!(machine.has("/var/lib/nodeward/journal.db") && machine.has("/etc/default/nodeward"));

    // What an administrator added is not the package's to delete.
    std::fs::remove_file(hook.join("hook.yml"))?;
    machine.run(&["dpkg", "-P", "nodeward"])?;
    let shared = ["/usr", "/etc", "/usr/share/zsh", "/usr/share/fish"];
    let left: Vec<&str> = files
        .lines()
        .filter(|path| path.contains("nodeward") && !shared.contains(path))
        .chain(["/var/lib/nodeward"])
        .filter(|path| machine.has(path))
        .collect();
    assert!(left.is_empty(), "a purge leaves {left:?}");
    Ok(())
}
