//! How the parts of a reading are had: netlink where that may be asked, files otherwise.

use super::details::Details;
use super::parse::{COLUMNS, STATES};
use super::{Address, Interface, Netdev, Reading, Want, link, parse};
use crate::host::parse::{label, trim};
use crate::host::{Dump, InterfaceAddress, Pass, ReadError, Root, interface_addresses};
use crate::subject::{Absent, ItemError, Taken};

fn unlinked(error: ReadError) -> ItemError {
    ItemError {
        kind: "netlink",
        item: "dump".into(),
        why: error.to_string(),
    }
}

impl Netdev {
    pub(super) fn take(&self, pass: &mut Pass<'_>, want: Want) -> Result<Taken<Reading>, Absent> {
        let mut errors = Vec::new();
        let linked = (want.counters && self.own_network)
            .then(|| self.linked(pass, want))
            .and_then(|linked| linked.map_err(|e| errors.push(e)).ok());
        let mut bad = Vec::new();
        let mut interfaces = match linked {
            Some(interfaces) => interfaces,
            None => self.listed(pass, want, &mut bad)?,
        };
        if want.details {
            for interface in &mut interfaces {
                let details = Details::read(pass, &interface.name);
                interface.details = Some(Box::new(details));
            }
        }
        let complete = bad.is_empty();
        errors.append(&mut bad);
        let addresses = if want.addresses {
            let addresses = Self::addresses(pass).map_err(|e| errors.push(e));
            addresses.unwrap_or_default()
        } else {
            Vec::new()
        };
        let connections = if want.connections {
            Self::connections(pass, &mut errors)
        } else {
            None
        };
        Ok(Taken {
            reading: Reading {
                interfaces,
                connections,
                addresses: addresses
                    .into_iter()
                    .filter(|a| self.filter.passes(&a.device))
                    .collect(),
            },
            complete,
            errors,
        })
    }

    fn interface(&self, name: &[u8], columns: [u64; COLUMNS]) -> Interface {
        let name = label(name);
        Interface {
            shown: self.filter.passes(&name),
            name: name.into(),
            columns,
            counters: None,
            alias: "".into(),
            details: None,
        }
    }

    /// Interfaces as netlink tells them.
    fn linked(&self, pass: &mut Pass<'_>, want: Want) -> Result<Vec<Interface>, ItemError> {
        let dump = pass.dump(Dump::Links).map_err(unlinked)?;
        let told = |link: link::Link<'_>| {
            let counters = link.counters?;
            let mut interface = self.interface(link.name, link::columns(&counters));
            interface.counters = Some(Box::new(counters));
            if want.aliases {
                interface.alias = label(trim(link.alias)).into();
            }
            Some(interface)
        };
        let interfaces: Vec<_> = link::links(&dump).filter_map(told).collect();
        if interfaces.is_empty() {
            return Err(ItemError {
                kind: "netlink",
                item: "dump".into(),
                why: "no interface with counters".into(),
            });
        }
        Ok(interfaces)
    }

    /// Interfaces as /proc/net/dev tells them.
    fn listed(
        &self,
        pass: &mut Pass<'_>,
        want: Want,
        errors: &mut Vec<ItemError>,
    ) -> Result<Vec<Interface>, Absent> {
        let text = pass.net_file("dev")?;
        let (rows, bad) = parse::interfaces(&text);
        errors.extend(bad);
        let mut interfaces: Vec<_> = rows
            .into_iter()
            .map(|row| self.interface(row.name, row.columns))
            .collect();
        if want.aliases {
            for interface in &mut interfaces {
                let file = format!("class/net/{}/ifalias", interface.name);
                if let Ok(text) = pass.once(Root::Sys, &file) {
                    interface.alias = label(trim(text)).into();
                }
            }
        }
        Ok(interfaces)
    }

    fn addresses(pass: &mut Pass<'_>) -> Result<Vec<Address>, ItemError> {
        let names = pass.dump(Dump::Links).map_err(unlinked)?;
        let dump = pass.dump(Dump::Addresses).map_err(unlinked)?;
        let names: std::collections::HashMap<u32, &[u8]> = link::links(&names)
            .map(|link| (link.index, link.name))
            .collect();
        let told = |a: InterfaceAddress| {
            Some(Address {
                device: label(names.get(&a.index)?).into(),
                address: a.address.to_canonical().to_string().into(),
                prefix: a.prefix.to_string().into(),
                scope: link::scope(a.address),
            })
        };
        Ok(interface_addresses(&dump).filter_map(told).collect())
    }

    fn connections(
        pass: &mut Pass<'_>,
        errors: &mut Vec<ItemError>,
    ) -> Option<[u64; STATES.len()]> {
        let mut connections = parse::Connections::default();
        match pass.tcp_sockets(&mut |socket| connections.add(&socket)) {
            Ok(read) => (!read.is_empty()).then(|| connections.states()),
            Err(e) => {
                errors.push(ItemError::new("connections", b"tcp", e.to_string()));
                None
            }
        }
    }
}
