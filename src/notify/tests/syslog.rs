//! The ways of syslog.

use std::os::unix::net::UnixDatagram;

use tokio::io::BufReader;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;

use super::receivers::{self, frame, value};
use super::running::counts;
use super::*;
use crate::journal::Hash;
use crate::notify::syslog::Syslog;
use crate::notify::{Delivery, Kind as _, Message, Sink};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn sink(address: &str) -> Box<dyn Sink> {
    let options: Syslog = serde_json::from_value(serde_json::json!({"address": address})).unwrap();
    options.sink(&Resolver::default()).unwrap()
}

async fn deliver(sink: &mut dyn Sink, id: &str) -> Delivery {
    record(sink, id, 7).await
}

async fn record(sink: &mut dyn Sink, id: &str, seq: i64) -> Delivery {
    let message = Message {
        event: &notice(id).into(),
        seq,
        chain: Hash::ZERO,
    };
    sink.deliver(&message).await
}

#[tokio::test]
async fn every_notice_reaches_a_receiver_that_hangs_up_again_and_again_in_order() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (address, came) = receivers::tcp(vec![3, 1, 0, 7]).await;
    let options = options(&format!(
        r#"{{"soc": {{"to": {{"syslog": {{"address": "{address}"}}}}}}}}"#
    ));
    let notifiers = bench.start(&options, &journal, QUICK);
    for part in [0..1, 1..20, 20..60] {
        tell(&journal, "soc", ids(part)).await;
        notifiers.wake();
    }
    until("all of them", || once(&receivers::ids(&came)).len() == 60).await;
    assert_eq!(once(&receivers::ids(&came)), ids(0..60));
    // The last minute's may still be lost; a stop in order is the end of that.
    assert_eq!(bench.waiting("soc"), 60);
    notifiers.stop(soon()).await;
    assert_eq!(bench.waiting("soc"), 0);
    // One id is one line, however often it came; and the record it tells of goes with it.
    let lines = came.lock().unwrap().clone();
    for line in &lines {
        let id = value(line, "id");
        assert!(
            lines
                .iter()
                .all(|other| value(other, "id") != id || other == line)
        );
        assert!(value(line, "seq").parse::<i64>().unwrap() > 0 && value(line, "chain").len() == 64);
    }
    let records = bench.records();
    assert_eq!(records.len(), 60);
    assert!(
        records
            .iter()
            .all(|data| data["outcome"] == "delivered" && data["notifier"] == "soc")
    );
}

#[tokio::test]
async fn what_a_receiver_may_have_lost_is_told_to_who_takes_its_place() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (first, before) = receivers::tcp(Vec::new()).await;
    let (second, after) = receivers::tcp(Vec::new()).await;
    let soc = |address: &str| {
        options(&format!(
            r#"{{"soc": {{"to": {{"syslog": {{"address": "{address}"}}}}, "records": ["alert"]}}}}"#
        ))
    };
    let notifiers = bench.start(&soc(&first), &journal, QUICK);
    until("its cursor", || {
        let settings = Reader::open(&bench.path()).unwrap().settings().unwrap();
        settings.contains_key("notify_records:soc")
    })
    .await;
    for part in [0..3, 3..6] {
        let alert = Entry::new(Kind::Alert).data(serde_json::json!({"text": "x"}));
        journal.commit(Commit::of(alert)).await.unwrap();
        tell(&journal, "soc", ids(part)).await;
        notifiers.wake();
    }
    until("all of them", || before.lock().unwrap().len() == 8).await;
    let counted = |lines: &receivers::Came<String>| {
        let lines = lines.lock().unwrap();
        lines.iter().map(|l| value(l, "seq")).collect::<Vec<_>>()
    };
    // Both what waited in its memory and what it had written are gone with it.
    notifiers.change(&soc(&second));
    until("all of them again", || after.lock().unwrap().len() == 8).await;
    assert_eq!(counted(&before), counted(&after));
    // Who leaves the config has them, as far as anybody knows.
    notifiers.change(&Options::new());
    until("their marks", || bench.waiting("soc") == 0).await;
    notifiers.stop(soon()).await;
    assert_eq!(bench.records().len(), 6);
}

