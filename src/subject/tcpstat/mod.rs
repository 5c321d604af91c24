//! TCP sockets by state, and the bytes that wait in them: sock_diag(7), or /proc/net/tcp and tcp6; and the sockets
//! themselves, by their ends, for Zabbix. Of each port that is listened on: its connections by state, and who waits there.
//!
//! On a lane of its own: a busy machine has a million of them.

pub mod ports;
mod zabbix;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page, joined};
use crate::host::Pass;
use crate::subject::sockets::{self as queries, Counted, Query, Wanted};
use crate::subject::{
    Absent, Asker, Invalid, Item, ItemError, Lane, Machine, Past, Subject, Taken,
};
use ports::Ports;

/// The subject.
pub struct Tcpstat {
    most: usize,
}

/// Options of TCP sockets.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Most ports of which connections and accept queues are told, of those that are listened on, the lowest first; how many are left
    /// out is counted. 0 tells none. Default: 64.
    pub max_ports: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_ports: 64 }
    }
}

crate::families! { Tcpstat:
    STATES gauge "node_tcp_connection_states" ["state"] "TCP sockets by state, and the bytes that wait in them";
}
static DECLARED: [&dyn Declared; 4] = joined(&[FAMILIES, ports::FAMILIES]);

/// States as the kernel numbers them, from 1.
pub const NAMES: &[(&str, u8)] = &[
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
pub struct Reading {
    /// By state, in the order of the names.
    states: [u64; NAMES.len()],
    received: u64,
    sent: u64,
    counts: Vec<(Query, u64)>,
    ports: Ports,
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
    /// hostmetrics tells connections by state, and so does `netdev`.
    const EXPORTED: bool = false;
    const LANE: Lane = Lane::Own;
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    const INSTRUMENTS: &'static [&'static dyn Named] = ports::INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = Options;
    type Want = Wanted;
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self {
            most: options.max_ports.into(),
        })
    }

    fn want(_: &Options, _: Asker) -> Wanted {
        Wanted::default()
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Wanted) -> Result<Taken<Reading>, Absent> {
        let mut reading = Reading {
            states: Default::default(),
            received: 0,
            sent: 0,
            counts: want.none_yet(),
            ports: Ports::new(self.most),
        };
        let read = pass.tcp_sockets(&mut |mut socket| {
            if socket.state == NEW_SYN_RECV {
                socket.state = SYN_RECV;
            }
            let at = usize::from(socket.state).checked_sub(1);
            if let Some(count) = at.and_then(|at| reading.states.get_mut(at)) {
                *count += 1;
            }
            reading.received = reading.received.wrapping_add(socket.received);
            reading.sent = reading.sent.wrapping_add(socket.sent);
            reading.ports.add(&socket);
            queries::count(&mut reading.counts, &socket);
        })?;
        if read.is_empty() {
            return Err(Absent::NotHere("neither /proc/net/tcp nor tcp6".into()));
        }
        let bad = read.into_iter().filter(|(_, bad)| *bad > 0);
        let errors = bad
            .map(|(kind, bad)| {
                let why = format!("{bad} lines are no sockets");
                ItemError::new("lines", kind.file().as_bytes(), why)
            })
            .collect();
        Ok(Taken::lacking(reading, errors))
    }

    fn left_out(reading: &Reading) -> u64 {
        reading.ports.left_out()
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
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
        ports::prometheus(reading, page);
    }

    fn otlp(_: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        ports::otlp(past.now, batch);
    }
}

#[cfg(test)]
mod tests;
