//! Where systemd is to be found.

use std::time::Duration;

use zbus::Address;

use super::error::Error;
use super::session::Line;

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
    /// `$DBUS_SYSTEM_BUS_ADDRESS`, else unix:path=/run/dbus/system_bus_socket (with `private`:
    /// unix:path=/run/systemd/private).
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
        let one = |one: &str| {
            one.parse::<Address>().map_err(|why| Error::Address {
                address: one.into(),
                why: why.to_string().into(),
            })
        };
        let addresses: Vec<_> = address
            .split(';')
            .filter(|a| !a.is_empty())
            .map(one)
            .collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err(Error::Address {
                address: address.into(),
                why: "it is empty".into(),
            });
        }
        Ok(Line {
            addresses,
            direct: self.private,
            patience,
        })
    }
}
