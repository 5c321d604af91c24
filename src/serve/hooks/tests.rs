//! Hooks over a real connection, with a desk that notes what it is given.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use hmac::{Hmac as Mac256, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Notify;

use super::*;
use crate::heal::intake::{Delivering, Refused};
use crate::host::Host;
use crate::model::secret::Secret;
use crate::net::accept::{Counters, Drain, Serve};
use crate::net::server::{Http, Limits};
use crate::net::stream::Stream;
use crate::serve::api::{self, Access};
use crate::serve::{Requests, Router, Tokens, View};
use crate::subject::{Machine, Sampler};

const ALERTS: &str = r#"{"alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-22T16:43:32Z"},
    {"status":"resolved","labels":{"alertname":"B"},"startsAt":"2026-11-22T16:43:32Z"},{"status":"?"}],"truncatedAlerts":2}"#;
const EVENT: &str = r#"{"event_source":"0","event_value":"1","event_id":"64","host":"h"}"#;

#[derive(Default)]
struct Noted {
    deliveries: Mutex<Vec<(String, Delivery)>>,
    refuse: Mutex<Option<Refused>>,
    hang: bool,
    asked: Notify,
}

impl Desk for Noted {
    fn deliver<'a>(&'a self, hook: &'a str, delivery: Delivery) -> Delivering<'a> {
        Box::pin(async move {
            self.asked.notify_one();
            if self.hang {
                return std::future::pending().await;
            }
            if let Some(refused) = *self.refuse.lock().unwrap() {
                return Err(refused);
            }
            let ours = delivery.alerts.len() as u64;
            self.deliveries
                .lock()
                .unwrap()
                .push((hook.to_owned(), delivery));
            Ok(Accepted {
                ours,
                ..Accepted::default()
            })
        })
    }
}

fn options() -> Options {
    let tokens = Tokens(vec![Secret::new("old-token"), Secret::new("new-token")]);
    let basic = Basic {
        username: "am".into(),
        password_file: Secret::new("pass:word"),
    };
    let hmac = |timestamp: Option<&str>| Hmac {
        secret_file: Secret::new("s3cret"),
        header: None,
        timestamp_header: timestamp.map(Into::into),
        window: "5m".parse().unwrap(),
    };
    let named = [
        ("alertmanager", Hook::default()),
        (
            "guarded",
            Hook {
                kind: Some(Kind::Alertmanager),
                bearer_token_file: Some(tokens),
                basic: Some(basic),
                ..Hook::default()
            },
        ),
        (
            "grafana",
            Hook {
                hmac: Some(hmac(None)),
                ..Hook::default()
            },
        ),
        (
            "timed",
            Hook {
                kind: Some(Kind::Grafana),
                hmac: Some(hmac(Some("X-Time"))),
                ..Hook::default()
            },
        ),
        (
            "zabbix",
            Hook {
                hmac: Some(hmac(None)),
                ..Hook::default()
            },
        ),
    ];
    Options {
        tls: None,
        listen: Vec::new(),
        named: named.map(|(name, hook)| (name.to_owned(), hook)).into(),
    }
}

struct House {
    router: Arc<Router>,
    inbox: Inbox,
}

impl House {
    fn new(options: &Options, desk: Option<Arc<Noted>>) -> Self {
        let inbox = Inbox {
            desk: desk.map(|desk| desk as _),
            ..Inbox::default()
        };
        let machine = Machine {
            host: Arc::new(Host::default()),
            runtime: None,
        };
        let sampler = Sampler::start(&crate::subject::Options::default(), &machine, None).unwrap();
        let view = View {
            sampler: Arc::new(sampler),
            told: Vec::new(),
            hooks: Hooks::new(options, inbox.clone()),
            api: Access::new(&api::Options::default(), None),
            options: crate::serve::Options::default(),
        };
        let router = Router::new(Arc::new(view), Arc::<Requests>::default());
        Self {
            router: Arc::new(router),
            inbox,
        }
    }

