//! What the protocols count: /proc/net/netstat, /proc/net/snmp and /proc/net/snmp6
//! (Documentation/networking/snmp_counter.rst).

use crate::dialect::prometheus::{Declared, Family, Kind, Page, Rule, joined};
use crate::host::Pass;
use crate::host::parse::{LONGEST_TEXT, cut, fields, lines};
use crate::model::pattern::Pattern;
use crate::subject::fields::{Fields, Names, Told, count, tell};
use crate::subject::{Absent, Asker, Flag, Invalid, ItemError, Machine, Subject, Taken};

/// The subject.
pub struct Netstat {
    fields: Fields<Self>,
}

/// Options of what protocols count.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Fields to tell Prometheus, a regular expression of their names, such as `TcpExt_ListenDrops`. Default: those
    /// that node_exporter tells.
    pub fields: Option<Pattern>,
}

const DEFAULT: &str = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";

macro_rules! known {
    ($($field:literal $help:literal;)*) => {
        const COUNT: usize = [$($field),*].len();
        static TABLE: [Family<Netstat, 0>; COUNT] =
            [$(Family::new(concat!("node_netstat_", $field), Kind::Untyped, [], $help)),*];
    };
}

known! {
    "Icmp_InErrors" "ICMP messages received with an error";
    "Icmp_InMsgs" "ICMP messages received";
    "Icmp_OutMsgs" "ICMP messages sent";
    "IpExt_InOctets" "Bytes of IPv4 received";
    "IpExt_OutOctets" "Bytes of IPv4 sent";
    "Ip_Forwarding" "Whether IPv4 is forwarded: 1 yes, 2 no";
    "TcpExt_ListenDrops" "Connections dropped by a listener";
    "TcpExt_ListenOverflows" "Connections dropped, since too many waited at a listener";
    "TcpExt_SyncookiesFailed" "SYN cookies received that were invalid";
    "TcpExt_SyncookiesRecv" "SYN cookies received";
    "TcpExt_SyncookiesSent" "SYN cookies sent";
    "TcpExt_TCPOFOQueue" "Segments received out of order";
    "TcpExt_TCPRcvQDrop" "Segments dropped, since the queue was full";
    "TcpExt_TCPSynRetrans" "SYNs sent again";
    "TcpExt_TCPTimeouts" "Timeouts of retransmission";
    "Tcp_ActiveOpens" "TCP connections opened from here";
    "Tcp_CurrEstab" "TCP connections that are established";
    "Tcp_InErrs" "TCP segments received with an error";
    "Tcp_InSegs" "TCP segments received";
    "Tcp_MaxConn" "TCP connections there may be; -1: no limit. Not told by default";
    "Tcp_OutRsts" "TCP resets sent";
    "Tcp_OutSegs" "TCP segments sent";
    "Tcp_PassiveOpens" "TCP connections accepted";
    "Tcp_RetransSegs" "TCP segments sent again";
    "UdpLite_InErrors" "UDP-Lite datagrams received with an error";
    "Udp_InDatagrams" "UDP datagrams received";
    "Udp_InErrors" "UDP datagrams received with an error";
    "Udp_NoPorts" "UDP datagrams received that nobody waited for";
    "Udp_OutDatagrams" "UDP datagrams sent";
    "Udp_RcvbufErrors" "UDP datagrams dropped, since the receive buffer was full";
    "Udp_SndbufErrors" "UDP datagrams dropped, since the send buffer was full";
    "Icmp6_InErrors" "ICMPv6 messages received with an error";
    "Icmp6_InMsgs" "ICMPv6 messages received";
    "Icmp6_OutMsgs" "ICMPv6 messages sent";
    "Ip6_InOctets" "Bytes of IPv6 received";
    "Ip6_OutOctets" "Bytes of IPv6 sent";
    "Udp6_InDatagrams" "UDP datagrams received over IPv6";
    "Udp6_InErrors" "UDP datagrams received over IPv6 with an error";
    "Udp6_NoPorts" "UDP datagrams received over IPv6 that nobody waited for";
    "Udp6_OutDatagrams" "UDP datagrams sent over IPv6";
    "Udp6_RcvbufErrors" "UDP datagrams over IPv6 dropped, since the receive buffer was full";
    "Udp6_SndbufErrors" "UDP datagrams over IPv6 dropped, since the send buffer was full";
    "UdpLite6_InErrors" "UDP-Lite datagrams received over IPv6 with an error";
}
static OTHERS: Rule<Netstat, 0> = Rule::new(
    "node_netstat_*",
    Kind::Untyped,
    [],
    "A field of /proc/net/netstat, snmp or snmp6, with `fields`",
);
static KNOWN: [&Family<Netstat, 0>; COUNT] = referred();
static NAMES: Names<Netstat> = Names {
    prefix: "node_netstat_",
    known: &KNOWN,
    rule: &OTHERS,
};
static DECLARED: [&dyn Declared; COUNT + 1] =
    joined(&[&crate::dialect::prometheus::listed(&TABLE), &[&OTHERS]]);

#[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
const fn referred() -> [&'static Family<Netstat, 0>; COUNT] {
    let mut list = [&TABLE[0]; COUNT];
    let mut at = 0;
    while at < COUNT {
        list[at] = &TABLE[at];
        at += 1;
    }
    list
}

