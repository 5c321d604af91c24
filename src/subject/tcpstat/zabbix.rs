//! The keys: those of the agents, and what waits at a port.

use serde_json::json;

use super::{Options, Reading, Tcpstat};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::subject::sockets::{self as queries, Wanted};
use crate::subject::tcpstat::ports::Port;
use crate::subject::{Answer, Args, Item, Said};

pub(super) const KEYS: &[Item<Tcpstat>] = &[
    queries::waits("net.tcp.listen", "Whether a TCP socket listens on a port"),
    queries::counted(
        "net.tcp.socket.count",
        "TCP sockets; by near and far address or network, near and far port, state (established, syn_sent, syn_recv, fin_wait1, fin_wait2, time_wait, close, close_wait, last_ack, listen, closing)",
    ),
    of_port(
        "nodeward.tcpstat.accept_queue",
        "Connections to a port that wait to be accepted",
        |_, reading, args| one(reading, args, |port| Some(port.waiting)),
    ),
    of_port(
        "nodeward.tcpstat.accept_queue.limit",
        "Connections to a port that may wait to be accepted",
        |_, reading, args| one(reading, args, |port| Some(port.limit).filter(|n| *n > 0)),
    ),
    Item {
        name: "nodeward.tcpstat.port.discovery",
        parameters: &[],
        help: "Ports that are listened on, at most subjects.tcpstat.max_ports, for low-level discovery",
        want: |_, _| Ok(Wanted::default()),
        answer: Answer::Now(|_, reading: &Reading, _| {
            let ports = reading.ports.iter();
            let found: Vec<_> = ports
                .map(|(port, _)| json!({"{#PORT}": port.to_string()}))
                .collect();
            Ok(Value::from(json!(found).to_string()))
        }),
    },
];

const fn of_port(
    name: &'static str,
    help: &'static str,
    say: fn(&Options, &Reading, &Args<'_>) -> Said,
) -> Item<Tcpstat> {
    Item {
        name,
        parameters: &["port"],
        help,
        want: |_, args| number(args).map(|_| Wanted::default()),
        answer: Answer::Now(say),
    }
}

fn number(args: &Args<'_>) -> Result<u16, Unsupported> {
    queries::port(args.param(0)).ok_or(Unsupported::invalid_parameter(1))
}

fn one(reading: &Reading, args: &Args<'_>, pick: fn(&Port) -> Option<u64>) -> Said {
    let port = reading.ports.get(number(args)?);
    let port = port.ok_or("Nobody listens on this port, or max_ports are told already.")?;
    let value = pick(port).ok_or("The kernel does not tell it here.")?;
    Ok(value.into())
}
