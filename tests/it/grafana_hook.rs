//! Grafana's webhook: its body as its source makes it (grafana/alerting, `receivers/webhook`), signed with its own HMAC. There is no
//! Grafana to be had as a program here, so what it would send is replayed.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::healing::{Post, Service, Told, config, verified};
use crate::program::{Program, Scratch};

const SECRET: &str = "grafana's secret";

/// One alert of a rule, in Grafana's shape: Alertmanager's and more.
fn body(status: &str, name: &str, instance: &str) -> String {
    let (fires, state) = (
        status == "firing",
        if status == "firing" { "alerting" } else { "ok" },
    );
    let ends = if fires {
        "0001-01-01T00:00:00Z"
    } else {
        "2026-11-22T16:48:50Z"
    };
    let labels = json!({"alertname": name, "instance": instance, "service": "s0", "grafana_folder": "Services"});
    json!({
        "receiver": "nodeward", "status": status, "orgId": 1,
        "alerts": [{
            "status": status, "labels": labels, "annotations": {"summary": "It answers no more"},
            "startsAt": "2026-11-22T16:38:50Z", "endsAt": ends,
            "generatorURL": "https://grafana/alerting/grafana/b3xk/view?orgId=1", "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "https://grafana/alerting/silence/new?alertmanager=grafana", "dashboardURL": "", "panelURL": "",
            "ruleUID": "b3xk", "values": {"A": 0, "C": 1},
            "valueString": "[ var='A' labels={instance=here} value=0 ], [ var='C' labels={instance=here} value=1 ]", "orgId": 1,
        }],
        "groupLabels": {"alertname": name}, "commonLabels": labels, "commonAnnotations": {},
        "externalURL": "https://grafana/", "version": "1", "groupKey": "{}/{}:{alertname=\"Broken\"}", "truncatedAlerts": 0,
        "title": "[FIRING:1] Broken", "state": state, "message": "**Firing**\n\nValue: A=0, C=1",
    })
    .to_string()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Signed as Grafana does with a timestamp header: the seconds, a colon, the body.
fn signed(body: String, at: u64) -> Post {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{at}:{body}").as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    Post {
        path: "/hooks/grafana",
        header: format!("X-Grafana-Alerting-Signature: {hex}\r\nX-Nodeward-Timestamp: {at}"),
        body,
    }
}

#[test]
fn a_signed_alert_of_grafana_is_healed_once_and_an_unsigned_one_never() {
    let (scratch, service) = (Scratch::new(), Service::start());
    let mut config: Value = serde_json::from_str(&config("auto", &service, 1)).unwrap();
    scratch.write("grafana.secret", SECRET);
    config["hooks"] = json!({"grafana": {"hmac": {
        "secret_file": "grafana.secret", "timestamp_header": "X-Nodeward-Timestamp",
    }}});
    let file = scratch.write("nodeward.yml", &config.to_string());
    let mut program = Program::start(&scratch, &["--config", file.to_str().unwrap()]);
    let address = program.http();

    let fires = || body("firing", "Broken", "here");
    let mut unsigned = signed(fires(), now());
    unsigned.header = "X-Nothing: x".to_owned();
    let mut changed = signed(fires(), now());
    changed.body = changed.body.replace("\"s0\"", "\"s1\"");
    let late = signed(fires(), now() - 3600);
    for refused in [unsigned, changed, late] {
        assert_eq!(refused.to(&address), Some(403), "{}", refused.header);
    }
    assert!(Told::read(&scratch).alerts().is_empty());

    // The button that tries a contact point, then the alert, again by the repeat interval, then its end.
    assert_eq!(
        signed(body("firing", "TestAlert", "Grafana"), now()).to(&address),
        Some(200)
    );
    assert_eq!(signed(fires(), now()).to(&address), Some(200));
    assert_eq!(signed(fires(), now()).to(&address), Some(200));
    Told::until(&scratch, "the end of the incident", |told| {
        told.came_to("healed") == 1
    });
    assert_eq!(
        signed(body("resolved", "Broken", "here"), now()).to(&address),
        Some(200)
    );
    let told = Told::until(&scratch, "the end of the alert", |told| {
        told.alerts().get(&0) == Some(&2)
    });
    assert_eq!(told.intents().len(), 1);
    let effects = service.effects();
    assert_eq!(effects.len(), 1);
    assert!(effects.values().all(|times| *times == 1), "{effects:?}");
    assert_eq!(program.end(), Some(0));
    verified(&scratch);
}
