//! The list of pacman: a directory a package, with a file of fields, each a name in percent signs and lines below it.

use super::{List, Package};
use crate::host::parse::{label, lines, signed, unsigned};
use crate::host::{Pass, Root};
use crate::subject::ItemError;

const LOCAL: &str = "var/lib/pacman/local";

/// None where there is no pacman.
pub(super) fn read(pass: &mut Pass<'_>, errors: &mut Vec<ItemError>) -> Option<List> {
    let names = pass.names(Root::Rootfs, LOCAL).ok()?;
    let mut all = Vec::new();
    for name in names.iter().filter_map(|name| name.to_str()) {
        match pass.once(Root::Rootfs, &format!("{LOCAL}/{name}/desc")) {
            Ok(text) => all.push(parse(text)),
            // A file that says which version the directory has lies beside them.
            Err(e) if e.is_not_found() || name == "ALPM_DB_VERSION" => {}
            Err(e) => errors.push(ItemError::new("package", name.as_bytes(), e.to_string())),
        }
    }
    all.retain(|package| !package.name.is_empty());
    Some(("pacman", all.into()))
}

pub(super) fn parse(text: &[u8]) -> Package {
    let mut package = Package {
        selected: true,
        complete: true,
        ..Package::default()
    };
    let mut field: &[u8] = b"";
    for line in lines(text) {
        let text = || label(line).into_owned();
        match field {
            _ if line.is_empty() => {}
            _ if line.starts_with(b"%") => {
                field = line;
                continue;
            }
            b"%NAME%" => package.name = text(),
            b"%VERSION%" => package.version = text(),
            b"%ARCH%" => package.architecture = text(),
            b"%SIZE%" => package.size = unsigned(line).unwrap_or(0),
            b"%BUILDDATE%" => package.built = signed(line).unwrap_or(0),
            b"%INSTALLDATE%" => package.installed = signed(line).unwrap_or(0),
            _ => {}
        }
        field = b"";
    }
    package.full_name.clone_from(&package.name);
    package
}
