//! An escalation pages people through a real Alertmanager, and is resolved there when what was ill is well.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::web::{Request, page};
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "paging::an_escalation_fires_in_alertmanager_until_the_target_is_well",
    needs: &[Peer::Alertmanager],
    run: escalation,
}];

/// An Alertmanager whose routes lead nowhere.
fn alertmanager(at: SocketAddr, scratch: &Scratch) -> Result<Running, Failed> {
    let directory = scratch.path();
    let file = directory.join("alertmanager.yml");
    let routes = json!({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]});
    std::fs::write(&file, routes.to_string())?;
    let mut command = Command::new(Peer::Alertmanager.find()?);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", directory.join("am").display()))
        .arg(format!("--web.listen-address={at}"))
        .arg("--cluster.listen-address=");
    let mut running = Running::start("alertmanager", &mut command, scratch)?;
    running.listens(at.port())?;
    Ok(running)
}

/// The alerts that fire there.
fn firing(at: SocketAddr) -> Option<Vec<Value>> {
    serde_json::from_str(&page(at, "/api/v2/alerts").ok()?).ok()
}

fn escalation() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let service = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let _alertmanager = alertmanager(at, &scratch)?;
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"node": ["here"]}},
        "hooks": {"alertmanager": {}},
        "notify": {"pager": {"to": {"alertmanager": {"url": format!("http://{at}")}}}},
        "checks": {"web": {"probe": {"tcp": {"address": service.to_string()}}, "every": "100ms", "for": "1h"}},
        "playbooks": {"web": {
            "mode": "auto", "match": {"alertname": "Down"}, "target": {"service": "web"}, "escalate": ["pager"],
            "ladder": [{"do": {"command": {"argv": ["/bin/true"]}}}],
            "verify": {"all": [{"check": "web"}], "pass": 1, "every": "100ms", "deadline": "1s"}, "probation": "0s",
        }},
    });
    let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
    let now = jiff::Timestamp::now().to_string();
    let body = json!({"version": "4", "status": "firing", "alerts": [{"status": "firing", "startsAt": now,
        "fingerprint": "00000000000000aa", "labels": {"alertname": "Down", "node": "here", "severity": "critical"}}]});
    let answer = Request::post(nodeward.address()?, "/hooks/alertmanager", &body)?.answer()?;
    if answer.status != 200 {
        return Err(format!("the hook answered {}", answer.status).into());
    }
    let alerts = until("the escalation", || {
        firing(at).filter(|alerts| !alerts.is_empty())
    })?;
    let of = |at: &str| {
        alerts
            .first()
            .and_then(|alert| alert.pointer(at)?.as_str())
            .unwrap_or_default()
    };
    let told = (
        of("/labels/alertname"),
        of("/labels/playbook"),
        of("/labels/audience"),
        of("/annotations/cause"),
    );
    if alerts.len() != 1 || told != ("NodewardEscalation", "web", "people", "exhausted") {
        return Err(format!("not the escalation: {alerts:#?}").into());
    }
    let well = TcpListener::bind(service)?;
    // Ends with the process: a queue that is full looks as ill as no listener.
    std::thread::spawn(move || well.incoming().for_each(drop));
    until("its end", || firing(at).filter(Vec::is_empty))?;
    Ok(())
}
