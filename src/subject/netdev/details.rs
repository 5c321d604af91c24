//! What sysfs says of an interface, for the key `net.if.get` (Linux Documentation/ABI/testing/sysfs-class-net).

use std::str::FromStr;

use crate::host::parse::{label, trim};
use crate::host::{Pass, Root};

/// What sysfs says of an interface: texts are empty and numbers 0 where it says nothing.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub alias: String,
    pub mac: String,
    /// `loopback`, `physical` or `virtual`.
    pub kind: &'static str,
    /// In Mbit/s; -1 where the driver does not know.
    pub speed: i64,
    pub duplex: String,
    /// Whether an administrator wants it up.
    pub wanted_up: bool,
    pub operational: String,
    pub carrier: u64,
    pub carrier_changes: u64,
    pub carrier_up: u64,
    pub carrier_down: u64,
}

const IFF_UP: u64 = 1;
const ARPHRD_LOOPBACK: u64 = 772;

impl Details {
    pub(super) fn read(pass: &mut Pass<'_>, name: &str) -> Self {
        let dir = format!("class/net/{name}");
        let mut text = |file: &str| {
            let read = pass.once(Root::Sys, &format!("{dir}/{file}"));
            read.map_or_else(|_| String::new(), |text| label(trim(text)).into_owned())
        };
        let alias = text("ifalias");
        let mac = text("address");
        let duplex = text("duplex");
        let operational = text("operstate");
        let speed = number(&text("speed"));
        let carrier = number(&text("carrier"));
        let carrier_changes = number(&text("carrier_changes"));
        let carrier_up = number(&text("carrier_up_count"));
        let carrier_down = number(&text("carrier_down_count"));
        let hardware: u64 = number(&text("type"));
        let flags = text("flags");
        let flags = u64::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or_default();
        let kind = match pass.names(Root::Sys, &format!("{dir}/device")) {
            _ if hardware == ARPHRD_LOOPBACK => "loopback",
            Ok(names)
                if !names
                    .iter()
                    .any(|n| n.as_encoded_bytes().starts_with(b"virtfn")) =>
            {
                "physical"
            }
            _ => "virtual",
        };
        Self {
            alias,
            mac,
            kind,
            speed,
            duplex,
            wanted_up: flags & IFF_UP != 0,
            operational,
            carrier,
            carrier_changes,
            carrier_up,
            carrier_down,
        }
    }
}

fn number<N: FromStr + Default>(text: &str) -> N {
    text.parse().unwrap_or_default()
}