    /// What comes back for these bytes on a connection that stays open, until it is answered and closed.
    async fn ask<H: Handler>(handler: &Arc<H>, sent: &[u8]) -> String {
        let (near, far) = UnixStream::pair().unwrap();
        let http = Http::new(
            Arc::clone(handler),
            Limits::default(),
            Arc::new(Counters::default()),
        );
        let peer = Peer::Unix {
            pid: None,
            uid: None,
        };
        let serving = tokio::spawn(Arc::new(http).serve(Stream::Unix(far), peer, Drain::never()));
        let (mut reading, mut writing) = near.into_split();
        writing.write_all(sent).await.unwrap();
        let mut reply = Vec::new();
        reading.read_to_end(&mut reply).await.unwrap();
        serving.await.unwrap();
        String::from_utf8(reply).unwrap()
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        Self::ask(&self.router, &request(method, path, headers, body)).await
    }

    async fn code(&self, method: &str, path: &str, headers: &str, body: &str) -> u16 {
        code(&self.send(method, path, headers, body).await)
    }
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n"
    );
    format!("{head}{headers}\r\n{body}").into_bytes()
}

fn code(reply: &str) -> u16 {
    reply.split(' ').nth(1).unwrap().parse().unwrap()
}

fn sign(parts: &[&str]) -> String {
    let mut mac = Mac256::<Sha256>::new_from_slice(b"s3cret").unwrap();
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    let code: [u8; 32] = mac.finalize().into_bytes().into();
    crate::model::hex::written(&code)
}

#[tokio::test]
async fn what_is_durable_is_answered_200_with_what_became_of_it() {
    let desk = Arc::new(Noted::default());
    let house = House::new(&options(), Some(Arc::clone(&desk)));
    let reply = house.send("POST", "/hooks/alertmanager", "", ALERTS).await;
    assert_eq!(code(&reply), 200, "{reply}");
    let (_, body) = reply.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["accepted"], 2);
    assert_eq!(body["ours"], 2);
    assert_eq!(body["left_out"], 1);
    assert!(body["why"].as_str().unwrap().contains("status"), "{body}");
    let deliveries = desk.deliveries.lock().unwrap();
    assert_eq!(deliveries[0].0, "alertmanager");
    assert_eq!(deliveries[0].1.alerts.len(), 2);
    let counts = &house.inbox.counts;
    assert_eq!(counts.requests(), [("alertmanager".into(), 200, 1)]);
    let alerts: BTreeMap<_, _> = counts
        .of_alerts()
        .into_iter()
        .map(|(_, status, count)| (status, count))
        .collect();
    let expected = [
        ("firing", 1),
        ("left_out", 1),
        ("resolved", 1),
        ("truncated", 2),
    ];
    assert_eq!(alerts, expected.into());
}

#[tokio::test]
async fn what_the_desk_refuses_and_what_has_no_desk_is_503_with_a_time_to_wait() {
    let desk = Arc::new(Noted::default());
    let house = House::new(&options(), Some(Arc::clone(&desk)));
    for refused in [Refused::Overloaded, Refused::Full, Refused::Ending] {
        *desk.refuse.lock().unwrap() = Some(refused);
        let reply = house.send("POST", "/hooks/alertmanager", "", ALERTS).await;
        assert_eq!(code(&reply), 503);
        assert!(reply.contains("\r\nretry-after: 5\r\n"), "{reply}");
        assert!(reply.contains(&refused.to_string()), "{reply}");
    }
    assert!(house.inbox.counts.of_alerts().is_empty());
    let deskless = House::new(&options(), None);
    assert_eq!(
        deskless
            .code("POST", "/hooks/alertmanager", "", ALERTS)
            .await,
        503
    );
}

#[tokio::test(start_paused = true)]
async fn a_desk_that_hangs_is_not_waited_for_beyond_the_senders_patience() {
    let desk = Arc::new(Noted {
        hang: true,
        ..Noted::default()
    });
    let house = House::new(&options(), Some(desk));
    let reply = house.send("POST", "/hooks/alertmanager", "", ALERTS).await;
    assert_eq!(code(&reply), 503, "{reply}");
}

