//! Interfaces and connections as hostmetrics names them.

use super::parse::STATES;
use super::{Netdev, Reading};
use crate::dialect::otlp::Batch;

crate::instruments! { Netdev:
    IO counter int "system.network.io" "By" ["device", "direction"] "Bytes received and sent";
    PACKETS counter int "system.network.packets" "{packets}" ["device", "direction"] "Packets received and sent";
    ERRORS counter int "system.network.errors" "{errors}" ["device", "direction"] "Errors while receiving and sending";
    DROPPED counter int "system.network.dropped" "{packets}" ["device", "direction"] "Packets dropped while receiving and sending";
    CONNECTIONS updown int "system.network.connections" "{connections}" ["protocol", "state"] "TCP sockets by state";
}

pub(super) fn tell(reading: &Reading, batch: &mut Batch<'_, '_, Netdev>) {
    for (instrument, received, sent) in [
        (&IO, 0, 8),
        (&PACKETS, 1, 9),
        (&ERRORS, 2, 10),
        (&DROPPED, 3, 11),
    ] {
        let mut points = batch.instrument(instrument);
        for interface in &reading.interfaces {
            for (direction, at) in [("receive", received), ("transmit", sent)] {
                if let Some(value) = interface.columns.get(at) {
                    points.push([&interface.name, direction], *value);
                }
            }
        }
    }
    if let Some(connections) = reading.connections {
        let mut points = batch.instrument(&CONNECTIONS);
        for (state, count) in STATES.iter().zip(connections) {
            points.push(["tcp", state], count);
        }
    }
}
