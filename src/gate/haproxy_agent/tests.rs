use tokio::net::TcpStream;

use super::*;
use crate::gate::{Say, Words};
use crate::net::accept;
use crate::net::bind::Bound;
use crate::net::stream::Peer;

fn asker(last: u8) -> askers::Asker {
    (0, IpAddr::from([10, 0, 0, last]))
}

/// What an asker is answered, and gets.
fn ask(askers: &mut Askers, last: u8) -> String {
    let (line, word) = askers.line(asker(last));
    assert!(askers.had(asker(last), word, Instant::now()));
    line.trim_end().to_owned()
}

#[test]
fn steady_it_says_nothing_that_would_change_what_others_have_set() {
    let mut askers = Askers::default();
    assert_eq!(ask(&mut askers, 1), "up");
    askers.tell(Say::In(100), false);
    assert_eq!(ask(&mut askers, 1), "up");
    assert!(askers.have_heard(Instant::now()));
}

#[test]
fn each_that_was_told_gets_ready_twice_and_nobody_else_does() {
    let now = Instant::now();
    let mut askers = Askers::default();
    askers.tell(Say::Drain, false);
    assert!(!askers.have_heard(now), "nobody has asked");
    assert_eq!(ask(&mut askers, 1), "drain");
    assert!(askers.have_heard(now));
    askers.tell(Say::Out, false);
    assert!(!askers.have_heard(now));
    assert_eq!(ask(&mut askers, 1), "maint");
    askers.tell(Say::In(100), true);
    // This one was never told anything: what it has is not ours.
    assert_eq!(ask(&mut askers, 2), "up 100%");
    assert_eq!(ask(&mut askers, 1), "ready up 100%");
    assert!(!askers.have_heard(now), "once is not enough");
    assert_eq!(ask(&mut askers, 1), "ready up 100%");
    assert!(askers.have_heard(now));
    assert_eq!(ask(&mut askers, 1), "up 100%");
    askers.tell(Say::In(100), false);
    assert_eq!(ask(&mut askers, 1), "up");
}

#[test]
fn after_a_restart_whoever_asks_may_have_been_told() {
    let mut askers = Askers::default();
    askers.tell(Say::Out, true);
    askers.tell(Say::In(100), true);
    assert!(!askers.have_heard(Instant::now()));
    for words in ["ready up 100%", "ready up 100%", "up 100%"] {
        assert_eq!(ask(&mut askers, 1), words);
    }
    // Lifted before the restart.
    let mut askers = Askers::default();
    askers.tell(Say::In(100), true);
    assert_eq!(ask(&mut askers, 1), "ready up 100%");
}

#[test]
fn a_share_grows_without_ready_again() {
    let mut askers = Askers::default();
    askers.tell(Say::Drain, false);
    ask(&mut askers, 1);
    askers.tell(Say::In(10), true);
    assert_eq!(ask(&mut askers, 1), "ready up 10%");
    askers.tell(Say::In(20), true);
    assert_eq!(ask(&mut askers, 1), "ready up 20%");
    assert_eq!(ask(&mut askers, 1), "up 20%");
    // Held again, lifted again.
    askers.tell(Say::Drain, true);
    assert_eq!(ask(&mut askers, 1), "drain");
    askers.tell(Say::In(100), true);
    assert_eq!(ask(&mut askers, 1), "ready up 100%");
}

#[test]
fn who_comes_late_still_gets_ready_unless_another_is_to_lift() {
    let mut askers = Askers::default();
    askers.tell(Say::Out, false);
    ask(&mut askers, 1);
    ask(&mut askers, 2);
    askers.tell(Say::In(100), true);
    ask(&mut askers, 1);
    ask(&mut askers, 1);
    askers.tell(Say::In(100), false);
    for words in ["ready up 100%", "ready up 100%", "up"] {
        assert_eq!(ask(&mut askers, 2), words);
    }
    let mut askers = Askers::default();
    askers.tell(Say::Out, false);
    ask(&mut askers, 1);
    askers.tell(Say::In(100), false);
    assert_eq!(ask(&mut askers, 1), "up");
    assert!(askers.have_heard(Instant::now()));
}

#[test]
fn an_answer_that_was_under_way_when_the_word_changed_counts_as_what_it_was() {
    let now = Instant::now();
    let mut askers = Askers::default();
    askers.tell(Say::Out, false);
    let (_, maint) = askers.line(asker(1));
    askers.tell(Say::In(100), true);
    askers.had(asker(1), maint, now);
    assert!(!askers.have_heard(now));
    assert_eq!(ask(&mut askers, 1), "ready up 100%");
}

