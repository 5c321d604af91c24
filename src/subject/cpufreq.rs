//! Clocks of the CPUs: /sys/devices/system/cpu/cpu*/cpufreq (Linux Documentation/admin-guide/pm/cpufreq.rst).
//!
//! Reading the current frequency may wake a CPU and take milliseconds, so that it is read for pages alone, on the lane of the drivers.

use crate::dialect::prometheus::{Declared, Family, Kind, Page, joined, listed};
use crate::host::parse::{label, unsigned};
use crate::host::{Pass, Root};
use crate::subject::cpu::{Processor, cpu_list, processors};
use crate::subject::{Absent, Asker, Invalid, ItemError, Lane, Machine, Subject, Taken};

const DIR: &str = "devices/system/cpu";

/// The subject.
pub struct Cpufreq {
    info: bool,
}

/// Options of clocks.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Tell the frequency that /proc/cpuinfo has of each CPU too, as `node_cpu_frequency_hertz` with its core and package. Default: false,
    /// and true if `subjects.cpu.info` is.
    pub info: bool,
}

macro_rules! frequencies {
    ($($family:literal $file:literal $help:literal;)*) => {
        const COUNT: usize = [$($file),*].len();
        static HERTZ: [Family<Cpufreq, 1>; COUNT] =
            [$(Family::new(concat!("node_cpu_", $family), Kind::Gauge, ["cpu"], $help)),*];
        static FILES: [&str; COUNT] = [$($file),*];
    };
}

frequencies! {
    "frequency_avg_hertz" "cpuinfo_avg_freq" "Mean frequency as the hardware says, from Linux 6.16";
    "frequency_min_hertz" "cpuinfo_min_freq" "Lowest frequency of the hardware";
    "frequency_max_hertz" "cpuinfo_max_freq" "Highest frequency of the hardware";
    "scaling_frequency_hertz" "scaling_cur_freq" "Frequency the kernel asked for last";
    "scaling_frequency_min_hertz" "scaling_min_freq" "Lowest frequency the kernel may ask for";
    "scaling_frequency_max_hertz" "scaling_max_freq" "Highest frequency the kernel may ask for";
}

crate::families! { Cpufreq:
    CURRENT gauge "node_cpu_frequency_hertz" ["core", "cpu", "package"] "Frequency as the hardware says, without core and package; that of /proc/cpuinfo with them";
    GOVERNOR gauge "node_cpu_scaling_governor" ["cpu", "governor"] "Whether a governor is the one that chooses the frequency";
}
static DECLARED: [&dyn Declared; COUNT + 2] = joined(&[&listed(&HERTZ), FAMILIES]);

/// What was read.
#[derive(Debug, Default)]
pub struct Reading {
    clocks: Vec<Clock>,
    /// As /proc/cpuinfo has them, if they are asked for.
    info: Vec<Processor>,
}

#[derive(Debug)]
struct Clock {
    cpu: String,
    current: Option<u64>,
    /// In kHz, in the order of the families.
    frequencies: [Option<u64>; COUNT],
    governor: String,
    governors: String,
}

/// The clocks of the CPUs that are online.
fn clocks(pass: &Pass<'_>) -> Result<Vec<Clock>, Absent> {
    let text = pass.attribute(&format!("{DIR}/offline"))?;
    let (offline, _) = cpu_list(&text);
    let mut clocks = Vec::new();
    for name in pass.devices(DIR)? {
        let Some(cpu) = name.strip_prefix("cpu") else {
            continue;
        };
        if !cpu.starts_with(|c: char| c.is_ascii_digit())
            || cpu
                .parse()
                .is_ok_and(|number: u32| offline.contains(&number))
            || !pass
                .path(Root::Sys, &format!("{DIR}/{name}/cpufreq"))
                .is_dir()
        {
            continue;
        }
        let read = |file: &str| pass.attribute(&format!("{DIR}/{name}/cpufreq/{file}")).ok();
        let text = |file| read(file).map_or_else(String::new, |t| label(&t).into_owned());
        clocks.push(Clock {
            current: read("cpuinfo_cur_freq").and_then(|text| unsigned(&text)),
            frequencies: FILES.map(|file| unsigned(&read(file)?)),
            governor: text("scaling_governor"),
            governors: text("scaling_available_governors"),
            cpu: cpu.to_owned(),
        });
    }
    Ok(clocks)
}

