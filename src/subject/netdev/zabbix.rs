//! Interfaces under the keys of the Zabbix agents.

use serde_json::json;

use super::{Interface, Netdev, Options, Reading, Want};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::model::pattern::Pattern;
use crate::subject::{Answer, Args, Item, Said};

/// Modes of a key, and the columns of /proc/net/dev that are summed for each.
type Modes = &'static [(&'static str, &'static [usize])];

static IN: Modes = &[
    ("bytes", &[0]),
    ("packets", &[1]),
    ("errors", &[2]),
    ("dropped", &[3]),
    ("overruns", &[4]),
    ("frame", &[5]),
    ("compressed", &[6]),
    ("multicast", &[7]),
];
static OUT: Modes = &[
    ("bytes", &[8]),
    ("packets", &[9]),
    ("errors", &[10]),
    ("dropped", &[11]),
    ("overruns", &[12]),
    ("collisions", &[13]),
    ("carrier", &[14]),
    ("compressed", &[15]),
];
static TOTAL: Modes = &[
    ("bytes", &[0, 8]),
    ("packets", &[1, 9]),
    ("errors", &[2, 10]),
    ("dropped", &[3, 11]),
    ("overruns", &[4, 12]),
    ("compressed", &[6, 15]),
];

pub(super) const KEYS: &[Item<Netdev>] = &[
    Item {
        name: "net.if.discovery",
        parameters: &[],
        help: "Network interfaces, for low-level discovery",
        want: |_, _| Ok(Want::default()),
        answer: Answer::Now(discovery),
    },
    Item {
        name: "net.if.get",
        parameters: &["regexp"],
        help: "Network interfaces with what is configured and counted of them",
        want: |_, args| {
            pattern(args)?;
            Ok(Want {
                details: true,
                ..Want::default()
            })
        },
        answer: Answer::Now(get),
    },
    Item {
        name: "net.if.in",
        parameters: &["if", "mode"],
        help: "What an interface received: bytes, packets, errors, dropped, overruns, frame, compressed, multicast",
        want: named,
        answer: Answer::Now(|_, reading, args| count(reading, args, IN)),
    },
    Item {
        name: "net.if.out",
        parameters: &["if", "mode"],
        help: "What an interface sent: bytes, packets, errors, dropped, overruns, collisions, carrier, compressed",
        want: named,
        answer: Answer::Now(|_, reading, args| count(reading, args, OUT)),
    },
    Item {
        name: "net.if.total",
        parameters: &["if", "mode"],
        help: "What an interface received and sent: bytes, packets, errors, dropped, overruns, compressed",
        want: named,
        answer: Answer::Now(|_, reading, args| count(reading, args, TOTAL)),
    },
    Item {
        name: "net.if.collisions",
        parameters: &["if"],
        help: "Collisions on an interface",
        want: named,
        answer: Answer::Now(|_, reading, args| sum(interface(reading, args)?, &[13])),
    },
    Item {
        name: "system.hw.macaddr",
        parameters: &["interface", "format"],
        help: "Hardware addresses of interfaces that have an address of IPv4, by a regular expression of their names; formats full (default: the name in front), short",
        want: |_, args| match args.param(1) {
            "" | "full" | "short" => Ok(Want {
                details: true,
                addresses: true,
                ..Want::default()
            }),
            _ => Err(Unsupported::invalid_parameter(2)),
        },
        answer: Answer::Now(hardware),
    },
];

fn named(_: &Options, args: &Args<'_>) -> Result<Want, Unsupported> {
    if args.param(0).is_empty() {
        return Err("Network interface name cannot be empty.".into());
    }
    Ok(Want::default())
}

fn interface<'a>(reading: &'a Reading, args: &Args<'_>) -> Result<&'a Interface, Unsupported> {
    let name = args.param(0);
    let found = reading.interfaces.iter().find(|i| &*i.name == name);
    found.ok_or_else(|| {
        "Cannot find information for this network interface in /proc/net/dev.".into()
    })
}