/// A field with its protocol and its number, as text.
pub type Field<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// The fields of /proc/net/netstat and snmp: pairs of lines, names above numbers. Of a pair that does not match nothing is
/// told, and it joins `errors`.
pub fn pairs<'a>(text: &'a [u8], errors: &mut Vec<ItemError>, each: &mut dyn FnMut(Field<'a>)) {
    let mut lines =
        lines(cut(text, LONGEST_TEXT)).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    while let Some(names) = lines.next() {
        let values = lines.next().unwrap_or_default();
        let split = |line: &'a [u8]| line.split(|b| *b == b' ');
        let Some((_, protocol)) = split(names).next().and_then(<[u8]>::split_last) else {
            continue;
        };
        if split(names).count() != split(values).count() {
            errors.push(ItemError::new(
                "protocol",
                protocol,
                "not as many numbers as names",
            ));
            continue;
        }
        for (name, value) in split(names).zip(split(values)).skip(1) {
            each((protocol, name, value));
        }
    }
}

/// The fields of /proc/net/snmp6: one a line, whose protocol ends with the first 6. A line without one is passed over.
pub fn singles<'a>(text: &'a [u8], each: &mut dyn FnMut(Field<'a>)) {
    for line in lines(cut(text, LONGEST_TEXT)) {
        let mut parts = fields(line);
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        let six = name.iter().position(|b| *b == b'6');
        if let Some((protocol, name)) = six.and_then(|at| name.split_at_checked(at + 1)) {
            each((protocol, name, value));
        }
    }
}

impl Subject for Netstat {
    const NAME: &'static str = "netstat";
    const ON: bool = true;
    const FLAGS: &'static [Flag<Options>] = &[Flag::value(
        "collector.netstat.fields",
        "Fields to tell, a regular expression",
        |o: &mut Options, v| {
            o.fields = Some(Pattern::new(v).map_err(|e| e.to_string())?);
            Ok(())
        },
    )];
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    type Options = Options;
    type Want = ();
    type Reading = Vec<(Told<Self>, f64)>;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let fields = Fields::new(Self::NAME, &NAMES, options.fields.as_ref(), DEFAULT)?;
        Ok(Self { fields })
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Self::Reading>, Absent> {
        let files = [
            pass.net_file("netstat"),
            pass.net_file("snmp"),
            pass.net_file("snmp6"),
        ];
        if let [Err(e), Err(_), Err(_)] = files {
            return Err(e.into());
        }
        let (mut errors, mut bad) = (Vec::new(), Vec::new());
        let mut told = Vec::new();
        let mut at = 0;
        let mut each = |(protocol, name, value): Field<'_>| {
            if let Some(family) = self.fields.told(at, protocol, name) {
                match count(value) {
                    Some(value) => told.push((family, value)),
                    None => bad.push(ItemError::new("field", name, "no number")),
                }
            }
            at += 1;
        };
        for (number, file) in files.iter().enumerate() {
            match file {
                Ok(text) if number < 2 => pairs(text, &mut errors, &mut each),
                Ok(text) => singles(text, &mut each),
                // There is none where IPv6 is switched off.
                Err(e) if e.is_not_found() && number == 2 => {}
                Err(e) => errors.push(ItemError::new("file", b"net", e.to_string())),
            }
        }
        errors.append(&mut bad);
        Ok(Taken::lacking(told, errors))
    }

    fn prometheus(_: &Options, reading: &Self::Reading, page: &mut Page<'_, Self>) {
        tell(&NAMES, reading, page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, usize) {
        let (mut all, mut errors) = (Vec::new(), Vec::new());
        let mut each = |(a, b, c): Field<'_>| {
            let [a, b, c] = [a, b, c].map(String::from_utf8_lossy);
            all.push(format!("{a}_{b}={c}"));
        };
        match text.contains(':') {
            true => pairs(text.as_bytes(), &mut errors, &mut each),
            false => singles(text.as_bytes(), &mut each),
        }
        (all, errors.len())
    }

    #[test]
    fn names_stand_above_their_numbers() {
        for (text, all, errors) in [
            (
                "Ip: A B\nIp: 1 2\nTcp: C\nTcp: 3\n",
                vec!["Ip_A=1", "Ip_B=2", "Tcp_C=3"],
                0,
            ),
            ("Ip: A\r\nOther 1\r\n", vec!["Ip_A=1"], 0),
            ("Ip: A B\nIp: 1\nTcp: C\nTcp: 3", vec!["Tcp_C=3"], 1),
            ("Ip: A  B\nIp: 1  2\n", vec!["Ip_A=1", "Ip_=", "Ip_B=2"], 0),
            ("\n\nIp: A\nIp: -3\nTcp:", vec!["Ip_A=-3"], 0),
        ] {
            let all: Vec<_> = all.into_iter().map(str::to_owned).collect();
            assert_eq!(read(text), (all, errors), "{text:?}");
        }
    }

    #[test]
    fn a_single_field_is_parted_behind_its_first_6() {
        let (all, _) = read("Ip6InOctets \t5\nIcmp6InType136 3 4\nnone 1\nUdp6NoPorts\n");
        assert_eq!(all, ["Ip6_InOctets=5", "Icmp6_InType136=3"]);
    }
}
