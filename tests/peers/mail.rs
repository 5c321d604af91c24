//! Mails at a mail server of Python's (aiosmtpd), read by Python's own parser.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::tls::testing::Authority;
use crate::web::Request;
use crate::{PeerTest, ours, web};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "mail::an_escalation_and_its_recovery_are_one_thread_and_hostile_text_forges_no_header",
        needs: &[Peer::MailPython],
        run: thread,
    },
    PeerTest {
        name: "mail::what_comes_together_is_one_mail_and_nobody_who_may_not_gets_one",
        needs: &[Peer::MailPython],
        run: digest,
    },
];

/// A text that makes headers, bodies and encoded words where it is not kept from it.
const HOSTILE: &str = "x\r\nBcc: <eve@example.org>\r\n\r\n.\r\nQUIT\r\n=?utf-8?B?eA==?= \u{2028}\u{202e}é {{ . }} ${x}";

/// Every header of a mail.
const HEADER: [&str; 11] = [
    "Date",
    "From",
    "To",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Subject",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

struct Server {
    running: Running,
}

impl Server {
    fn start(
        scratch: &Scratch,
        authority: &Authority,
        starttls: u16,
        tls: u16,
    ) -> Result<Self, Failed> {
        let (cert, key) = authority
            .issue(&["127.0.0.1"])
            .write(scratch.path(), "mail");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/mail-server.py");
        let mut command = Command::new(Peer::MailPython.find()?);
        command
            .arg(program)
            .arg("--cert")
            .arg(cert)
            .arg("--key")
            .arg(key);
        command.arg(format!("--starttls={starttls}"));
        command.arg(format!("--tls={tls}"));
        let running = Running::start("mail-server", &mut command, scratch)?;
        let server = Self { running };
        until("the server's ports", || server.lines().into_iter().next())?;
        Ok(server)
    }

    fn lines(&self) -> Vec<Value> {
        let log = self.running.log();
        let lines = log.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// What it took for this address.
    fn mails(&self, to: &str) -> Vec<Value> {
        let mails = self.lines().into_iter().skip(1);
        let has = |mail: &Value| {
            mail["to"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == to))
        };
        mails.filter(has).collect()
    }
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let all = mail["header"].as_array().into_iter().flatten();
    let mut found = all.filter(|pair| pair[0] == name);
    found
        .next()
        .and_then(|pair| pair[1].as_str())
        .unwrap_or_default()
}

fn check(holds: bool, what: &str, mail: &Value) -> Result<(), Failed> {
    match holds {
        true => Ok(()),
        false => Err(format!("{what}: {mail:#}").into()),
    }
}

/// What holds for every mail.
fn whole(mail: &Value, who: &[&str]) -> Result<(), Failed> {
    let names = mail["header"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(|pair| pair[0].as_str()).collect();
    check(names == HEADER, "other headers", mail)?;
    check(mail["defects"] == json!([]), "it has defects", mail)?;
    check(
        mail["type"] == "text/plain" && mail["parts"] == false,
        "not one text",
        mail,
    )?;
    check(
        mail["recipients"] == json!(who),
        "other recipients in its header",
        mail,
    )?;
    check(mail["login"] == true, "without a login", mail)?;
    check(
        header(mail, "Auto-Submitted") == "auto-generated",
        "answers come back",
        mail,
    )
}

/// A notifier, and its password's file beside the config.
fn notifier(server: &str, to: &[&str], more: Value) -> Value {
    let mut email = json!({"server": server, "from": "nodeward@node.example", "to": to, "digest": "0s", "timeout": "5s",
        "username": "node", "password_file": "mail.password"});
    for (key, value) in more.as_object().into_iter().flatten() {
        email[key] = value.clone();
    }
    json!({"to": {"email": email}})
}

fn config(service: SocketAddr, notify: &Value) -> Value {
    let names: Vec<&String> = notify
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys())
        .collect();
    json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"node": ["here"]}},
        "hooks": {"alertmanager": {}},
        "notify": notify,
        "escalation": {"to": names},
        "checks": {"web": {"probe": {"tcp": {"address": service.to_string()}}, "every": "100ms", "for": "1h"}},
        "playbooks": {"web": {
            "mode": "auto", "match": {"alertname": "Down", "name": {"in": ["a", "b", "c"]}}, "target": {"service": {"from": "name"}},
            "ladder": [{"do": {"command": {"argv": ["/bin/true"]}}}],
            "verify": {"all": [{"check": "web"}], "pass": 1, "every": "100ms", "deadline": "1s"}, "probation": "0s",
        }},
    })
}

