//! What sysfs has of a chip: what it is called, and its sensors (Linux Documentation/hwmon/sysfs-interface.rst).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::host::parse::label;
use crate::host::{attribute, last, linked, names, resolved};

/// What a file may begin with to be one of a sensor.
const TYPES: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// One sensor of a chip.
#[derive(Debug, Default)]
pub struct Sensor {
    /// `temp`, `fan` and so on.
    pub kind: &'static str,
    /// What each of its files says, by the part of its name after the sensor's: `input`, `max`, nothing.
    pub elements: BTreeMap<String, String>,
}

impl Sensor {
    /// The text of one of its files.
    pub fn element(&self, name: &str) -> Option<&str> {
        self.elements.get(name).map(String::as_str)
    }
}

/// Sensors by their names, such as `temp1`.
pub type Sensors = BTreeMap<String, Sensor>;

/// A file name taken apart into what it is about, which one, and what of it; none if it is no sensor's.
#[must_use]
pub fn parts(file: &str) -> Option<(&'static str, u64, &str)> {
    let end = file.find(|c: char| c.is_ascii_digit());
    let (kind, rest) = file.split_at_checked(end.unwrap_or(file.len()))?;
    let kind = TYPES.into_iter().find(|known| *known == kind)?;
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = rest.strip_suffix(after)?;
    let number = match digits {
        "" => 0,
        // What the reference reads into an int.
        digits => digits.parse().ok().filter(|n| i64::try_from(*n).is_ok())?,
    };
    match after.strip_prefix('_') {
        Some(element) if !element.is_empty() && !element.contains('\n') => {
            Some((kind, number, element))
        }
        None if after.is_empty() => Some((kind, number, "")),
        _ => None,
    }
}

/// A text as it can be part of a name: lower case, `_` for what is not a letter, a digit, `:` or `_`, and none at its ends.
#[must_use]
pub fn clean(text: &str) -> String {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':' || c == '_';
    let lower = text.to_lowercase();
    let replaced: String = lower
        .chars()
        .map(|c| if word(c) { c } else { '_' })
        .collect();
    replaced.trim_matches('_').to_owned()
}

/// The sensors of a chip. Files of the device count as well as those of the chip itself, as older drivers have them there.
pub fn sensors(dir: &Path) -> Result<Sensors, String> {
    let mut sensors = Sensors::new();
    let said = |dir: &Path, e: &io::Error| format!("read {}: {e}", dir.display());
    read(dir, &mut sensors).map_err(|e| said(dir, &e))?;
    let device = dir.join("device");
    if device.exists() {
        read(&device, &mut sensors).map_err(|e| said(&device, &e))?;
    }
    Ok(sensors)
}

fn read(dir: &Path, sensors: &mut Sensors) -> io::Result<()> {
    for name in names(dir)?.iter().filter_map(|name| name.to_str()) {
        let Some((kind, number, element)) = parts(name) else {
            continue;
        };
        // A sensor that cannot be read is left out, as the kernel has it when one is off.
        let Ok(text) = attribute(&dir.join(name)) else {
            continue;
        };
        let text = label(&text).trim_matches('\n').to_owned();
        let sensor = sensors.entry(format!("{kind}{number}")).or_default();
        sensor.kind = kind;
        sensor.elements.insert(element.to_owned(), text);
    }
    Ok(())
}

/// What a chip is called.
#[derive(Debug, Default)]
pub struct Names {
    /// Its directory below /sys/class/hwmon.
    pub dir: String,
    /// After its device, so that it is the same after each boot; not always unique.
    pub stable: String,
    /// As the driver says.
    pub driver: String,
    /// As the Zabbix agent makes it of the driver, the bus and the place there.
    pub agent: String,
}

impl Names {
    /// The names of the chip of a directory; none if it is no directory.
    pub fn read(class: &Path, dir: &OsString) -> Option<Self> {
        let path = class.join(dir);
        if !path.is_dir() {
            return None;
        }
        let driver = attribute(&path.join("name")).unwrap_or_default();
        let driver = label(driver.trim_ascii()).into_owned();
        let device = resolved(&path.join("device"));
        let stable = device.as_deref().map(|device| {
            let kind = device.parent().map(last).unwrap_or_default();
            let (kind, name) = (clean(&kind), clean(&last(device)));
            match name.is_empty() || kind.is_empty() {
                true => name,
                false => format!("{kind}_{name}"),
            }
        });
        let real = || resolved(&path).map(|real| clean(&last(&real)));
        let stable = [stable.unwrap_or_default(), clean(&driver)];
        let stable = match stable.into_iter().find(|name| !name.is_empty()) {
            Some(stable) => stable,
            None => real().filter(|name| !name.is_empty())?,
        };
        Some(Self {
            dir: dir.to_string_lossy().into_owned(),
            stable,
            agent: agent(&driver, device.as_deref()),
            driver,
        })
    }
}

