//! The ways of syslog.

use std::os::unix::net::UnixDatagram;

use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::time::Instant;

use super::receivers::{self, frame, value};
use super::running::counts;
use super::*;
use crate::journal::Hash;
use crate::notify::syslog::Syslog;
use crate::notify::{Delivery, Kind as _, Lost, Message, Sink, Which};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn sink(address: &str) -> Box<dyn Sink> {
    let options: Syslog = serde_json::from_value(serde_json::json!({"address": address})).unwrap();
    options.sink(&Resolver::default()).unwrap()
}

async fn deliver(sink: &mut dyn Sink, id: &str) -> Delivery {
    let message = Message {
        event: &notice(id).into(),
        seq: 7,
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
    // The last minute's may still be lost, until the receiver leaves the config.
    assert_eq!(bench.waiting("soc"), 60);
    leaves(&notifiers, &bench).await;
    notifiers.stop(soon()).await;
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
    listens(&bench, "soc").await;
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
    leaves(&notifiers, &bench).await;
    notifiers.stop(soon()).await;
    assert_eq!(bench.records().len(), 6);
}

#[tokio::test]
async fn a_line_that_was_written_to_a_dead_connection_is_asked_for_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sink = sink(&format!("tcp://{}", listener.local_addr().unwrap()));
    let before = Instant::now();
    taken(sink.as_mut(), "e1").await;
    // Closed with the line unread, it is lost, although nothing follows.
    let (first, _) = listener.accept().await.unwrap();
    first.readable().await.unwrap();
    drop(first);
    let Lost { since, why } = lost(sink.as_mut()).await;
    assert!(since >= before);
    assert!(
        why.contains("the connection broke: Connection reset by peer"),
        "{why}"
    );
    taken(sink.as_mut(), "e1").await;
    let (second, _) = listener.accept().await.unwrap();
    let mut second = BufReader::new(second);
    assert_eq!(value(&frame(&mut second).await.unwrap(), "id"), "e1");
    // And where another follows at once, it comes before that one.
    let between = Instant::now();
    taken(sink.as_mut(), "e2").await;
    drop(second);
    let Delivery::Lost(Lost { since, .. }) = deliver(sink.as_mut(), "e3").await else {
        panic!("e2 may be lost")
    };
    assert!(since < between, "e1 was taken by the connection that died");
}

