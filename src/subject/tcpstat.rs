//! TCP sockets by state, and the bytes that wait in them: sock_diag(7), or /proc/net/tcp and tcp6; and the sockets
//! themselves, by their ends, for Zabbix.
//!
//! On a lane of its own: a busy machine has a million of them.

use crate::dialect::prometheus::{Declared, Page};
use crate::host::{Pass, Sockets};
use crate::subject::sockets::{self as queries, Counted, Query, Wanted};
use crate::subject::{
    Absent, Asker, Invalid, Item, ItemError, Lane, Machine, NoOptions, Subject, Taken,
};

/// The subject.
pub struct Tcpstat;

crate::families! { Tcpstat:
    STATES gauge "node_tcp_connection_states" ["state"] "TCP sockets by state, and the bytes that wait in them";
}

/// States as the kernel numbers them, from 1.
const NAMES: &[(&str, u8)] = &[
    ("established", 1),
    ("syn_sent", 2),
    ("syn_recv", 3),
    ("fin_wait1", 4),
    ("fin_wait2", 5),
    ("time_wait", 6),
    ("close", 7),
    ("close_wait", 8),
    ("last_ack", 9),
    ("listen", 10),
    ("closing", 11),
];
const LISTEN: u8 = 10;
/// A request that is no socket yet, which files list with a state of its own.
const NEW_SYN_RECV: u8 = 12;
const SYN_RECV: u8 = 3;

/// How many sockets there are.
#[derive(Default)]
pub struct Reading {
    /// By state, in the order of the names.
    states: [u64; NAMES.len()],
    received: u64,
    sent: u64,
    counts: Vec<(Query, u64)>,
}

impl Counted for Tcpstat {
    const WAITS: u8 = LISTEN;
    const STATES: &'static [(&'static str, u8)] = NAMES;
    fn counts(reading: &Reading) -> &[(Query, u64)] {
        &reading.counts
    }
}

impl Subject for Tcpstat {
    const NAME: &'static str = "tcpstat";
    const ON: bool = true;
    const LANE: Lane = Lane::Own;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const KEYS: &'static [Item<Self>] = &[
        queries::waits("net.tcp.listen", "Whether a TCP socket listens on a port"),
        queries::counted(
            "net.tcp.socket.count",
            "TCP sockets; by near and far address or network, near and far port, state (established, syn_sent, syn_recv, fin_wait1, fin_wait2, time_wait, close, close_wait, last_ack, listen, closing)",
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
        let mut read = 0;
        for kind in [Sockets::Tcp, Sockets::Tcp6] {
            let taken = pass.sockets(kind, &mut |mut socket| {
                if socket.state == NEW_SYN_RECV {
                    socket.state = SYN_RECV;
                }
                let at = usize::from(socket.state).checked_sub(1);
                if let Some(count) = at.and_then(|at| reading.states.get_mut(at)) {
                    *count += 1;
                }
                reading.received = reading.received.wrapping_add(socket.received);
                reading.sent = reading.sent.wrapping_add(socket.sent);
                queries::count(&mut reading.counts, &socket);
            });
            match taken {
                Ok(0) => read += 1,
                Ok(bad) => {
                    read += 1;
                    let why = format!("{bad} lines are no sockets");
                    errors.push(ItemError::new("lines", kind.file().as_bytes(), why));
                }
                Err(e) if e.is_not_found() => {}
                // Half of the sockets would be a wrong number.
                Err(e) => return Err(e.into()),
            }
        }
        if read == 0 {
            return Err(Absent::NotHere("neither /proc/net/tcp nor tcp6".into()));
        }
        Ok(Taken::lacking(reading, errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut samples = page.family(&STATES);
        let mut some = false;
        for ((name, _), count) in NAMES.iter().zip(reading.states) {
            if count > 0 {
                samples.push([name], count);
                some = true;
            }
        }
        if some {
            samples.push(["rx_queued_bytes"], reading.received);
            samples.push(["tx_queued_bytes"], reading.sent);
        }
    }
}