#[tokio::test]
async fn a_line_that_was_written_to_a_dead_connection_is_asked_for_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sink = sink(&format!("tcp://{}", listener.local_addr().unwrap()));
    let before = Instant::now();
    taken(sink.as_mut(), "e1", 1).await;
    // Closed with the line unread, it is lost, although nothing follows.
    let (first, _) = listener.accept().await.unwrap();
    first.readable().await.unwrap();
    drop(first);
    assert!(sink.lost().await >= before);
    taken(sink.as_mut(), "e1", 1).await;
    let (second, _) = listener.accept().await.unwrap();
    let mut second = BufReader::new(second);
    assert_eq!(value(&frame(&mut second).await.unwrap(), "id"), "e1");
    // And where another follows at once, it comes before that one.
    let between = Instant::now();
    taken(sink.as_mut(), "e2", 2).await;
    drop(second);
    let Delivery::Lost(since) = record(sink.as_mut(), "e3", 3).await else {
        panic!("e2 may be lost")
    };
    assert!(since < between, "e1 was taken by the connection that died");
}

async fn taken(sink: &mut dyn Sink, id: &str, seq: i64) {
    let delivery = record(sink, id, seq).await;
    assert!(matches!(delivery, Delivery::Taken(_)), "{delivery:?}");
}

#[tokio::test]
async fn a_receiver_that_ends_an_old_idle_connection_in_order_has_what_it_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sink = sink(&format!("tcp://{}", listener.local_addr().unwrap()));
    taken(sink.as_mut(), "e1", 1).await;
    let mut first = BufReader::new(listener.accept().await.unwrap().0);
    assert_eq!(value(&frame(&mut first).await.unwrap(), "id"), "e1");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(15)).await;
    tokio::time::resume();
    drop(first);
    taken(sink.as_mut(), "e2", 2).await;
    let mut second = BufReader::new(listener.accept().await.unwrap().0);
    assert_eq!(value(&frame(&mut second).await.unwrap(), "id"), "e2");
}

#[tokio::test]
async fn a_line_is_written_four_times_to_a_receiver_that_ends_each_connection_young_and_then_given_up()
 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sink = sink(&format!("tcp://{}", listener.local_addr().unwrap()));
    for _ in 0..4 {
        taken(sink.as_mut(), "e1", 1).await;
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        assert_eq!(value(&frame(&mut stream).await.unwrap(), "id"), "e1");
        drop(stream);
        sink.lost().await;
    }
    let Delivery::Refused(why) = record(sink.as_mut(), "e1", 1).await else {
        panic!("it would go on for ever")
    };
    assert!(why.contains("timeout for idle connections"), "{why}");
    // It stands in the way of nothing.
    taken(sink.as_mut(), "e2", 2).await;
}

#[tokio::test]
async fn what_was_lost_is_told_by_the_next_process_where_a_stop_comes_before_the_receiver_is_back()
{
    let bench = Bench::new();
    let journal = bench.journal();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = options(&format!(
        r#"{{"soc": {{"to": {{"syslog": {{"address": "tcp://{}"}}}}}}}}"#,
        listener.local_addr().unwrap()
    ));
    let notifiers = bench.start(&options, &journal, QUICK);
    tell(&journal, "soc", ids(0..1)).await;
    notifiers.wake();
    let (stream, _) = listener.accept().await.unwrap();
    until("that it counts as taken", || {
        counts(&notifiers, "soc") == (1, 0, 0, 0)
    })
    .await;
    // The next comes just as the connection ends with the first unread.
    tell(&journal, "soc", ids(1..2)).await;
    notifiers.wake();
    drop(stream);
    let away = tokio::spawn(hangs_up(listener, usize::MAX));
    until("a failure", || counts(&notifiers, "soc").1 > 1).await;
    notifiers.stop(soon()).await;
    assert_eq!(bench.waiting("soc"), 2);
    journal.close().await;
    away.abort();

    let journal = bench.journal();
    let (address, came) = receivers::tcp(Vec::new()).await;
    let options = self::options(&format!(
        r#"{{"soc": {{"to": {{"syslog": {{"address": "{address}"}}}}}}}}"#
    ));
    let notifiers = bench.start(&options, &journal, QUICK);
    until("both", || receivers::ids(&came) == ids(0..2)).await;
    notifiers.stop(soon()).await;
}

