//! Interfaces as node_exporter names them.

use super::{Interface, Netdev, Options, Reading};
use crate::dialect::prometheus::{Declared, Family, Kind, Page};

macro_rules! statistics {
    ($($name:ident $text:literal $help:literal;)*) => {
        $(
            static $name: Family<Netdev, 1> =
                Family::new(concat!("node_network_", $text, "_total"), Kind::Counter, ["device"], $help);
        )*
        pub(super) static FAMILIES: &[&dyn Declared] = &[$(&$name),*];
    };
}

statistics! {
    RECEIVE_BYTES "receive_bytes" "Bytes received";
    RECEIVE_PACKETS "receive_packets" "Packets received";
    RECEIVE_ERRS "receive_errs" "Errors while receiving";
    RECEIVE_DROP "receive_drop" "Received packets dropped, those missed for want of room included";
    RECEIVE_FIFO "receive_fifo" "Receive FIFO errors";
    RECEIVE_FRAME "receive_frame" "Received packets with a bad frame, length or checksum";
    RECEIVE_COMPRESSED "receive_compressed" "Compressed packets received";
    RECEIVE_MULTICAST "receive_multicast" "Multicast packets received";
    TRANSMIT_BYTES "transmit_bytes" "Bytes sent";
    TRANSMIT_PACKETS "transmit_packets" "Packets sent";
    TRANSMIT_ERRS "transmit_errs" "Errors while sending";
    TRANSMIT_DROP "transmit_drop" "Packets dropped while sending";
    TRANSMIT_FIFO "transmit_fifo" "Send FIFO errors";
    TRANSMIT_COLLS "transmit_colls" "Collisions while sending";
    TRANSMIT_CARRIER "transmit_carrier" "Packets not sent for want of a carrier, heartbeat or window, or aborted";
    TRANSMIT_COMPRESSED "transmit_compressed" "Compressed packets sent";
    RECEIVE_ERRORS "receive_errors" "Errors while receiving";
    RECEIVE_DROPPED "receive_dropped" "Received packets dropped";
    TRANSMIT_ERRORS "transmit_errors" "Errors while sending";
    TRANSMIT_DROPPED "transmit_dropped" "Packets dropped while sending";
}

/// What a family tells of an interface: its index there.
type Table = &'static [(&'static Family<Netdev, 1>, usize)];

/// The columns of /proc/net/dev.
static COLUMNS: Table = &[
    (&RECEIVE_BYTES, 0),
    (&RECEIVE_PACKETS, 1),
    (&RECEIVE_ERRS, 2),
    (&RECEIVE_DROP, 3),
    (&RECEIVE_FIFO, 4),
    (&RECEIVE_FRAME, 5),
    (&RECEIVE_COMPRESSED, 6),
    (&RECEIVE_MULTICAST, 7),
    (&TRANSMIT_BYTES, 8),
    (&TRANSMIT_PACKETS, 9),
    (&TRANSMIT_ERRS, 10),
    (&TRANSMIT_DROP, 11),
    (&TRANSMIT_FIFO, 12),
    (&TRANSMIT_COLLS, 13),
    (&TRANSMIT_CARRIER, 14),
    (&TRANSMIT_COMPRESSED, 15),
];

/// The columns of /proc/net/dev with `detailed_metrics`: no more is known, but four are called otherwise.
static RENAMED: Table = &[
    (&RECEIVE_BYTES, 0),
    (&RECEIVE_PACKETS, 1),
    (&RECEIVE_ERRORS, 2),
    (&RECEIVE_DROPPED, 3),
    (&RECEIVE_FIFO, 4),
    (&RECEIVE_FRAME, 5),
    (&RECEIVE_COMPRESSED, 6),
    (&RECEIVE_MULTICAST, 7),
    (&TRANSMIT_BYTES, 8),
    (&TRANSMIT_PACKETS, 9),
    (&TRANSMIT_ERRORS, 10),
    (&TRANSMIT_DROPPED, 11),
    (&TRANSMIT_FIFO, 12),
    (&TRANSMIT_COLLS, 13),
    (&TRANSMIT_CARRIER, 14),
    (&TRANSMIT_COMPRESSED, 15),
];

pub(super) fn tell(options: &Options, reading: &Reading, page: &mut Page<'_, Netdev>) {
    let table = if options.detailed_metrics {
        RENAMED
    } else {
        COLUMNS
    };
    let shown = |i: &&Interface| i.shown;
    for (family, at) in table {
        let mut samples = page.family(family);
        for interface in reading.interfaces.iter().filter(shown) {
            if let Some(value) = interface.columns.get(*at) {
                samples.push([&interface.name], *value);
            }
        }
    }
}
