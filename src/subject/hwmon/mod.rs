//! Sensors of the hardware: /sys/class/hwmon.
//!
//! A driver may take its time, or never answer: each chip is read by a call that can be given up, so that one sick chip costs its own
//! sensors alone. Chips have names that stay over a restart; two with one name get what sets them apart.

mod chip;
mod prometheus;
#[cfg(test)]
mod tests;
mod zabbix;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::host::parse::float;
use crate::host::{CallKey, Called, Pass, ReadError, Root, names};
use crate::model::pattern::Pattern;
use crate::subject::filter::{Filter, pattern};
use crate::subject::{
    Absent, Asker, Flag, Invalid, Item, ItemError, Lane, Machine, Past, Subject, Taken,
    Want as Wanted,
};

use chip::{Names, Sensors, clean};

const CLASS: &str = "class/hwmon";
/// How long a chip may take, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// The subject.
pub struct Hwmon {
    chips: Filter,
    sensors: Filter,
}

/// Options of sensors.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Chips to read, all others left alone, by the label `chip`; not together with `chip_exclude`. Default: all.
    pub chip_include: Option<Pattern>,
    /// Chips to leave alone, by the label `chip`; not together with `chip_include`. Default: none.
    pub chip_exclude: Option<Pattern>,
    /// Sensors to tell Prometheus, by chip and sensor such as `platform_coretemp_0;temp3`; not together with `sensor_exclude`.
    /// Default: all.
    pub sensor_include: Option<Pattern>,
    /// Sensors not to tell Prometheus, by chip and sensor; not together with `sensor_include`. Default: none.
    pub sensor_exclude: Option<Pattern>,
}

/// Who wants sensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// A key alone, which has words of its own for a machine without any.
    key: bool,
}

impl Wanted for Want {
    fn merge(&mut self, other: &Self) {
        self.key &= other.key;
    }

