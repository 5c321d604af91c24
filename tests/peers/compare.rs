//! `nodeward compare` beside the real node_exporter: on this machine, over captured ones, and where its page was changed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::hosts::Host;
use crate::process::Running;
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::tls::testing::Authority;
use crate::{PeerTest, ours, web};

const NEEDS: &[Peer] = &[Peer::NodeExporter];

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "compare::nothing_is_missing_beside_the_reference_on_this_machine",
        needs: NEEDS,
        run: this_machine,
    },
    PeerTest {
        name: "compare::nothing_is_missing_beside_the_reference_on_captured_machines",
        needs: NEEDS,
        run: captured,
    },
    PeerTest {
        name: "compare::each_change_of_the_page_is_told",
        needs: NEEDS,
        run: changed,
    },
    PeerTest {
        name: "compare::what_is_switched_off_here_is_told_with_its_switch",
        needs: NEEDS,
        run: switched_off,
    },
    PeerTest {
        name: "compare::a_page_behind_tls_and_a_password_is_read",
        needs: NEEDS,
        run: guarded,
    },
    PeerTest {
        name: "compare::what_a_zabbix_agent_says_otherwise_is_told_key_by_key",
        needs: &[Peer::ZabbixAgent],
        run: agent,
    },
];

/// Machines over which the reference lives.
const HOSTS: [&str; 7] = [
    "server",
    "storage",
    "container",
    "vm",
    "arm",
    "hostile",
    "bare",
];

/// node_exporter as it starts without flags, but for where it listens and these.
fn reference(flags: &[String], scratch: &Scratch) -> Result<Running, Failed> {
    let mut command = Command::new(Peer::NodeExporter.find()?);
    command.arg("--web.listen-address=127.0.0.1:0").args(flags);
    Running::start("node_exporter", &mut command, scratch)
}

/// What `compare` says, and its exit code.
fn compare(url: &str, flags: &[String], scratch: &Scratch) -> Result<(String, i32), Failed> {
    let mut command = ours::command("compare", scratch);
    let output = command.arg(url).args(flags).output()?;
    let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    let code = output.status.code().ok_or("it was killed")?;
    Ok((text, code))
}

fn well(url: &str, flags: &[String], scratch: &Scratch) -> Result<(), Failed> {
    let (text, code) = compare(url, flags, scratch)?;
    match code == 0 && text.contains("\nnothing missing: ") {
        true => Ok(()),
        false => Err(format!("{code}:\n{text}").into()),
    }
}

fn this_machine() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let mut theirs = reference(&[], &scratch)?;
    let url = format!("http://{}", theirs.address()?);
    well(&url, &[], &scratch)?;
    // The same of a nodeward that runs.
    let mut ours = ours::run(
        ["--collector.disable-defaults", "--collector.cpu"],
        &scratch,
    )?;
    let with = format!("--with=http://{}", ours.address()?);
    let (text, code) = compare(&url, &[with], &scratch)?;
    if code != 1 || !text.contains(" off here: --collector.meminfo switches it on\n") {
        return Err(format!("{code}:\n{text}").into());
    }
    let mut ours = ours::run([] as [&str; 0], &scratch)?;
    let with = format!("--with=http://{}", ours.address()?);
    well(&url, &[with], &scratch)
}

fn captured() -> Result<(), Failed> {
    for name in HOSTS {
        let scratch = Scratch::new()?;
        let host = Host::copy(name, &scratch)?;
        // The kernel's own answers are those of this machine.
        let netlink = ["netdev", "arp"].map(|name| format!("--no-collector.{name}.netlink"));
        let flags = [host.flags(), netlink.to_vec()].concat();
        let mut theirs = reference(&flags, &scratch)?;
        let url = format!("http://{}/metrics", theirs.address()?);
        well(&url, &flags, &scratch)
            .map_err(|failed| format!("{name}: {}", failed.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// Serves one page for as long as the test program lives.
fn serve(page: String) -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut asked = [0; 4096];
            drop(stream.read(&mut asked));
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                page.len()
            );
            drop(stream.write_all(head.as_bytes()));
            drop(stream.write_all(page.as_bytes()));
        }
    });
    Ok(address)
}

/// What `compare` finds beside a page, as `class kind family series`.
fn findings(page: String, flags: &[String], scratch: &Scratch) -> Result<Vec<String>, Failed> {
    let url = format!("http://{}/metrics", serve(page)?);
    let flags = [flags, &["--format=json".to_owned()]].concat();
    let mut command = ours::command("compare", scratch);
    let output = command.arg(&url).args(flags).output()?;
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let mut found = Vec::new();
    let list = |at: &Value, name: &str| at.get(name).and_then(Value::as_array).cloned();
    for group in list(&told, "groups").unwrap_or_default() {
        for finding in list(&group, "findings").unwrap_or_default() {
            let word = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or("?");
            if word("class") != "extra" {
                let series = finding.get("series").cloned().unwrap_or_default();
                let group = group.get("name").and_then(Value::as_str).unwrap_or("?");
                found.push(format!(
                    "{group}: {} {} {series}",
                    word("kind"),
                    word("family")
                ));
            }
        }
    }
    let same = found.is_empty();
    if told.get("same") != Some(&same.into()) || output.status.code() != Some(i32::from(!same)) {
        return Err(format!("{}: {told:#}", output.status).into());
    }
    Ok(found)
}