/// Takes the notifier out of the config, and has time pass until what it took is marked as delivered.
async fn leaves(notifiers: &Notifiers, bench: &Bench) {
    notifiers.change(&Options::new());
    for _ in 0..1_000 {
        if bench.waiting("soc") == 0 {
            return;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::time::resume();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("what it took is never marked");
}

async fn taken(sink: &mut dyn Sink, id: &str) {
    let delivery = deliver(sink, id).await;
    assert!(matches!(delivery, Delivery::Taken(_)), "{delivery:?}");
}

async fn lost(sink: &mut dyn Sink) -> Lost {
    let lost = tokio::time::timeout(Duration::from_secs(60), sink.lost()).await;
    lost.expect("a connection that ended is noticed")
}

#[tokio::test]
async fn a_receiver_that_ends_a_connection_in_order_has_what_it_was_sent_unless_that_was_young() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sink = sink(&format!("tcp://{}", listener.local_addr().unwrap()));
    // HAProxy gives up a server that does not answer after 20 s, by its usual settings.
    for (idle, has_it) in [(20, false), (35, true)] {
        taken(sink.as_mut(), "e1").await;
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        assert_eq!(value(&frame(&mut stream).await.unwrap(), "id"), "e1");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(idle)).await;
        tokio::time::resume();
        drop(stream);
        match (deliver(sink.as_mut(), "e2").await, has_it) {
            (Delivery::Lost(Lost { why, .. }), false) => assert!(why.contains("ended, 2"), "{why}"),
            (Delivery::Taken(_), true) => {
                let mut next = BufReader::new(listener.accept().await.unwrap().0);
                assert_eq!(value(&frame(&mut next).await.unwrap(), "id"), "e2");
            }
            (other, _) => panic!("{idle} s: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_a_receiver_that_reads_nothing_has_taken_is_asked_for_again() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let options = serde_json::json!({"address": format!("tcp://{}", listener.local_addr().unwrap()), "timeout": "200ms"});
    let options: Syslog = serde_json::from_value(options).unwrap();
    let mut sink = options.sink(&Resolver::default()).unwrap();
    let (taken, why) = until_not_taken(sink.as_mut()).await;
    assert!(taken > 1 && why.contains("timed out"), "{taken}: {why}");
}

/// How many lines were taken before one was not, and why.
async fn until_not_taken(sink: &mut dyn Sink) -> (usize, String) {
    let mut long = notice("e1");
    long.summary = "x".repeat(7_000);
    let message = Message {
        event: &long.into(),
        seq: 7,
        chain: Hash::ZERO,
    };
    for taken in 0..10_000 {
        match sink.deliver(&message).await {
            Delivery::Taken(_) => {}
            Delivery::Lost(Lost { why, .. }) => return (taken, why),
            other => panic!("{other:?}"),
        }
    }
    panic!("70 MB are in nobody's hands")
}

fn soc(address: &str) -> Options {
    options(&format!(
        r#"{{"soc": {{"to": {{"syslog": {{"address": "{address}"}}}}}}}}"#
    ))
}

#[tokio::test]
async fn a_receiver_that_ends_each_connection_young_is_told_again_after_growing_pauses_until_keep()
{
    let bench = Bench::new();
    bench
        .behind
        .store(8 * 24 * 60 * 60 * 1000, Ordering::Relaxed);
    let journal = bench.journal();
    let (address, came) = receivers::tcp(vec![2, 2, 2]).await;
    tell(&journal, "soc", ids(0..2)).await;
    let notifiers = bench.start(&soc(&address), &journal, QUICK);
    // Each was taken once, and lost, and is too old to be told again.
    until("both", || counts(&notifiers, "soc").2 == 2).await;
    assert_eq!(receivers::ids(&came), ids(0..2));
    assert!(
        counts(&notifiers, "soc").1 > 0,
        "a break counts as a try that failed"
    );
    leaves(&notifiers, &bench).await;
    let dropped = bench.records().pop().unwrap();
    let why = dropped["why"].as_str().unwrap();
    assert!(why.contains("7d") && why.contains("broke off"), "{why}");
    notifiers.stop(soon()).await;
}

#[tokio::test]
async fn what_was_lost_is_told_by_the_next_process_where_a_stop_comes_before_the_receiver_is_back()
{
    let bench = Bench::new();
    let journal = bench.journal();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let mut wanted = soc(&address);
    wanted.get_mut("soc").unwrap().records = vec![Which::Of(Kind::Alert)];
    let notifiers = bench.start(&wanted, &journal, QUICK);
    listens(&bench, "soc").await;
    let alert = || Commit::of(Entry::new(Kind::Alert).data(serde_json::json!({"text": "x"})));
    journal.commit(alert()).await.unwrap();
    tell(&journal, "soc", ids(0..1)).await;
    notifiers.wake();
    let (stream, _) = listener.accept().await.unwrap();
    until("that both count as taken", || {
        counts(&notifiers, "soc").0 == 2
    })
    .await;
    // The next come just as the connection ends with those unread.
    journal.commit(alert()).await.unwrap();
    tell(&journal, "soc", ids(1..2)).await;
    notifiers.wake();
    drop(stream);
    let away = tokio::spawn(hangs_up(listener, usize::MAX));
    until("failures", || counts(&notifiers, "soc").1 > 1).await;
    notifiers.stop(soon()).await;
    assert_eq!(bench.waiting("soc"), 2);
    journal.close().await;
    away.abort();

    let journal = bench.journal();
    let (address, came) = receivers::tcp(Vec::new()).await;
    let mut wanted = soc(&address);
    wanted.get_mut("soc").unwrap().records = vec![Which::Of(Kind::Alert)];
    let notifiers = bench.start(&wanted, &journal, QUICK);
    until("all", || came.lock().unwrap().len() == 4).await;
    let seqs: Vec<_> = came
        .lock()
        .unwrap()
        .iter()
        .map(|l| value(l, "seq"))
        .collect();
    assert_eq!(seqs, ["1", "2", "3", "4"]);
    notifiers.stop(soon()).await;
}

/// A receiver that takes two connections, one after the other, and who has told it of e0 on the first.
async fn told_the_first(
    bench: &Bench,
    journal: &Journal,
) -> (String, receivers::Came<String>, Notifiers) {
    let (address, came) = receivers::tcp(vec![usize::MAX]).await;
    let notifiers = bench.start(&soc(&address), journal, QUICK);
    tell(journal, "soc", ids(0..1)).await;
    notifiers.wake();
    until("the first", || receivers::ids(&came) == ids(0..1)).await;
    (address, came, notifiers)
}

#[tokio::test]
async fn what_a_connection_took_that_is_not_proven_yet_comes_again_after_a_stop() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (address, came, notifiers) = told_the_first(&bench, &journal).await;
    notifiers.stop(soon()).await;
    assert_eq!(bench.waiting("soc"), 1);
    tell(&journal, "soc", ids(1..2)).await;
    let notifiers = bench.start(&soc(&address), &journal, QUICK);
    until("both", || receivers::ids(&came) == ["e0", "e0", "e1"]).await;
    notifiers.stop(soon()).await;
}

#[tokio::test]
async fn a_notifier_that_is_taken_out_and_put_back_at_once_forgets_nothing() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (address, came, notifiers) = told_the_first(&bench, &journal).await;
    notifiers.change(&Options::new());
    // Its connection ends with its place in the config.
    notifiers.change(&soc(&address));
    until("it again", || receivers::ids(&came) == ["e0", "e0"]).await;
    notifiers.stop(soon()).await;
}

#[tokio::test]
async fn however_many_were_taken_they_come_again() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (address, came) = receivers::tcp(vec![1_000]).await;
    let body = |id: &String| serde_json::to_string(&notice(id)).unwrap();
    let outbox = ids(0..1_100).into_iter().map(|id| Outgoing {
        sink: "soc".into(),
        severity: Severity::Critical,
        body: body(&id),
        id,
        entry: None,
    });
    let commit = Commit {
        entries: vec![Entry::new(Kind::State).to("escalated")],
        outbox: outbox.collect(),
        ..Commit::default()
    };
    journal.commit(commit).await.unwrap();
    let notifiers = bench.start(&soc(&address), &journal, QUICK);
    until("all of it again", || came.lock().unwrap().len() >= 2_000).await;
    assert_eq!(receivers::ids(&came)[1_000..1_100], ids(0..100));
    assert_eq!(bench.waiting("soc"), 1_100);
    // What follows waits for those to be proven, and not for nobody to wake it.
    for _ in 0..1_000 {
        if receivers::ids(&came).last() == Some(&"e1099".to_owned()) {
            break;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::time::resume();
        notifiers.wake();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(once(&receivers::ids(&came)), ids(0..1_100));
    notifiers.stop(soon()).await;
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