    fn covers(&self, other: &Self) -> bool {
        self.key <= other.key
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading(Vec<Chip>);

/// A chip that was read.
#[derive(Debug)]
struct Chip {
    /// Its unique name.
    name: String,
    names: Names,
    sensors: Sensors,
    /// Sensors that the patterns keep from Prometheus.
    hidden: Vec<String>,
}

impl Hwmon {
    /// The chips that may be read, with their unique names.
    fn chips(&self, class: &Path) -> std::io::Result<Vec<(String, Names)>> {
        let dirs = names(class)?;
        let all: Vec<Names> = dirs
            .iter()
            .filter_map(|dir| Names::read(class, dir))
            .collect();
        let mut stable: BTreeMap<&str, usize> = BTreeMap::new();
        let mut both: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for names in &all {
            *stable.entry(&names.stable).or_default() += 1;
            *both.entry((&names.stable, &names.driver)).or_default() += 1;
        }
        let unique = |names: &Names| {
            if stable.get(&*names.stable) == Some(&1) {
                return names.stable.clone();
            }
            let driver = clean(&names.driver);
            let alone = both.get(&(&*names.stable, &*names.driver)) == Some(&1);
            let apart = match alone && !driver.is_empty() {
                true => driver,
                false => clean(&names.dir),
            };
            format!("{}_{apart}", names.stable)
        };
        let unique: Vec<String> = all.iter().map(unique).collect();
        let told = unique.into_iter().zip(all);
        Ok(told.filter(|(name, _)| self.chips.passes(name)).collect())
    }
}

impl Subject for Hwmon {
    const NAME: &'static str = "hwmon";
    const ON: bool = true;
    const EXPORTED: bool = false;
    const LANE: Lane = Lane::Drivers;
    const FLAGS: &'static [Flag<Options>] = &[
        Flag::value(
            "collector.hwmon.chip-include",
            "Chips to read, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.chip_include = p),
        ),
        Flag::value(
            "collector.hwmon.chip-exclude",
            "Chips to leave alone, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.chip_exclude = p),
        ),
        Flag::value(
            "collector.hwmon.sensor-include",
            "Sensors to tell, a regular expression of chip;sensor",
            |o: &mut Options, v| pattern(v).map(|p| o.sensor_include = p),
        ),
        Flag::value(
            "collector.hwmon.sensor-exclude",
            "Sensors not to tell, a regular expression of chip;sensor",
            |o: &mut Options, v| pattern(v).map(|p| o.sensor_exclude = p),
        ),
    ];
    const FAMILIES: &'static [&'static dyn Declared] = &prometheus::DECLARED;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = Options;
    type Want = Want;
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let filter = |name, include: &Option<_>, exclude: &Option<_>| {
            Filter::new(Self::NAME, name, include.as_ref(), exclude.as_ref(), None)
        };
        Ok(Self {
            chips: filter("chip", &options.chip_include, &options.chip_exclude)?,
            sensors: filter("sensor", &options.sensor_include, &options.sensor_exclude)?,
        })
    }

    fn want(_: &Options, _: Asker) -> Want {
        Want { key: false }
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Want) -> Result<Taken<Reading>, Absent> {
        let class = pass.path(Root::Sys, CLASS);
        let chips = match self.chips(&class) {
            Ok(chips) => chips,
            Err(_) if want.key => return Ok(Reading::default().into()),
            Err(source) => {
                let path = class.clone();
                return Err(ReadError { path, source }.into());
            }
        };
        let key = |names: &Names| CallKey::from(class.join(&names.dir).as_os_str());
        let keys = chips.iter().map(|(_, names)| key(names)).collect();
        let limit = pass.limit(PATIENCE);
        let read = |dir: &std::ffi::OsStr| chip::sensors(Path::new(dir));
        let called = pass.host().calls().each("hwmon", keys, limit, read);
        let mut read = Vec::new();
        let mut errors = Vec::new();
        for ((name, names), called) in chips.into_iter().zip(called) {
            let sensors = match called {
                Called::Done(sensors) => sensors,
                Called::Parked => Err("its driver did not answer in time".into()),
                Called::Busy => Err("all threads for calls that can hang are held".into()),
            };
            let sensors = sensors.unwrap_or_else(|why| {
                errors.push(ItemError {
                    kind: "chip",
                    item: name.clone(),
                    why,
                });
                Sensors::new()
            });
            let hides = |sensor: &&String| !self.sensors.passes(&format!("{name};{sensor}"));
            read.push(Chip {
                hidden: sensors.keys().filter(hides).cloned().collect(),
                name,
                names,
                sensors,
            });
        }
        Ok(Taken::lacking(Reading(read), errors))
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        prometheus::tell(reading, page);
    }

    fn otlp(_: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        let temperatures = || {
            past.now.0.iter().flat_map(|chip| {
                let is = |(_, sensor): &(&String, &chip::Sensor)| sensor.kind == "temp";
                chip.sensors.iter().filter(is).map(move |(name, sensor)| {
                    let id = format!("{}_{name}", chip.name);
                    let label = sensor.element("label").unwrap_or_default();
                    (id, label, &*chip.name, sensor)
                })
            })
        };
        let celsius = |sensor: &chip::Sensor, element| {
            float(sensor.element(element)?.as_bytes()).map(|milli| milli / 1000.0)
        };
        let mut points = batch.instrument(&TEMPERATURE);
        for (id, label, chip, sensor) in temperatures() {
            if let Some(value) = celsius(sensor, "input") {
                points.push([&id, label, chip], value);
            }
        }
        drop(points);
        let mut points = batch.instrument(&LIMIT);
        for (id, label, chip, sensor) in temperatures() {
            for (element, kind) in [
                ("crit", "high.critical"),
                ("max", "high.degraded"),
                ("lcrit", "low.critical"),
                ("min", "low.degraded"),
            ] {
                if let Some(value) = celsius(sensor, element) {
                    points.push([&id, label, chip, kind], value);
                }
            }
        }
    }
}

crate::instruments! { Hwmon:
    TEMPERATURE gauge double "hw.temperature" "Cel" ["id", "name", "parent"] "Temperature of a sensor; `parent` is its chip";
    LIMIT gauge double "hw.temperature.limit" "Cel" ["id", "name", "parent", "limit_type"] "Limits of a sensor's temperature";
}
