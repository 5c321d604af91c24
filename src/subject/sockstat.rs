//! Sockets in use by protocol: /proc/net/sockstat and sockstat6 (net/ipv4/proc.c).

use crate::dialect::prometheus::{Declared, Family, Kind, Page, Rule, joined, listed};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::{LONGEST_TEXT, cut, label, lines, signed_of_any_base};
use crate::host::{Pass, page_size};
use crate::subject::{
    Absent, Answer, Args, Asker, Invalid, Item, ItemError, Machine, NoOptions, Said, Subject, Taken,
};

/// The subject.
pub struct Sockstat;

macro_rules! known {
    ($($field:literal $help:literal;)*) => {
        const COUNT: usize = [$($field),*].len();
        static TABLE: [Family<Sockstat, 0>; COUNT] =
            [$(Family::new(concat!("node_sockstat_", $field), Kind::Gauge, [], $help)),*];
    };
}

known! {
    "sockets_used" "Sockets of any kind";
    "TCP_inuse" "TCP sockets over IPv4";
    "TCP_orphan" "TCP sockets that no program holds any more";
    "TCP_tw" "TCP sockets in TIME_WAIT";
    "TCP_alloc" "TCP sockets that have memory";
    "TCP_mem" "Pages of memory that TCP takes";
    "TCP_mem_bytes" "Memory that TCP takes";
    "UDP_inuse" "UDP sockets over IPv4";
    "UDP_mem" "Pages of memory that UDP takes";
    "UDP_mem_bytes" "Memory that UDP takes";
    "UDPLITE_inuse" "UDP-Lite sockets over IPv4";
    "RAW_inuse" "Raw sockets over IPv4";
    "FRAG_inuse" "Datagrams of IPv4 that wait for the rest of their fragments";
    "FRAG_memory" "Memory their fragments take";
    "TCP6_inuse" "TCP sockets over IPv6";
    "UDP6_inuse" "UDP sockets over IPv6";
    "UDPLITE6_inuse" "UDP-Lite sockets over IPv6";
    "RAW6_inuse" "Raw sockets over IPv6";
    "FRAG6_inuse" "Datagrams of IPv6 that wait for the rest of their fragments";
    "FRAG6_memory" "Memory their fragments take";
}
static OTHERS: Rule<Sockstat, 0> = Rule::new(
    "node_sockstat_*",
    Kind::Gauge,
    [],
    "Sockets of another protocol",
);
static DECLARED: [&dyn Declared; COUNT + 1] = joined(&[&listed(&TABLE), &[&OTHERS]]);

/// Numbers of a protocol that are told, in this order; others are passed over.
const KEYS: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub struct Protocol {
    name: Box<str>,
    /// Its numbers in the order of the keys.
    numbers: [Option<i64>; KEYS.len()],
}

/// What the files say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reading {
    used: Option<i64>,
    protocols: Vec<Protocol>,
}

impl Reading {
    /// Adds the text of one of the files; a bad line joins `errors`. Only that of IPv4 says how many sockets there are.
    pub fn add(&mut self, text: &[u8], v4: bool, errors: &mut Vec<ItemError>) {
        for line in lines(cut(text, LONGEST_TEXT)) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match pairs(line) {
                Ok((b"sockets", pairs)) if v4 => {
                    let used = pairs.iter().rev().find(|(key, _)| *key == b"used");
                    self.used = Some(used.map_or(0, |(_, n)| *n));
                }
                Ok((b"sockets", _)) => {}
                Ok((name, pairs)) => {
                    // Told for each protocol, said or not.
                    let mut numbers = [Some(0), None, None, None, None, None];
                    for (key, number) in pairs {
                        let at = KEYS.iter().position(|known| known.as_bytes() == key);
                        if let Some(place) = at.and_then(|at| numbers.get_mut(at)) {
                            *place = Some(number);
                        }
                    }
                    self.protocols.push(Protocol {
                        name: label(name).into(),
                        numbers,
                    });
                }
                Err(why) => errors.push(ItemError::new("line", line, why)),
            }
        }
    }
}

type Pairs<'a> = Vec<(&'a [u8], i64)>;

