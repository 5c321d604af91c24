//! What of systemd is told, and how it is reached.

use std::cell::RefCell;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Systemd;
use crate::model::duration::Period;
use crate::model::pattern::Pattern;
use crate::peer::systemd as peer;
use crate::subject::{Flag, Invalid, Subject};

/// Options of systemd's units.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Units to tell; must match the whole name, and `unit_exclude` must not. Default: `.+`, all.
    pub unit_include: Pattern,
    /// Units not to tell; must match the whole name. Default: `.+\.(automount|device|mount|scope|slice)`.
    pub unit_exclude: Pattern,
    /// Tell Prometheus how often systemd restarted each service, as `node_systemd_service_restart_total`. Default:
    /// false.
    pub enable_restarts_metrics: bool,
    /// Tell Prometheus when each unit became active. Default: false.
    pub enable_start_time_metrics: bool,
    /// Tell Prometheus how many tasks each service has and may have, as systemd counts them. Default: false.
    pub enable_task_metrics: bool,
    /// Tell CPU time, memory, tasks, IO, ends for want of memory and restarts of each unit under names of nodeward's own
    /// (`nodeward_systemd_unit_*`). Default: true.
    pub unit_figures: bool,
    /// Tell among them how long each unit waited for CPUs, memory and IO: three files more a unit. Default: true.
    pub unit_pressure: bool,
    /// Most units whose figures are told, first by name; how many are left out is told. Default: 512.
    pub max_units: u32,
    /// How long an asker waits for a systemd that does not answer; whoever asks while it still does not is not made to
    /// wait. Never longer than the scrape itself may take. Default: 5s.
    pub bus_timeout: Period,
    /// How to reach systemd.
    pub bus: peer::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            unit_include: fixed(".+"),
            unit_exclude: fixed(r".+\.(automount|device|mount|scope|slice)"),
            enable_restarts_metrics: false,
            enable_start_time_metrics: false,
            enable_task_metrics: false,
            unit_figures: true,
            unit_pressure: true,
            max_units: 512,
            bus_timeout: Period::secs(5),
            bus: peer::Options::default(),
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "patterns of the program's own, used by every test"
)]
fn fixed(text: &str) -> Pattern {
    Pattern::new(text).expect("a pattern of the program's own")
}

/// Units whose verdict is remembered; beyond that all are forgotten, since units come and go.
const REMEMBERED: usize = 8192;

/// Which units are told. What was judged is remembered: matching costs more than the rest of telling a unit.
pub(super) struct Selection {
    include: Pattern,
    exclude: Pattern,
    judged: RefCell<HashMap<String, bool, RandomState>>,
}

impl Selection {
    pub(super) fn new(options: &Options) -> Result<Self, Invalid> {
        let whole = |key: &str, pattern: &Pattern| {
            Pattern::whole(pattern.as_str()).map_err(|bad| Invalid {
                subject: Systemd::NAME,
                why: format!("{key}: {bad}"),
            })
        };
        Ok(Self {
            include: whole("unit_include", &options.unit_include)?,
            exclude: whole("unit_exclude", &options.unit_exclude)?,
            judged: RefCell::default(),
        })
    }

    pub(super) fn takes(&self, unit: &str) -> bool {
        let mut judged = self.judged.borrow_mut();
        if let Some(takes) = judged.get(unit) {
            return *takes;
        }
        if judged.len() >= REMEMBERED {
            judged.clear();
        }
        let takes = self.include.matches(unit) && !self.exclude.matches(unit);
        judged.insert(unit.to_owned(), takes);
        takes
    }
}

fn set_pattern(to: &mut Pattern, text: &str) -> Result<(), String> {
    *to = Pattern::new(text).map_err(|e| e.to_string())?;
    Ok(())
}

/// Of an old spelling the reference takes an empty text for none given.
fn set_old_pattern(to: &mut Pattern, text: &str) -> Result<(), String> {
    if text.is_empty() {
        Ok(())
    } else {
        set_pattern(to, text)
    }
}

pub(super) const FLAGS: &[Flag<Options>] = &[
    Flag::value(
        "collector.systemd.unit-include",
        "Units to tell, a regular expression for the whole name",
        |o: &mut Options, v| set_pattern(&mut o.unit_include, v),
    ),
    Flag::value(
        "collector.systemd.unit-whitelist",
        "Old name of unit-include",
        |o: &mut Options, v| set_old_pattern(&mut o.unit_include, v),
    )
    .old_name_of("collector.systemd.unit-include"),
    Flag::value(
        "collector.systemd.unit-exclude",
        "Units not to tell, a regular expression for the whole name",
        |o: &mut Options, v| set_pattern(&mut o.unit_exclude, v),
    ),
    Flag::value(
        "collector.systemd.unit-blacklist",
        "Old name of unit-exclude",
        |o: &mut Options, v| set_old_pattern(&mut o.unit_exclude, v),
    )
    .old_name_of("collector.systemd.unit-exclude"),
    Flag::switch(
        "collector.systemd.private",
        "Ask systemd over its own socket, not over the bus",
        |o: &mut Options, v| {
            o.bus.private = v == "true";
            Ok(())
        },
    )
    .hidden(),
    Flag::switch(
        "collector.systemd.enable-task-metrics",
        "Tell how many tasks services have",
        |o: &mut Options, v| {
            o.enable_task_metrics = v == "true";
            Ok(())
        },
    ),
    Flag::switch(
        "collector.systemd.enable-restarts-metrics",
        "Tell how often services were restarted",
        |o: &mut Options, v| {
            o.enable_restarts_metrics = v == "true";
            Ok(())
        },
    ),
    Flag::switch(
        "collector.systemd.enable-start-time-metrics",
        "Tell when units became active",
        |o: &mut Options, v| {
            o.enable_start_time_metrics = v == "true";
            Ok(())
        },
    ),
];
