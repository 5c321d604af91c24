//! Batteries and mains: /sys/class/power_supply (Linux Documentation/ABI/testing/sysfs-class-power).

use crate::dialect::Number;
use crate::dialect::prometheus::{Declared, Family, Kind, Page, joined, listed};
use crate::host::Pass;
use crate::host::parse::{label, signed_of_any_base};
use crate::model::pattern::Pattern;
use crate::subject::filter::pattern;
use crate::subject::{
    Absent, Asker, Flag, Invalid, ItemError, Lane, Machine, Subject, Taken, devices,
};

const CLASS: &str = "class/power_supply";

/// The subject.
pub struct PowerSupplyClass {
    ignored: Option<Pattern>,
}

/// Options of power supplies.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Power supplies not to read. Default: none.
    pub ignored_supplies: Option<Pattern>,
}

macro_rules! supply {
    ($($family:literal $file:literal $parts:literal;)* + $($text:literal)*) => {
        const NUMBERS: usize = [$($file),*].len();
        const TEXTS: usize = [$($text),*].len();
        static FAMILY: [Family<PowerSupplyClass, 1>; NUMBERS] = [$(Family::new(
            concat!("node_power_supply_", $family),
            Kind::Gauge,
            ["power_supply"],
            concat!("What the file `", $file, "` of a power supply says, in the unit of the name or the base unit"),
        )),*];
        /// What a file's number is divided by.
        static PARTS: [f64; NUMBERS] = [$($parts),*];
        static FILES: [&str; NUMBERS + TEXTS] = [$($file,)* $($text),*];
        static INFO: Family<PowerSupplyClass, { TEXTS + 1 }> = Family::new(
            "node_power_supply_info",
            Kind::Gauge,
            ["power_supply", $($text),*],
            "What a power supply says of itself; labels without a value are left out",
        );
    };
}

supply! {
    "authentic" "authentic" 1.0;
    "calibrate" "calibrate" 1.0;
    "capacity" "capacity" 1.0;
    "capacity_alert_max" "capacity_alert_max" 1.0;
    "capacity_alert_min" "capacity_alert_min" 1.0;
    "cyclecount" "cycle_count" 1.0;
    "online" "online" 1.0;
    "present" "present" 1.0;
    "time_to_empty_seconds" "time_to_empty_now" 1.0;
    "time_to_full_seconds" "time_to_full_now" 1.0;
    "current_boot" "current_boot" 1e6;
    "current_max" "current_max" 1e6;
    "current_ampere" "current_now" 1e6;
    "energy_empty" "energy_empty" 1e6;
    "energy_empty_design" "energy_empty_design" 1e6;
    "energy_full" "energy_full" 1e6;
    "energy_full_design" "energy_full_design" 1e6;
    "energy_watthour" "energy_now" 1e6;
    "voltage_boot" "voltage_boot" 1e6;
    "voltage_max" "voltage_max" 1e6;
    "voltage_max_design" "voltage_max_design" 1e6;
    "voltage_min" "voltage_min" 1e6;
    "voltage_min_design" "voltage_min_design" 1e6;
    "voltage_volt" "voltage_now" 1e6;
    "voltage_ocv" "voltage_ocv" 1e6;
    "charge_control_limit" "charge_control_limit" 1e6;
    "charge_control_limit_max" "charge_control_limit_max" 1e6;
    "charge_counter" "charge_counter" 1e6;
    "charge_empty" "charge_empty" 1e6;
    "charge_empty_design" "charge_empty_design" 1e6;
    "charge_full" "charge_full" 1e6;
    "charge_full_design" "charge_full_design" 1e6;
    "charge_ampere" "charge_now" 1e6;
    "charge_term_current" "charge_term_current" 1e6;
    "constant_charge_current" "constant_charge_current" 1e6;
    "constant_charge_current_max" "constant_charge_current_max" 1e6;
    "constant_charge_voltage" "constant_charge_voltage" 1e6;
    "constant_charge_voltage_max" "constant_charge_voltage_max" 1e6;
    "precharge_current" "precharge_current" 1e6;
    "input_current_limit" "input_current_limit" 1e6;
    "power_watt" "power_now" 1e6;
    "temp_celsius" "temp" 10.0;
    "temp_alert_max_celsius" "temp_alert_max" 10.0;
    "temp_alert_min_celsius" "temp_alert_min" 10.0;
    "temp_ambient_celsius" "temp_ambient" 10.0;
    "temp_ambient_max_celsius" "temp_ambient_max" 10.0;
    "temp_ambient_min_celsius" "temp_ambient_min" 10.0;
    "temp_max_celsius" "temp_max" 10.0;
    "temp_min_celsius" "temp_min" 10.0;
    + "capacity_level" "charge_type" "health" "manufacturer" "model_name" "scope" "serial_number" "status" "technology" "type" "usb_type"
}

