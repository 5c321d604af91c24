//! `nodeward why INCIDENT`: what became of it, and which guard said what, from the journal alone.

use std::ops::ControlFlow;

use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use super::{Exit, journal};
use crate::heal::guards::Verdict;
use crate::heal::words;
use crate::journal::Filter;
use crate::model::terminal;

pub(super) fn command() -> Command {
    journal::placed(
        Command::new("why")
            .about("Tell what became of an incident, and which guard said what")
            .arg(
                Arg::new("id")
                    .value_name("INCIDENT")
                    .required(true)
                    .help("Its id, or the beginning or the end of it"),
            ),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    why(matches).err().unwrap_or(Exit::Fine)
}

fn why(matches: &ArgMatches) -> Result<(), Exit> {
    let reader = journal::open(matches)?;
    let start = matches.get_one::<String>("id").map_or("", String::as_str);
    let id = journal::whole_id(&reader, start)?;
    let filter = Filter {
        incident: Some(id.clone()),
        ..Filter::default()
    };
    let mut records = Vec::new();
    reader
        .entries(&filter, &mut |stored| {
            records.extend(serde_json::from_str::<Value>(&stored.line));
            ControlFlow::Continue(())
        })
        .map_err(|error| super::fail(&error.to_string()))?;
    super::tell(&told(&records))?;
    let state = records.iter().rev().find_map(|r| text(r, "to"));
    super::say(&format!("incident {id}: {}", state.unwrap_or("unknown")));
    Ok(())
}

fn text<'a>(record: &'a Value, name: &str) -> Option<&'a str> {
    record.get(name).and_then(Value::as_str)
}

/// The story, and after it every guard as it was asked last.
fn told(records: &[Value]) -> String {
    let mut lines = Vec::new();
    if let Some(first) = records
        .iter()
        .find(|record| text(record, "target").is_some())
    {
        let name = |name| text(first, name).unwrap_or("?");
        lines.push(format!(
            "{} by playbook {}",
            name("target"),
            name("playbook")
        ));
    }
    let mut traces: Vec<&str> = Vec::new();
    for record in records {
        // A traceparent: version, trace, span, flags. Each run has a trace of its own.
        let trace = text(record, "trace").and_then(|trace| trace.split('-').nth(1));
        if let Some(trace) = trace.filter(|trace| !traces.contains(trace)) {
            traces.push(trace);
        }
    }
    lines.extend(traces.iter().map(|trace| format!("trace {trace}")));
    for record in records {
        if let Some(said) = words::plain(record) {
            lines.push(format!("  {}  {said}", text(record, "time").unwrap_or("-")));
        }
    }
    let decision = records
        .iter()
        .rev()
        .find(|r| text(r, "kind") == Some("decision"));
    if let Some(decision) = decision {
        let time = text(decision, "time").unwrap_or("-");
        lines.push(format!("the guards, as they were asked last ({time}):"));
        let guards = decision.pointer("/data/guards").cloned();
        let guards: Vec<Verdict> = guards
            .and_then(|guards| serde_json::from_value(guards).ok())
            .unwrap_or_default();
        lines.extend(words::guards(&guards, "  "));
    }
    // What others wrote is not to write lines of its own.
    let lines = lines.iter().map(|line| terminal::line(line) + "\n");
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_wrote_makes_no_lines() {
        let record = json!({"time": "T", "kind": "alert", "target": "node\nhealed", "playbook": "p",
            "data": {"status": "firing", "hook": "am", "labels": {"alertname": "a\n  T  node is healed\u{1b}[2J"}}});
        let told = told(&[record]);
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(!told.contains('\u{1b}'), "{told}");
    }

    #[test]
    fn tells_the_story_and_each_guard_with_its_value() {
        let about = |kind: &str, more: Value| {
            let mut record =
                json!({"time": "T", "kind": kind, "target": "unit:a.service", "playbook": "p"});
            let fields = record.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            record
        };
        let guards = json!([
            {"guard": "kill_switch", "passes": true, "value": "off"},
            {"guard": "cooldown", "passes": false, "value": "1m30s left of 2m"}
        ]);
        let records = [
            about(
                "state",
                json!({"from": "settling", "to": "waiting", "trace": "00-4bf9-a1-01"}),
            ),
            about("decision", json!({"data": {"guards": guards}})),
        ];
        assert_eq!(
            told(&records),
            "unit:a.service by playbook p\n\
             trace 4bf9\n  \
             T  an incident is open for unit:a.service: the guards are asked\n  \
             T  the guard cooldown refuses: 1m30s left of 2m\n\
             the guards, as they were asked last (T):\n  \
             passes  kill_switch      off\n  \
             REFUSES cooldown         1m30s left of 2m\n"
        );
    }
}