fn pairs(line: &[u8]) -> Result<(&[u8], Pairs<'_>), &'static str> {
    let mut parts = line.split(|b| *b == b' ');
    let name = parts.next().unwrap_or_default();
    let name = name.strip_suffix(b":").unwrap_or(name);
    let mut pairs = Vec::new();
    while let Some(key) = parts.next() {
        let value = parts.next().ok_or("a name without a number")?;
        pairs.push((key, signed_of_any_base(value).ok_or("not a whole number")?));
    }
    match pairs.is_empty() {
        true => Err("no number"),
        false => Ok((name, pairs)),
    }
}

fn tell(name: &str, value: i64, page: &mut Page<'_, Sockstat>) {
    match TABLE.iter().find(|family| family.name() == name) {
        Some(family) => page.value(family, value),
        None => {
            let word = |c: char| c.is_ascii_alphanumeric() || c == ':';
            let clean: String = name
                .chars()
                .map(|c| if word(c) { c } else { '_' })
                .collect();
            page.made(&OTHERS, &clean).push([], value);
        }
    }
}

fn number(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    const NONE: Unsupported = Unsupported::new("This kernel does not tell it.");
    let number = match args.param(0) {
        "" => reading.used,
        protocol => {
            let what = KEYS
                .iter()
                .position(|key| *key == args.param(1))
                .unwrap_or(0);
            let known = reading
                .protocols
                .iter()
                .find(|known| &*known.name == protocol);
            known.and_then(|known| known.numbers.get(what).copied().flatten())
        }
    };
    let number = number.ok_or(NONE)?;
    Ok(Value::from(number.to_string()))
}

impl Subject for Sockstat {
    const NAME: &'static str = "sockstat";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    const KEYS: &'static [Item<Self>] = &[Item {
        name: "nodeward.sockstat",
        parameters: &["protocol", "what"],
        help: "Sockets of any kind; of a protocol (TCP, UDP, TCP6, ...) inuse (default), orphan, tw, alloc, mem (pages), memory (bytes)",
        want: |_, args| match args.param(1) {
            "" => Ok(()),
            what if KEYS.contains(&what) && !args.param(0).is_empty() => Ok(()),
            _ => Err(Unsupported::invalid_parameter(2)),
        },
        answer: Answer::Now(number),
    }];
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let mut reading = Reading::default();
        let mut errors = Vec::new();
        for (file, v4) in [("sockstat", true), ("sockstat6", false)] {
            match pass.net_file(file) {
                Ok(text) => reading.add(&text, v4, &mut errors),
                // A version of IP can be switched off.
                Err(e) if e.is_not_found() => {}
                Err(e) => errors.push(ItemError::new("file", file.as_bytes(), e.to_string())),
            }
        }
        Ok(Taken::lacking(reading, errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        if let Some(used) = reading.used {
            tell("node_sockstat_sockets_used", used, page);
        }
        let bytes = i64::try_from(page_size()).unwrap_or(4096);
        let mut name = String::new();
        let mut say = |protocol: &str, key: &str, value| {
            name.clear();
            name.extend(["node_sockstat_", protocol, "_", key]);
            tell(&name, value, page);
        };
        for protocol in &reading.protocols {
            for (key, number) in KEYS.iter().zip(protocol.numbers) {
                let Some(number) = number else { continue };
                say(&protocol.name, key, number);
                if *key == "mem" {
                    // Wraps in the reference too.
                    say(&protocol.name, "mem_bytes", number.wrapping_mul(bytes));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_a_line_and_a_bad_line_costs_itself() {
        let mut errors = Vec::new();
        let mut reading = Reading::default();
        let text = b"sockets: used 3\r\nTCP: inuse -1 other 5 mem 7\nUDP: inuse 1 orphan\nRAW: inuse  1\n\nNEW memory 4\nFRAG: inuse x\n";
        reading.add(text, true, &mut errors);
        reading.add(b"sockets: used 9\n", false, &mut errors);
        let protocol = |name: &str, numbers| Protocol {
            name: name.into(),
            numbers,
        };
        let wanted = Reading {
            used: Some(3),
            protocols: vec![
                protocol("TCP", [Some(-1), None, None, None, Some(7), None]),
                protocol("NEW", [Some(0), None, None, None, None, Some(4)]),
            ],
        };
        assert_eq!(reading, wanted);
        assert_eq!(errors.len(), 4);
    }
}
