//! InfiniBand and RDMA adapters and their ports: /sys/class/infiniband (Linux Documentation/ABI/stable/sysfs-class-infiniband).
//!
//! Counters of data count words of 4 bytes; `counters_ext` is where kernels before 4.5 had those of 64 bits, and
//! `hw_counters` what a driver adds. A counter that a port has not is
//! left out, and what cannot be read costs itself.

use crate::dialect::prometheus::{Declared, Family, Kind, Page, joined, listed};
use crate::host::Pass;
use crate::host::parse::{label, unsigned, unsigned_of_any_base};
use crate::model::pattern::Pattern;
use crate::subject::filter::{Filter, pattern};
use crate::subject::{
    Absent, Asker, Flag, Invalid, ItemError, Lane, Machine, Subject, Taken, devices,
};

const CLASS: &str = "class/infiniband";
/// What a counter says on a port whose firmware does not count.
const NOT_COUNTED: &[u8] = b"N/A (no PMA)";

/// The subject.
pub struct Infiniband {
    devices: Filter,
}

/// Options of InfiniBand adapters.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Adapters to read; not with `device_exclude`. Default: all.
    pub device_include: Option<Pattern>,
    /// Adapters not to read. Default: none.
    pub device_exclude: Option<Pattern>,
}

macro_rules! counters {
    ($($family:literal $file:literal $scale:literal $help:literal;)*) => {
        const COUNT: usize = [$($file),*].len();
        /// One family a counter.
        static COUNTERS: [Family<Infiniband, 2>; COUNT] =
            [$(Family::new(concat!("node_infiniband_", $family, "_total"), Kind::Counter, ["device", "port"], $help)),*];
        /// Files of a port: its state, and one a counter.
        static FILES: [&str; COUNT + 4] = ["state", "phys_state", "rate", "hw_counters/lifespan", $($file),*];
        /// What one of each counts.
        const SCALES: [u64; COUNT] = [$($scale),*];
    };
}