#[test]
fn one_that_asks_no_more_is_waited_for_as_long_as_it_used_to_take() {
    let begun = Instant::now();
    let at = |seconds: u64| begun + Duration::from_secs(seconds);
    let ask = |askers: &mut Askers, n: u8, seconds: u64| {
        let (_, word) = askers.line(asker(n));
        askers.had(asker(n), word, at(seconds));
    };
    let mut askers = Askers::default();
    askers.tell(Say::Out, false);
    // A HAProxy that asks every two seconds, one every twenty, and somebody who came by.
    ask(&mut askers, 3, 58);
    for second in (0..=60).step_by(2) {
        ask(&mut askers, 1, second);
    }
    for second in [20, 40, 60] {
        ask(&mut askers, 2, second);
    }
    assert!(askers.have_heard(at(60)));
    askers.tell(Say::In(100), true);
    let lift = |askers: &mut Askers, n: u8, until: u64| {
        ask(askers, n, until - 2);
        ask(askers, n, until);
    };
    lift(&mut askers, 1, 64);
    lift(&mut askers, 2, 64);
    assert!(!askers.have_heard(at(70)), "the third may come again");
    assert!(askers.have_heard(at(89)), "it did not");
    // One of those that always came is still to hear of it.
    let mut askers = Askers::default();
    askers.tell(Say::Out, false);
    for second in [0, 20, 40] {
        ask(&mut askers, 2, second);
    }
    askers.tell(Say::In(100), true);
    lift(&mut askers, 1, 44);
    assert!(!askers.have_heard(at(44 + 29)));
    assert!(!askers.have_heard(at(40 + 79)));
    // However rarely it came.
    let mut askers = Askers::default();
    askers.tell(Say::Out, false);
    ask(&mut askers, 2, 0);
    ask(&mut askers, 2, 3600);
    assert!(askers.have_heard(at(3600 + 119)));
    assert!(!askers.have_heard(at(3600 + 120)), "nobody asks");
}

#[test]
fn many_addresses_are_forgotten_oldest_first() {
    let mut askers = Askers::default();
    askers.tell(Say::Out, false);
    let now = Instant::now();
    for n in 0..1000_u32 {
        let asker = (0, IpAddr::from(n.to_be_bytes()));
        let (_, word) = askers.line(asker);
        let room = askers.had(asker, word, now + Duration::from_millis(n.into()));
        assert_eq!(room, n < 256, "{n}");
    }
    let late = now + Duration::from_secs(3600);
    assert!(!askers.have_heard(late), "none of them is there any more");
}

struct One(Arc<dyn Gate>, Address);

impl accept::Serve for One {
    async fn serve(self: Arc<Self>, stream: Stream, peer: Peer, _: accept::Drain) {
        let asked = self.0.asked().unwrap();
        asked
            .serve(&self.1.to_string(), stream, peer.ip().unwrap())
            .await;
    }
}

/// An agent that listens, and where.
async fn listening(allow: &[&str]) -> (Arc<dyn Gate>, std::net::SocketAddr) {
    let options = HaproxyAgent {
        listen: vec!["127.0.0.1:0".into()],
        allow: allow.iter().map(|&entry| entry.to_owned()).collect(),
    };
    let gate = options.gates(&World::default()).unwrap().remove(0);
    let at: Address = "127.0.0.1:0".parse().unwrap();
    let bound = Bound::to(&at, &Resolver::default()).await.unwrap();
    let local = bound.local().unwrap();
    let one = Arc::new(One(Arc::clone(&gate), at));
    let limits = accept::Limits::default();
    let serving = accept::accept(bound, one, limits, Arc::default(), std::future::pending());
    tokio::spawn(serving);
    (gate, local)
}

async fn read(mut stream: TcpStream) -> String {
    let mut said = String::new();
    // One that is refused may be reset.
    let _read = stream.read_to_string(&mut said).await;
    said
}

#[tokio::test]
async fn answers_one_line_at_once_whatever_the_client_sends() {
    let (gate, at) = listening(&["127.0.0.1"]).await;
    let silent = TcpStream::connect(at).await.unwrap();
    let mut talks = TcpStream::connect(at).await.unwrap();
    talks.write_all(&[b'x'; 1 << 16]).await.unwrap();
    assert_eq!(read(silent).await, "up\n");
    let mut line = [0; 3];
    talks.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"up\n");
    let gone = TcpStream::connect(at).await.unwrap();
    drop(gone);
    assert_eq!(read(TcpStream::connect(at).await.unwrap()).await, "up\n");
    let [answered, refused, ..] = gate.asked().unwrap().asks();
    assert!(
        answered.1 >= 3 && refused.1 == 0,
        "{answered:?} {refused:?}"
    );
}

#[tokio::test]
async fn who_may_not_ask_is_closed_without_a_word_and_counted() {
    let (gate, at) = listening(&["10.0.0.0/8"]).await;
    assert_eq!(read(TcpStream::connect(at).await.unwrap()).await, "");
    assert_eq!(gate.asked().unwrap().asks()[1], ("refused", 1));
    let wanted = Wanted {
        say: Say::Out,
        lifts: false,
        beside: Words::default(),
        recorded: true,
        why: String::new(),
    };
    let told = gate.tell(&wanted, Instant::now()).await;
    assert_eq!(told, Ok(Heard::NotYet), "it is nobody who has to hear");
}

#[test]
fn what_is_wrong_with_its_options_is_said_by_key() {
    let wrong = HaproxyAgent {
        listen: vec!["unix:/x".into(), ":9201".into(), "9201".into()],
        allow: vec!["10.0.0.5:80".into(), "lb.example".into()],
    };
    let keys: Vec<_> = wrong.faults().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["listen.0", "listen.2", "allow.0"]);
    let none = HaproxyAgent {
        listen: Vec::new(),
        allow: Vec::new(),
    };
    assert_eq!(none.faults().len(), 2);
    assert!(AllowList::parse(&private()).is_ok());
}
