//! `nodeward import`: what is told by flags is told by the config that they become.

use std::collections::BTreeSet;
use std::path::Path;

use crate::program::{Scratch, command, output};

/// Families and labels, without values: some of them move.
fn names(page: &[u8]) -> BTreeSet<String> {
    let page = std::str::from_utf8(page).unwrap();
    let series = page.lines().filter(|line| !line.starts_with('#'));
    let names = series.map(|line| line.rsplit_once(' ').unwrap().0.to_owned());
    names.collect()
}

/// The config that a command line or a file becomes; what was said on standard error; the exit code.
fn import(scratch: &Scratch, args: &[&str]) -> (String, String, i32) {
    let output = output(scratch, &[&["import"], args].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (yaml, said) = (text(output.stdout), text(output.stderr));
    (yaml, said, output.status.code().unwrap())
}

fn flags_of(host: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/hosts")
        .join(host);
    let root = root.display();
    vec![
        format!("--path.procfs={root}/proc"),
        format!("--path.sysfs={root}/sys"),
        format!("--path.rootfs={root}"),
        format!("--path.udev.data={root}/run/udev/data"),
    ]
}

#[test]
fn a_command_line_and_its_config_tell_the_same_families() {
    let textfiles =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts/server/var/lib");
    let directory = format!(
        "--collector.textfile.directory={}/textfile[0-9]",
        textfiles.display()
    );
    for (host, flags) in [
        ("server", &[][..]),
        (
            "server",
            &[
                "--collector.disable-defaults",
                "--collector.meminfo",
                "--collector.loadavg",
            ],
        ),
        (
            "server",
            &[
                "--no-collector.meminfo",
                "--collector.interrupts",
                "--collector.cpu.info",
                "--runtime.gomaxprocs=1",
            ],
        ),
        (
            "server",
            &[
                "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+)($|/)",
                "--collector.filesystem.fs-types-exclude",
                "^(tmpfs|\"x\\.y)$",
            ],
        ),
        (
            "server",
            &[
                "--collector.netdev.device-exclude=^(veth.*|[a-f0-9]{15})$",
                "--collector.netclass.ignored-devices=^(lo|veth.*)$",
                "--no-collector.netdev.netlink",
            ],
        ),
        (
            "server",
            &[
                "--collector.diskstats.device-exclude=^nvme",
                "--collector.netstat.fields=^(Tcp|Udp)_",
                "--collector.vmstat.fields=^pg",
            ],
        ),
        (
            "server",
            &[
                &directory,
                "--collector.processes",
                "--no-collector.textfile",
                "--collector.textfile",
            ],
        ),
        (
            "vm",
            &[
                "--web.listen-address=127.0.0.1:1",
                "--web.listen-address=:2",
                "--web.telemetry-path=/m",
                "--web.max-requests=3",
                "--log.level=warn",
                "--log.format=json",
            ],
        ),
        (
            "vm",
            &[
                "--web.disable-exporter-metrics",
                "--collector.stat.softirq",
                "--no-collector.wifi",
            ],
        ),
        (
            "container",
            &[
                "--collector.systemd",
                "--collector.systemd.unit-include=^(a|b)\\.service$",
                "--collector.systemd.enable-restarts-metrics",
            ],
        ),
    ] {
        let scratch = Scratch::new();
        let paths = flags_of(host);
        let all: Vec<&str> = paths
            .iter()
            .map(String::as_str)
            .chain(flags.iter().copied())
            .collect();
        let (yaml, said, code) = import(&scratch, &[&["--"], &all[..]].concat());
        assert_eq!(code, 0, "{said}");
        let file = scratch.write("nodeward.yml", &yaml);
        let file = file.to_str().unwrap();
        let valid = output(&scratch, &["validate", file]);
        let told = String::from_utf8_lossy(&valid.stderr).into_owned();
        assert!(valid.status.success(), "{flags:?}: {told}\n{yaml}");
        let page = |args: &[&str]| {
            let shown = command(&scratch, &[&["show"], args].concat())
                .output()
                .unwrap();
            assert!(shown.status.success());
            names(&shown.stdout)
        };
        let (by_flags, by_config) = (page(&all), page(&["--config", file]));
        let apart: Vec<_> = by_flags.symmetric_difference(&by_config).collect();
        assert!(apart.is_empty(), "{flags:?}: {apart:#?}\n{yaml}");
        assert!(by_flags.len() > 10);
    }
}

#[test]
fn a_unit_is_imported_with_what_could_not_be_carried_over() {
    let scratch = Scratch::new();
    let unit = scratch.write(
        "node_exporter.service",
        "[Service]\nUser=node_exporter\nExecStart=/usr/local/bin/node_exporter \\\n    --collector.systemd \\\n    \
         --collector.textfile.directory=\"/var/lib/node_exporter\" --collector.zfs \\\n    --path.rootfs=%t\n",
    );
    let (yaml, said, code) = import(&scratch, &[unit.to_str().unwrap()]);
    assert_eq!(code, 1, "{said}");
    let expected = [
        "# Not carried over: --path.rootfs=%t: it has the specifier %t, which systemd alone knows",
        "# Not carried over: --collector.zfs: nodeward has no such subject yet",
        "http:",
        "  listen: [\":9100\"]",
        "subjects:",
        "  enable: [\"systemd\"]",
        "  textfile:",
        "    directories: [\"/var/lib/node_exporter\"]",
    ];
    assert!(yaml.lines().skip(1).eq(expected), "{yaml}");
    assert!(said.ends_with("2 things not carried over\n"), "{said}");
    assert!(
        said.contains("\nnot carried over: --collector.zfs"),
        "{said}"
    );
}

/// It may lie on the machine that the arguments are for: its name is carried over, and what is wrong with it said.
#[test]
fn a_web_configuration_file_that_cannot_be_read_is_carried_over_by_its_name() {
    let scratch = Scratch::new();
    let wrong = scratch.write("web.yml", "tls_server_config: {cert_file: gone.crt}\n");
    for (file, why) in [
        ("/nowhere/web.yml", "No such file"),
        (wrong.to_str().unwrap(), "key_file"),
    ] {
        let flag = format!("--web.config.file={file}");
        let (yaml, said, code) = import(&scratch, &["--", &flag]);
        assert_eq!(code, 0, "{said}");
        assert!(
            yaml.contains(&format!("\n  web_config: \"{file}\"\n")),
            "{yaml}"
        );
        for told in [&yaml, &said] {
            let told = told.lines().find(|line| line.contains("by its name only"));
            assert!(told.is_some_and(|line| line.contains(file)), "{yaml}{said}");
            assert!(told.is_some_and(|line| line.contains(why)), "{yaml}{said}");
        }
    }
}

#[test]
fn what_is_no_source_is_refused_in_words() {
    let scratch = Scratch::new();
    let other = scratch.write("other", "A=b\n");
    let large = scratch.write("large.service", &"#\n".repeat(1 << 20));
    let bytes = scratch.path().join("bytes.service");
    std::fs::write(&bytes, b"[Service]\nExecStart=\xff\n").unwrap();
    for (args, code, expected) in [
        (&[][..], 2, "after --"),
        (
            &[other.to_str().unwrap()],
            1,
            "it is neither a unit of systemd, nor a configuration file of a Zabbix agent, nor a file of variables",
        ),
        (&[large.to_str().unwrap()], 1, "larger than"),
        (&[bytes.to_str().unwrap()], 1, "not UTF-8"),
        (&["/nowhere/x.service"], 1, "read /nowhere/x.service: "),
        (&["/dev/null"], 1, "no regular file"),
    ] {
        let (yaml, said, found) = import(&scratch, args);
        assert_eq!((found, yaml.as_str()), (code, ""), "{args:?}: {said}");
        assert!(said.contains(expected), "{said}");
    }
}

/// A Zabbix agent's file, with what it includes, becomes a config that says the same.
#[test]
fn a_zabbix_agents_file_is_imported_and_run() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path().join("d")).unwrap();
    let file = scratch.write(
        "zabbix_agentd.conf",
        "PidFile=/run/zabbix/zabbix_agentd.pid\nServer=127.0.0.1,10.0.0.5\nServerActive=10.0.0.5\nHostname=web 1\n\
         DenyKey=vfs.file.*[*]\nUserParameter=my.key,echo 1\nInclude=d/*.conf\n",
    );
    scratch.write(
        "d/more.conf",
        "ListenIP=127.0.0.1\nListenPort=20050\nTimeout=5\n",
    );
    let (yaml, said, code) = import(&scratch, &[file.to_str().unwrap()]);
    assert_eq!(code, 1, "{said}");
    let expected = [
        "# Names without meaning here: PidFile.",
        "# Not carried over: UserParameter: nodeward runs no commands for keys; items that use one are unsupported",
        "http:",
        "  listen: [\"127.0.0.1:9100\"]",
        "zabbix:",
        "  listen: [\"127.0.0.1:20050\"]",
        "  server: [\"127.0.0.1\",\"10.0.0.5\"]",
        "  timeout: \"5s\"",
        "  server_active: [\"10.0.0.5\"]",
        "  hostname: \"web 1\"",
        "  rules: [{\"deny\":\"vfs.file.*[*]\"}]",
    ];
    let found: std::collections::BTreeSet<&str> = yaml.lines().skip(1).collect();
    assert_eq!(found, expected.into_iter().collect(), "{yaml}");
    let config = scratch.write("nodeward.yml", &yaml);
    let valid = output(&scratch, &["validate", config.to_str().unwrap()]);
    assert!(valid.status.success(), "{valid:?}");
    let shown = output(
        &scratch,
        &[
            "show",
            "--zabbix-conf",
            file.to_str().unwrap(),
            "--key",
            "agent.hostname",
        ],
    );
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "web 1\n");
    // What guards a host is never passed over: neither runs then.
    let open = scratch.write(
        "open.conf",
        "Server=127.0.0.1\n DenyKeys=system.run[*]\nTLSAccept=psk\nTLSPSKIdentity=a\nTLSPSKFile=/gone\n",
    );
    for command in ["run", "show"] {
        let refused = output(
            &scratch,
            &[command, "--zabbix-conf", open.to_str().unwrap()],
        );
        assert_eq!(refused.status.code(), Some(78));
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        let part =
            "open.conf:2:2: no Zabbix agent has a setting \"DenyKeys\"; did you mean DenyKey?";
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(import(&scratch, &[open.to_str().unwrap()]).2, 1);
    // Nor is what was encrypted with the agent sent in the clear.
    for (lines, part) in [
        (
            "TLSAccept=cert\nTLSCAFile=/gone\nTLSCertFile=/gone\nTLSKeyFile=/gone\n",
            "plain.conf:3:1: TLSCAFile: tls.ca_file: cannot read /gone",
        ),
        (
            "TLSAccept=cert,psk\n",
            "tls.ca_file: is missing, and cert needs it",
        ),
        (
            "TLSAccept=tls\n",
            "plain.conf:2:1: TLSAccept: \"tls\" is not one of unencrypted, psk, cert",
        ),
    ] {
        let plain = scratch.write("plain.conf", &format!("Server=127.0.0.1\n{lines}"));
        let refused = output(&scratch, &["run", "--zabbix-conf", plain.to_str().unwrap()]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(78), "{why}");
        assert!(why.contains(part), "{why}");
    }
}
