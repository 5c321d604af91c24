//! Files as agents have them, and files that nobody should have.

use super::*;

fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

fn options(text: &str) -> Result<Options, String> {
    let directory = written(&[("a.conf", text)]);
    let agentd = read(&directory.path().join("a.conf")).map_err(|errors| errors.to_string())?;
    let mut options = Options::default();
    agentd
        .lay(&mut options, false)
        .map_err(|errors| errors.to_string())?;
    Ok(options)
}

/// A file laid over nothing.
fn alone(agentd: &Agentd) -> Result<Options, String> {
    let mut options = Options::default();
    let laid = agentd.apply(&mut options);
    laid.map(|()| options).map_err(|errors| errors.to_string())
}

/// As Debian ships it, with what most people change.
const USUAL: &str = "# This is a configuration file for Zabbix agent daemon (Unix)\n
PidFile=/run/zabbix/zabbix_agentd.pid
LogFile=/var/log/zabbix-agent/zabbix_agentd.log\nLogFileSize=0
### Option: DenyKey
  Server = 10.0.0.5, zabbix.example ,::1
ListenIP=10.1.0.7,::1
ServerActive=10.0.0.5,a.example:20051;b.example:20051
Hostname=Web Server 1
HostMetadataItem=system.uname
RefreshActiveChecks=60
BufferSize=200\nTimeout=10
AllowKey=vfs.file.size[/var/log/*]
DenyKey=vfs.file.*[*]
Plugins.Uptime.Capacity=10
UserParameter=my.key,echo 1
Include=no/*.conf
Include=d/*.conf
";

#[test]
fn a_usual_file_becomes_our_options() {
    let directory = written(&[
        (
            "zabbix_agentd.conf",
            &USUAL.replace("Include=no/*.conf\n", ""),
        ),
        ("d/b.conf", "Hostname=web-1\nPidFile=/x\n"),
        ("d/a.conf", "HeartbeatFrequency=30\nListenPort=20050\n"),
        ("d/c.txt", "this is no setting\n"),
    ]);
    let agentd = read(&directory.path().join("zabbix_agentd.conf")).unwrap();
    let mut found = Options::default();
    agentd.apply(&mut found).unwrap();
    let rule = |allow: Option<&str>, deny: Option<&str>| Rule {
        allow: allow.map(str::to_owned),
        deny: deny.map(str::to_owned),
    };
    let expected = Options {
        listen: vec!["10.1.0.7:20050".into(), "[::1]:20050".into()],
        server: vec!["10.0.0.5".into(), "zabbix.example".into(), "::1".into()],
        server_active: vec!["10.0.0.5".into(), "a.example:20051;b.example:20051".into()],
        hostname: Some("web-1".into()),
        host_metadata_item: Some("system.uname".into()),
        refresh_active_checks: Some(Period::secs(60)),
        heartbeat: Period::secs(30),
        buffer_size: 200,
        timeout: Period::secs(10),
        rules: vec![
            rule(Some("vfs.file.size[/var/log/*]"), None),
            rule(None, Some("vfs.file.*[*]")),
        ],
        ..Options::default()
    };
    assert_eq!(found, expected);
    assert_eq!(agentd.files.len(), 3);
    assert_eq!(
        agentd.ignored(&found).unwrap(),
        "without meaning here: PidFile, LogFile, LogFileSize, Plugins.Uptime.Capacity"
    );
    let lacking = agentd.lacking();
    assert!(
        lacking.len() == 1 && lacking[0].starts_with("UserParameter: "),
        "{lacking:?}"
    );
}

#[test]
fn who_is_answered_is_as_with_the_agent() {
    let listens = |text: &str| options(text).unwrap().listen;
    assert_eq!(listens("Server=10.0.0.5\n"), [":10050"]);
    for (ips, expected) in [
        ("0.0.0.0", "0.0.0.0:10050"),
        ("::", "[::]:10050"),
        ("0.0.0.0,::", ":10050"),
    ] {
        let text = format!("Server=10.0.0.5\nListenIP={ips}\n");
        assert_eq!(listens(&text), [expected]);
    }
    assert_eq!(
        listens("Server=10.0.0.5\nStartAgents=0\nServerActive=a\n"),
        [] as [&str; 0]
    );
    assert_eq!(listens("ServerActive=a\n"), [] as [&str; 0]);
}

/// Nothing that guards a host is passed over.
#[test]
fn what_cannot_be_taken_over_is_refused_with_its_line() {
    for (text, said) in [
        (
            "DenyKeys=system.run[*]\n",
            "a.conf:1:1: no Zabbix agent has a setting \"DenyKeys\"; did you mean DenyKey?",
        ),
        (
            "\n DenyKey=a[\n",
            "a.conf:2:2: DenyKey: \"a[\" is no pattern of keys",
        ),
        (
            "AllowKey=\n",
            "a.conf:1:1: AllowKey: \"\" is no pattern of keys",
        ),
        (
            "TLSConnect=cert\nTLSCAFile=/x\nTLSCertFile=/x\nTLSKeyFile=/x\n",
            "a.conf:2:1: TLSCAFile: tls.ca_file: cannot read /x",
        ),
        (
            "TLSAccept=unencrypted,tls\n",
            "a.conf:1:1: TLSAccept: \"tls\" is not one of unencrypted, psk, cert",
        ),
        (
            "TLSAccept=unencrypted,cert\n",
            "tls.ca_file: is missing, and cert needs it",
        ),
        ("TLSPSKIdentity=web 1\nServer=a\n", "tls.accept: is missing"),
        ("Server 10.0.0.5\n", "no setting: write Name=value"),
        (
            "Timeout=31\n",
            "Timeout: \"31\" is no number of seconds from 1 to 30",
        ),
        (
            "ListenPort=70000\n",
            "is no whole number from 1024 to 32767",
        ),
        ("Hostname=a,b\n", "several names of one host"),
        ("Hostname=a/b\n", "a.conf:1:1: Hostname: hostname \"a/b\""),
        (
            "ServerActive=http://a\n",
            "a.conf:1:1: ServerActive: server_active",
        ),
        ("Server=10.0.0.5/99\n", "a.conf:1:1: Server: server"),
        ("Include=gone.conf\n", "a.conf:1:1: Include: read "),
        ("Include=gone/*.conf\n", "a.conf:1:1: Include: read "),
        ("Include=a.conf\n", "includes itself"),
    ] {
        let why = options(text).unwrap_err();
        assert!(why.contains(said), "{text}: {why}");
    }
    assert!(
        options("TLSConnect=unencrypted\nTLSAccept=unencrypted\nServer=a\nTLSPSKFile=/x\n").is_ok()
    );
}

fn key() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = written(&[("a.psk", "0123456789abcdef0123456789abcdef\n")]);
    let file = directory.path().join("a.psk");
    (directory, file)
}

/// As zabbix_agentd 6.0 starts with them: what no line speaks of is not protected, where there is neither a key nor a certificate.
#[test]
fn a_way_that_no_line_speaks_of_is_plain_only_where_nothing_is_secret() {
    use crate::net::tls::mutual::Kind;
    for line in ["TLSAccept=unencrypted", "TLSConnect=unencrypted"] {
        let tls = options(&format!("Server=a\nServerActive=a\n{line}\n"));
        let tls = tls.unwrap().tls.unwrap();
        let both = (&tls.accept[..], tls.connect);
        assert_eq!(both, (&[Kind::Unencrypted][..], Some(Kind::Unencrypted)));
    }
    let (_directory, file) = key();
    let secret = format!("TLSPSKIdentity=a\nTLSPSKFile={}\n", file.display());
    let why = options(&format!(
        "Server=a\nServerActive=a\nTLSAccept=unencrypted\n{secret}"
    ));
    let why = why.unwrap_err();
    assert!(why.contains("tls.connect: is missing"), "{why}");
}

/// A key is not idle because another file asks for it.
#[cfg(feature = "psk")]
#[test]
fn what_the_config_asks_for_is_taken_from_the_agents_file() {
    use crate::net::tls::mutual::{self, Kind};
    let (_directory, file) = key();
    let text = format!(
        "ServerActive=a\nTLSConnect=unencrypted\nTLSCipherPSK=x\nTLSPSKIdentity=new\nTLSPSKFile={}\n",
        file.display()
    );
    let place = written(&[("a.conf", &text)]);
    let agentd = read(&place.path().join("a.conf")).unwrap();
    let mut over = Options {
        tls: Some(mutual::Options {
            accept: vec![Kind::Psk],
            psk_identity: Some("old".into()),
            psk_file: Some(file.clone()),
            ..mutual::Options::default()
        }),
        ..Options::default()
    };
    agentd.apply(&mut over).unwrap();
    assert_eq!(agentd.ignored(&over), None);
    let tls = over.tls.unwrap();
    assert_eq!(tls.psk_identity.as_deref(), Some("new"));
    assert_eq!(
        (&tls.accept[..], tls.connect),
        (&[Kind::Psk][..], Some(Kind::Unencrypted))
    );
    // Alone, nobody asks for the key.
    let mut alone = Options::default();
    agentd.apply(&mut alone).unwrap();
    assert_eq!(alone.tls.as_ref().unwrap().psk_identity, None);
    let ignored = agentd.ignored(&alone).unwrap();
    assert!(ignored.ends_with("TLSPSKIdentity, TLSPSKFile"), "{ignored}");
    let lacking = agentd.lacking();
    assert!(
        lacking.len() == 1 && lacking[0].starts_with("TLSCipherPSK: "),
        "{lacking:?}"
    );
}

/// A build that cannot keep the secret that its agent kept says so, and starts nothing in plain.
#[test]
fn encryption_is_taken_over_or_refused() {
    use crate::net::tls::mutual::Kind;
    let (_directory, file) = key();
    let text = format!(
        "Server=10.0.0.5\nServerActive=10.0.0.5\nTLSAccept=unencrypted, psk\nTLSConnect=psk\nTLSPSKIdentity=web 1\nTLSPSKFile={}\nTLSCAFile=/x\n",
        file.display()
    );
    let taken = options(&text);
    if !cfg!(feature = "psk") {
        let why = taken.unwrap_err();
        assert!(
            why.contains("a.conf:3:1: TLSAccept: tls.accept: asks for psk"),
            "{why}"
        );
        assert!(
            why.contains("a.conf:4:1: TLSConnect: tls.connect: asks for psk"),
            "{why}"
        );
        return;
    }
    let tls = taken.unwrap().tls.unwrap();
    assert_eq!(tls.accept, [Kind::Unencrypted, Kind::Psk]);
    assert_eq!(tls.connect, Some(Kind::Psk));
    assert_eq!(tls.psk_identity.as_deref(), Some("web 1"));
    assert_eq!(tls.psk_file, Some(file));
    assert_eq!(tls.ca_file, None, "no line asks for cert");
}

#[test]
fn files_that_include_one_another_without_end_are_bounded() {
    let circle = written(&[
        ("a.conf", "Include=b.conf\n"),
        ("b.conf", "Include=d\n"),
        ("d/c.conf", "Include=../a.conf\n"),
    ]);
    let why = read(&circle.path().join("a.conf")).unwrap_err().to_string();
    assert!(why.contains("includes itself"), "{why}");
    let deep: Vec<(String, String)> = (0..20)
        .map(|n| (format!("{n}.conf"), format!("Include={}.conf\n", n + 1)))
        .collect();
    let deep: Vec<(&str, &str)> = deep
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let why = read(&written(&deep).path().join("0.conf"))
        .unwrap_err()
        .to_string();
    assert!(why.contains("more than 10 files"), "{why}");
    let many: Vec<(String, String)> = (0..300)
        .map(|n| (format!("d/{n}.conf"), "PidFile=x\n".to_owned()))
        .collect();
    let mut many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    many.push(("a.conf", "Include=d\n"));
    let why = read(&written(&many).path().join("a.conf"))
        .unwrap_err()
        .to_string();
    assert!(why.contains("more than 256 files"), "{why}");
    let large = "#\n".repeat(1 << 20);
    let why = read(&written(&[("a.conf", &large)]).path().join("a.conf"))
        .unwrap_err()
        .to_string();
    assert!(why.contains("larger than"), "{why}");
}

#[test]
fn an_include_that_cannot_be_looked_at_is_not_passed_over() {
    let place = written(&[("a.conf", "Include=d/*.conf\n"), ("d/a.conf/x", "")]);
    assert!(read(&place.path().join("a.conf")).is_ok(), "a directory");
    std::os::unix::fs::symlink("gone", place.path().join("d/b.conf")).unwrap();
    let why = read(&place.path().join("a.conf")).unwrap_err().to_string();
    assert!(why.contains("d/b.conf: No such file"), "{why}");
}

/// What the file does not name stays, and no rule goes.
#[test]
fn only_what_the_file_names_is_replaced() {
    let before = Options {
        listen: vec!["127.0.0.1:10050".into(), "[::1]:10050".into()],
        server: vec!["10.0.0.5".into()],
        rules: vec![Rule {
            allow: None,
            deny: Some("*".into()),
        }],
        ..Options::default()
    };
    let over = |text: &str| {
        let directory = written(&[("a.conf", text)]);
        let mut options = before.clone();
        let agentd = read(&directory.path().join("a.conf")).unwrap();
        agentd.lay(&mut options, false).unwrap();
        options
    };
    let named = over("Hostname=x\n");
    assert_eq!(
        (&named.listen, &named.rules),
        (&before.listen, &before.rules)
    );
    let ruled = over("AllowKey=agent.ping\n").rules;
    let ruled: Vec<String> = ruled.iter().map(ToString::to_string).collect();
    assert_eq!(ruled, ["deny *", "allow agent.ping"]);
    assert_eq!(over("Server=10.0.0.6\n").listen, before.listen);
    assert_eq!(
        over("ListenPort=20050\n").listen,
        ["127.0.0.1:20050", "[::1]:20050"]
    );
    assert_eq!(over("ListenIP=10.1.0.7\n").listen, ["10.1.0.7:10050"]);
    assert_eq!(over("ListenIP=0.0.0.0\n").listen, ["0.0.0.0:10050"]);
    assert_eq!(over("StartAgents=0\n").listen, [] as [&str; 0]);
    assert_eq!(over("StartAgents=3\n").listen, before.listen);
    assert_eq!(over("Server=\n").listen, [] as [&str; 0]);
}

#[test]
fn a_text_alone_includes_nothing() {
    assert_eq!(of_text("A=b\n#c\n C = d = e \n").unwrap().len(), 2);
    assert!(
        of_text("Include=/etc/passwd\n")
            .unwrap_err()
            .to_string()
            .contains("only a file")
    );
}

#[test]
fn an_identity_that_nodeward_cannot_tell_refuses_the_start_with_its_line() {
    let directory = written(&[("a.conf", "Server=a\nHostnameItem=system.run[hostname -f]\n")]);
    let agentd = read(&directory.path().join("a.conf")).unwrap();
    let said = alone(&agentd).unwrap_err();
    assert!(
        said.contains("a.conf:2:")
            && said.contains("no key system.run")
            && said.contains("Hostname"),
        "{said}"
    );
    // A name stands, in the file or below it, and the agent looks no further.
    let mut over = Options {
        hostname: Some("web".into()),
        ..Options::default()
    };
    assert!(agentd.apply(&mut over).is_ok());
    let named = options("Server=a\nHostname=web\nHostnameItem=system.run[hostname -f]\n").unwrap();
    assert_eq!(named.hostname.as_deref(), Some("web"));
    assert_eq!(named.hostname_item, None);
    let told = options("Server=a\nHostnameItem=system.hostname[shorthost]\n").unwrap();
    assert_eq!(
        told.hostname_item.as_deref(),
        Some("system.hostname[shorthost]")
    );
}

#[test]
fn what_a_server_would_not_be_told_is_said() {
    let text =
        "ServerActive=a\nHostMetadataItem=system.run[cat /etc/role]\nHostInterfaceItem=nope\n";
    let directory = written(&[("a.conf", text)]);
    let agentd = read(&directory.path().join("a.conf")).unwrap();
    let mut over = Options::default();
    agentd.apply(&mut over).unwrap();
    assert_eq!(
        (over.host_metadata_item, over.host_interface_item),
        (None, None)
    );
    let lacking = agentd.lacking();
    let [metadata, interface] = lacking.as_slice() else {
        panic!("{lacking:?}")
    };
    assert!(
        metadata.starts_with("HostMetadataItem: nodeward has no key system.run"),
        "{metadata}"
    );
    assert!(
        interface.starts_with("HostInterfaceItem: nodeward has no key nope"),
        "{interface}"
    );
}

#[test]
fn a_file_by_which_nobody_is_spoken_to_is_refused_as_agents_refuse_it() {
    for text in [
        "Hostname=h\n",
        "Hostname=h\nServer=a\nStartAgents=0\n",
        "Server=\nHostname=h\n",
    ] {
        let directory = written(&[("a.conf", text)]);
        let agentd = read(&directory.path().join("a.conf")).unwrap();
        let said = alone(&agentd).unwrap_err();
        assert!(
            said.contains("Server") && said.contains("ServerActive"),
            "{said}"
        );
        // Laid over what says it, the file needs not.
        let mut said = Options {
            server_active: vec!["a".into()],
            ..Options::default()
        };
        assert!(agentd.apply(&mut said).is_ok(), "{text}");
    }
}

#[test]
fn rules_that_deny_more_here_are_named() {
    let stricter = |text: &str| {
        let directory = written(&[("a.conf", &format!("Server=a\n{text}"))]);
        let agentd = read(&directory.path().join("a.conf")).unwrap();
        agentd.stricter()
    };
    let said = stricter("DenyKey=agent.*[*]\n").unwrap();
    assert!(
        said.contains("agent.ping") && said.contains("AllowKey"),
        "{said}"
    );
    let said = stricter("AllowKey=vfs.fs.get\nDenyKey=vfs.fs.*[*]\n").unwrap();
    assert!(
        said.contains("vfs.fs.discovery") && !said.contains("vfs.fs.get"),
        "{said}"
    );
    for none in [
        "DenyKey=system.run[*]\n",
        "DenyKey=vfs.fs.*\n",
        "DenyKey=agent.ping\nDenyKey=agent.ping[*]\n",
    ] {
        assert_eq!(stricter(none), None, "{none}");
    }
}
