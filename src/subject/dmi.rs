//! What the firmware says of the machine: /sys/class/dmi/id (Linux Documentation/ABI/testing/sysfs-firmware-dmi-entries).
//!
//! It cannot change before the next boot, so that it is read once.

use crate::dialect::prometheus::{Declared, Page};
use crate::host::Pass;
use crate::host::parse::label;
use crate::subject::{Absent, Asker, Invalid, Lane, Machine, NoOptions, Subject, Taken};

const DIR: &str = "class/dmi/id";

/// The subject.
#[derive(Default)]
pub struct Dmi {
    known: Option<Texts>,
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

/// What was read; none for a file that is not there or may not be read, such as serial numbers without root.
#[derive(Debug)]
pub struct Reading(Texts);

crate::families! { Dmi:
    INFO gauge "node_dmi_info" ["bios_date", "bios_release", "bios_vendor", "bios_version", "board_asset_tag", "board_name", "board_serial", "board_vendor", "board_version", "chassis_asset_tag", "chassis_serial", "chassis_vendor", "chassis_version", "product_family", "product_name", "product_serial", "product_sku", "product_uuid", "product_version", "system_vendor"] "What the firmware says of the machine; labels it has nothing for are left out";
}

impl Subject for Dmi {
    const NAME: &'static str = "dmi";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self::default())
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        if let Some(known) = &self.known {
            return Ok(Reading(known.clone()).into());
        }
        // One look where there is no firmware that says anything.
        pass.devices(DIR)?;
        let text = |file: &str| {
            let text = pass.attribute(&format!("{DIR}/{file}")).ok();
            text.map(|text| label(&text).into())
        };
        let texts = FILES.map(text);
        if texts.iter().all(Option::is_none) {
            return Err(Absent::NotHere(format!("nothing to read in {DIR}")));
        }
        self.known = Some(texts.clone());
        Ok(Reading(texts).into())
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
    }
}
