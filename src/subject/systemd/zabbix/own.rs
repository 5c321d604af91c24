//! What nodeward tells of units beside agent 2.

use std::collections::HashMap;

use super::{NO_PROPERTY, of, restarts_of, unit, why};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::subject::systemd::figures::Figures;
use crate::subject::systemd::unit::Unit;
use crate::subject::systemd::{Options, Reading, Used, json};
use crate::subject::{Args, Said};

pub(super) fn units(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    if reading.states.is_empty() {
        return Err("Cannot retrieve list of units: systemd did not answer.".into());
    }
    let state = args.param(0);
    let counts = || {
        reading
            .states
            .iter()
            .filter(|(s, _)| state.is_empty() || s == state)
    };
    if counts().next().is_none() && !["reloading", "maintenance", "refreshing"].contains(&state) {
        return Err(Unsupported::invalid_parameter(1));
    }
    Ok(counts().map(|(_, count)| count).sum::<u64>().into())
}

const NO_GROUP: &str = "No such unit, or it has no control group.";

pub(super) fn one(reading: &Reading, args: &Args<'_>, pick: fn(&Figures) -> Option<Value>) -> Said {
    let figures = reading.named.get(unit(args)?).ok_or(NO_GROUP)?;
    pick(figures).ok_or_else(|| "The kernel does not count this for the unit.".into())
}

/// A JSON object under construction: what is absent is left out.
struct Row<'a>(&'a mut String);

impl Row<'_> {
    fn raw(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            if !self.0.ends_with('{') {
                self.0.push(',');
            }
            json::text(self.0, name);
            self.0.push(':');
            self.0.push_str(&value.to_string());
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        let mut quoted = String::new();
        json::text(&mut quoted, value);
        self.raw(name, Some(quoted));
    }

    fn figures(&mut self, figures: &Figures) {
        self.raw("cpu_seconds", figures.cpu_seconds());
        self.raw("memory_bytes", figures.memory);
        self.raw("memory_limit_bytes", figures.memory_limit);
        self.raw("tasks", figures.tasks);
        self.raw("tasks_limit", figures.tasks_limit);
        self.raw("io_read_bytes", figures.io.map(|(read, _)| read));
        self.raw("io_write_bytes", figures.io.map(|(_, written)| written));
        self.raw("cpu_throttled_seconds", figures.throttled_seconds());
        self.raw("oom_kills", figures.oom_kills);
        for (kind, all) in [("waiting", false), ("stalled", true)] {
            for (resource, seconds) in figures.stalls(all) {
                self.raw(&format!("{resource}_{kind}_seconds"), Some(seconds));
            }
        }
    }
}

pub(super) fn figures(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let mut out = String::new();
    match args.param(0) {
        "" => {
            let units = reading.units.iter();
            let states: HashMap<&str, &Unit> = units.map(|u| (&*u.name, u)).collect();
            json::list(&mut out, ['[', ']'], &reading.used, |out, used: &Used| {
                out.push('{');
                let mut row = Row(out);
                row.text("name", &used.name);
                if let Some(unit) = states.get(&*used.name) {
                    row.text("active_state", &unit.active);
                }
                row.figures(&used.figures);
                row.raw("restarts", used.restarts);
                out.push('}');
            });
        }
        unit => {
            out.push('{');
            let mut row = Row(&mut out);
            row.text("name", unit);
            for (name, property) in [
                ("load_state", "LoadState"),
                ("active_state", "ActiveState"),
                ("sub_state", "SubState"),
            ] {
                let said = reading.single.get(&of(unit, "Unit", property));
                match said {
                    Some(Ok(value)) => row.text(name, value.as_str().unwrap_or_default()),
                    Some(Err(error)) => return Err(why(NO_PROPERTY, error)),
                    None => {}
                }
            }
            if let Some(figures) = reading.named.get(unit) {
                row.figures(figures);
            }
            let restarts = reading.single.get(&restarts_of(unit));
            row.raw(
                "restarts",
                restarts
                    .and_then(|r| r.as_ref().ok())
                    .and_then(|r| r.as_u64()),
            );
            out.push('}');
        }
    }
    Ok(out.into())
}