#[tokio::test]
async fn what_is_no_delivery_is_refused_by_its_cause() {
    let house = House::new(&options(), Some(Arc::default()));
    for (method, path, body, expected) in [
        ("POST", "/hooks/alertmanager/", ALERTS, 200),
        ("POST", "/hooks/alertmanager", "{", 400),
        ("POST", "/hooks/alertmanager", "", 400),
        ("POST", "/hooks/alertmanager", EVENT, 400),
        ("GET", "/hooks/alertmanager", "", 405),
        ("HEAD", "/hooks/alertmanager", "", 405),
        ("PUT", "/hooks/alertmanager", ALERTS, 405),
        ("DELETE", "/hooks/zabbix", "", 405),
        ("POST", "/hooks/nosuch", ALERTS, 404),
        ("GET", "/hooks/nosuch", "", 404),
        ("POST", "/hooks", ALERTS, 404),
        ("POST", "/hooks/", ALERTS, 404),
        ("POST", "/hookss/alertmanager", ALERTS, 404),
        ("POST", "/hooks/alertmanager/x", ALERTS, 404),
    ] {
        let reply = house.send(method, path, "", body).await;
        assert_eq!(code(&reply), expected, "{method} {path} {body}: {reply}");
        if expected == 405 {
            assert!(reply.contains("\r\nallow: POST\r\n"), "{reply}");
        }
    }
    let grafana = house.send("GET", "/hooks/grafana", "", "").await;
    assert!(grafana.contains("\r\nallow: POST, PUT\r\n"), "{grafana}");
}

#[tokio::test]
async fn either_token_or_the_password_lets_in_and_nothing_else() {
    use base64::Engine;
    let basic = |text: &str| {
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        format!("Authorization: Basic {text}\r\n")
    };
    let house = House::new(&options(), Some(Arc::default()));
    for (headers, expected) in [
        ("Authorization: Bearer old-token\r\n".to_owned(), 200),
        ("authorization: bearer new-token\r\n".to_owned(), 200),
        (basic("am:pass:word"), 200),
        (String::new(), 401),
        ("Authorization: Bearer old-toke\r\n".to_owned(), 401),
        ("Authorization: Bearer old-token2\r\n".to_owned(), 401),
        ("Authorization: Bearer \r\n".to_owned(), 401),
        ("Authorization: old-token\r\n".to_owned(), 401),
        ("Authorization: Basic old-token\r\n".to_owned(), 401),
        ("Authorization: Basic !!!\r\n".to_owned(), 401),
        ("Authorization: Bearer am:pass:word\r\n".to_owned(), 401),
        (basic("am:pass"), 401),
        (basic("old-token"), 401),
    ] {
        let reply = house.send("POST", "/hooks/guarded", &headers, ALERTS).await;
        assert_eq!(code(&reply), expected, "{headers}: {reply}");
        if expected == 401 {
            let schemes = reply.matches("www-authenticate: ").count();
            assert_eq!(schemes, 2, "{reply}");
        }
    }
    assert_eq!(
        house.inbox.counts.refused_logins(),
        [("guarded".to_owned(), 10)]
    );
}

#[tokio::test]
async fn a_stranger_is_turned_away_before_a_byte_of_his_body_comes() {
    let house = House::new(&options(), Some(Arc::default()));
    for (path, expected) in [
        ("/hooks/guarded", 401),
        ("/hooks/zabbix", 403),
        ("/hooks/nosuch", 404),
        ("/metrics", 413),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n");
        let reply = House::ask(&house.router, head.as_bytes()).await;
        assert_eq!(code(&reply), expected, "{reply}");
        assert!(reply.contains("\r\nconnection: close\r\n"), "{reply}");
    }
}

