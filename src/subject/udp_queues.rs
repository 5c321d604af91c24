//! Bytes that wait in UDP sockets: /proc/net/udp and udp6; and the sockets themselves, by their ends, for Zabbix.

use crate::dialect::prometheus::{Declared, Page};
use crate::host::{Pass, Sockets};
use crate::subject::sockets::{self as queries, Counted, Query, Wanted};
use crate::subject::{Absent, Asker, Invalid, Item, ItemError, Machine, NoOptions, Subject, Taken};

/// The subject.
pub struct UdpQueues;

crate::families! { UdpQueues:
    QUEUES gauge "node_udp_queues" ["queue", "ip"] "Bytes that wait in UDP sockets";
}

/// States a UDP socket can be in: connected, or not.
const STATES: &[(&str, u8)] = &[("established", 1), ("unconn", 7)];
const UNCONNECTED: u8 = 7;

/// What waits by version of IP, and what was asked for beside it.
#[derive(Default)]
pub struct Reading {
    queues: Vec<(&'static str, [u64; 2])>,
    counts: Vec<(Query, u64)>,
}

impl Counted for UdpQueues {
    const WAITS: u8 = UNCONNECTED;
    const STATES: &'static [(&'static str, u8)] = STATES;
    fn counts(reading: &Reading) -> &[(Query, u64)] {
        &reading.counts
    }
}

impl Subject for UdpQueues {
    const NAME: &'static str = "udp_queues";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const KEYS: &'static [Item<Self>] = &[
        queries::waits("net.udp.listen", "Whether a UDP socket waits on a port"),
        queries::counted(
            "net.udp.socket.count",
            "UDP sockets; by near and far address or network, near and far port, state (established, unconn)",
        ),
    ];
    type Options = NoOptions;
    type Want = Wanted;
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) -> Wanted {
        Wanted::default()
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Wanted) -> Result<Taken<Reading>, Absent> {
        let mut reading = Reading {
            counts: want.none_yet(),
            ..Reading::default()
        };
        let mut errors = Vec::new();
        for (version, kind) in [("v4", Sockets::Udp), ("v6", Sockets::Udp6)] {
            let mut waiting = [0u64; 2];
            let read = pass.listed_sockets(kind, &mut |socket| {
                let [sent, received] = &mut waiting;
                *sent = sent.wrapping_add(socket.sent);
                *received = received.wrapping_add(socket.received);
                queries::count(&mut reading.counts, &socket);
            });
            match read {
                Ok(bad) => {
                    reading.queues.push((version, waiting));
                    if bad > 0 {
                        let why = format!("{bad} lines are no sockets");
                        errors.push(ItemError::new("lines", kind.file().as_bytes(), why));
                    }
                }
                Err(e) if e.is_not_found() => {}
                Err(e) => errors.push(ItemError::new("file", version.as_bytes(), e.to_string())),
            }
        }
        if reading.queues.is_empty() && errors.is_empty() {
            return Err(Absent::NotHere("neither /proc/net/udp nor udp6".into()));
        }
        Ok(Taken::lacking(reading, errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut samples = page.family(&QUEUES);
        for (version, waiting) in &reading.queues {
            for (queue, bytes) in ["tx", "rx"].into_iter().zip(waiting) {
                samples.push([queue, version], *bytes);
            }
        }
    }
}