#[tokio::test]
async fn a_connection_that_is_dead_at_the_stop_has_taken_nothing() {
    let bench = Bench::new();
    let journal = bench.journal();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = options(&format!(
        r#"{{"soc": {{"to": {{"syslog": {{"address": "tcp://{}"}}}}}}}}"#,
        listener.local_addr().unwrap()
    ));
    let notifiers = bench.start(&options, &journal, QUICK);
    tell(&journal, "soc", ids(0..1)).await;
    notifiers.wake();
    let (stream, _) = listener.accept().await.unwrap();
    until("that it counts as taken", || {
        counts(&notifiers, "soc") == (1, 0, 0, 0)
    })
    .await;
    let away = tokio::spawn(hangs_up(listener, usize::MAX));
    drop(stream);
    notifiers.stop(soon()).await;
    assert_eq!(bench.waiting("soc"), 1);
    away.abort();
}

/// Hangs up on each of so many connections once a line has come, and is away then.
async fn hangs_up(listener: TcpListener, most: usize) {
    for _ in 0..most {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        frame(&mut stream).await;
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_up_on_the_first_line_has_taken_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sink = sink(&format!("tcp://{}", listener.local_addr().unwrap()));
    let receiver = tokio::spawn(hangs_up(listener, 20));
    for _ in 0..20 {
        let Delivery::Failed { why, .. } = deliver(sink.as_mut(), "e1").await else {
            panic!("nobody has it")
        };
        assert!(why.contains("it hung up on the first line"), "{why}");
    }
    receiver.await.unwrap();
    let lost = tokio::time::timeout(Duration::from_millis(100), sink.lost()).await;
    assert!(
        lost.is_err(),
        "who asked has been told that it is not taken"
    );
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    let Delivery::Failed { why, .. } = deliver(sink(&address).as_mut(), "e1").await else {
        panic!("it cannot be taken")
    };
    assert!(why.contains(&address) && why.contains("refused"), "{why}");
}

#[tokio::test]
async fn a_datagram_is_a_line() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut sink = sink(&format!("udp://{}", socket.local_addr().unwrap()));
    for id in ["e1", "e2"] {
        assert!(matches!(
            deliver(sink.as_mut(), id).await,
            Delivery::Taken(_)
        ));
        let mut space = vec![0; 9_000];
        let length = socket.recv(&mut space).await.unwrap();
        let line = std::str::from_utf8(&space[..length]).unwrap();
        assert!(
            line.starts_with("<106>1 2026-11-25T22:51:11.198Z db-01 nodeward "),
            "{line}"
        );
        assert_eq!(value(line, "id"), id);
        assert!(line.ends_with("] \u{feff}web.service is not healed"));
    }
}

#[tokio::test]
async fn the_local_socket_gets_the_form_its_daemons_read_and_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut sink = sink(&format!("local:{}", path.display()));
    let Delivery::Failed { why, .. } = deliver(sink.as_mut(), "e0").await else {
        panic!("nobody is there")
    };
    assert!(why.contains(path.to_str().unwrap()), "{why}");
    for id in ["e1", "e2"] {
        // A daemon that was started anew has a socket of its own.
        drop(std::fs::remove_file(&path));
        let daemon = UnixDatagram::bind(&path).unwrap();
        assert!(matches!(
            deliver(sink.as_mut(), id).await,
            Delivery::Taken(_)
        ));
        let mut space = vec![0; 9_000];
        let length = daemon.recv(&mut space).unwrap();
        let line = std::str::from_utf8(&space[..length]).unwrap();
        let tag = format!(
            " nodeward[{}]: [nodeward@32473 seq=\"7\" id=\"{id}\" ",
            std::process::id()
        );
        assert!(line.starts_with("<106>") && line.contains(&tag), "{line}");
        assert!(line.ends_with("\"] web.service is not healed"), "{line}");
    }
}