counters! {
    "legacy_multicast_packets_received" "counters_ext/port_multicast_rcv_packets" 1 "Multicast packets received, of kernels before 4.5";
    "legacy_multicast_packets_transmitted" "counters_ext/port_multicast_xmit_packets" 1 "Multicast packets sent, of kernels before 4.5";
    "legacy_data_received_bytes" "counters_ext/port_rcv_data_64" 4 "Bytes received, of kernels before 4.5";
    "legacy_packets_received" "counters_ext/port_rcv_packets_64" 1 "Packets received, of kernels before 4.5";
    "legacy_unicast_packets_received" "counters_ext/port_unicast_rcv_packets" 1 "Unicast packets received, of kernels before 4.5";
    "legacy_unicast_packets_transmitted" "counters_ext/port_unicast_xmit_packets" 1 "Unicast packets sent, of kernels before 4.5";
    "legacy_data_transmitted_bytes" "counters_ext/port_xmit_data_64" 4 "Bytes sent, of kernels before 4.5";
    "legacy_packets_transmitted" "counters_ext/port_xmit_packets_64" 1 "Packets sent, of kernels before 4.5";
    "excessive_buffer_overrun_errors" "counters/excessive_buffer_overrun_errors" 1 "How often buffers were overrun for too long";
    "link_downed" "counters/link_downed" 1 "How often the link went down, failing to recover";
    "link_error_recovery" "counters/link_error_recovery" 1 "How often the link recovered from an error";
    "local_link_integrity_errors" "counters/local_link_integrity_errors" 1 "How often errors of the link went over the port's threshold";
    "multicast_packets_received" "counters/multicast_rcv_packets" 1 "Multicast packets received, those with errors included";
    "multicast_packets_transmitted" "counters/multicast_xmit_packets" 1 "Multicast packets sent, those with errors included";
    "port_constraint_errors_received" "counters/port_rcv_constraint_errors" 1 "Packets received and discarded by the switch's physical port";
    "port_constraint_errors_transmitted" "counters/port_xmit_constraint_errors" 1 "Packets not sent from the switch's physical port";
    "port_data_received_bytes" "counters/port_rcv_data" 4 "Bytes received on all links";
    "port_data_transmitted_bytes" "counters/port_xmit_data" 4 "Bytes sent on all links";
    "port_discards_received" "counters/port_rcv_discards" 1 "Packets discarded as they came in: the port was down or congested";
    "port_discards_transmitted" "counters/port_xmit_discards" 1 "Packets discarded as they went out: the port was down or congested";
    "port_errors_received" "counters/port_rcv_errors" 1 "Packets received with an error";
    "port_packets_received" "counters/port_rcv_packets" 1 "Packets received, those with errors included";
    "port_packets_transmitted" "counters/port_xmit_packets" 1 "Packets sent, those with errors included";
    "port_receive_remote_physical_errors" "counters/port_rcv_remote_physical_errors" 1 "Packets received that were marked bad on their way";
    "port_receive_switch_relay_errors" "counters/port_rcv_switch_relay_errors" 1 "Packets received that the switch could not pass on";
    "port_transmit_wait" "counters/port_xmit_wait" 1 "Ticks in which there was something to send, and nothing was sent";
    "symbol_error" "counters/symbol_error" 1 "Small errors of the link";
    "unicast_packets_received" "counters/unicast_rcv_packets" 1 "Unicast packets received, those with errors included";
    "unicast_packets_transmitted" "counters/unicast_xmit_packets" 1 "Unicast packets sent, those with errors included";
    "vl15_dropped" "counters/VL15_dropped" 1 "Packets of management dropped for want of room";
    "duplicate_requests_packets" "hw_counters/duplicate_request" 1 "Requests received again";
    "implied_nak_seq_errors" "hw_counters/implied_nak_seq_err" 1 "Acknowledgements whose number was beyond the one that was waited for";
    "local_ack_timeout_errors" "hw_counters/local_ack_timeout_err" 1 "Acknowledgements that did not come in time";
    "np_cnp_packets_sent" "hw_counters/np_cnp_sent" 1 "Notices of congestion sent";
    "np_ecn_marked_roce_packets_received" "hw_counters/np_ecn_marked_roce_packets" 1 "RoCE packets received that were marked for congestion";
    "out_of_buffer_drops" "hw_counters/out_of_buffer" 1 "Packets dropped since no receive buffer was posted";
    "out_of_sequence_packets_received" "hw_counters/out_of_sequence" 1 "Packets received out of order";
    "packet_sequence_errors" "hw_counters/packet_seq_err" 1 "Negative acknowledgements received for a wrong order";
    "req_cqes_errors" "hw_counters/req_cqe_error" 1 "Requests completed with an error";
    "req_cqes_flush_errors" "hw_counters/req_cqe_flush_error" 1 "Requests flushed with an error";
    "req_remote_access_errors" "hw_counters/req_remote_access_errors" 1 "Requests that the other side refused access";
    "req_remote_invalid_request_errors" "hw_counters/req_remote_invalid_request" 1 "Requests that the other side found invalid";
    "resp_cqes_errors" "hw_counters/resp_cqe_error" 1 "Responses completed with an error";
    "resp_cqes_flush_errors" "hw_counters/resp_cqe_flush_error" 1 "Responses flushed with an error";
    "resp_local_length_errors" "hw_counters/resp_local_length_error" 1 "Responses of a wrong length";
    "resp_remote_access_errors" "hw_counters/resp_remote_access_errors" 1 "Responses that were refused access";
    "rnr_nak_retry_packets_received" "hw_counters/rnr_nak_retry_err" 1 "Negative acknowledgements received of a receiver that was not ready";
    "roce_adp_retransmits" "hw_counters/roce_adp_retrans" 1 "Adaptive retransmissions of RoCE";
    "roce_adp_retransmits_timeout" "hw_counters/roce_adp_retrans_to" 1 "Adaptive retransmissions of RoCE that came to their timeout";
    "roce_slow_restart_used" "hw_counters/roce_slow_restart" 1 "How often RoCE restarted slowly";
    "roce_slow_restart_cnps" "hw_counters/roce_slow_restart_cnps" 1 "Notices of congestion made by a slow restart";
    "roce_slow_restart" "hw_counters/roce_slow_restart_trans" 1 "How often RoCE went over to a slow restart";
    "rp_cnp_packets_handled" "hw_counters/rp_cnp_handled" 1 "Notices of congestion that slowed this side down";
    "rp_cnp_ignored_packets_received" "hw_counters/rp_cnp_ignored" 1 "Notices of congestion received and ignored";
    "rx_atomic_requests" "hw_counters/rx_atomic_requests" 1 "Atomic requests received";
    "rx_dct_connect_requests" "hw_counters/rx_dct_connect" 1 "Requests received to connect dynamically";
    "rx_icrc_encapsulated_errors" "hw_counters/rx_icrc_encapsulated" 1 "RoCE packets received with a wrong checksum";
    "rx_read_requests" "hw_counters/rx_read_requests" 1 "Read requests received";
    "rx_write_requests" "hw_counters/rx_write_requests" 1 "Write requests received";
}

