//! What the firmware says of the machine: /sys/class/dmi/id (Linux Documentation/ABI/testing/sysfs-firmware-dmi-entries).
//!
//! It cannot change before the next boot, so that it is read once.

use crate::dialect::prometheus::{Declared, Page};
use crate::dialect::zabbix::answer::Unsupported;
use crate::host::Pass;
use crate::host::parse::{label, unsigned};
use crate::subject::{
    Absent, Answer, Args, Asker, Invalid, Item, Lane, Machine, NoOptions, Said, Subject, Taken,
};

const DIR: &str = "class/dmi/id";

/// The subject.
#[derive(Default)]
pub struct Dmi {
    known: Option<(Texts, Option<u8>)>,
}

/// Files in the order of the labels.
const FILES: [&str; 20] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "sys_vendor",
];

type Texts = [Option<Box<str>>; FILES.len()];

/// Types of chassis, from 1 on (DSP0134, System Management BIOS, 7.4.1).
const CHASSIS: [&str; 36] = [
    "Other",
    "Unknown",
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "LapTop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All in One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "SubChassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system chassis",
    "Compact PCI",
    "Advanced TCA",
    "Blade",
    "Blade Enclosure",
    "Tablet",
    "Convertible",
    "Detachable",
    "IoT Gateway",
    "Embedded PC",
    "Mini PC",
    "Stick PC",
];

fn chassis(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    const NONE: Unsupported = Unsupported::new("Cannot obtain hardware information.");
    let text = |file: &str| {
        let at = FILES.iter().position(|known| *known == file)?;
        reading
            .0
            .get(at)?
            .as_deref()
            .filter(|text| !text.is_empty())
    };
    let kind = || {
        CHASSIS
            .get(usize::from(reading.1?.checked_sub(1)?))
            .copied()
    };
    let (vendor, model) = (text("sys_vendor"), text("product_name"));
    let told = match args.param(0) {
        "vendor" => vec![vendor],
        "model" => vec![model],
        "serial" => vec![text("product_serial")],
        "type" => vec![kind()],
        _ => vec![vendor, model, text("product_serial"), kind()],
    };
    let told: Vec<&str> = told.into_iter().flatten().collect();
    match told.is_empty() {
        true => Err(NONE),
        false => Ok(told.join(" ").into()),
    }
}

/// What was read; none for a file that is not there or may not be read, such as serial numbers without root.
#[derive(Debug)]
pub struct Reading(Texts, Option<u8>);

crate::families! { Dmi:
    INFO gauge "node_dmi_info" ["bios_date", "bios_release", "bios_vendor", "bios_version", "board_asset_tag", "board_name", "board_serial", "board_vendor", "board_version", "chassis_asset_tag", "chassis_serial", "chassis_vendor", "chassis_version", "product_family", "product_name", "product_serial", "product_sku", "product_uuid", "product_version", "system_vendor"] "What the firmware says of the machine; labels it has nothing for are left out";
}

impl Subject for Dmi {
    const NAME: &'static str = "dmi";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const KEYS: &'static [Item<Self>] = &[Item {
        name: "system.hw.chassis",
        parameters: &["info"],
        help: "What the firmware says of the machine; full (default), vendor, model, serial, type",
        want: |_, args| match args.param(0) {
            "" | "full" | "vendor" | "model" | "serial" | "type" => Ok(true),
            _ => Err(Unsupported::invalid_parameter(1)),
        },
        answer: Answer::Now(chassis),
    }];
    type Options = NoOptions;
    /// Whether a key asks, to which a machine without firmware has a word of its own.
    type Want = bool;
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self::default())
    }

    fn want(_: &NoOptions, _: Asker) -> bool {
        false
    }

    fn read(&mut self, pass: &mut Pass<'_>, key: &bool) -> Result<Taken<Reading>, Absent> {
        if let Some((known, kind)) = &self.known {
            return Ok(Reading(known.clone(), *kind).into());
        }
        // One look where there is no firmware that says anything.
        match pass.devices(DIR) {
            Err(_) if *key => return Ok(Reading(Texts::default(), None).into()),
            looked => looked?,
        };
        let text = |file: &str| {
            let text = pass.attribute(&format!("{DIR}/{file}")).ok();
            text.map(|text| label(&text).into())
        };
        let texts = FILES.map(text);
        if texts.iter().all(Option::is_none) {
            return Err(Absent::NotHere(format!("nothing to read in {DIR}")));
        }
        let kind = pass.attribute(&format!("{DIR}/chassis_type")).ok();
        let kind = kind.and_then(|text| unsigned(&text)?.try_into().ok());
        self.known = Some((texts.clone(), kind));
        Ok(Reading(texts, kind).into())
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        page.family(&INFO)
            .push_known(reading.0.each_ref().map(Option::as_deref), 1u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn what_is_not_there_is_no_label() {
        let machine = Captured::new(&[
            ("sys/class/dmi/id/sys_vendor", "QEMU \n"),
            ("sys/class/dmi/id/board_name", "\n"),
            ("sys/class/dmi/id/modalias", "dmi:x\n"),
        ]);
        let (page, _) = machine.page::<Dmi>(&[]);
        assert_eq!(
            page,
            "node_dmi_info{board_name=\"\",system_vendor=\"QEMU\"} 1\n"
        );
        machine.put("sys/class/dmi/id/chassis_type", "23\n");
        for (key, value) in [
            ("system.hw.chassis", "QEMU Rack Mount Chassis"),
            ("system.hw.chassis[type]", "Rack Mount Chassis"),
            (
                "system.hw.chassis[model]",
                "Cannot obtain hardware information.",
            ),
        ] {
            assert_eq!(machine.text::<Dmi>(key), value, "{key}");
        }
        assert_eq!(
            Captured::new(&[]).text::<Dmi>("system.hw.chassis"),
            "Cannot obtain hardware information."
        );
    }
}
