//! zabbix_agentd byte by byte: the same bytes are sent to it and to our passive server, and the same
//! bytes must come back, up to the close of the connection.
//!
//! Our server runs here in the test, without a subject behind it: only the protocol is compared.
//! Differences that are meant stand in one list with their reasons; one that no longer occurs fails.
#![allow(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "packets are damaged at known places, and a test that cannot go on fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use libtest_mimic::Failed;
use nodeward::dialect::zabbix::answer::{Answering, Answers, Unsupported};
use nodeward::dialect::zabbix::key::Key;
use nodeward::dialect::zabbix::packet;
use nodeward::dialect::zabbix::passive::{self, Options, Server};
use nodeward::net::bind::Bound;
use nodeward::net::resolve::Resolver;
use tokio::sync::{oneshot, watch};

use crate::PeerTest;
use crate::process::patience;
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::zabbix::agent;

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "zabbix_wire::the_classic_agent_and_ours_answer_with_the_same_bytes",
    needs: &[Peer::ZabbixAgent],
    run: same_bytes,
}];

/// Keys for plain packets; `no.such` stands where only the grammar is asked for.
const KEYS: &[&[u8]] = &[
    b"agent.ping",
    b"agent.hostname",
    b"agent.hostmetadata",
    b"agent.ping\n",
    b"agent.ping\r\n",
    b"agent.ping\n\n",
    b"agent.ping\0",
    b"agent.ping\0x",
    b"agent.ping ",
    b" agent.ping",
    b"agent.ping\t",
    b"\nagent.ping",
    b"agent.pi\nng",
    b"agent.ping[]",
    b"agent.ping[]\n",
    b"agent.ping[a]",
    b"agent.ping[\"\"]",
    b"agent.ping[",
    b"agent.ping]",
    b"agent.ping[]x",
    b"agent.ping[] ",
    b"agent.ping[a][b]",
    b"agent.ping:x",
    b"agent.hostname[]",
    b"agent.version[x]",
    b"Agent.ping",
    b"",
    b"\n",
    b" ",
    b"[",
    b"[]",
    b"a b",
    b"{",
    b"{a",
    b"\xc3\xa4",
    b"no.such\xff",
    b"no.such[\xff\xfe]",
    b"no.such",
    b"no.such[",
    b"no.such[]",
    b"no.such[,]",
    b"no.such[a b]",
    b"no.such[a]b]",
    b"no.such[[a]]",
    b"no.such[[a],[b]]",
    b"no.such[[a] , b]",
    b"no.such[[[a]]]",
    b"no.such[[a,[b]]]",
    b"no.such[[a[b]]",
    b"no.such[[a]x]",
    b"no.such[[a,\"b]\"]]",
    b"no.such[[a,\"b\"x]]",
    b"no.such[\"a]",
    b"no.such[\"a\"b]",
    b"no.such[\"a\" , b]",
    b"no.such[\"\\\"]",
    b"no.such[\"\\\\\"]",
    b"no.such[\"a\\\"\"]",
    b"no.such[a,\"b]",
    b"no.such[a\0]",
    b"no.such[\r\n]",
    b"system.run[id]",
    b"agent.version",
    b"agent.variant",
    b"{}",
    b"{\"request\":\"passive checks\",\"data\":[{\"key\":\"agent.ping\",\"timeout\":3}]}",
];

/// What is meant to differ.
const DIFFERENT: &[(&[u8], &str)] = &[
    (b"agent.version", "we are another program"),
    (
        b"agent.variant",
        "we answer as agent 2, which newer servers expect of more than the basics",
    ),
    (b"{}", "JSON came with 7.0, the agent here may be of 6.0"),
    (
        b"{\"request\":\"passive checks\",\"data\":[{\"key\":\"agent.ping\",\"timeout\":3}]}",
        "JSON came with 7.0, and the versions differ",
    ),
];