crate::families! { Infiniband:
    INFO gauge "node_infiniband_info" ["device", "board_id", "firmware_version", "hca_type"] "What an adapter says of itself";
    STATE gauge "node_infiniband_state_id" ["device", "port"] "State of a port: 0 no change, 1 down, 2 init, 3 armed, 4 active, 5 act defer";
    PHYSICAL gauge "node_infiniband_physical_state_id" ["device", "port"] "Physical state of a port: 0 no change, 1 sleep, 2 polling, 3 disabled, 4 shift, 5 link up, 6 recovering, 7 test";
    RATE gauge "node_infiniband_rate_bytes_per_second" ["device", "port"] "Bytes a second a port can carry";
    LIFESPAN gauge "node_infiniband_lifespan_seconds" ["device", "port"] "Whole seconds for which the hardware's own counters are kept before they are read anew";
}
static DECLARED: [&dyn Declared; COUNT + 5] = joined(&[FAMILIES, &listed(&COUNTERS)]);

/// What was read.
#[derive(Debug, Default)]
pub struct Reading(Vec<Adapter>);

#[derive(Debug)]
struct Adapter {
    name: String,
    /// Board, firmware, type; empty for what cannot be read.
    texts: [String; 3],
    ports: Vec<Port>,
}

#[derive(Debug)]
struct Port {
    number: String,
    /// State, physical state, bytes a second, and seconds that counters are kept.
    states: [Option<u64>; 4],
    /// In the order of the families.
    counters: [Option<u64>; COUNT],
}

type Parse = fn(&[u8]) -> Option<u64>;

/// The number of `4: ACTIVE`.
fn state(text: &[u8]) -> Option<u64> {
    let (number, word) = split(text, b':')?;
    unsigned(number.trim_ascii()).filter(|_| !word.contains(&b':'))
}

/// Bytes a second of `100 Gb/sec (4X EDR)`, as exact as 32 bits hold the number, as there.
fn rate(text: &[u8]) -> Option<u64> {
    let (number, _) = split(text, b' ')?;
    let gigabits: f32 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let bytes = f64::from(gigabits) * 125_000_000.0;
    (bytes >= 0.0 && bytes.is_finite()).then_some(bytes as u64)
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|b| *b == at)?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

impl Port {
    fn read(
        number: String,
        texts: devices::Texts<{ COUNT + 4 }>,
        item: &str,
        errors: &mut Vec<ItemError>,
    ) -> Self {
        let mut wrong = |file: &str| {
            errors.push(ItemError::new(
                "file",
                format!("{item}/{file}").as_bytes(),
                "it is not what it should be",
            ));
        };
        let mut texts = texts.into_iter().zip(FILES);
        let parsers: [Parse; 3] = [state, state, rate];
        let [state, physical, rate] = parsers.map(|parse| {
            let (text, file) = texts.next()?;
            let value = text.as_deref().and_then(parse);
            if value.is_none() {
                wrong(file);
            }
            value
        });
        let mut counter = |scale: u64| {
            let (text, file) = texts.next()?;
            let text = text.filter(|text| !text.starts_with(NOT_COUNTED))?;
            let value = unsigned_of_any_base(&text);
            if value.is_none() {
                wrong(file);
            }
            value.map(|value| value.wrapping_mul(scale))
        };
        // In milliseconds.
        let lifespan = counter(1).map(|lifespan| lifespan / 1000);
        let states = [state, physical, rate, lifespan];
        let counters = SCALES.map(counter);
        Self {
            number,
            states,
            counters,
        }
    }
}