static DECLARED: [&dyn Declared; NUMBERS + 1] = joined(&[&listed(&FAMILY), &[&INFO]]);

/// What was read.
#[derive(Debug, Default)]
pub struct Reading(Vec<Supply>);

#[derive(Debug)]
struct Supply {
    name: String,
    /// In the order of the families.
    numbers: Vec<Option<i64>>,
    /// In the order of the labels.
    texts: Vec<String>,
}

impl Subject for PowerSupplyClass {
    const NAME: &'static str = "powersupplyclass";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FLAGS: &'static [Flag<Options>] = &[Flag::value(
        "collector.powersupply.ignored-supplies",
        "Power supplies not to read, a regular expression",
        |o: &mut Options, v| pattern(v).map(|p| o.ignored_supplies = p),
    )];
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    type Options = Options;
    type Want = ();
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let given = |p: &&Pattern| !p.as_str().is_empty();
        Ok(Self {
            ignored: options.ignored_supplies.as_ref().filter(given).cloned(),
        })
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let mut errors = Vec::new();
        let passes = |name: &str| !self.ignored.as_ref().is_some_and(|p| p.matches(name));
        let mut supplies = Vec::new();
        for (name, texts) in devices::read(pass, CLASS, passes, &FILES, &mut errors)? {
            let mut supply = Supply {
                name,
                numbers: Vec::with_capacity(NUMBERS),
                texts: Vec::with_capacity(TEXTS),
            };
            for (at, (text, file)) in texts.into_iter().zip(FILES).enumerate() {
                if at >= NUMBERS {
                    let text = text.unwrap_or_default();
                    supply.texts.push(label(&text).into_owned());
                    continue;
                }
                let number = text.as_deref().map(signed_of_any_base);
                if number == Some(None) {
                    errors.push(ItemError {
                        kind: "attribute",
                        item: format!("{}/{file}", supply.name),
                        why: "it is no number".into(),
                    });
                }
                supply.numbers.push(number.flatten());
            }
            supplies.push(supply);
        }
        Ok(Taken::lacking(Reading(supplies), errors))
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        for (at, (family, parts)) in FAMILY.iter().zip(PARTS).enumerate() {
            let mut samples = page.family(family);
            for supply in &reading.0 {
                if let Some(Some(value)) = supply.numbers.get(at) {
                    samples.push([&supply.name], Number::from(*value).as_f64() / parts);
                }
            }
        }
        let mut samples = page.family(&INFO);
        for supply in &reading.0 {
            let mut labels = [None; TEXTS + 1];
            let values = std::iter::once(&supply.name).chain(&supply.texts);
            for (label, value) in labels.iter_mut().zip(values) {
                *label = Some(value.as_str()).filter(|value| !value.is_empty());
            }
            samples.push_known(labels, 1u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn a_supply_tells_what_it_has_and_no_label_without_a_value() {
        let machine = Captured::new(&[
            ("sys/class/power_supply/BAT0/capacity", "97\n"),
            ("sys/class/power_supply/BAT0/energy_now", "36580000\n"),
            ("sys/class/power_supply/BAT0/temp", "-15\n"),
            ("sys/class/power_supply/BAT0/cycle_count", "many\n"),
            ("sys/class/power_supply/BAT0/status", "Full\n"),
            ("sys/class/power_supply/BAT0/scope", "\n"),
            ("sys/class/power_supply/ucsi1/online", "0\n"),
        ]);
        let flags = [("powersupply.ignored-supplies", "^ucsi")];
        let (page, errors) = machine.page::<PowerSupplyClass>(&flags);
        assert_eq!(
            page,
            "node_power_supply_capacity{power_supply=\"BAT0\"} 97\n\
             node_power_supply_energy_watthour{power_supply=\"BAT0\"} 36.58\n\
             node_power_supply_temp_celsius{power_supply=\"BAT0\"} -1.5\n\
             node_power_supply_info{power_supply=\"BAT0\",status=\"Full\"} 1\n"
        );
        assert_eq!(errors, ["attribute BAT0/cycle_count: it is no number"]);
    }
}
