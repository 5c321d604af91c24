use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::action::tests::{Case, label};
use crate::net::resolve::Resolver;

fn http(value: Value) -> Http {
    serde_json::from_value(value).unwrap()
}

/// Answers one request with `answer`; gives back what was asked.
async fn answering(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        let whole = |asked: &[u8]| {
            let text = String::from_utf8_lossy(asked).into_owned();
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |n| n.parse().unwrap());
            (body.len() >= length).then_some(text.clone())
        };
        loop {
            if let Some(text) = whole(&asked) {
                stream.write_all(answer.as_bytes()).await.unwrap();
                return text;
            }
            assert!(stream.read_buf(&mut asked).await.unwrap() > 0);
        }
    });
    (port, asked)
}

fn over(world: World, addresses: &'static [&'static str]) -> World {
    let lookup = move |_: &str| {
        Ok(addresses
            .iter()
            .map(|address| format!("{address}:0").parse().unwrap())
            .collect())
    };
    World {
        resolver: Resolver::over(lookup),
        ..world
    }
}

#[tokio::test]
async fn values_are_encoded_and_the_attempt_is_the_key() {
    let (port, asked) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let act = http(json!({
        "url": format!("http://api.example:{port}/v1/?a=b"), "path": ["node", {"from": "name"}],
        "query": {"why": {"from": "name"}}, "json": {"unit": {"from": "name"}, "by": "nodeward"},
        "allow_loopback": true,
    }));
    let case = Case {
        labels: label("name", "a/../b?x=\"1\" é"),
        ..Case::default()
    };
    let world = over(case.world(), &["127.0.0.1"]);
    let outcome = act.act(&world, &case.order(), |_| ()).await;
    assert_eq!(
        outcome,
        Outcome::Done(json!({"status": 200, "answer": "ok"}))
    );
    let asked = asked.await.unwrap();
    let value = "a%2F..%2Fb%3Fx%3D%221%22%20%C3%A9";
    assert!(
        asked.starts_with(&format!(
            "POST /v1/node/{value}?a=b&why={value} HTTP/1.1\r\n"
        )),
        "{asked}"
    );
    assert!(asked.contains("idempotency-key: 01JD-1\r\n"), "{asked}");
    assert!(
        asked.contains(&format!("host: api.example:{port}\r\n")),
        "{asked}"
    );
    assert!(
        asked.ends_with("{\"by\":\"nodeward\",\"unit\":\"a/../b?x=\\\"1\\\" é\"}"),
        "{asked}"
    );
}

#[tokio::test]
async fn told_to_end_it_waits_for_no_answer_and_its_outcome_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stopper, stop) = crate::action::Stopper::new();
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stopper.stop();
        let mut rest = Vec::new();
        // Until the request is dropped.
        stream.read_to_end(&mut rest).await
    });
    let act = http(json!({"url": format!("http://127.0.0.1:{port}"), "allow_loopback": true}));
    let case = Case::default();
    let order = Order {
        stop: &stop,
        timeout: Duration::from_secs(3600),
        ..case.order()
    };
    let outcome = act.act(&case.world(), &order, |_| ()).await;
    assert!(
        matches!(&outcome, Outcome::Unknown { why, .. } if why.contains("told to end")),
        "{outcome:?}"
    );
    drop(silent.await.unwrap());
}

#[test]
fn what_the_config_wrote_is_in_the_hash_and_in_no_record() {
    let case = Case {
        labels: label("name", "n 1"),
        ..Case::default()
    };
    let act = |url: &str, key: &str| {
        http(json!({
            "url": url, "path": [key, {"from": "name"}], "query": {"key": key, "node": {"from": "name"}},
            "json": {"routing_key": key, "node": {"from": "name"}},
        }))
    };
    let one = act("https://hooks.example/services/s3cret?sig=s3cret", "s3cret");
    assert_eq!(
        one.render(&case.order()).unwrap(),
        json!({"http": {
            "method": "POST", "url": "https://hooks.example:443/.../.../n%201?...&key=...&node=n%201",
            "json": {"routing_key": "...", "node": "n 1"},
        }})
    );
    let whole = one.whole(&case.order()).unwrap();
    assert_eq!(whole.to_string().matches("s3cret").count(), 5, "{whole}");
    for other in [
        act("https://hooks.example/services/other?sig=s3cret", "s3cret"),
        act("https://hooks.example/services/s3cret?sig=s3cret", "other"),
    ] {
        assert_eq!(other.render(&case.order()), one.render(&case.order()));
        assert_ne!(other.whole(&case.order()).unwrap(), whole);
    }
    let plain = http(json!({"url": "http://api"}));
    let url = plain.render(&case.order()).unwrap()["http"]["url"].clone();
    assert_eq!(url, "http://api:80/");
}

