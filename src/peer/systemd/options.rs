//! Where systemd is to be found.

use std::time::Duration;

use zbus::Address;

use super::error::Error;
use super::session::{Line, Place};

/// Where the system bus listens unless told otherwise.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
/// systemd's own socket: root only, no bus daemon needed.
const PRIVATE: &str = "unix:path=/run/systemd/private";

/// How to reach systemd.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Talk to systemd over its own socket /run/systemd/private and not over the system bus.
    /// Needs root; works where no bus daemon runs. Default: false.
    pub private: bool,
    /// D-Bus address, `unix:path=...` or `unix:abstract=...`, several separated by `;`. Default:
    /// `$DBUS_SYSTEM_BUS_ADDRESS`, else unix:path=/run/dbus/system_bus_socket, and for root systemd's own socket
    /// where there is no bus (with `private`: unix:path=/run/systemd/private alone).
    pub address: Option<String>,
}

impl Options {
    pub(super) fn line(&self, patience: Duration) -> Result<Line, Error> {
        let inherited = || {
            std::env::var("DBUS_SYSTEM_BUS_ADDRESS")
                .ok()
                .filter(|a| !a.is_empty())
        };
        let address = match (&self.address, self.private) {
            (Some(address), _) => address.clone(),
            (None, true) => PRIVATE.to_owned(),
            (None, false) => inherited().unwrap_or_else(|| SYSTEM_BUS.to_owned()),
        };
        let one = |one: &str, direct: bool| {
            let address = one.parse::<Address>().map_err(|why| Error::Address {
                address: one.into(),
                why: why.to_string().into(),
            })?;
            Ok(Place { address, direct })
        };
        let mut addresses: Vec<_> = address
            .split(';')
            .filter(|a| !a.is_empty())
            .map(|a| one(a, self.private))
            .collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err(Error::Address {
                address: address.into(),
                why: "it is empty".into(),
            });
        }
        // Root needs no bus daemon: where there is none, systemd is asked itself, as the reference does.
        if self.address.is_none() && !self.private && rustix::process::geteuid().is_root() {
            addresses.push(one(PRIVATE, true)?);
        }
        Ok(Line {
            addresses,
            patience,
        })
    }
}