impl Subject for Cpufreq {
    const NAME: &'static str = "cpufreq";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    type Options = Options;
    type Want = ();
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self { info: options.info })
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let mut info = Vec::new();
        if self.info
            && let Ok(text) = pass.file(Root::Proc, "cpuinfo")
        {
            // What is wrong with it the subject `cpu` tells.
            info = processors(&text, &mut Vec::new());
        }
        match clocks(pass) {
            Ok(clocks) => Ok(Reading { clocks, info }.into()),
            Err(why) if info.is_empty() => Err(why),
            Err(why) => Ok(Taken {
                reading: Reading {
                    clocks: Vec::new(),
                    info,
                },
                errors: vec![ItemError {
                    kind: "sysfs",
                    item: DIR.into(),
                    why: why.to_string(),
                }],
                complete: false,
            }),
        }
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut samples = page.family(&CURRENT);
        for clock in &reading.clocks {
            if let Some(kilohertz) = clock.current {
                let labels = [None, Some(&*clock.cpu), None];
                samples.push_known(labels, kilohertz.saturating_mul(1000));
            }
        }
        for processor in &reading.info {
            let (core, number, package, hertz) = processor.clock();
            let cpu = number.to_string();
            // Without core and package it would be the series of the hardware's own word.
            let told = |clock: &Clock| clock.cpu == cpu && clock.current.is_some();
            if core.is_empty() && package.is_empty() && reading.clocks.iter().any(told) {
                continue;
            }
            samples.push([core, &cpu, package], hertz);
        }
        for (at, family) in HERTZ.iter().enumerate() {
            let mut samples = page.family(family);
            for clock in &reading.clocks {
                if let Some(Some(kilohertz)) = clock.frequencies.get(at) {
                    samples.push([&clock.cpu], kilohertz.saturating_mul(1000));
                }
            }
        }
        let mut samples = page.family(&GOVERNOR);
        for clock in reading
            .clocks
            .iter()
            .filter(|clock| !clock.governor.is_empty())
        {
            for governor in clock.governors.split(' ') {
                samples.push([&clock.cpu, governor], governor == clock.governor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn clocks_of_cpus_that_are_online_are_told_in_hertz() {
        let machine = Captured::new(&[
            ("sys/devices/system/cpu/offline", "2-3\n"),
            (
                "sys/devices/system/cpu/cpu0/cpufreq",
                "->../cpufreq/policy0",
            ),
            (
                "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq",
                "1800000\n",
            ),
            (
                "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_cur_freq",
                "<unknown>\n",
            ),
            (
                "sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
                "ondemand\n",
            ),
            (
                "sys/devices/system/cpu/cpufreq/policy0/scaling_available_governors",
                "ondemand performance \n",
            ),
            ("sys/devices/system/cpu/cpu1/online", "1\n"),
            (
                "sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq",
                "1\n",
            ),
        ]);
        machine.put(
            "sys/devices/system/cpu/cpu4/cpufreq/cpuinfo_cur_freq",
            "1500000\n",
        );
        let (page, _) = machine.page::<Cpufreq>(&[]);
        assert_eq!(
            page,
            "node_cpu_frequency_hertz{cpu=\"4\"} 1500000000\n\
             node_cpu_scaling_frequency_hertz{cpu=\"0\"} 1800000000\n\
             node_cpu_scaling_governor{cpu=\"0\",governor=\"ondemand\"} 1\n\
             node_cpu_scaling_governor{cpu=\"0\",governor=\"performance\"} 0\n"
        );
    }
}
