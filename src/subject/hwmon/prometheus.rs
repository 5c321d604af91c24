//! Sensors as node_exporter names them: by a rule, from the names of their files.

use std::collections::BTreeMap;

use super::chip::{Sensor, clean};
use super::{Hwmon, Reading};
use crate::dialect::prometheus::{Declared, Kind, Page, Rule, joined};
use crate::host::parse::float;

crate::families! { Hwmon:
    CHIP_NAMES gauge "node_hwmon_chip_names" ["chip", "chip_name"] "What the driver calls a chip";
    LABEL gauge "node_hwmon_sensor_label" ["chip", "sensor", "label"] "What a sensor is labelled";
    ALARM gauge "nodeward_hwmon_alarm" ["chip", "sensor", "alarm"] "Whether an alarm of a sensor is on: crit, max and so on, or none of these";
}

static ENERGY: Rule<Hwmon, 2> = Rule::new(
    "node_hwmon_energy*_joule_total",
    Kind::Counter,
    ["chip", "sensor"],
    "Energy used so far, by a sensor's files",
);
static GAUGES: Rule<Hwmon, 2> = Rule::new(
    "node_hwmon_*",
    Kind::Gauge,
    ["chip", "sensor"],
    "What a sensor's files say, in volts, celsius, amps, watts, rpm and so on: `temp1_crit` is `node_hwmon_temp_crit_celsius{sensor=\"temp1\"}`",
);

pub(super) static DECLARED: [&dyn Declared; 5] = joined(&[FAMILIES, &[&ENERGY, &GAUGES]]);

/// How the number in a file becomes the one that is told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    One,
    Milli,
    Micro,
}

impl Scale {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::One => value,
            // Multiplied here and divided there, as the reference does: the last digit may differ.
            Self::Milli => value * 0.001,
            Self::Micro => value / 1_000_000.0,
        }
    }
}

/// What follows the name of an element in the name of its family, and its scale.
fn unit(kind: &str, element: &str) -> (&'static str, Scale) {
    match (kind, element) {
        (_, "fault" | "alarm") => ("", Scale::One),
        (_, "beep") => ("_enabled", Scale::One),
        // An alarm of its own kind counts as a value too: an active one is 0.001 degrees.
        ("in" | "cpu", _) => ("_volts", Scale::Milli),
        ("temp", "type") => ("", Scale::One),
        ("temp", _) => ("_celsius", Scale::Milli),
        ("curr", _) => ("_amps", Scale::Milli),
        ("energy", _) => ("_joule_total", Scale::Micro),
        ("power", "accuracy") | ("humidity", _) => ("", Scale::Micro),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            ("_seconds", Scale::Milli)
        }
        ("power", _) => ("_watt", Scale::Micro),
        ("fan", "input" | "min" | "max" | "target") => ("_rpm", Scale::One),
        ("freq", "input") => ("_freq_mhz", Scale::Micro),
        _ => ("", Scale::One),
    }
}

/// A sample of a sensor: family, label `sensor`, value.
fn samples(name: &str, sensor: &Sensor) -> Vec<(String, String, f64)> {
    let of = |element: &str| float(sensor.element(element)?.as_bytes());
    let alone = |family: &str, value: Option<f64>| {
        let sample = |value| (format!("node_hwmon_{family}"), name.to_owned(), value);
        value.into_iter().map(sample).collect()
    };
    match sensor.kind {
        "beep_enable" => {
            let on = sensor.element("") == Some("1");
            return alone("beep_enabled", Some(f64::from(u8::from(on))));
        }
        "vrm" => return alone("voltage_regulator_version", of("")),
        "update_interval" => {
            return alone(
                "update_interval_seconds",
                of("").map(|v| Scale::Milli.of(v)),
            );
        }
        _ => {}
    }
    let mut samples = Vec::new();
    for element in sensor.elements.keys().filter(|e| *e != "label") {
        let Some(value) = of(element) else { continue };
        let mut family = format!("node_hwmon_{}", sensor.kind);
        let is_input = element == "input";
        if is_input && sensor.elements.contains_key("") {
            family.push_str("_input");
        } else if !is_input && !element.is_empty() {
            family.push('_');
            family.push_str(&clean(element));
        }
        let (suffix, scale) = unit(sensor.kind, element);
        family.push_str(suffix);
        let label = match (sensor.kind, is_input) {
            ("freq", true) => match sensor.element("label") {
                Some(label) => clean(label),
                None => continue,
            },
            _ => name.to_owned(),
        };
        samples.push((family, label, scale.of(value)));
    }
    samples
}