#[tokio::test]
async fn signatures_are_those_of_the_very_body_and_of_a_time_within_the_window() {
    let house = House::new(&options(), Some(Arc::default()));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let now_text = now.to_string();
    let old = (now - 400).to_string();
    let grafana = |signature: &str| format!("X-Grafana-Alerting-Signature: {signature}\r\n");
    let timed = |time: &str, signature: &str| format!("X-Time: {time}\r\n{}", grafana(signature));
    let zabbix = |time: &str, signature: &str| {
        format!("X-Nodeward-Timestamp: {time}\r\nX-Nodeward-Signature: {signature}\r\n")
    };
    for (path, body, headers, expected) in [
        ("grafana", ALERTS, grafana(&sign(&[ALERTS])), 200),
        (
            "grafana",
            ALERTS,
            grafana(&sign(&[ALERTS]).to_uppercase()),
            200,
        ),
        ("grafana", ALERTS, grafana(&sign(&[ALERTS, " "])), 403),
        ("grafana", ALERTS, grafana(&sign(&[ALERTS]).repeat(2)), 403),
        ("grafana", ALERTS, grafana(&"+0".repeat(32)), 403),
        ("grafana", ALERTS, String::new(), 403),
        (
            "timed",
            ALERTS,
            timed(&now_text, &sign(&[&now_text, ":", ALERTS])),
            200,
        ),
        ("timed", ALERTS, timed(&now_text, &sign(&[ALERTS])), 403),
        (
            "timed",
            ALERTS,
            timed(&old, &sign(&[&old, ":", ALERTS])),
            403,
        ),
        (
            "timed",
            ALERTS,
            timed(&now_text, &sign(&[&old, ":", ALERTS])),
            403,
        ),
        ("timed", ALERTS, grafana(&sign(&[ALERTS])), 403),
        (
            "zabbix",
            EVENT,
            zabbix(&now_text, &sign(&[&now_text, ".", EVENT])),
            200,
        ),
        (
            "zabbix",
            EVENT,
            zabbix(&now_text, &sign(&[&now_text, ":", EVENT])),
            403,
        ),
        ("zabbix", EVENT, zabbix("x", &sign(&["x", ".", EVENT])), 403),
    ] {
        let path = format!("/hooks/{path}");
        let code = house.code("POST", &path, &headers, body).await;
        assert_eq!(code, expected, "{path} {headers}");
    }
    let signed = grafana(&sign(&[ALERTS]));
    assert_eq!(
        house.code("PUT", "/hooks/grafana", &signed, ALERTS).await,
        200
    );
}

#[tokio::test]
async fn hooks_with_a_listener_of_their_own_are_served_there_alone() {
    let options = Options {
        listen: vec!["127.0.0.1:0".into()],
        ..options()
    };
    let house = House::new(&options, Some(Arc::default()));
    assert_eq!(
        house.code("POST", "/hooks/alertmanager", "", ALERTS).await,
        404
    );
    assert_eq!(house.code("GET", "/-/healthy", "", "").await, 200);
    let own = Arc::new(HookRouter::new(Arc::clone(&house.router)));
    for (method, path, body, expected) in [
        ("POST", "/hooks/alertmanager", ALERTS, 200),
        ("GET", "/metrics", "", 404),
        ("GET", "/-/healthy", "", 404),
        ("POST", "/metrics", ALERTS, 404),
    ] {
        let reply = House::ask(&own, &request(method, path, "", body)).await;
        assert_eq!(code(&reply), expected, "{method} {path}: {reply}");
    }
}

#[tokio::test]
async fn where_no_hook_is_configured_there_is_nothing() {
    let house = House::new(&Options::default(), Some(Arc::default()));
    assert_eq!(
        house.code("POST", "/hooks/alertmanager", "", "{}").await,
        404
    );
}