#[tokio::test]
async fn an_address_is_checked_after_its_name_is_looked_up() {
    let case = Case::default();
    for (addresses, says) in [
        (&["127.0.0.1"][..], "allow_loopback"),
        (&["169.254.169.254"], "metadata"),
        (&["[fe80::1]", "[::1]"], "link-local"),
        (&["[::ffff:169.254.169.254]"], "metadata"),
        (&["[64:ff9b::a9fe:a9fe]"], "metadata"),
        (&["0.0.0.0"], "no single host"),
    ] {
        let act = http(json!({"url": "http://api.example/"}));
        let world = over(case.world(), addresses);
        let outcome = act.act(&world, &case.order(), |_| panic!("started")).await;
        assert!(
            matches!(&outcome, Outcome::Failed { why, .. } if why.contains(says)),
            "{addresses:?}: {outcome:?}"
        );
    }
    for good in [
        "10.0.0.1",
        "192.168.1.1",
        "8.8.8.8",
        "fd00::1",
        "2001:db8::1",
    ] {
        assert_eq!(denied(good.parse().unwrap(), false), None, "{good}");
    }
}

#[tokio::test]
async fn an_answer_is_taken_for_what_it_says() {
    let case = Case::default();
    for (answer, done, failed) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", true, false),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            false,
            true,
        ),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", false, true),
        ("HTTP/1.1 504 Oh\r\ncontent-length: 0\r\n\r\n", false, false),
        ("", false, false),
    ] {
        let (port, asked) = answering(answer).await;
        let act = http(json!({"url": format!("http://127.0.0.1:{port}"), "allow_loopback": true}));
        let outcome = act.act(&case.world(), &case.order(), |_| ()).await;
        let seen = (
            matches!(outcome, Outcome::Done(_)),
            matches!(outcome, Outcome::Failed { .. }),
        );
        assert_eq!(seen, (done, failed), "{answer:?}: {outcome:?}");
        asked.await.unwrap();
    }
}

#[tokio::test]
async fn nobody_there_means_not_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let case = Case::default();
    let act = http(json!({"url": format!("http://127.0.0.1:{port}"), "allow_loopback": true}));
    let outcome = act.act(&case.world(), &case.order(), |_| ()).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
}

#[test]
fn what_can_be_known_is_said_at_once() {
    let site = Site {
        target: "node",
        labels: &["name"],
    };
    let wrong = |value: Value| http(value).check(&site);
    let good = json!({"url": "http://api/x", "path": [{"from": "name"}], "json": {"a": "b"}});
    assert_eq!(wrong(good), Vec::<String>::new());
    for (value, says) in [
        (json!({"url": "api/x"}), "scheme"),
        (json!({"url": "unix:/run/x"}), "http://host"),
        (json!({"url": "http://127.0.0.1/"}), "allow_loopback"),
        (json!({"url": "http://169.254.169.254/"}), "metadata"),
        (
            json!({"url": "http://api", "query": {"a": {"from": "b"}}}),
            "match",
        ),
        (
            json!({"url": "http://api", "method": "GET", "json": {"a": "b"}}),
            "no body",
        ),
    ] {
        let said = wrong(value);
        assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
    }
    let case = Case {
        labels: label("name", ".."),
        ..Case::default()
    };
    let act = http(json!({"url": "http://api/x", "path": [{"from": "name"}]}));
    assert!(act.render(&case.order()).unwrap_err().contains("segment"));
}

#[tokio::test]
async fn the_certificate_is_that_of_the_name_though_an_address_is_connected_to() {
    use crate::net::tls::tests::{Place, before};

    let place = Place::new();
    let (port, asked) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let options = place.serving(&place.authority.issue(&["api.example"]));
    let at = before(&format!("127.0.0.1:{port}"), options).await;
    let case = Case::default();
    let world = over(case.world(), &["127.0.0.1"]);
    let act = |host: &str| {
        http(json!({
            "url": format!("https://{host}:{}/", at.port()), "tls": {"ca_file": place.path("ca.pem")},
            "allow_loopback": true,
        }))
    };
    let outcome = act("other.example")
        .act(&world, &case.order(), |_| ())
        .await;
    let Outcome::Failed { why, .. } = &outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        why.contains("is for api.example, not for other.example"),
        "{why}"
    );
    let outcome = act("api.example").act(&world, &case.order(), |_| ()).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let asked = asked.await.unwrap();
    assert!(
        asked.contains(&format!("host: api.example:{}", at.port())),
        "{asked}"
    );
}