/// Each change of the reference's page is found, and nothing else.
fn changed() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let host = Host::copy("server", &scratch)?;
    // What stands still: a page of the live clock and disk would be another one by the time it is served.
    let flags = [
        host.flags(),
        ["disable-defaults", "meminfo", "netdev", "os", "loadavg"]
            .map(|name| format!("--collector.{name}"))
            .to_vec(),
        vec!["--no-collector.netdev.netlink".to_owned()],
    ]
    .concat();
    let mut theirs = reference(&flags, &scratch)?;
    let page = web::page(theirs.address()?, "/metrics")?;
    let line = |start: &str| {
        let line = page.lines().find(|line| line.starts_with(start));
        line.ok_or_else(|| Failed::from(format!("no {start} on the page")))
    };
    let free = line("node_memory_MemFree_bytes ")?;
    let bytes = line("node_network_receive_bytes_total{device=\"lo\"}")?;
    let received = page.matches("node_network_receive_bytes_total{").count();
    for (from, to, expected) in [
        ("", "".to_owned(), None),
        (
            free,
            format!("{free}\nnode_injected_total 1"),
            Some("others: missing_family node_injected_total 1".to_owned()),
        ),
        (
            "# TYPE node_memory_MemFree_bytes gauge",
            "# TYPE node_memory_MemFree_bytes counter".to_owned(),
            Some("meminfo: type node_memory_MemFree_bytes 0".to_owned()),
        ),
        (
            free,
            "node_memory_MemFree_bytes 1".to_owned(),
            Some("meminfo: value node_memory_MemFree_bytes 1".to_owned()),
        ),
        (
            bytes,
            format!("{bytes}1"),
            Some("netdev: value node_network_receive_bytes_total 1".to_owned()),
        ),
        (
            "node_network_receive_bytes_total{device=",
            "node_network_receive_bytes_total{interface=".to_owned(),
            Some("netdev: labels node_network_receive_bytes_total 0".to_owned()),
        ),
        (
            "node_network_receive_bytes_total{device=\"",
            "node_network_receive_bytes_total{device=\"x".to_owned(),
            Some(format!(
                "netdev: missing_series node_network_receive_bytes_total {received}"
            )),
        ),
        (
            "node_os_version{",
            "node_os_release{".to_owned(),
            Some("os: missing_family node_os_release 1".to_owned()),
        ),
    ] {
        let found = findings(page.replace(from, &to), &flags, &scratch)?;
        if found != Vec::from_iter(expected.clone()) {
            return Err(format!("{from} -> {to}: {found:#?} instead of {expected:?}").into());
        }
    }
    Ok(())
}

fn switched_off() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let mut theirs = reference(&["--collector.buddyinfo".to_owned()], &scratch)?;
    let url = format!("http://{}/metrics", theirs.address()?);
    let off = ["--no-collector.meminfo".to_owned()];
    let (text, code) = compare(&url, &off, &scratch)?;
    for expected in [
        "off here: --collector.meminfo switches it on",
        "nodeward has no collector buddyinfo",
        "\nmissing  node_memory_Active_bytes: gauge, 1 series\n",
        "\nmissing  node_buddyinfo_blocks: gauge, ",
        "\nnot the same: missing, or with series that are: ",
    ] {
        if code != 1 || !text.contains(expected) {
            return Err(format!("{code}, no {expected:?} in:\n{text}").into());
        }
    }
    Ok(())
}