/// What the Zabbix agent calls a chip, as libsensors does: `coretemp-isa-0000`. Empty where it has no name for it.
fn agent(driver: &str, device: Option<&Path>) -> String {
    if driver.is_empty() {
        return String::new();
    }
    let Some(device) = device else {
        return format!("{driver}-virtual-0");
    };
    let bus = linked(&device.join("subsystem"));
    let name = last(device);
    let number = |text: &str, base| u32::from_str_radix(text, base).ok();
    let made = || match bus.as_deref().unwrap_or("i2c") {
        "i2c" => {
            let (bus, address) = name.split_once('-')?;
            let (bus, address) = (number(bus, 10)?, number(address, 16)?);
            Some(format!("{driver}-i2c-{bus}-{address:02x}"))
        }
        "spi" => {
            let (bus, address) = name.strip_prefix("spi")?.split_once('.')?;
            let (bus, address) = (number(bus, 10)?, number(address, 10)?);
            Some(format!("{driver}-spi-{bus}-{address:x}"))
        }
        "pci" => {
            let mut parts = name.split([':', '.']).map(|part| number(part, 16));
            let mut part = || parts.next().flatten();
            let (domain, bus, slot, function) = (part()?, part()?, part()?, part()?);
            let address = (domain << 16) + (bus << 8) + (slot << 3) + function;
            Some(format!("{driver}-pci-{address:04x}"))
        }
        "platform" | "of_platform" => {
            let address = name.rsplit_once('.').and_then(|(_, n)| number(n, 10));
            Some(format!("{driver}-isa-{:04x}", address.unwrap_or(0)))
        }
        "acpi" => Some(format!("{driver}-acpi-0")),
        _ => None,
    };
    made().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_a_type_a_number_and_an_element() {
        for (file, expected) in [
            ("temp1_input", Some(("temp", 1, "input"))),
            ("temp01_crit_alarm", Some(("temp", 1, "crit_alarm"))),
            ("pwm1", Some(("pwm", 1, ""))),
            ("beep_enable", Some(("beep_enable", 0, ""))),
            ("pwm1_auto_point1_pwm", Some(("pwm", 1, "auto_point1_pwm"))),
            ("power_label", None),
            ("temp1x", None),
            ("temp1_", None),
            ("in99999999999999999999_input", None),
            ("1temp", None),
            ("", None),
            ("name", None),
        ] {
            assert_eq!(parts(file), expected, "{file}");
        }
    }

    #[test]
    fn a_clean_name_keeps_letters_digits_and_colons() {
        for (text, expected) in [
            ("coretemp.0", "coretemp_0"),
            ("PCI 0000:00:1f", "pci_0000:00:1f"),
            ("_Ä_", ""),
            ("--", ""),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn a_chip_has_the_agents_name_by_its_bus() {
        let root = tempfile::tempdir().unwrap();
        for (bus, device, expected) in [
            ("platform", "coretemp.0", "x-isa-0000"),
            ("platform", "it87.656", "x-isa-0290"),
            ("pci", "0000:01:00.0", "x-pci-0100"),
            ("i2c", "0-002d", "x-i2c-0-2d"),
            ("spi", "spi1.16", "x-spi-1-10"),
            ("acpi", "PNP0C0A:00", "x-acpi-0"),
            ("hid", "0003:1", ""),
            ("i2c", "none", ""),
        ] {
            let path = root.path().join(bus).join(device);
            std::fs::create_dir_all(&path).unwrap();
            std::os::unix::fs::symlink(format!("../../bus/{bus}"), path.join("subsystem")).unwrap();
            assert_eq!(agent("x", Some(&path)), expected, "{device}");
        }
        assert_eq!(agent("x", None), "x-virtual-0");
    }
}