#[tokio::test]
async fn tls_is_spoken_with_a_certificate_and_to_who_is_trusted() {
    use crate::net::tls::tests::{Place, before};

    let place = Place::new();
    let (address, came) = receivers::tcp(Vec::new()).await;
    let required = crate::net::tls::ServerOptions {
        client_ca_file: Some(place.path("ca.pem")),
        ..place.serving(&place.authority.issue(&["localhost"]))
    };
    let at = before(address.strip_prefix("tcp://").unwrap(), required).await;
    let url = format!("tls://localhost:{}", at.port());
    let shown = place.showing("mine", &place.authority.issue(&["node.example"]));
    let with = |tls: serde_json::Value| -> Syslog {
        serde_json::from_value(serde_json::json!({"address": url, "tls": tls})).unwrap()
    };
    let known = with(serde_json::to_value(shown).unwrap());
    assert_eq!(known.faults(), []);
    let mut sink = known.sink(&Resolver::default()).unwrap();
    for id in ["e1", "e2"] {
        assert!(matches!(
            deliver(sink.as_mut(), id).await,
            Delivery::Taken(_)
        ));
    }
    until("both", || receivers::ids(&came) == ["e1", "e2"]).await;
    // With TLS 1.3 that is said after the first line was written.
    let mut sink = with(serde_json::json!({"ca_file": place.path("ca.pem")}))
        .sink(&Resolver::default())
        .unwrap();
    let Delivery::Failed { why, .. } = deliver(sink.as_mut(), "e3").await else {
        panic!("it takes nothing from who shows no certificate")
    };
    assert!(why.contains("set tls.cert_file"), "{why}");
    let mut sink = with(serde_json::json!({}))
        .sink(&Resolver::default())
        .unwrap();
    let Delivery::Failed { why, .. } = deliver(sink.as_mut(), "e3").await else {
        panic!("nobody vouches for it")
    };
    assert!(
        why.starts_with(&format!("send to {url}: ")) && why.contains("set tls.ca_file"),
        "{why}"
    );
}

#[tokio::test]
async fn a_webhook_by_https_is_posted_to_who_is_trusted() {
    use crate::net::tls::tests::{Place, before};
    use crate::notify::webhook::Webhook;

    let place = Place::new();
    let (url, came) = receivers::web(|_| Some("204 No Content")).await;
    let plain = url
        .strip_prefix("http://")
        .and_then(|url| url.strip_suffix("/hook"));
    let options = place.serving(&place.authority.issue(&["localhost"]));
    let at = before(plain.unwrap(), options).await;
    let url = format!("https://localhost:{}/hook", at.port());
    let with = |tls: serde_json::Value| -> Box<dyn Sink> {
        let options = serde_json::json!({"url": url, "tls": tls});
        let options: Webhook = serde_json::from_value(options).unwrap();
        assert_eq!(options.faults(), []);
        options.sink(&Resolver::default()).unwrap()
    };
    let mut known = with(serde_json::json!({"ca_file": place.path("ca.pem")}));
    assert!(matches!(
        deliver(known.as_mut(), "e1").await,
        Delivery::Taken(_)
    ));
    assert_eq!(came.lock().unwrap()[0].1["id"], "e1");
    let mut other = with(serde_json::json!({}));
    let Delivery::Failed { why, .. } = deliver(other.as_mut(), "e2").await else {
        panic!("nobody vouches for it")
    };
    assert!(why.contains("cannot connect to https://localhost"), "{why}");
}
