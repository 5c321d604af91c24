//! How the places nodeward listens on are told to people, and what is said where listening fails.

use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;

use super::{Kind, Name};
use crate::app::web::Watched;
use crate::app::{House, Settings};
use crate::net::address::Address;
use crate::net::bind::BindError;
use crate::net::tls;
use crate::serve::web::Web;

/// The setting of the config that names such places.
pub(super) fn setting(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => "http.listen",
        Kind::Hooks => "hooks.listen",
        Kind::Api => "api.listen",
        Kind::Zabbix => "zabbix.listen",
        Kind::Gate => "pools.NAME.gates[].haproxy_agent.listen",
        Kind::Control => "control",
    }
}

/// The TCP port of an address, if it has one that is not the kernel's to choose.
pub(super) fn port(address: &Address) -> Option<u16> {
    let port = match address {
        Address::All(port) | Address::Name { port, .. } => *port,
        Address::Ip(place) => place.port(),
        Address::Unix(_) | Address::Passed => return None,
    };
    (port != 0).then_some(port)
}

/// A place as people can type it elsewhere, and what else to know of it: one that takes every address of the machine goes
/// by the machine's name.
pub(super) fn said(at: &Address, hostname: &str) -> (String, &'static str) {
    match at {
        Address::Ip(place) if place.ip().is_unspecified() => {
            let host = if hostname.is_empty() {
                "127.0.0.1"
            } else {
                hostname
            };
            let reach = if place.is_ipv4() {
                " on all IPv4 addresses"
            } else {
                " on all addresses"
            };
            (format!("{host}:{}", place.port()), reach)
        }
        other => (other.to_string(), ""),
    }
}

/// The URL under which this machine itself asks an HTTP listener: one that takes every address is asked on loopback. None
/// where the kernel is to choose the port.
#[must_use]
pub fn own_url(at: &Address, scheme: &str) -> Option<String> {
    if let Address::Unix(_) = at {
        return Some(at.to_string());
    }
    let port = port(at)?;
    Some(match at {
        Address::Ip(place) if !place.ip().is_unspecified() => format!("{scheme}://{place}"),
        Address::Name { host, .. } => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://127.0.0.1:{port}"),
    })
}

/// Reads the certificate that the listeners of a section show, beside the runtime: files may lie on what hangs.
pub(super) async fn tls(
    section: &str,
    options: Option<&tls::ServerOptions>,
) -> Result<Option<Arc<tls::Server>>, String> {
    let Some(options) = options.cloned() else {
        return Ok(None);
    };
    let reading = tokio::task::spawn_blocking(move || tls::Server::new(options)).await;
    let read = reading.map_err(|error| format!("{section}.tls: {error}"))?;
    read.map(|server| Some(Arc::new(server)))
        .map_err(|fault| format!("{section}.tls.{fault}"))
}

/// Reads the web configuration file, if one is named, beside the runtime.
pub(super) async fn web(
    settings: &Settings,
    web: &Arc<Web>,
    slot: &tls::Slot,
) -> Result<Option<Arc<Watched>>, String> {
    let Some(path) = settings.web.as_ref().map(|web| web.path.clone()) else {
        return Ok(None);
    };
    let (web, slot, plain) = (
        Arc::clone(web),
        slot.clone(),
        settings.config.http.tls.clone(),
    );
    let reading = tokio::task::spawn_blocking(move || Watched::read(path, web, slot, plain)).await;
    reading
        .map_err(|error| format!("http.web_config: {error}"))?
        .map(Some)
}

/// Why a socket could not be opened: who holds the port, and which setting chooses another.
pub(super) fn refusal((kind, address): &Name, error: &BindError, house: &House) -> String {
    let or_flag = match kind {
        Kind::Http => "--web.listen-address or ",
        Kind::Hooks | Kind::Api | Kind::Zabbix | Kind::Gate | Kind::Control => "",
    };
    let holder = address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .filter(|_| error.kind() == ErrorKind::AddrInUse)
        .and_then(|port| house.view.sampler.host().listener_on(port))
        .map(|(pid, name)| match pid == std::process::id() {
            true => ": this nodeward listens there itself, and is to go on doing so".to_owned(),
            false => format!(": {name} (pid {pid}) listens there"),
        })
        .unwrap_or_default();
    let why = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    let setting = setting(*kind);
    format!(
        "cannot listen on {address}: {why}{holder}; choose another address with {or_flag}{setting}"
    )
}

/// An error and its cause in one line.
pub(super) fn chain(error: &BindError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_on_all_addresses_goes_by_the_name_of_the_machine() {
        for (at, place, reach) in [
            ("[::]:9100", "web-1:9100", " on all addresses"),
            ("0.0.0.0:9100", "web-1:9100", " on all IPv4 addresses"),
            ("10.0.0.1:9100", "10.0.0.1:9100", ""),
            ("unix:/run/x", "unix:/run/x", ""),
        ] {
            let at: Address = at.parse().unwrap();
            assert_eq!(said(&at, "web-1"), (place.to_owned(), reach));
        }
        assert_eq!(said(&"[::]:1".parse().unwrap(), "").0, "127.0.0.1:1");
    }

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (at, url) in [
            (":9100", "http://127.0.0.1:9100"),
            ("0.0.0.0:1", "http://127.0.0.1:1"),
            ("[::]:1", "http://127.0.0.1:1"),
            ("[::1]:1", "http://[::1]:1"),
            ("10.0.0.0:1", "http://10.0.0.0:1"),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
        ] {
            assert_eq!(own_url(&at.parse().unwrap(), "http").as_deref(), Some(url));
        }
        assert_eq!(own_url(&"127.0.0.1:0".parse().unwrap(), "https"), None);
    }
}
