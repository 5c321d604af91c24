//! Sessions of services: established TCP connections to ports of this machine, from /proc/net/tcp and tcp6
//! (Documentation/networking/proc_net_tcp.rst).
//!
//! What a load balancer cannot tell of a service that it does not stand before. A connection counts if its local port is the service's: of one
//! within the machine the server's end, once. In one pass over the files, whatever the number of ports. On when `ports` are set.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::Pass;
use crate::host::parse::fields;
use crate::subject::{
    Absent, Answer, Args, Asker, Invalid, Item, Machine, Past, Said, Subject, Taken, Want as Wanted,
};

/// Most ports that are told.
const MOST: usize = 256;

/// The subject.
pub struct ServiceSessions;

/// Options of sessions of services.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Local TCP ports whose established connections are told, from 1 to 65535, at most 256. Any port turns the subject on. Default: none.
    #[schemars(length(max = 256), inner(range(min = 1)))]
    pub ports: Vec<u16>,
}

/// The ports to count connections of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Want(BTreeSet<u16>);

impl Want {
    /// These ports.
    pub fn ports(ports: impl IntoIterator<Item = u16>) -> Self {
        Self(ports.into_iter().collect())
    }
}

impl Wanted for Want {
    fn merge(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }
}

/// The established connections of each port that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading(BTreeMap<u16, u64>);

impl Reading {
    /// The connections of these ports together; a port that is named twice counts once.
    pub fn sessions(&self, ports: impl IntoIterator<Item = u16>) -> u64 {
        let ports = Want::ports(ports).0;
        ports.iter().filter_map(|port| self.0.get(port)).sum()
    }

    /// Counts a line of /proc/net/tcp or tcp6. A title or a cut line is no connection.
    fn line(&mut self, line: &[u8]) {
        let mut columns = fields(line).skip(1);
        let (Some(local), Some(_), Some(b"01")) = (columns.next(), columns.next(), columns.next())
        else {
            return;
        };
        let port = local.rsplit(|byte| *byte == b':').next().and_then(hex);
        if let Some(count) = port.and_then(|port| self.0.get_mut(&port)) {
            *count += 1;
        }
    }
}