#[tokio::test]
async fn a_large_body_is_read_beside_the_runtime_to_the_same_effect() {
    let desk = Arc::new(Noted::default());
    let house = House::new(&options(), Some(Arc::clone(&desk)));
    let alert =
        r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-22T16:43:32Z"}"#;
    let body = format!(r#"{{"alerts":[{}]}}"#, vec![alert; 2000].join(","));
    assert!(body.len() > LARGE);
    assert_eq!(
        house.code("POST", "/hooks/alertmanager", "", &body).await,
        200
    );
    assert_eq!(desk.deliveries.lock().unwrap()[0].1.alerts.len(), 2000);
}

#[test]
fn every_fault_of_the_options_is_named_with_its_hook() {
    let options: Options = serde_json::from_str(
        r#"{"Bad Name": {"kind": "grafana"}, "check": {"kind": "grafana"}, "team": {},
            "alertmanager": {"hmac": {"secret_file": "x"}}, "grafana": {"hmac": {"secret_file": "x", "header": "a b", "window": "2h"}},
            "zabbix": {"basic": {"username": "a:b", "password_file": "x"}}}"#,
    )
    .unwrap();
    let invalid = options.check(None).unwrap_err();
    let mut hooks: Vec<_> = invalid.iter().filter_map(Invalid::hook).collect();
    hooks.sort_unstable();
    assert_eq!(
        hooks,
        [
            "Bad Name",
            "alertmanager",
            "check",
            "grafana",
            "grafana",
            "team",
            "zabbix"
        ]
    );
    let options: Options = serde_json::from_str(r#"{"listen": [":9"]}"#).unwrap();
    assert_eq!(options.check(None), Err(vec![Invalid::Nothing]));
    assert_eq!(super::tests::options().check(None), Ok(()));
}

#[test]
fn a_hook_for_everybody_beyond_this_machine_is_told() {
    let options: Options = serde_json::from_str(
        r#"{"alertmanager": {}, "grafana": {"bearer_token_file": ["a", "b"]}}"#,
    )
    .unwrap();
    let list = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let http = |texts: &[&str]| crate::serve::Options {
        listen: list(texts),
        ..crate::serve::Options::default()
    };
    let local = http(&["127.0.0.1:9100", "[::1]:9100", "unix:/run/x"]);
    assert!(options.exposed(&local).is_empty());
    let wide = http(&["127.0.0.1:9100", ":9200"]);
    assert_eq!(options.exposed(&wide), [("alertmanager", ":9200")]);
    let apart = Options {
        listen: list(&["127.0.0.1:9300"]),
        ..options.clone()
    };
    assert!(apart.exposed(&wide).is_empty());
    let known = crate::serve::Options {
        tls: Some(tls("VerifyClientCertIfGiven")),
        ..wide.clone()
    };
    assert_eq!(options.exposed(&known).len(), 1);
    let known = crate::serve::Options {
        tls: Some(tls("RequireAndVerifyClientCert")),
        ..wide
    };
    assert!(options.exposed(&known).is_empty());
    let apart = Options {
        listen: list(&[":9300"]),
        ..options.clone()
    };
    assert_eq!(apart.exposed(&known), [("alertmanager", ":9300")]);
}

fn tls(auth: &str) -> crate::net::tls::ServerOptions {
    let options = serde_json::json!({
        "cert_file": "a", "key_file": "b", "client_ca_file": "c", "client_auth_type": auth
    });
    serde_json::from_value(options).unwrap()
}

#[test]
fn a_certificate_is_a_guard_where_the_listener_asks_for_one() {
    let text = r#"{"alertmanager": {"client_certificate": {"names": ["am.example"]}}}"#;
    let options: Options = serde_json::from_str(text).unwrap();
    let missing = |section| Err(vec![Invalid::NoAuthority("alertmanager".into(), section)]);
    assert_eq!(options.check(None), missing("http.tls"));
    let asks = tls("VerifyClientCertIfGiven");
    assert_eq!(options.check(Some(&asks)), Ok(()));
    let plain = crate::net::tls::ServerOptions {
        client_ca_file: None,
        ..asks.clone()
    };
    assert_eq!(options.check(Some(&plain)), missing("http.tls"));
    let mut apart = Options {
        listen: vec![":9300".into()],
        ..options.clone()
    };
    assert_eq!(apart.check(Some(&asks)), missing("tls"));
    apart.tls = Some(asks);
    assert_eq!(apart.check(None), Ok(()));
    let wide = crate::serve::Options::default();
    assert!(apart.exposed(&wide).is_empty());
    apart.listen.clear();
    assert!(apart.check(None).unwrap_err().contains(&Invalid::TlsAlone));
}

#[test]
fn a_hook_starts_all_playbooks_or_those_it_lists() {
    let any = Hook::default();
    let some = Hook {
        playbooks: Some(vec!["a".into()]),
        ..Hook::default()
    };
    assert!(any.may_start("b"));
    assert!(some.may_start("a") && !some.may_start("b"));
}