/// The exporter's own TLS, certificates of clients and basic authentication.
fn guarded() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let directory = scratch.path();
    let authority = Authority::new("ours");
    let ca = authority.write(directory, "ca");
    let (cert, key) = authority.issue(&["127.0.0.1"]).write(directory, "server");
    let (mine, mine_key) = authority.issue(&["client"]).write(directory, "client");
    let web = directory.join("web.yml");
    // The hash of "open sesame".
    let text = format!(
        "tls_server_config: {{cert_file: {cert:?}, key_file: {key:?}, client_ca_file: {ca:?}, client_auth_type: RequireAndVerifyClientCert}}\nbasic_auth_users: {{prometheus: \"$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\"}}\n"
    );
    std::fs::write(&web, text)?;
    let password = directory.join("password");
    std::fs::write(&password, "open sesame\n")?;
    let mut theirs = reference(&[format!("--web.config.file={}", web.display())], &scratch)?;
    let url = format!("https://{}/metrics", theirs.address()?);
    let trusts = format!("--ca-file={}", ca.display());
    let (text, code) = compare(&url, std::slice::from_ref(&trusts), &scratch)?;
    if code != 69 || text.contains("401") {
        return Err(format!("without a certificate of ours: {code}:\n{text}").into());
    }
    let shows = [
        format!("--cert-file={}", mine.display()),
        format!("--key-file={}", mine_key.display()),
    ];
    let proves = [&[trusts][..], &shows].concat();
    let (text, code) = compare(&url, &proves, &scratch)?;
    if code != 69 || !text.contains("401") || !text.contains("--password-file") {
        return Err(format!("{code}:\n{text}").into());
    }
    let (text, code) = compare(&url, &shows, &scratch)?;
    if code != 69 {
        return Err(format!("a certificate of nobody was taken: {code}:\n{text}").into());
    }
    let flags = [
        "--username=prometheus".to_owned(),
        format!("--password-file={}", password.display()),
    ];
    well(&url, &[&proves[..], &flags].concat(), &scratch)
}

/// Keys that nodeward answers as the agent does, of every kind of value.
const SAME: [&str; 9] = [
    "agent.ping",
    "agent.hostname",
    "system.uname",
    "system.uptime",
    "system.cpu.load[all,avg1]",
    "vm.memory.size[total]",
    "net.if.discovery",
    "net.if.in[lo]",
    "vfs.fs.get",
];

/// zabbix_agentd as it is, and one that says more, less and something else.
fn agent() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let more = "AllowRoot=1\nUserParameter=my.own,echo 1\nDenyKey=system.sw.arch\n";
    let (agent, port) = crate::zabbix::agent(Peer::ZabbixAgent, more, &scratch)?;
    let url = format!("zabbix://127.0.0.1:{port}");
    let file = scratch.path().join("ours.yml");
    let as_host = |name: &str| -> Result<Vec<String>, Failed> {
        std::fs::write(&file, format!("zabbix: {{hostname: {name}}}\n"))?;
        Ok(vec![format!("--config={}", file.display())])
    };
    let mut flags = as_host("peer")?;
    flags.extend(SAME.iter().map(|key| format!("--key={key}")));
    // The doctor of who is to come in its place knows that the port is taken.
    std::fs::write(
        scratch.path().join("doctor.yml"),
        format!(
            "zabbix: {{listen: [\"127.0.0.1:{port}\"], server: [127.0.0.1], hostname: peer}}\n"
        ),
    )?;
    let mut doctor = ours::command("doctor", &scratch);
    let out = doctor
        .arg("--config")
        .arg(scratch.path().join("doctor.yml"))
        .output()?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.code() != Some(1) || !said.contains("another agent answers there, of version") {
        return Err(format!("{}: {said}", out.status).into());
    }
    let (text, code) = compare(&url, &flags, &scratch)?;
    if code != 0 || !text.contains("\nnothing missing: 9 keys with 9 values") {
        return Err(format!("{code}:\n{text}").into());
    }
    let mut flags = as_host("other")?;
    let keys = [
        "agent.hostname",
        "my.own",
        "system.sw.arch",
        "kernel.maxproc",
    ];
    flags.extend(keys.iter().map(|key| format!("--key={key}")));
    let (text, code) = compare(&url, &flags, &scratch)?;
    for part in [
        "missing  my.own is 1 there, not supported (Unsupported item key.) here",
        "differs  agent.hostname is peer there, other here",
        "extra    system.sw.arch is not supported (Unsupported item key.) there, ",
        "nodeward has no such key",
        "\nthe same: processes\n",
        "not the same: missing: 1 key; different: 1 key; told here only: 1 key",
    ] {
        if code != 1 || !text.contains(part) {
            return Err(format!("{code}, without {part:?}:\n{text}").into());
        }
    }
    // The keys of templates: whatever is missing is a key that nodeward has not.
    let (text, _) = compare(&url, &as_host("peer")?, &scratch)?;
    let unknown = |line: &&str| !line.contains("Unsupported item key");
    let wrong = text
        .lines()
        .filter(|line| line.starts_with("missing  ") || line.starts_with("differs  "));
    let wrong: Vec<&str> = wrong.filter(unknown).collect();
    if !wrong.is_empty() || !text.contains("there  Zabbix agent ") {
        return Err(format!("{wrong:?}:\n{text}").into());
    }
    drop(agent);
    match compare(&url, &as_host("peer")?, &scratch)? {
        (text, 69) if text.contains("cannot connect") => Ok(()),
        (text, code) => Err(format!("nobody there, {code}:\n{text}").into()),
    }
}