/// Four digits, as the kernel writes a port.
fn hex(digits: &[u8]) -> Option<u16> {
    if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

crate::families! { ServiceSessions:
    SESSIONS gauge "nodeward_service_sessions" ["port"] "Established TCP connections to a local port";
}
crate::instruments! { ServiceSessions:
    TOLD updown int "nodeward.service_sessions" "{connections}" ["port"] "Established TCP connections to a local port";
}

const KEYS: &[Item<ServiceSessions>] = &[
    Item {
        name: "nodeward.service_sessions",
        parameters: &["port"],
        help: "Established TCP connections to a local port, 1 to 65535",
        want: |_, args| port(args).map(|port| Want::ports([port])),
        answer: Answer::Now(|_, reading: &Reading, args| {
            Ok(Value::from(reading.sessions([port(args)?])))
        }),
    },
    Item {
        name: "nodeward.service_sessions.discovery",
        parameters: &[],
        help: "The ports of subjects.service_sessions.ports, for low-level discovery",
        want: |_, _| Ok(Want::default()),
        answer: Answer::Now(discovery),
    },
];

fn port(args: &Args<'_>) -> Result<u16, Unsupported> {
    let text = args.param(0);
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = plain.then(|| text.parse().ok()).flatten();
    port.filter(|port| *port != 0)
        .ok_or(Unsupported::invalid_parameter(1))
}

fn discovery(options: &Options, _: &Reading, _: &Args<'_>) -> Said {
    let ports: BTreeSet<_> = options.ports.iter().collect();
    let found: Vec<_> = ports
        .into_iter()
        .map(|port| json!({"{#PORT}": port.to_string()}))
        .collect();
    Ok(Value::from(json!(found).to_string()))
}

impl Subject for ServiceSessions {
    const NAME: &'static str = "service_sessions";
    const ON: bool = false;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = KEYS;
    type Options = Options;
    type Want = Want;
    type Reading = Reading;

    fn asked(options: &Options) -> bool {
        !options.ports.is_empty()
    }

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let why = match &options.ports {
            ports if ports.len() > MOST => {
                format!("ports has {}, and {MOST} are the most", ports.len())
            }
            ports if ports.contains(&0) => "ports: 0 is no port; write 1 to 65535".to_owned(),
            _ => return Ok(Self),
        };
        Err(Invalid {
            subject: Self::NAME,
            why,
        })
    }

    fn want(options: &Options, _: Asker) -> Want {
        Want::ports(options.ports.iter().copied())
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Want) -> Result<Taken<Reading>, Absent> {
        let mut reading = Reading(want.0.iter().map(|port| (*port, 0)).collect());
        if want.0.is_empty() {
            return Ok(reading.into());
        }
        let ipv4 = pass.net_lines("tcp", &mut |line| reading.line(line));
        let ipv6 = pass.net_lines("tcp6", &mut |line| reading.line(line));
        match (ipv4, ipv6) {
            (Ok(()), Ok(())) => Ok(reading.into()),
            // A kernel without the one or the other.
            (Ok(()), Err(why)) | (Err(why), Ok(())) if why.is_not_found() => Ok(reading.into()),
            // Half of them would be fewer than there are.
            (Err(why), _) | (_, Err(why)) => Err(why.into()),
        }
    }

    fn prometheus(options: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut family = page.family(&SESSIONS);
        for port in Self::want(options, Asker::Prometheus).0 {
            family.push([&port.to_string()], reading.sessions([port]));
        }
    }

    fn otlp(options: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        let mut points = batch.instrument(&TOLD);
        for port in Self::want(options, Asker::Otlp).0 {
            points.push([&port.to_string()], past.now.sessions([port]));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::dialect::prometheus::{Format, Out};
    use crate::dialect::zabbix::key::Key;
    use crate::host::{Files, Host, Roots};

    fn machine(roots: Roots) -> Machine {
        Machine {
            host: Arc::new(Host::new(roots)),
            runtime: None,
        }
    }

    fn read(roots: Roots, want: &Want) -> Result<Reading, Absent> {
        let machine = machine(roots);
        let mut files = Files::default();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut pass = Pass::new(&machine.host, &mut files, deadline);
        let taken = ServiceSessions.read(&mut pass, want);
        taken.map(|taken| taken.reading)
    }

    /// The kernel's own count: connections that the test itself holds.
    #[test]
    fn counts_the_servers_end_of_connections_that_are_established() {
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(TcpListener::bind);
        // Where there is no IPv6, the other is enough.
        for listener in listeners.into_iter().flatten() {
            let place = listener.local_addr().unwrap();
            let sessions = || {
                let want = Want::ports([place.port(), 1]);
                read(Roots::default(), &want)
                    .unwrap()
                    .sessions([place.port()])
            };
            assert_eq!(sessions(), 0, "a listener is no session");
            let mut ends: Vec<_> = (0..3)
                .map(|_| {
                    let client = TcpStream::connect(place).unwrap();
                    (client, listener.accept().unwrap())
                })
                .collect();
            assert_eq!(sessions(), 3);
            // The kernel takes the end of a connection on loopback before close(2) returns.
            drop(ends.pop());
            assert_eq!(sessions(), 2);
        }
    }

    #[test]
    fn a_line_counts_by_its_local_port_and_its_state() {
        let mut reading = Reading(BTreeMap::from([(8080, 0), (443, 0)]));
        for line in [
            "  sl  local_address rem_address   st tx_queue rx_queue",
            "   0: 0100007F:1F90 0100007F:C350 01 00000000:00000000",
            "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000",
            "   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000",
            "   3: 0100007F:1F90 0100007F:C351 06 00000000:00000000",
            "   4: 00000000000000000000000001000000:01BB 00000000000000000000000001000000:C350 01",
            "   5: 0100007F:01BC 0100007F:C350 01",
            "   6: 0100007F:1F9",
            "   7: 1F90 x 01",
            "   8: 0100007F:+F90 x 01",
            "   9: : x 01",
            "",
        ] {
            reading.line(line.as_bytes());
        }
        assert_eq!(reading.0, BTreeMap::from([(8080, 2), (443, 1)]));
        assert_eq!(reading.sessions([8080, 443, 443, 9]), 3);
    }

    #[test]
    fn a_reading_that_is_not_whole_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let roots = || Roots {
            procfs: dir.path().to_owned(),
            ..Roots::default()
        };
        let want = Want::ports([8080]);
        assert!(matches!(read(roots(), &want), Err(Absent::NotHere(_))));
        let net = dir.path().join("net");
        std::fs::create_dir(&net).unwrap();
        std::fs::write(net.join("tcp"), "title\n 0: 0:1F90 0:1 01 0\n").unwrap();
        assert_eq!(read(roots(), &want).unwrap().sessions([8080]), 1);
        std::fs::create_dir(net.join("tcp6")).unwrap();
        assert!(matches!(read(roots(), &want), Err(Absent::Failed(_))));
    }

    #[test]
    fn every_port_is_told_once_and_only_when_asked_for() {
        let options = Options {
            ports: vec![443, 80, 443],
        };
        assert!(ServiceSessions::asked(&options) && !ServiceSessions::asked(&Options::default()));
        let want = ServiceSessions::want(&options, Asker::Prometheus);
        let reading = Reading(want.0.iter().map(|port| (*port, 7)).collect());
        let mut out = Out::new(Format::Text, 0);
        ServiceSessions::prometheus(&options, &reading, &mut out.page());
        let page = String::from_utf8(out.finish()).unwrap();
        assert!(
            page.contains("nodeward_service_sessions{port=\"80\"} 7\n"),
            "{page}"
        );
        assert_eq!(page.matches("port=\"443\"").count(), 1);
        let key = Key::parse("nodeward.service_sessions.discovery").unwrap();
        let Answer::Now(say) = &KEYS[1].answer else {
            unreachable!()
        };
        let found = say(&options, &reading, &key).unwrap();
        assert_eq!(
            found,
            Value::from(r#"[{"{#PORT}":"80"},{"{#PORT}":"443"}]"#.to_owned())
        );
    }

    #[test]
    fn only_a_port_is_a_port() {
        for (key, right) in [
            ("[80]", true),
            ("[65535]", true),
            ("", false),
            ("[0]", false),
            ("[65536]", false),
            ("[+80]", false),
            ("[http]", false),
        ] {
            let key = format!("nodeward.service_sessions{key}");
            let want = (KEYS[0].want)(&Options::default(), &Key::parse(&key).unwrap());
            assert_eq!(want.is_ok(), right, "{key}");
        }
        for ports in [vec![0], vec![1; MOST + 1]] {
            let refused = ServiceSessions::new(&Options { ports }, &machine(Roots::default()));
            assert!(refused.is_err());
        }
    }
}
