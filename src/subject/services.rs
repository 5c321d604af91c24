//! Whether services answer, for the keys `net.tcp.service`, `net.tcp.service.perf` and `net.tcp.port`: a connection, and for some the
//! greeting of their protocol.
//!
//! A key must not turn this host into a scanner of others: connections go to listed addresses only, by default to the host itself, and
//! no name is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::dialect::prometheus::{Declared, Page};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::{CallKey, Called, Pass};
use crate::subject::{
    Absent, Answer, Args, Asker, Invalid, Item, Lane, Machine, Said, Subject, Taken,
};

/// The subject.
pub struct Services;

/// Where keys may have connections made to.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Addresses to which `net.tcp.service` and `net.tcp.port` may connect. Default: `127.0.0.1` and `::1`; none switches the keys off.
    pub addresses: Vec<IpAddr>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        }
    }
}

/// A service: its name, its port, and how it greets who connects, if it does first.
struct Service(&'static str, Option<u16>, Option<&'static str>);

const SERVICES: [Service; 11] = [
    Service("tcp", None, None),
    Service("ftp", Some(21), Some("220")),
    Service("http", Some(80), None),
    Service("https", Some(443), None),
    Service("imap", Some(143), Some("* OK")),
    Service("ldap", Some(389), None),
    Service("nntp", Some(119), Some("200")),
    Service("pop", Some(110), Some("+OK")),
    Service("smtp", Some(25), Some("220")),
    Service("ssh", Some(22), Some("SSH-")),
    Service("telnet", Some(23), None),
];

/// What is asked: an address, and the greeting that is to come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask(SocketAddr, Option<&'static str>);

/// How long each took to answer; none of one that did not.
pub struct Reading(BTreeMap<Ask, Option<Duration>>);