fn count(reading: &Reading, args: &Args<'_>, modes: Modes) -> Said {
    let interface = interface(reading, args)?;
    let mode = match args.param(1) {
        "" => "bytes",
        mode => mode,
    };
    let Some((_, columns)) = modes.iter().find(|(name, _)| *name == mode) else {
        return Err(Unsupported::invalid_parameter(2));
    };
    sum(interface, columns)
}

fn sum(interface: &Interface, columns: &[usize]) -> Said {
    let values = columns.iter().filter_map(|at| interface.columns.get(*at));
    Ok(Value::from(values.fold(0u64, |a, b| a.wrapping_add(*b))))
}

fn pattern(args: &Args<'_>) -> Result<Option<Pattern>, Unsupported> {
    match args.param(0) {
        "" => Ok(None),
        text => Pattern::new(text)
            .map(Some)
            .map_err(|_| Unsupported::invalid_parameter(1)),
    }
}

/// An expression that is none matches no interface, and is no error to the agents.
fn hardware(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let pattern = match args.param(0) {
        "" | "all" => None,
        text => match Pattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(_) => return Ok(Value::from("")),
        },
    };
    let of_ipv4 = |name: &str| {
        let mut addresses = reading.addresses.iter();
        addresses.any(|a| &*a.device == name && !a.address.contains(':'))
    };
    let mut told: Vec<String> = Vec::new();
    for interface in &reading.interfaces {
        let Some(details) = &interface.details else {
            continue;
        };
        let meant = pattern.as_ref().is_none_or(|p| p.matches(&interface.name));
        if meant && details.kind != "loopback" && of_ipv4(&interface.name) {
            told.push(match args.param(1) {
                "short" => details.mac.clone(),
                _ => format!("[{}] {}", interface.name, details.mac),
            });
        }
    }
    told.sort_unstable();
    told.dedup();
    Ok(Value::from(told.join(", ")))
}

/// The shape that the template of Zabbix 8.0 takes apart.
fn get(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let pattern = pattern(args)?;
    let counted = |interface: &Interface, modes: Modes| -> serde_json::Map<_, _> {
        let of = |at: &usize| interface.columns.get(*at).copied();
        modes
            .iter()
            .map(|(mode, at)| ((*mode).to_owned(), at.first().and_then(of).into()))
            .collect()
    };
    let up = |up: bool| if up { "up" } else { "down" };
    let mut config = Vec::new();
    let mut values = Vec::new();
    for interface in &reading.interfaces {
        let Some(details) = &interface.details else {
            continue;
        };
        if pattern
            .as_ref()
            .is_some_and(|p| !p.matches(&interface.name))
        {
            continue;
        }
        config.push(json!({
            "name": interface.name,
            "ifalias": details.alias,
            "mac": details.mac,
            "type": details.kind,
            "speed": details.speed,
            "duplex": details.duplex,
            "administrative_state": up(details.wanted_up),
            "operational_state": details.operational,
            "carrier": details.carrier,
        }));
        values.push(json!({
            "name": interface.name,
            "ifalias": details.alias,
            "mac": details.mac,
            "carrier": details.carrier,
            "carrier_changes": details.carrier_changes,
            "carrier_up_count": details.carrier_up,
            "carrier_down_count": details.carrier_down,
            "in": counted(interface, IN),
            "out": counted(interface, OUT),
        }));
    }
    Ok(Value::from(
        json!({"config": config, "values": values}).to_string(),
    ))
}

fn discovery(_: &Options, reading: &Reading, _: &Args<'_>) -> Said {
    #[derive(serde::Serialize)]
    struct Found<'a> {
        #[serde(rename = "{#IFNAME}")]
        name: &'a str,
    }
    let found: Vec<_> = reading
        .interfaces
        .iter()
        .map(|i| Found { name: &i.name })
        .collect();
    serde_json::to_string(&found)
        .map(Value::from)
        .map_err(|e| format!("Cannot write the answer: {e}").into())
}