fn alert(nodeward: SocketAddr, name: &str) -> Result<(), Failed> {
    let now = jiff::Timestamp::now().to_string();
    let body = json!({"version": "4", "status": "firing", "alerts": [{"status": "firing", "startsAt": now,
        "fingerprint": format!("{:016x}", name.len() + usize::from(name.as_bytes()[0])),
        "labels": {"alertname": "Down", "node": "here", "severity": "critical", "name": name, "text": HOSTILE}}]});
    let answer = Request::post(nodeward, "/hooks/alertmanager", &body)?.answer()?;
    match answer.status {
        200 => Ok(()),
        other => Err(format!("the hook answered {other}").into()),
    }
}

fn thread() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let authority = Authority::new("mail");
    let ca = authority.write(scratch.path(), "ca");
    std::fs::write(scratch.path().join("mail.password"), "pass word\n")?;
    let service = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let (starttls, tls) = (free_port()?, free_port()?);
    let trusted = json!({"tls": {"ca_file": ca}});
    let (turns, begins) = (
        format!("smtp://127.0.0.1:{starttls}"),
        format!("smtps://127.0.0.1:{tls}"),
    );
    let notify = json!({
        "turns": notifier(&turns, &["turns@node.example"], trusted.clone()),
        "begins": notifier(&begins, &["begins@node.example"], trusted),
    });
    let mut nodeward = ours::configured(&config(service, &notify).to_string(), &scratch)?;
    // The server is not there yet.
    alert(nodeward.address()?, "a")?;
    until("tries that fail", || {
        let log = nodeward.log();
        ["smtp://", "smtps://"]
            .iter()
            .all(|way| log.contains(&format!("send to {way}")))
            .then_some(())
    })?;
    let server = Server::start(&scratch, &authority, starttls, tls)?;
    let who = ["turns@node.example", "begins@node.example"];
    for to in who {
        until("the escalation", || server.mails(to).pop())?;
    }
    let well = TcpListener::bind(service)?;
    std::thread::spawn(move || well.incoming().for_each(drop));
    for to in who {
        let mails = until("the recovery", || {
            Some(server.mails(to)).filter(|mails| mails.len() == 2)
        })?;
        for mail in &mails {
            whole(mail, &[to])?;
            check(
                header(mail, "Subject").contains("service:a (web)"),
                "another subject",
                mail,
            )?;
            let text = mail["text"].as_str().unwrap_or_default();
            check(
                text.contains("  text = x\\u{d}\\u{a}Bcc: <eve@example.org>\\u{d}\\u{a}"),
                "not the label in one line",
                mail,
            )?;
            check(
                text.contains("é {{ . }} ${x}\n"),
                "not the label as it was",
                mail,
            )?;
        }
        let [first, second] = mails.as_slice() else {
            return Err("two".into());
        };
        check(
            header(first, "Subject").contains("] escalated: "),
            "not the escalation",
            first,
        )?;
        check(
            header(second, "Subject").contains("] recovered: "),
            "not the recovery",
            second,
        )?;
        let thread = header(first, "References");
        check(
            !thread.is_empty() && header(second, "References") == thread,
            "another thread",
            second,
        )?;
        check(
            header(first, "In-Reply-To") == thread && header(second, "In-Reply-To") == thread,
            "no answer",
            second,
        )?;
        check(
            header(first, "Message-ID") != header(second, "Message-ID"),
            "one name",
            second,
        )?;
    }
    Ok(())
}