/// Bytes that are no plain packet with a key.
fn packets() -> Vec<Vec<u8>> {
    let ping = packet::encode(b"agent.ping");
    let compressed = packet::encode_compressed(b"agent.ping");
    let with = |packet: &[u8], at: usize, byte: u8| {
        let mut packet = packet.to_vec();
        packet[at] = byte;
        packet
    };
    vec![
        Vec::new(),
        b"Z".to_vec(),
        b"agent.ping\n".to_vec(),
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        ping[..9].to_vec(),
        ping[..20].to_vec(),
        [&ping[..], b"xyz"].concat(),
        with(&ping, 4, 0x00),
        with(&ping, 4, 0x02),
        with(&ping, 4, 0x05),
        with(&ping, 4, 0x08),
        with(&ping, 4, 0x09),
        with(&ping, 4, 0x11),
        with(&ping, 4, 0x41),
        with(&ping, 9, 77),
        with(&ping, 8, 0x7f),
        with(&ping, 8, 0xff),
        compressed.clone(),
        with(&compressed, 9, 0),
        with(&compressed, 9, 5),
        with(&compressed, 9, 50),
        with(&compressed, 13, 0),
        with(&compressed, compressed.len() - 1, 0),
        packet::encode_compressed(b""),
        packet::encode_compressed(b"no.such[a"),
    ]
}

fn same_bytes() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let more = "AllowRoot=1\nHostMetadata=linux";
    let (theirs, port) = agent(Peer::ZabbixAgent, more, &scratch)?;
    let theirs = (theirs, SocketAddr::from(([127, 0, 0, 1], port)));
    let ours = Ours::start()?;
    let keys = KEYS.iter().map(|key| (*key, packet::encode(key)));
    let packets = packets();
    let others = packets.iter().map(|bytes| (&bytes[..], bytes.clone()));
    let mut wrong = Vec::new();
    for (about, bytes) in keys.chain(others) {
        let reason = DIFFERENT.iter().find(|(key, _)| *key == about);
        let (expected, got) = (answer(theirs.1, &bytes)?, answer(ours.address, &bytes)?);
        let about = about.escape_ascii();
        let (expected_text, got_text) = (expected.escape_ascii(), got.escape_ascii());
        match reason {
            None if expected != got => {
                wrong.push(format!(
                    "{about}: ours {got_text}, the agent {expected_text}"
                ));
            }
            Some((_, reason)) if expected == got => {
                wrong.push(format!("{about}: no difference any more, though {reason}"));
            }
            _ => {}
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n").into())
    }
}

/// Everything that comes back. A reset counts as a close: it tells that bytes were left unread.
fn answer(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience()))?;
    let mut reply = Vec::new();
    let sent = stream
        .write_all(bytes)
        .and_then(|()| stream.shutdown(Shutdown::Write));
    match sent.and_then(|()| stream.read_to_end(&mut reply)) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err(format!("no close after {:?}", patience()).into())
        }
        _ => Ok(reply),
    }
}

/// Our passive server on a thread of its own, without a subject.
pub struct Ours {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Nothing;

impl Answers for Nothing {
    fn answer<'a>(&'a self, _: &'a Key<'a>, _: Instant) -> Answering<'a> {
        Box::pin(async { Err(Unsupported::UNSUPPORTED_KEY) })
    }
}

impl Ours {
    fn start() -> Result<Self, Failed> {
        let options = Options {
            server: vec!["127.0.0.1".to_owned()],
            hostname: Some("peer".to_owned()),
            host_metadata: "linux".to_owned(),
            ..Options::default()
        };
        Self::by(&options, Arc::default())
    }

    /// By these options, and counted there.
    pub fn by(options: &Options, counters: Arc<passive::Counters>) -> Result<Self, Failed> {
        let server = Server::new(
            options,
            "peer",
            Arc::new(Nothing),
            counters,
            Resolver::default(),
        )
        .map_err(|wrong| format!("{wrong:?}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let place = "127.0.0.1:0".parse().expect("an address");
                let bound = Bound::to(&place, &Resolver::default())
                    .await
                    .expect("a free port");
                tell.send(bound.local()).expect("the test waits for this");
                let (_current, server) = watch::channel(Arc::new(server));
                let stop = async { drop(stopped.await) };
                passive::serve(bound, server, patience(), stop).await;
            });
        });
        let address = told.recv()?.ok_or("no address")?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