impl Subject for Infiniband {
    const NAME: &'static str = "infiniband";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FLAGS: &'static [Flag<Options>] = &[
        Flag::value(
            "collector.infiniband.device-include",
            "Adapters to read, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.device_include = p),
        ),
        Flag::value(
            "collector.infiniband.device-exclude",
            "Adapters not to read, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.device_exclude = p),
        ),
    ];
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    type Options = Options;
    type Want = ();
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let (include, exclude) = (&options.device_include, &options.device_exclude);
        let filter = Filter::new(
            Self::NAME,
            "device",
            include.as_ref(),
            exclude.as_ref(),
            None,
        );
        Ok(Self { devices: filter? })
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let mut errors = Vec::new();
        let mut adapters = Vec::new();
        let passes = |name: &str| self.devices.passes(name);
        let files = &["board_id", "fw_ver", "hca_type"];
        for (name, texts) in devices::read(pass, CLASS, passes, files, &mut errors)? {
            let class = format!("{CLASS}/{name}/ports");
            let is = |port: &str| unsigned(port.as_bytes()).is_some();
            let found = devices::read(pass, &class, is, &FILES, &mut errors).unwrap_or_default();
            let ports = found.into_iter().map(|(number, texts)| {
                let item = format!("{name}/{number}");
                Port::read(number, texts, &item, &mut errors)
            });
            adapters.push(Adapter {
                ports: ports.collect(),
                texts: texts.map(|text| label(&text.unwrap_or_default()).into_owned()),
                name,
            });
        }
        Ok(Taken::lacking(Reading(adapters), errors))
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut info = page.family(&INFO);
        for Adapter { name, texts, .. } in &reading.0 {
            let [board, firmware, kind] = texts;
            info.push([name, board, firmware, kind], 1u64);
        }
        let states = [&STATE, &PHYSICAL, &RATE, &LIFESPAN].into_iter();
        for (at, family) in states.chain(&COUNTERS).enumerate() {
            let mut samples = page.family(family);
            for adapter in &reading.0 {
                for port in &adapter.ports {
                    let all = [&port.states[..], &port.counters].concat();
                    if let Some(value) = all.get(at).copied().flatten() {
                        samples.push([&adapter.name, &port.number], value);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn states_and_rates_are_numbers_before_words() {
        assert_eq!(state(b"4: ACTIVE"), Some(4));
        for bad in ["ACTIVE", "4", "x: A", "4: A: B", ""] {
            assert_eq!(state(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(rate(b"2.5 Gb/sec (1X SDR)"), Some(312_500_000));
        assert_eq!(rate(b"100 Gb/sec (4X EDR)"), Some(12_500_000_000));
        for bad in ["100", "x Gb/sec", "-1 Gb/sec", "inf Gb/sec", ""] {
            assert_eq!(rate(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_port_tells_what_it_has() {
        let port = "sys/class/infiniband/mlx4_0/ports/1";
        let files = [
            ("state", "4: ACTIVE\n"),
            ("phys_state", "LinkUp\n"),
            ("rate", "40 Gb/sec (4X QDR)\n"),
            ("counters/port_rcv_data", "0x10\n"),
            ("counters/link_downed", "N/A (no PMA)\n"),
            ("counters/port_xmit_wait", "many\n"),
            ("hw_counters/lifespan", "12999\n"),
        ];
        let paths = files.map(|(file, text)| (format!("{port}/{file}"), text));
        let paths: Vec<(&str, &str)> = paths
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect();
        let machine = Captured::new(&paths);
        machine.put("sys/class/infiniband/mlx4_0/fw_ver", "2.31\n");
        machine.put("sys/class/infiniband/mlx4_0/ports/x/state", "4: ACTIVE\n");
        machine.put("sys/class/infiniband/hfi1_0/fw_ver", "1\n");
        let (page, errors) = machine.page::<Infiniband>(&[("infiniband.device-exclude", "^hfi")]);
        assert_eq!(
            page,
            "node_infiniband_info{device=\"mlx4_0\",board_id=\"\",firmware_version=\"2.31\",hca_type=\"\"} 1\n\
             node_infiniband_state_id{device=\"mlx4_0\",port=\"1\"} 4\n\
             node_infiniband_rate_bytes_per_second{device=\"mlx4_0\",port=\"1\"} 5000000000\n\
             node_infiniband_lifespan_seconds{device=\"mlx4_0\",port=\"1\"} 12\n\
             node_infiniband_port_data_received_bytes_total{device=\"mlx4_0\",port=\"1\"} 64\n"
        );
        let items: Vec<&str> = errors
            .iter()
            .filter_map(|error| error.split(':').next())
            .collect();
        assert_eq!(
            items,
            [
                "file mlx4_0/1/phys_state",
                "file mlx4_0/1/counters/port_xmit_wait"
            ]
        );
    }
}