fn address(options: &Options, text: &str) -> Result<IpAddr, Unsupported> {
    let address = match text {
        "" | "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        text => text.parse().ok(),
    };
    let address = address.filter(|address| options.addresses.contains(address));
    address.ok_or(Unsupported::UNSUPPORTED_KEY)
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn service(options: &Options, args: &Args<'_>) -> Result<Ask, Unsupported> {
    let known = SERVICES.iter().find(|known| known.0 == args.param(0));
    let known = known.ok_or(Unsupported::invalid_parameter(1))?;
    let port = match args.param(2) {
        "" => known.1,
        text => port(text),
    };
    let port = port.ok_or(Unsupported::invalid_parameter(3))?;
    let address = address(options, args.param(1))?;
    Ok(Ask(SocketAddr::new(address, port), known.2))
}

fn plain_port(options: &Options, args: &Args<'_>) -> Result<Ask, Unsupported> {
    let port = port(args.param(1)).ok_or(Unsupported::invalid_parameter(2))?;
    let address = address(options, args.param(0))?;
    Ok(Ask(SocketAddr::new(address, port), None))
}

fn answered(reading: &Reading, ask: &Ask) -> Result<Option<Duration>, Unsupported> {
    reading.0.get(ask).copied().ok_or(Unsupported::TIMED_OUT)
}

fn answers(reading: &Reading, ask: &Ask) -> Said {
    Ok(u64::from(answered(reading, ask)?.is_some()).into())
}

fn greets(ask: &Ask, limit: Instant) -> Option<Duration> {
    let start = Instant::now();
    let left = || {
        limit
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    };
    let mut stream = TcpStream::connect_timeout(&ask.0, left()?).ok()?;
    if let Some(greeting) = ask.1 {
        let mut said = [0; 4];
        let said = said.get_mut(..greeting.len())?;
        stream.set_read_timeout(Some(left()?)).ok()?;
        stream.read_exact(said).ok()?;
        if said != greeting.as_bytes() {
            return None;
        }
    }
    Some(start.elapsed())
}

impl Subject for Services {
    const NAME: &'static str = "services";
    const ON: bool = false;
    const LANE: Lane = Lane::Own;
    const FAMILIES: &'static [&'static dyn Declared] = &[];
    const KEYS: &'static [Item<Self>] = &[
        Item {
            name: "net.tcp.service",
            parameters: &["service", "ip", "port"],
            help: "Whether a service at an address of subjects.services.addresses answers: tcp, ftp, http, https, imap, ldap, nntp, pop, smtp, ssh, telnet; ip 127.0.0.1 (default)",
            want: |options, args| Ok([service(options, args)?].into()),
            answer: Answer::Now(|options, reading, args| {
                answers(reading, &service(options, args)?)
            }),
        },
        Item {
            name: "net.tcp.service.perf",
            parameters: &["service", "ip", "port"],
            help: "How long a service took to answer, in seconds; 0 of one that does not",
            want: |options, args| Ok([service(options, args)?].into()),
            answer: Answer::Now(|options, reading, args| {
                let took = answered(reading, &service(options, args)?)?;
                Ok(Value::from(took.unwrap_or_default().as_secs_f64()))
            }),
        },
        Item {
            name: "net.tcp.port",
            parameters: &["ip", "port"],
            help: "Whether a port at an address of subjects.services.addresses can be connected to; ip 127.0.0.1 (default)",
            want: |options, args| Ok([plain_port(options, args)?].into()),
            answer: Answer::Now(|options, reading, args| {
                answers(reading, &plain_port(options, args)?)
            }),
        },
    ];
    type Options = Options;
    type Want = BTreeSet<Ask>;
    type Reading = Reading;

    fn new(_: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &Options, _: Asker) -> BTreeSet<Ask> {
        BTreeSet::new()
    }

    fn read(
        &mut self,
        pass: &mut Pass<'_>,
        want: &BTreeSet<Ask>,
    ) -> Result<Taken<Reading>, Absent> {
        let limit = pass.limit(Duration::from_secs(3));
        let asks: BTreeMap<String, Ask> = want
            .iter()
            .map(|ask| (format!("{ask:?}"), ask.clone()))
            .collect();
        let keys = asks
            .keys()
            .map(|key| CallKey::from(OsStr::new(key)))
            .collect();
        let found = asks.clone();
        let connect =
            move |key: &OsStr| found.get(key.to_str()?).and_then(|ask| greets(ask, limit));
        let called = pass
            .host()
            .calls()
            .each("service", keys, pass.deadline(), connect);
        // What has not answered by now does not.
        let took = called.into_iter().map(|called| match called {
            Called::Done(took) => took,
            Called::Parked | Called::Busy => None,
        });
        Ok(Reading(asks.into_values().zip(took).collect()).into())
    }

    fn prometheus(_: &Options, _: &Reading, _: &mut Page<'_, Self>) {}
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn a_service_is_one_that_greets_as_its_protocol_has_it() {
        let machine = Captured::new(&[]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let greeter = std::thread::spawn(move || {
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(b"SSH-2.0-x\r\n").unwrap();
            }
        });
        for (service, is) in [("ssh", "1"), ("smtp", "0"), ("tcp", "1")] {
            let key = format!("net.tcp.service[{service},,{port}]");
            assert_eq!(machine.text::<Services>(&key), is, "{key}");
        }
        greeter.join().unwrap();
        for key in [
            format!("net.tcp.port[,{port}]"),
            format!("net.tcp.service[tcp,,{port}]"),
        ] {
            assert_eq!(machine.text::<Services>(&key), "0", "{key}");
        }
        let perf = machine.text::<Services>(&format!("net.tcp.service.perf[tcp,,{port}]"));
        assert_eq!(perf, "0.000000");
    }

    #[test]
    fn nothing_is_connected_to_that_is_not_listed() {
        let machine = Captured::new(&[]);
        let none = Options {
            addresses: Vec::new(),
        };
        for key in [
            "net.tcp.port[192.0.2.1,80]",
            "net.tcp.service[http,example.org]",
        ] {
            assert_eq!(
                machine.text::<Services>(key),
                "Unsupported item key.",
                "{key}"
            );
        }
        let said = machine.says::<Services>(&none, "net.tcp.port[,80]");
        assert_eq!(said, Err(Unsupported::UNSUPPORTED_KEY));
    }
}
