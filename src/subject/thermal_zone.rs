//! Thermal zones and what cools them: /sys/class/thermal (Linux Documentation/driver-api/thermal/sysfs-api.rst).
//!
//! A zone whose temperature cannot be read is left out, where the reference tells 0 °C.

use crate::dialect::prometheus::{Declared, Page};
use crate::host::Pass;
use crate::host::parse::{label, signed};
use crate::subject::{
    Absent, Asker, Invalid, ItemError, Lane, Machine, NoOptions, Subject, Taken, devices,
};

const CLASS: &str = "class/thermal";

/// The subject.
pub struct ThermalZone;

crate::families! { ThermalZone:
    TEMPERATURE gauge "node_thermal_zone_temp" ["zone", "type"] "Temperature of a zone in degrees Celsius";
    NOW gauge "node_cooling_device_cur_state" ["name", "type"] "How much a device cools";
    MOST gauge "node_cooling_device_max_state" ["name", "type"] "How much a device can cool";
}

/// What was read: number and type, and what is told of it.
#[derive(Debug, Default)]
pub struct Reading {
    /// Thousandths of a degree.
    zones: Vec<(String, String, i64)>,
    /// State now and at most.
    coolers: Vec<(String, String, [i64; 2])>,
}

fn text(bytes: Option<Vec<u8>>) -> String {
    bytes.map_or_else(String::new, |bytes| label(&bytes).into_owned())
}

fn number<'a>(name: &'a str, word: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(word)?;
    rest.starts_with(|c: char| c.is_ascii_digit())
        .then_some(rest)
}

impl Subject for ThermalZone {
    const NAME: &'static str = "thermal_zone";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let mut errors = Vec::new();
        let mut reading = Reading::default();
        let is = |name: &str| number(name, "thermal_zone").is_some();
        // Without the class there is nothing to tell, and nothing wrong.
        let zones = devices::read(pass, CLASS, is, &["type", "temp"], &mut errors);
        for (name, [kind, temperature]) in zones.unwrap_or_default() {
            match temperature.as_deref().map(signed) {
                Some(Some(milli)) => {
                    let zone = number(&name, "thermal_zone").unwrap_or_default();
                    reading.zones.push((zone.into(), text(kind), milli));
                }
                bad => errors.push(ItemError {
                    kind: "zone",
                    item: name,
                    why: match bad {
                        None => "its temperature cannot be read".into(),
                        Some(_) => "its temperature is no number".into(),
                    },
                }),
            }
        }
        // Such a zone is told as an error, as a zone that is off is: it does not make the whole fail.
        let before = errors.len();
        let is = |name: &str| number(name, "cooling_device").is_some();
        let files = &["type", "cur_state", "max_state"];
        let coolers = devices::read(pass, CLASS, is, files, &mut errors);
        for (name, [kind, now, most]) in coolers.unwrap_or_default() {
            let (Some(kind), Some(now), Some(most)) = (kind, now, most) else {
                continue;
            };
            // Below 0 where it does not know.
            match (signed(&now), signed(&most)) {
                (Some(now), Some(most)) => {
                    let number = number(&name, "cooling_device").unwrap_or_default();
                    let kind = text(Some(kind));
                    reading.coolers.push((number.into(), kind, [now, most]));
                }
                _ => errors.push(ItemError {
                    kind: "cooler",
                    item: name,
                    why: "a state is no number".into(),
                }),
            }
        }
        Ok(Taken {
            complete: errors.len() == before,
            reading,
            errors,
        })
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut samples = page.family(&TEMPERATURE);
        for (zone, kind, milli) in &reading.zones {
            let degrees = crate::dialect::Number::from(*milli).as_f64() / 1000.0;
            samples.push([zone, kind], degrees);
        }
        for (at, family) in [&NOW, &MOST].into_iter().enumerate() {
            let mut samples = page.family(family);
            for (name, kind, states) in &reading.coolers {
                if let Some(state) = states.get(at) {
                    samples.push([name, kind], *state);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn a_zone_that_cannot_be_read_hides_no_other() {
        let machine = Captured::new(&[
            ("sys/class/thermal/thermal_zone0/temp", "-500\n"),
            ("sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n"),
            ("sys/class/thermal/thermal_zone1/type", "off\n"),
            ("sys/class/thermal/cooling_device0/type", "Processor\n"),
            ("sys/class/thermal/cooling_device0/cur_state", "-1\n"),
            ("sys/class/thermal/cooling_device0/max_state", "10\n"),
        ]);
        let (page, errors) = machine.page::<ThermalZone>(&[]);
        assert_eq!(
            page,
            "node_thermal_zone_temp{zone=\"0\",type=\"x86_pkg_temp\"} -0.5\n\
             node_cooling_device_cur_state{name=\"0\",type=\"Processor\"} -1\n\
             node_cooling_device_max_state{name=\"0\",type=\"Processor\"} 10\n"
        );
        assert_eq!(
            errors,
            ["zone thermal_zone1: its temperature cannot be read"]
        );
    }
}
