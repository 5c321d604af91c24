//! The life of the program: start, serve, reload, end.

use rustix::process::Signal;

use crate::healing::Told;
use crate::program::{Program, Scratch, command, get, get_unix, output, value};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn serves_what_it_says_and_ends_well() {
    let scratch = Scratch::new();
    let mut program = Program::start(&scratch, &["--web.listen-address=127.0.0.1:0"]);
    let address = program.http();
    let (code, page) = get(&address, "/metrics");
    assert_eq!(code, 200);
    assert!(
        value(&page, "node_memory_MemTotal_bytes").is_some_and(|v| v > 0.0),
        "{page}"
    );
    assert_eq!(value(&page, "nodeward_duplicate_series_total"), Some(0.0));
    assert_eq!(get(&address, "/-/ready").0, 200);
    assert!(get(&address, "/").1.contains("/metrics"));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_taken_port_is_named_with_its_holder_and_the_setting() {
    let scratch = Scratch::new();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let ended = output(
        &scratch,
        &["run", &format!("--web.listen-address={address}")],
    );
    assert_eq!(ended.status.code(), Some(1));
    let said = text(&ended.stderr);
    for word in [
        &address,
        &format!("pid {}", std::process::id()),
        "--web.listen-address",
    ] {
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[test]
fn a_reload_takes_all_of_a_config_or_nothing() {
    let scratch = Scratch::new();
    let good = "http: {listen: ['127.0.0.1:0']}\nsubjects: {disable: [netdev]}\n";
    let config = scratch.write("nodeward.yml", good);
    let config = config.to_str().unwrap();
    let mut program = Program::start(&scratch, &["--config", config]);
    let address = program.http();
    let success = |subject: &str| {
        value(
            &get(&address, "/metrics").1,
            &format!("node_scrape_collector_success{{collector=\"{subject}\"}}"),
        )
    };
    let taken = |page: &str| value(page, "nodeward_config_last_reload_successful");
    assert_eq!((success("netdev"), success("cpu")), (None, Some(1.0)));

    scratch.write(
        "nodeward.yml",
        "http: {lisen: [x]}\nsubjects: {disable: [cpuu]}\n",
    );
    let refused = output(&scratch, &["reload", "--config", "/dev/null"]);
    assert_eq!(refused.status.code(), Some(78), "{}", text(&refused.stderr));
    let said = text(&refused.stderr);
    for word in [
        "listen",
        "cpuu",
        "nodeward.yml:1:8",
        "before stays in force",
    ] {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert_eq!(success("cpu"), Some(1.0));
    assert_eq!(taken(&get(&address, "/metrics").1), Some(0.0));

    scratch.write(
        "nodeward.yml",
        "http: {listen: ['127.0.0.1:0']}\nsubjects: {disable: [cpu]}\n",
    );
    let reloaded = output(&scratch, &["reload", "--config", "/dev/null"]);
    assert_eq!(
        reloaded.status.code(),
        Some(0),
        "{}",
        text(&reloaded.stderr)
    );
    program.next_line("config reloaded");
    assert_eq!((success("netdev"), success("cpu")), (Some(1.0), None));
    assert_eq!(taken(&get(&address, "/metrics").1), Some(1.0));

    scratch.write("nodeward.yml", good);
    program.signal(Signal::HUP);
    program.next_line("config reloaded");
    assert_eq!((success("netdev"), success("cpu")), (None, Some(1.0)));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn healing_is_told_whether_it_is_on_or_begins_at_a_reload() {
    let scratch = Scratch::new();
    let serve = "http: {listen: ['127.0.0.1:0']}\n";
    let config = scratch.write("nodeward.yml", serve);
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    let address = program.http();
    let told = |series: &str| value(&get(&address, "/metrics").1, series);
    let healthy = "nodeward_node_state{state=\"healthy\"}";
    let attempts = "nodeward_heal_attempts_total{playbook=\"web\"}";
    assert_eq!((told(healthy), told(attempts)), (Some(1.0), None));

    let playbook = "playbooks:\n  web:\n    match: {alertname: Down}\n    target: {unit: web.service}\n    \
                    ladder: [{do: {systemd: restart}}]\n";
    scratch.write("nodeward.yml", &format!("{serve}{playbook}"));
    program.signal(Signal::HUP);
    program.next_line("config reloaded");
    assert_eq!((told(healthy), told(attempts)), (Some(1.0), Some(0.0)));
    assert_eq!(told("nodeward_duplicate_series_total"), Some(0.0));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_playbook_that_comes_with_a_reload_hears_of_a_check_that_is_down_already() {
    let scratch = Scratch::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let checks = format!(
        "http: {{listen: ['127.0.0.1:0']}}\nhooks: {{alertmanager: {{}}}}\n\
         checks: {{web: {{probe: {{tcp: {{address: '127.0.0.1:{port}'}}}}, every: 50ms, fall: 1}}}}\n"
    );
    let config = scratch.write("nodeward.yml", &checks);
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    program.line("the check is down");
    Told::until(&scratch, "the alert", |told| told.count("alert") == 1);

    let playbook = "playbooks:\n  web:\n    match: {alertname: CheckFailed, check: {in: [web]}}\n    target: {unit: web.service}\n    \
                    ladder: [{do: {systemd: restart}}]\n";
    scratch.write("nodeward.yml", &format!("{checks}{playbook}"));
    program.signal(Signal::HUP);
    program.next_line("config reloaded");
    Told::until(&scratch, "its incident", |told| {
        told.came_to("waiting") == 1
    });
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_listener_moves_to_all_addresses_and_back_on_the_port_it_has() {
    let scratch = Scratch::new();
    let write =
        |listen: &str| scratch.write("nodeward.yml", &format!("http: {{listen: ['{listen}']}}\n"));
    let config = write("127.0.0.1:0");
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    let address = program.http();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let reload = || output(&scratch, &["reload", "--config", "/dev/null"]);
    let healthy = || get(&address, "/-/healthy").0;

    for listen in [format!(":{port}"), format!("127.0.0.1:{port}")] {
        write(&listen);
        let said = reload();
        assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
        assert_eq!(healthy(), 200, "{listen}");
    }
    let shown = text(&output(&scratch, &["status"]).stdout);
    assert!(
        shown.contains(&format!("http://{address}/metrics")),
        "{shown}"
    );

    // Somebody else on another address of the machine: all addresses cannot be had, and the one before stays.
    let other = std::net::TcpListener::bind(format!("127.0.0.2:{port}")).unwrap();
    write(&format!(":{port}"));
    let said = reload();
    assert_eq!(said.status.code(), Some(78));
    let said = text(&said.stderr);
    let holder = format!("pid {}", std::process::id());
    assert!(said.contains(&holder), "{said}");
    assert_eq!(healthy(), 200);
    drop(other);
    assert_eq!(program.end(), Some(0));
}

#[test]
fn the_control_socket_tells_the_state_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let mut program = Program::start(&scratch, &["--web.listen-address=127.0.0.1:0"]);
    program.line("control socket");
    let socket = scratch.path().join("nodeward.sock");
    assert_eq!(
        std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let (code, state) = get_unix(&socket, "/api/v1/state");
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(
        (code, state["pid"].as_u64()),
        (200, Some(program.pid().into()))
    );
    let shown = output(&scratch, &["status"]);
    assert!(
        text(&shown.stdout).contains(&program.http()),
        "{}",
        text(&shown.stdout)
    );
    // The port is the kernel's choice: only the process knows it.
    let config = scratch.write("any.yml", "http: {listen: ['127.0.0.1:0']}\n");
    let named = format!("--socket={}", socket.display());
    for place in [
        &["health", "--config", config.to_str().unwrap()][..],
        &["health", &named],
    ] {
        let asked = output(&scratch, place);
        let said = text(&asked.stderr);
        assert_eq!(asked.status.code(), Some(0), "{said}");
        assert!(said.contains(&program.http()), "{said}");
    }
    let url = format!("http://{}/-/healthy", program.http());
    assert_eq!(
        output(&scratch, &["health", "--url", &url]).status.code(),
        Some(0)
    );
    assert_eq!(program.end(), Some(0));
    assert_eq!(
        output(&scratch, &["health", "--url", &url]).status.code(),
        Some(1)
    );
    assert_eq!(output(&scratch, &["status"]).status.code(), Some(1));
}

#[test]
fn a_bad_flag_a_bad_regex_and_a_bad_config_each_say_what_is_wrong() {
    let scratch = Scratch::new();
    let config = scratch.write("bad.yml", "http:\n  lisen: []\nzabbix: {timeout: soon}\n");
    let subject = scratch.write(
        "subject.yml",
        "subjects:\n  systemd:\n    bus: {address: 'unix:nopath'}\n",
    );
    let idle = scratch.write("idle.yml", "http: {listen: []}\ncontrol: off\n");
    for (args, code, words) in [
        (vec!["--collector.cpuu"], 2, vec!["--collector.cpu"]),
        (
            vec!["--collector.filesystem.mount-points-exclude=("],
            2,
            vec!["collector.filesystem.mount-points-exclude"],
        ),
        (
            vec!["--web.listen-address=9100"],
            2,
            vec!["--web.listen-address=9100"],
        ),
        (
            vec!["show", "--config", subject.to_str().unwrap()],
            78,
            vec!["subject.yml:3:10", "subjects.systemd: bus"],
        ),
        (
            vec!["--config", idle.to_str().unwrap()],
            78,
            vec!["idle.yml:1:16", "nothing is served or sent"],
        ),
        (
            vec!["validate", config.to_str().unwrap()],
            78,
            vec!["bad.yml:2:3", "listen", "bad.yml:3:19", "2 errors"],
        ),
        (
            vec!["show", "--key", "vfs.fs.size[/"],
            2,
            vec!["not closed"],
        ),
    ] {
        let ended = output(&scratch, &args);
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?}: {word} in {said}");
        }
    }
}

#[test]
fn shows_what_each_dialect_would_be_told() {
    let scratch = Scratch::new();
    let shown = |args: &[&str]| {
        let ended = output(&scratch, &[&["show"], args].concat());
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
        text(&ended.stdout)
    };
    assert!(shown(&[]).contains("node_memory_MemTotal_bytes"));
    assert_eq!(shown(&["--key", "agent.ping"]), "1\n");
    assert!(shown(&["--format", "zabbix"]).contains("agent.ping"));
    let batch: serde_json::Value = serde_json::from_str(&shown(&["--format", "otlp"])).unwrap();
    let metrics = &batch["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    let named = |name: &str| {
        metrics
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["name"] == name)
    };
    assert!(named("system.memory.usage"), "{metrics:#}");
}

#[test]
fn generates_completions_man_page_schema_and_a_sample_that_is_valid() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish"] {
        let made = output(&scratch, &["generate", "completions", shell]);
        assert!(text(&made.stdout).contains("collector.cpu"), "{shell}");
    }
    let man = text(&output(&scratch, &["generate", "man"]).stdout);
    for section in [
        ".TH nodeward",
        ".SH EXIT STATUS",
        ".SH ENVIRONMENT",
        ".SH FILES",
        ".SH SIGNALS",
    ] {
        assert!(man.contains(section), "{section}");
    }
    let schema = output(&scratch, &["generate", "schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema["properties"]["subjects"].is_object());
    let sample = text(&output(&scratch, &["generate", "config"]).stdout);
    let file = scratch.write("sample.yml", &sample);
    let checked = output(&scratch, &["validate", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[test]
fn an_agents_file_is_checked_without_a_start() {
    let scratch = Scratch::new();
    for (written, code, said) in [
        (
            "Server=127.0.0.1\nHostname=web\nDenyKey=agent.*[*]\n",
            0,
            "agent.ping",
        ),
        (
            "Server=127.0.0.1\nDenyKeys=agent.ping\n",
            78,
            "did you mean DenyKey?",
        ),
        ("Hostname=web\n", 78, "ServerActive"),
    ] {
        let file = scratch.write("zabbix_agentd.conf", written);
        let flag = format!("--zabbix-conf={}", file.display());
        let ended = output(&scratch, &["validate", &flag]);
        let told = text(&[ended.stdout, ended.stderr].concat());
        assert!(
            ended.status.code() == Some(code) && told.contains(said),
            "{told}"
        );
    }
}

#[test]
fn generates_the_polkit_rule_of_all_playbooks_and_of_nothing_else() {
    let scratch = Scratch::new();
    let playbooks = r#"
playbooks:
  web:
    match: {alertname: Down, name: {in: [web.service, api.service]}}
    target: {unit: {from: name}}
    ladder:
      - {do: {systemd: {verb: restart, reset_failed: true}}}
      - {do: {systemd: {verb: start, unit: nodeward-action@x.service}}}
  batch:
    mode: off
    match: {alertname: Late}
    target: {unit: batch.service}
    ladder: [{do: {systemd: reload}}, {do: {command: {argv: [/bin/x]}}}]
"#;
    let file = scratch.write("playbooks.yml", playbooks);
    let file = file.to_str().unwrap();
    let made = output(
        &scratch,
        &["generate", "polkit", "--user", "healer", "--config", file],
    );
    let named = [
        "restart:web.service",
        "reset-failed:web.service",
        "restart:api.service",
        "reset-failed:api.service",
        "start:nodeward-action@x.service",
        "reload:batch.service",
    ];
    let by_hand = [&["generate", "polkit", "--user", "healer"], &named[..]].concat();
    let by_hand = output(&scratch, &by_hand);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    assert_eq!(text(&made.stdout), text(&by_hand.stdout));

    // A unit that no list names is in no rule: the playbook itself is refused, with its line.
    let open = playbooks.replace("{in: [web.service, api.service]}", "{re: '.*'}");
    let open = scratch.write("open.yml", &open);
    let refused = output(
        &scratch,
        &["generate", "polkit", "--config", open.to_str().unwrap()],
    );
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(
        said.contains("open.yml:5:") && said.contains("must list its values"),
        "{said}"
    );
    let none = scratch.write("none.yml", "http: {listen: []}\n");
    let refused = output(
        &scratch,
        &["generate", "polkit", "--config", none.to_str().unwrap()],
    );
    assert!(text(&refused.stderr).contains("no playbook acts on one"));
}

#[test]
fn readiness_reloading_and_the_end_reach_the_service_manager() {
    let scratch = Scratch::new();
    let path = scratch.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(std::time::Duration::from_secs(60)))
        .unwrap();
    let mut command =
        crate::program::command(&scratch, &["run", "--web.listen-address=127.0.0.1:0"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let mut program = Program::spawn(&mut command);
    let wait = |what: &str| loop {
        let mut datagram = [0; 4096];
        let size = socket.recv(&mut datagram).unwrap();
        let said = text(&datagram[..size]);
        if said.lines().any(|line| line.starts_with(what)) {
            return said;
        }
    };
    assert!(wait("READY=1").contains("STATUS="));
    wait("WATCHDOG=1");
    program.signal(Signal::HUP);
    assert!(wait("RELOADING=1").contains("MONOTONIC_USEC="));
    wait("READY=1");
    program.next_line("config reloaded");
    let waiting = std::thread::spawn(move || program.end());
    wait("STOPPING=1");
    assert_eq!(waiting.join().unwrap(), Some(0));
}

#[test]
fn the_control_socket_lies_in_the_state_directory_that_flag_or_config_names() {
    if std::path::Path::new("/run/nodeward").is_dir() {
        // It comes first.
        return;
    }
    let scratch = Scratch::new();
    let lying = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let (named, configured) = (lying("named"), lying("configured"));
    let config = format!("http: {{listen: ['127.0.0.1:0']}}\nstate: {configured}\n");
    let config = scratch.write("nodeward.yml", &config);
    let config = config.to_str().unwrap();
    let bare = |args: &[&str]| {
        let mut command = command(&scratch, args);
        command.env_remove("RUNTIME_DIRECTORY");
        command
    };
    for (place, directory) in [
        (&["--config", config][..], &configured),
        (&["--config", config, "--state-dir", &named], &named),
    ] {
        let mut program = Program::spawn(&mut bare(&[&["run"], place].concat()));
        let line = program.line("control socket");
        assert!(
            line.contains(&format!("{directory}/nodeward.sock")),
            "{line}"
        );
        for asked in ["status", "health", "reload"] {
            let ended = bare(&[&[asked], place].concat()).output().unwrap();
            let said = text(&ended.stderr);
            assert_eq!(ended.status.code(), Some(0), "{asked}: {said}");
        }
        let elsewhere = bare(&["status"]).output().unwrap();
        assert_eq!(elsewhere.status.code(), Some(1));
        assert_eq!(program.end(), Some(0));
    }
}
