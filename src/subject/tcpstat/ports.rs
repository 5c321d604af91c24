//! Sockets by the port that is listened on: connections by state, and who waits to be accepted.
//!
//! Only ports with a listener are told, the lowest first and no more than `max_ports`, so that the series are those of services and a
//! port of a client's end is none.

use std::collections::BTreeMap;

use super::{LISTEN, NAMES, Reading, Tcpstat};
use crate::dialect::otlp::Batch;
use crate::dialect::prometheus::Page;
use crate::host::Socket;

crate::families! { Tcpstat:
    CONNECTIONS gauge "nodeward_tcpstat_port_connections" ["port", "state"] "Connections to a port that is listened on, by state; established at 0 too";
    QUEUE gauge "nodeward_tcpstat_accept_queue" ["port"] "Connections to a port that wait to be accepted";
    QUEUE_LIMIT gauge "nodeward_tcpstat_accept_queue_limit" ["port"] "Connections to a port that may wait to be accepted: the backlogs of its listeners";
}
crate::instruments! { Tcpstat:
    COUNT updown int "nodeward.tcpstat.port.connections" "{connections}" ["port", "state"] "Connections to a port that is listened on, by state; established at 0 too";
    WAITING updown int "nodeward.tcpstat.accept_queue" "{connections}" ["port"] "Connections to a port that wait to be accepted";
    WAITING_LIMIT updown int "nodeward.tcpstat.accept_queue.limit" "{connections}" ["port"] "Connections to a port that may wait to be accepted: the backlogs of its listeners";
    LEFT_OUT gauge int "nodeward.tcpstat.ports.left_out" "{ports}" [] "Ports not told since max_ports are told already";
}

/// What is told of one port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Port {
    /// By state, in the order of their names.
    pub states: [u64; NAMES.len()],
    /// Connections that wait to be accepted, at all its listeners.
    pub waiting: u64,
    /// How many may; 0 where it is not told: files do not have it.
    pub limit: u64,
}

/// The ports that are told.
#[derive(Debug)]
pub struct Ports {
    most: usize,
    told: BTreeMap<u16, Port>,
    /// A bit a port, whether it is listened on.
    known: Box<[u64; 1024]>,
}

impl Ports {
    /// None yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            told: BTreeMap::new(),
            known: Box::new([0; 1024]),
        }
    }

    /// Takes a socket. One that listens has to come before the connections to its port.
    pub fn add(&mut self, socket: &Socket) {
        let port = socket.local.port;
        if socket.state == LISTEN {
            if let Some(word) = self.known.get_mut(usize::from(port / 64)) {
                *word |= 1 << (port % 64);
            }
            let told = self.told.entry(port).or_default();
            told.waiting = told.waiting.saturating_add(socket.received);
            told.limit = told.limit.saturating_add(socket.sent);
            if self.told.len() > self.most {
                self.told.pop_last();
            }
        } else if let Some(told) = self.told.get_mut(&port) {
            let at = usize::from(socket.state).checked_sub(1);
            if let Some(count) = at.and_then(|at| told.states.get_mut(at)) {
                *count += 1;
            }
        }
    }

    /// What is told, by port.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Port)> {
        self.told.iter().map(|(number, port)| (*number, port))
    }

    /// One port; none if nobody listens there, or it is not among the first.
    pub fn get(&self, port: u16) -> Option<&Port> {
        self.told.get(&port)
    }

    /// Ports with a listener that are not told.
    pub fn left_out(&self) -> u64 {
        let known: u32 = self.known.iter().map(|word| word.count_ones()).sum();
        u64::from(known).saturating_sub(self.told.len() as u64)
    }
}

impl Port {
    /// The states that are told: established always, the others where there is a connection in them.
    fn states(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = NAMES.iter().zip(self.states);
        all.filter(|((name, _), count)| *count > 0 || *name == "established")
            .map(|((name, _), count)| (*name, count))
    }
}

pub(super) fn prometheus(reading: &Reading, page: &mut Page<'_, Tcpstat>) {
    let mut samples = page.family(&CONNECTIONS);
    for (number, port) in reading.ports.iter() {
        let number = number.to_string();
        for (state, count) in port.states() {
            samples.push([&*number, state], count);
        }
    }
    let mut samples = page.family(&QUEUE);
    for (number, port) in reading.ports.iter() {
        samples.push([&number.to_string()], port.waiting);
    }
    let mut samples = page.family(&QUEUE_LIMIT);
    for (number, port) in reading.ports.iter().filter(|(_, port)| port.limit > 0) {
        samples.push([&number.to_string()], port.limit);
    }
}

pub(super) fn otlp(reading: &Reading, batch: &mut Batch<'_, '_, Tcpstat>) {
    let mut points = batch.instrument(&COUNT);
    for (number, port) in reading.ports.iter() {
        let number = number.to_string();
        for (state, count) in port.states() {
            points.push([&*number, state], count);
        }
    }
    drop(points);
    let mut points = batch.instrument(&WAITING);
    for (number, port) in reading.ports.iter() {
        points.push([&number.to_string()], port.waiting);
    }
    drop(points);
    let mut points = batch.instrument(&WAITING_LIMIT);
    for (number, port) in reading.ports.iter().filter(|(_, port)| port.limit > 0) {
        points.push([&number.to_string()], port.limit);
    }
    drop(points);
    batch.value(&LEFT_OUT, reading.ports.left_out());
}
