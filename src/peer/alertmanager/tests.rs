//! The client against a stand-in that answers as it is told.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Alertmanager 0.25's answers, shortened.
pub(crate) const ALERT: &str = r#"{"annotations":{},"endsAt":"2026-11-22T16:48:32.533Z","fingerprint":"cf98175fbd0f011b","receivers":[{"name":"part"}],
"startsAt":"2026-11-22T16:43:32.533Z","status":{"inhibitedBy":[],"silencedBy":["6c1e"],"state":"suppressed"},"updatedAt":"2026-11-22T16:44:32.533Z",
"generatorURL":"http://p/g","labels":{"alertname":"HighMem","instance":"n0"}}"#;

/// What a stand-in does.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub status: u16,
    pub kind: &'static str,
    pub alerts: String,
    /// Seconds it has run by its own clock.
    pub up: i64,
    /// The same of others behind the same address, who take turns with it.
    pub others: Vec<i64>,
    /// Bytes of the list that are sent before it hangs up; all if there are no more.
    pub cut: usize,
}

impl Script {
    pub(crate) fn listing(alerts: &[&str]) -> Self {
        Self {
            status: 200,
            kind: "application/json",
            alerts: format!("[{}]", alerts.join(",")),
            up: 3600,
            others: Vec::new(),
            cut: usize::MAX,
        }
    }
}

/// An Alertmanager: its URL, what it does, and the heads of what it was asked.
pub(crate) struct Fake {
    pub url: String,
    pub script: Arc<Mutex<Script>>,
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            url: format!("http://{}/am/", listener.local_addr().unwrap()),
            script: Arc::new(Mutex::new(script)),
            asked: Arc::default(),
        };
        let (script, asked) = (Arc::clone(&fake.script), Arc::clone(&fake.asked));
        tokio::spawn(async move {
            let mut turn = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap() > 0
                {
                }
                let head = String::from_utf8(head).unwrap();
                let now = script.lock().unwrap().clone();
                let members = now.others.len() + 1;
                let member = turn % members;
                turn += 1;
                let up = [&[now.up], &*now.others].concat()[member];
                let body = if head.starts_with("GET /am/api/v2/status ") {
                    // Its clock is years behind ours: only its own two times say how long it has run.
                    let started = Timestamp::parse("2001-09-09T01:46:40Z").unwrap().0 - up * 1000;
                    format!(
                        r#"{{"cluster":{{"name":"01KB{member}","peers":[],"status":"ready"}},"uptime":"{}","versionInfo":{{"version":"0.25.0"}}}}"#,
                        Timestamp(started)
                    )
                } else {
                    assert!(head.starts_with("GET /am/api/v2/alerts "), "{head}");
                    now.alerts
                };
                asked.lock().unwrap().push(head);
                let (status, kind, length) = (now.status, now.kind, body.len());
                let head = format!(
                    "HTTP/1.1 {status} X\r\ndate: Sun, 09 Sep 2001 01:46:40 GMT\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
                );
                let body = body.get(..now.cut.min(length)).unwrap();
                drop(stream.write_all(format!("{head}{body}").as_bytes()).await);
            }
        });
        fake
    }

    pub(crate) fn options(&self) -> Options {
        serde_json::from_value(serde_json::json!({"urls": [self.url]})).unwrap()
    }
}

fn client(options: &Options) -> Alertmanager {
    let mut all = Alertmanager::all(options, &Resolver::default()).unwrap();
    all.remove(0)
}

#[tokio::test]
async fn lists_what_it_has_and_how_long_it_has_run_by_its_own_clock() {
    let fake = Fake::start(Script::listing(&[ALERT])).await;
    let options = Options {
        basic: Some(Basic {
            username: "nodeward".into(),
            password_file: Secret::new("x"),
        }),
        ..fake.options()
    };
    assert!(options.faults().is_empty());
    let listing = client(&options).list().await.unwrap();
    assert_eq!(listing.up, Duration::from_secs(3600));
    let names: Vec<_> = listing.alerts.iter().map(|a| &*a.fingerprint).collect();
    assert_eq!(names, ["cf98175fbd0f011b"]);
    assert_eq!(listing.alerts[0].labels["instance"], "n0");
    let asked = fake.asked.lock().unwrap();
    assert!(asked[0].contains("authorization: Basic bm9kZXdhcmQ6eA=="));
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn a_list_of_one_with_the_age_of_another_is_none() {
    for others in [vec![5], vec![3600], vec![5, 3600], vec![5, 3600, 7]] {
        let script = Script {
            others: others.clone(),
            ..Script::listing(&[ALERT])
        };
        let fake = Fake::start(script).await;
        let error = client(&fake.options()).list().await.unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("api.urls must name each member"),
            "{others:?}: {said}"
        );
    }
}

#[tokio::test]
async fn what_is_no_whole_list_is_an_error_and_never_a_short_list() {
    let whole = Script::listing(&[ALERT]);
    let odd = |alerts: &str| Script {
        alerts: alerts.into(),
        ..whole.clone()
    };
    for (script, says) in [
        (
            Script {
                status: 503,
                ..whole.clone()
            },
            "503",
        ),
        (
            Script {
                status: 401,
                ..whole.clone()
            },
            "bearer_token_file",
        ),
        (
            Script {
                status: 404,
                ..whole.clone()
            },
            "api.urls",
        ),
        (
            Script {
                status: 302,
                ..whole.clone()
            },
            "not followed",
        ),
        (
            Script {
                status: 204,
                ..whole.clone()
            },
            "204",
        ),
        (
            Script {
                cut: 20,
                ..whole.clone()
            },
            "closed the connection",
        ),
        (
            Script {
                kind: "text/html",
                ..odd("[]")
            },
            "text/html",
        ),
        (odd("<html>"), "line 1"),
        (odd("null"), "null"),
        (odd("{}"), "map"),
        (odd(""), "EOF"),
        (odd("[]]"), "trailing"),
        (odd(r#"[{"labels":{}}]"#), "fingerprint"),
        (
            odd(r#"[{"fingerprint":"","labels":{}}]"#),
            "without a fingerprint",
        ),
    ] {
        let fake = Fake::start(script.clone()).await;
        let error = client(&fake.options()).list().await.unwrap_err();
        assert!(error.to_string().contains(says), "{script:?}: {error}");
    }
}

#[tokio::test]
async fn a_list_beyond_all_measure_is_not_read() {
    let fake = Fake::start(Script {
        alerts: " ".repeat(ANSWER + 1),
        ..Script::listing(&[])
    })
    .await;
    let error = client(&fake.options()).list().await.unwrap_err();
    assert!(
        matches!(error, Error::Http(client::Error::TooLarge { .. })),
        "{error}"
    );
}

#[test]
fn faults_name_the_key_they_are_about_and_no_secret() {
    let options: Options = serde_json::from_value(serde_json::json!({
        "urls": ["nowhere"], "bearer_token_file": "two words",
        "basic": {"username": "a:b", "password_file": "x"}, "every": "10ms", "settle": "2d", "tls": {"key_file": "/no/key"},
    }))
    .unwrap();
    let faults = options.faults();
    let keys: Vec<_> = faults.iter().map(|(key, _)| *key).collect();
    assert_eq!(
        keys,
        [
            "urls",
            "tls",
            "tls.key_file",
            "bearer_token_file",
            "basic",
            "every",
            "settle"
        ]
    );
    assert!(!format!("{faults:?}").contains("words"));
}
