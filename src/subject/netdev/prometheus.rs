//! Interfaces as node_exporter names them.

use super::{Interface, Netdev, Options, Reading};
use crate::dialect::prometheus::{Declared, Family, Kind, Page};

/// One number of an interface. Its family has the label `ifalias` only where the options ask for it.
struct Statistic {
    plain: Family<Netdev, 1>,
    aliased: Family<Netdev, 2>,
}

static ADDRESS_INFO: Family<Netdev, 4> = Family::new(
    "node_network_address_info",
    Kind::Gauge,
    ["address", "device", "netmask", "scope"],
    "Addresses of an interface, with `address_info`",
);

macro_rules! statistics {
    ($($name:ident $text:literal $help:literal;)*) => {
        $(
            static $name: Statistic = Statistic {
                plain: Family::new(concat!("node_network_", $text, "_total"), Kind::Counter, ["device"], $help),
                aliased: Family::new(
                    concat!("node_network_", $text, "_total"),
                    Kind::Counter,
                    ["device", "ifalias"],
                    $help,
                ),
            };
        )*
        pub(super) static FAMILIES: &[&dyn Declared] = &[$(&$name.plain,)* &ADDRESS_INFO];
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
    RECEIVE_NOHANDLER "receive_nohandler" "Received packets nobody handles, known by netlink alone";
    MULTICAST "multicast" "Multicast packets received, with `detailed_metrics`";
    COLLISIONS "collisions" "Collisions while sending, with `detailed_metrics`";
    RECEIVE_LENGTH_ERRORS "receive_length_errors" "Received packets of bad length, with `detailed_metrics`";
    RECEIVE_OVER_ERRORS "receive_over_errors" "Received packets too large for their buffer, with `detailed_metrics`";
    RECEIVE_CRC_ERRORS "receive_crc_errors" "Received packets with a bad checksum, with `detailed_metrics`";
    RECEIVE_FRAME_ERRORS "receive_frame_errors" "Received packets out of frame, with `detailed_metrics`";
    RECEIVE_FIFO_ERRORS "receive_fifo_errors" "Receive FIFO errors, with `detailed_metrics`";
    RECEIVE_MISSED_ERRORS "receive_missed_errors" "Packets missed for want of room, with `detailed_metrics`";
    TRANSMIT_ABORTED_ERRORS "transmit_aborted_errors" "Packets whose sending was aborted, with `detailed_metrics`";
    TRANSMIT_CARRIER_ERRORS "transmit_carrier_errors" "Packets not sent for want of a carrier, with `detailed_metrics`";
    TRANSMIT_FIFO_ERRORS "transmit_fifo_errors" "Send FIFO errors, with `detailed_metrics`";
    TRANSMIT_HEARTBEAT_ERRORS "transmit_heartbeat_errors" "Packets without a heartbeat, with `detailed_metrics`";
    TRANSMIT_WINDOW_ERRORS "transmit_window_errors" "Packets that collided late, with `detailed_metrics`";
}

/// Numbers, and where each stands among the columns or the counters of an interface.
type Table = &'static [(&'static Statistic, usize)];

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

/// The one counter of netlink's that no column has.
static UNHANDLED: Table = &[(&RECEIVE_NOHANDLER, 23)];

/// The counters of netlink, each under its own name.
static COUNTERS: Table = &[
    (&RECEIVE_PACKETS, 0),
    (&TRANSMIT_PACKETS, 1),
    (&RECEIVE_BYTES, 2),
    (&TRANSMIT_BYTES, 3),
    (&RECEIVE_ERRORS, 4),
    (&TRANSMIT_ERRORS, 5),
    (&RECEIVE_DROPPED, 6),
    (&TRANSMIT_DROPPED, 7),
    (&MULTICAST, 8),
    (&COLLISIONS, 9),
    (&RECEIVE_LENGTH_ERRORS, 10),
    (&RECEIVE_OVER_ERRORS, 11),
    (&RECEIVE_CRC_ERRORS, 12),
    (&RECEIVE_FRAME_ERRORS, 13),
    (&RECEIVE_FIFO_ERRORS, 14),
    (&RECEIVE_MISSED_ERRORS, 15),
    (&TRANSMIT_ABORTED_ERRORS, 16),
    (&TRANSMIT_CARRIER_ERRORS, 17),
    (&TRANSMIT_FIFO_ERRORS, 18),
    (&TRANSMIT_HEARTBEAT_ERRORS, 19),
    (&TRANSMIT_WINDOW_ERRORS, 20),
    (&RECEIVE_COMPRESSED, 21),
    (&TRANSMIT_COMPRESSED, 22),
    (&RECEIVE_NOHANDLER, 23),
];

pub(super) fn tell(options: &Options, reading: &Reading, page: &mut Page<'_, Netdev>) {
    let linked = reading.interfaces.iter().any(|i| i.counters.is_some());
    let columns = |i: &Interface, at: usize| i.columns.get(at).copied();
    let counters = |i: &Interface, at: usize| i.counters.as_ref()?.get(at).copied();
    match (options.detailed_metrics, linked) {
        (true, true) => write(options, reading, page, COUNTERS, counters),
        (true, false) => write(options, reading, page, RENAMED, columns),
        (false, _) => {
            write(options, reading, page, COLUMNS, columns);
            write(options, reading, page, UNHANDLED, counters);
        }
    }
    let mut samples = page.family(&ADDRESS_INFO);
    for a in &reading.addresses {
        samples.push([&a.address, &a.device, &a.prefix, a.scope], 1u64);
    }
}

fn write(
    options: &Options,
    reading: &Reading,
    page: &mut Page<'_, Netdev>,
    table: Table,
    number: impl Fn(&Interface, usize) -> Option<u64>,
) {
    let shown = || reading.interfaces.iter().filter(|i| i.shown);
    for (statistic, at) in table {
        let numbers = shown().filter_map(|i| Some((i, number(i, *at)?)));
        if options.label_ifalias {
            let mut samples = page.family(&statistic.aliased);
            numbers.for_each(|(i, value)| samples.push([&i.name, &i.alias], value));
        } else {
            let mut samples = page.family(&statistic.plain);
            numbers.for_each(|(i, value)| samples.push([&i.name], value));
        }
    }
}