fn digest() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let authority = Authority::new("mail");
    let ca = authority.write(scratch.path(), "ca");
    std::fs::write(scratch.path().join("mail.password"), "pass word\n")?;
    std::fs::write(scratch.path().join("other.password"), "sesame\n")?;
    let server = Server::start(&scratch, &authority, 0, 0)?;
    let ports = server.lines().into_iter().next().unwrap_or_default();
    let url = format!("smtps://127.0.0.1:{}", ports["tls"]);
    let trusted = json!({"tls": {"ca_file": ca}});
    let with = |more: Value| {
        let mut all = trusted.clone();
        for (key, value) in more.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        all
    };
    let some = [
        "refused@node.example",
        "some@node.example",
        "later@node.example",
    ];
    let notify = json!({
        "gathers": notifier(&url, &["gathers@node.example"], with(json!({"digest": "1h"}))),
        "some": notifier(&url, &some, trusted.clone()),
        "nobody": notifier(&url, &["refused@node.example"], trusted.clone()),
        "wrong": notifier(&url, &["wrong@node.example"], with(json!({"password_file": "other.password"}))),
        "untrusted": notifier(&url, &["untrusted@node.example"], json!({})),
    });
    let service = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut nodeward = ours::configured(&config(service, &notify).to_string(), &scratch)?;
    let address = nodeward.address()?;
    alert(address, "a")?;
    let first = until("the first", || server.mails("gathers@node.example").pop())?;
    whole(&first, &["gathers@node.example"])?;
    alert(address, "b")?;
    alert(address, "c")?;
    // Each of two has one try that failed before he has it.
    for to in ["some@node.example", "later@node.example"] {
        let mails = until("three mails", || {
            Some(server.mails(to)).filter(|mails| mails.len() >= 3)
        })?;
        let ids: BTreeSet<&str> = mails
            .iter()
            .map(|mail| header(mail, "Message-ID"))
            .collect();
        if mails.len() != 3 || ids.len() != 3 {
            return Err(format!("{to} has {} mails under {} names", mails.len(), ids.len()).into());
        }
    }
    until("what is said of the others", || {
        let log = nodeward.log();
        let said = [
            "not taken for refused@node.example by smtps://",
            "550 5.1.1 nobody is called so",
            "535 5.7.8",
            "set tls.ca_file",
        ];
        said.iter().all(|said| log.contains(said)).then_some(())
    })?;
    // One of them is refused at the first try and another taken at the second: it is still told who has none.
    until("a count of those that not all got", || {
        let counted = r#"nodeward_notifications_total{notifier="some",outcome="in_part"} 3"#;
        let page = web::page(address, "/metrics").ok()?;
        page.contains(counted).then_some(())
    })?;
    nodeward.terminate()?;
    let mails = server.mails("gathers@node.example");
    let [_, second] = mails.as_slice() else {
        return Err(format!("{} mails, not two", mails.len()).into());
    };
    check(
        header(second, "Subject").contains("2 events of 2 incidents, critical"),
        "another subject",
        second,
    )?;
    let threads: BTreeSet<&str> = header(second, "References").split_whitespace().collect();
    check(
        threads.len() == 2 && !threads.contains(header(&first, "References")),
        "other threads",
        second,
    )?;
    let text = second["text"].as_str().unwrap_or_default();
    check(
        text.contains("target: service:b\n") && text.contains("target: service:c\n"),
        "not both",
        second,
    )?;
    for to in [
        "wrong@node.example",
        "untrusted@node.example",
        "refused@node.example",
    ] {
        if !server.mails(to).is_empty() {
            return Err(format!("{to} has mail").into());
        }
    }
    Ok(())
}