pub(super) fn tell(reading: &Reading, page: &mut Page<'_, Hwmon>) {
    let mut names = page.family(&CHIP_NAMES);
    for chip in &reading.0 {
        let driver = clean(&chip.names.driver);
        if !driver.is_empty() {
            names.push([&chip.name, &driver], 1u64);
        }
    }
    let shown = || {
        reading.0.iter().flat_map(|chip| {
            let shows = |(name, _): &(&String, &Sensor)| !chip.hidden.contains(name);
            let sensors = chip.sensors.iter().filter(shows);
            sensors.map(move |(name, sensor)| (&*chip.name, &**name, sensor))
        })
    };
    let mut labels = page.family(&LABEL);
    for (chip, name, sensor) in shown() {
        if let Some(label) = sensor.element("label") {
            labels.push([chip, name, label], 1u64);
        }
    }
    let mut alarms = page.family(&ALARM);
    let mut families: BTreeMap<String, Vec<(&str, String, f64)>> = BTreeMap::new();
    for (chip, name, sensor) in shown() {
        for (element, text) in &sensor.elements {
            let alarm = element.strip_suffix("alarm");
            if let (Some(alarm), Some(value)) = (alarm, float(text.as_bytes())) {
                alarms.push([chip, name, alarm.trim_end_matches('_')], value != 0.0);
            }
        }
        for (family, label, value) in samples(name, sensor) {
            families
                .entry(family)
                .or_default()
                .push((chip, label, value));
        }
    }
    for (family, samples) in families {
        let rule = if ENERGY.makes(&family) {
            &ENERGY
        } else {
            &GAUGES
        };
        let mut told = page.made(rule, &family);
        for (chip, sensor, value) in samples {
            told.push([chip, &sensor], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(kind: &'static str, files: &[(&str, &str)]) -> Sensor {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Sensor {
            kind,
            elements: files.iter().map(own).collect(),
        }
    }

    #[test]
    fn an_input_is_named_so_only_beside_a_value_without_a_name() {
        let pwm = samples(
            "pwm1",
            &sensor("pwm", &[("", "128"), ("input", "5"), ("mode", "x")]),
        );
        let names: Vec<_> = pwm.iter().map(|(family, ..)| family.as_str()).collect();
        assert_eq!(names, ["node_hwmon_pwm", "node_hwmon_pwm_input"]);
        let temp = samples(
            "temp1",
            &sensor("temp", &[("input", "45500"), ("crit_alarm", "1")]),
        );
        assert_eq!(temp[0].0, "node_hwmon_temp_crit_alarm_celsius");
        assert_eq!(
            (temp[1].0.as_str(), temp[1].2),
            ("node_hwmon_temp_celsius", 45.5)
        );
    }

    #[test]
    fn a_frequency_is_told_under_its_label_or_not_at_all() {
        assert!(samples("freq1", &sensor("freq", &[("input", "1")])).is_empty());
        let told = samples(
            "freq1",
            &sensor("freq", &[("input", "5000000"), ("label", "sclk ")]),
        );
        assert_eq!(
            told,
            [("node_hwmon_freq_freq_mhz".into(), "sclk".into(), 5.0)]
        );
    }
}
