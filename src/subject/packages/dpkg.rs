//! The list of dpkg: paragraphs of fields, an empty line between them.

use super::{List, Package};
use crate::host::parse::{label, lines, unsigned};
use crate::host::{Pass, Root};
use crate::subject::ItemError;

const STATUS: &str = "var/lib/dpkg/status";

/// None where there is no dpkg.
pub(super) fn read(pass: &mut Pass<'_>, errors: &mut Vec<ItemError>) -> Option<List> {
    match pass.once(Root::Rootfs, STATUS) {
        Ok(text) => Some(("dpkg", parse(text).into())),
        Err(e) if e.is_not_found() => None,
        Err(e) => {
            errors.push(ItemError::new("list", STATUS.as_bytes(), e.to_string()));
            None
        }
    }
}

#[derive(Default)]
struct Paragraph {
    package: Package,
    status: String,
    /// Whether packages of several architectures may be there at a time.
    multiple: bool,
}

/// Every package that is, or was once, on the machine. One without a name is none.
pub(super) fn parse(text: &[u8]) -> Vec<Package> {
    let mut all = Vec::new();
    let mut one = Paragraph::default();
    for line in lines(text) {
        if line.is_empty() {
            all.push(std::mem::take(&mut one));
            continue;
        }
        let Some(at) = line.iter().position(|b| *b == b':') else {
            continue;
        };
        let (field, value) = line.split_at_checked(at).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let text = || label(value).into_owned();
        // Lines that go on with the field before begin with a blank, so that they are none of these.
        match field {
            b"Package" => one.package.name = text(),
            b"Status" => one.status = text(),
            b"Version" => one.package.version = text(),
            b"Architecture" => one.package.architecture = text(),
            b"Installed-Size" => {
                one.package.size = unsigned(value).unwrap_or(0).saturating_mul(1024);
            }
            b"Multi-Arch" => one.multiple = value == b"same",
            _ => {}
        }
    }
    all.push(one);
    all.retain(|one| !one.package.name.is_empty());
    let own = all.iter().find(|one| one.package.name == "dpkg");
    let own = own.map(|one| one.package.architecture.clone());
    let named = |one: Paragraph| {
        let Paragraph {
            mut package,
            status,
            multiple,
        } = one;
        let foreign = own
            .as_ref()
            .is_some_and(|own| package.architecture != *own && package.architecture != "all");
        package.full_name = match multiple || foreign {
            true => format!("{}:{}", package.name, package.architecture),
            false => package.name.clone(),
        };
        package.selected = ["install ", "hold "]
            .iter()
            .any(|want| status.starts_with(want));
        package.complete = status == "install ok installed";
        package
    };
    all.into_iter().map(named).collect()
}
