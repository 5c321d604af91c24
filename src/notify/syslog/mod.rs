//! Syslog: a server or SIEM by UDP, TCP or TLS in RFC 5424, or the local socket.
//!
//! Owns the way to the receiver. TCP frames by counting octets only: with a line break as the frame, whoever writes an alert
//! writes records. The local socket speaks the older form that its daemons read there, through the crate `syslog`.

mod cef;
mod ecs;
mod line;
mod local;
mod rfc5424;
mod tcp;
mod udp;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Delivery, Kind, Sink};
use crate::model::duration::Period;
use crate::net::endpoint::{EndpointError, Place, UNIX_PATH_MAX};
use crate::net::resolve::Resolver;
use crate::net::tls;

/// Where the local daemon listens.
const LOCAL: &str = "/dev/log";
/// The longest that one delivery may take.
const LONGEST: Duration = Duration::from_secs(60);

/// Options of the kind `syslog`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// Where it is: `udp://HOST:514`, `tcp://HOST:601`, `tls://HOST:6514`, `local` for `/dev/log`, or `local:/PATH` for another local socket.
    pub address: String,
    /// Whom to trust with `tls://`, and which certificate to show. Default: the authorities of the system, and no certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::ClientOptions>,
    /// What a line says after its header: `rfc5424`, structured data and a line for people; `cef`, the Common Event Format; `ecs`, JSON of
    /// the Elastic Common Schema.
    #[serde(default)]
    pub format: line::Form,
    /// The facility, by its number: 1 user, 3 daemon, 4 auth, 10 authpriv, 13 log audit, 16 to 23 local0 to local7.
    #[serde(default = "audit")]
    #[schemars(range(min = 0, max = 23))]
    pub facility: u8,
    /// Your private enterprise number, which makes the name of the structured data yours: `nodeward@NUMBER`. The default,
    /// 32473, is set aside for documentation (RFC 5612).
    #[serde(default = "documentation")]
    #[schemars(range(min = 1))]
    pub enterprise: u32,
    /// The longest that one delivery may take, looking up the name and connecting included; `10ms` to `1m`.
    #[serde(default = "timeout")]
    pub timeout: Period,
}

const fn audit() -> u8 {
    13
}

const fn documentation() -> u32 {
    32_473
}

const fn timeout() -> Period {
    Period::secs(10)
}

/// A receiver's address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Udp(Place),
    Tcp(Place),
    Tls(Place),
    Local(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let forms = "write udp://HOST:514, tcp://HOST:601, tls://HOST:6514, local or local:/PATH";
        let place = |rest: &str| match rest.parse() {
            Ok(place @ Place::Tcp { .. }) => Ok(place),
            Ok(Place::Unix(_)) => Err(format!("{text:?} is no address: {forms}")),
            Err(EndpointError::Port) => Err(format!(
                "{text:?} needs a port from 1 to 65535, such as 514 for UDP, 601 for TCP or 6514 for TLS"
            )),
            Err(_) => Err(format!("{text:?} has no host name or address: {forms}")),
        };
        match text.split_once(':') {
            None if text == "local" => Ok(Self::Local(LOCAL.into())),
            Some(("local", path)) if path.starts_with('/') && path.len() <= UNIX_PATH_MAX => {
                Ok(Self::Local(path.into()))
            }
            Some(("local", _)) => Err(format!(
                "{text:?} needs an absolute path of at most {UNIX_PATH_MAX} bytes"
            )),
            _ => match text.split_once("://") {
                Some(("udp", rest)) => place(rest).map(Self::Udp),
                Some(("tcp", rest)) => place(rest).map(Self::Tcp),
                Some(("tls", rest)) => place(rest).map(Self::Tls),
                _ => Err(format!("{text:?} is no address: {forms}")),
            },
        }
    }
}

impl Kind for Syslog {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        match self.address.parse::<Address>() {
            Err(why) => faults.push(("address", why)),
            Ok(address) => {
                let secure = matches!(address, Address::Tls(_));
                let found = self.tls.iter().flat_map(|tls| tls.faults(secure));
                faults.extend(found.map(|fault| (fault.key, fault.why)));
            }
        }
        if self.facility > 23 {
            faults.push(("facility", "must be from 0 to 23".into()));
        }
        let timeout = self.timeout.get();
        if timeout < Duration::from_millis(10) || timeout > LONGEST {
            faults.push(("timeout", "must be from 10ms to 1m".into()));
        }
        faults
    }

    fn sink(&self, resolver: &Resolver) -> Result<Box<dyn Sink>, String> {
        let format = line::Format {
            form: self.format,
            facility: self.facility,
            enterprise: self.enterprise,
            pid: std::process::id(),
        };
        let timeout = self.timeout.get();
        let resolver = resolver.clone();
        Ok(match self.address.parse()? {
            Address::Udp(place) => Box::new(udp::Udp::new(place, format, timeout, resolver)),
            Address::Tcp(place) => Box::new(tcp::Tcp::new(place, None, format, timeout, resolver)),
            Address::Tls(place) => {
                let tls = tls::Connector::new(self.tls.clone().unwrap_or_default());
                Box::new(tcp::Tcp::new(place, Some(tls), format, timeout, resolver))
            }
            Address::Local(path) => Box::new(local::Local::new(path, format, timeout)),
        })
    }
}

/// A line was written: more is known of none.
fn written() -> Delivery {
    Delivery::Taken("it was written, and syslog answers nothing".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_and_what_is_none_says_how_to_write_one() {
        let tcp = Place::Tcp {
            host: "::1".into(),
            port: 601,
        };
        assert_eq!("tcp://[::1]:601".parse(), Ok(Address::Tcp(tcp)));
        assert!(matches!("udp://siem:514".parse(), Ok(Address::Udp(_))));
        assert_eq!("local".parse(), Ok(Address::Local("/dev/log".into())));
        assert_eq!(
            "local:/run/log".parse(),
            Ok(Address::Local("/run/log".into()))
        );
        for (text, hint) in [
            ("tls://siem", "needs a port"),
            ("tcp://siem", "needs a port"),
            ("tcp://unix:/run/x", "is no address"),
            ("udp://:514", "no host name"),
            ("local:log", "absolute path"),
            ("siem:514", "write udp://"),
            ("", "write udp://"),
        ] {
            let why = text.parse::<Address>().unwrap_err();
            assert!(why.contains(hint), "{text}: {why}");
        }
    }
}
