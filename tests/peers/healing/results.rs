//! What systemd says of a job and what became of the unit are two things: each incident ends by the second.

use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::{Stage, journal, once, verified};
use crate::process::{Running, until};

/// A unit that is ill, and how its incident ends.
struct Row {
    unit: &'static str,
    /// Its file, without what counts its starts.
    unit_section: &'static str,
    service: &'static str,
    playbook: &'static str,
    /// Started and killed before nodeward looks: its own start is one of those that its limit allows.
    began: bool,
    /// Of each attempt: what healing makes of it, the job's result as systemd told it, and words of the reason.
    attempts: &'static [(&'static str, &'static str, &'static str)],
    /// How often its program was started, by its own count.
    starts: usize,
    end: &'static str,
}

const SLEEP: &str = "ExecStart=/bin/sleep infinity";
const LIMIT: &str = "StartLimitBurst=1\nStartLimitIntervalSec=1h";

const ROWS: &[Row] = &[
    Row {
        unit: "nobinary",
        unit_section: "StartLimitIntervalSec=0",
        service: "ExecStart=/nonexistent/program",
        playbook: "once",
        began: false,
        attempts: &[("done", "done", "")],
        starts: 1,
        end: "escalated",
    },
    Row {
        unit: "early",
        unit_section: "StartLimitIntervalSec=0",
        service: "ExecStart=/bin/sleep 0.3",
        playbook: "once",
        began: false,
        attempts: &[("done", "done", "")],
        starts: 1,
        end: "escalated",
    },
    Row {
        unit: "condition",
        unit_section: "ConditionPathExists=/nonexistent",
        service: SLEEP,
        playbook: "once",
        began: false,
        attempts: &[("done", "done", "")],
        starts: 0,
        end: "escalated",
    },
    Row {
        unit: "dependent",
        unit_section: "Requires=nodeward-t-broken.service\nAfter=nodeward-t-broken.service",
        service: SLEEP,
        playbook: "once",
        began: false,
        attempts: &[("failed", "dependency", "dependency")],
        starts: 0,
        end: "escalated",
    },
    Row {
        unit: "notready",
        unit_section: "StartLimitIntervalSec=0",
        service: "Type=notify\nTimeoutStartSec=1\nExecStart=/bin/sleep infinity",
        playbook: "once",
        began: false,
        attempts: &[("failed", "failed", "timeout")],
        starts: 1,
        end: "escalated",
    },
    Row {
        unit: "limited",
        unit_section: LIMIT,
        service: SLEEP,
        playbook: "once",
        began: true,
        attempts: &[("failed", "failed", "start-limit-hit")],
        starts: 1,
        end: "escalated",
    },
    Row {
        unit: "reset",
        unit_section: LIMIT,
        service: SLEEP,
        playbook: "reset-late",
        began: true,
        attempts: &[
            ("failed", "failed", "start-limit-hit"),
            ("done", "done", ""),
        ],
        starts: 2,
        end: "healed",
    },
];

impl Row {
    fn name(&self) -> String {
        format!("nodeward-t-{}.service", self.unit)
    }

    fn text(&self) -> String {
        let (unit, section, service) = (self.unit, self.unit_section, self.service);
        let count = format!("ExecStartPre=/bin/sh -c \"echo started >>/run/nodeward/{unit}\"");
        format!("{section}\n[Service]\n{count}\n{service}")
    }
}

pub fn run() -> Result<(), Failed> {
    let texts: Vec<String> = ROWS.iter().map(Row::text).collect();
    let mut units: Vec<(&str, &str)> = Vec::new();
    units.extend(
        ROWS.iter()
            .zip(&texts)
            .map(|(row, text)| (row.unit, &**text)),
    );
    units.push((
        "broken",
        "[Service]\nType=exec\nExecStart=/nonexistent/program",
    ));
    let stage = Stage::set(&units)?;
    for row in ROWS.iter().filter(|row| row.began) {
        let unit = row.name();
        stage.call(&["StartUnit", "ss", &unit, "replace"])?;
        // A signal between what it runs first and what it is would hit nobody.
        until("its own start", || {
            let state = stage.property_of(&unit, "ActiveState").ok()?;
            state.contains("\"active\"").then_some(())
        })?;
        assert_eq!(started(&stage, row), 1, "{unit}");
        stage.call(&["KillUnit", "ssi", &unit, "all", "9"])?;
    }
    let bus = watch(&stage)?;
    let mut nodeward = crate::ours::configured(&config(&stage).to_string(), &stage.scratch)?;
    nodeward.address()?;
    for row in ROWS {
        let target = format!("unit:{}", row.name());
        let records = once(
            &stage.scratch,
            &nodeward,
            &format!("the end of {target}"),
            |r| r["target"] == target && r["to"] == row.end,
        )?;
        let of: Vec<&Value> = records.iter().filter(|r| r["target"] == target).collect();
        told(row, &of)?;
        until("the bus to have told of each call", || {
            (asked(&bus, &row.name()) >= row.attempts.len()).then_some(())
        })?;
    }
    // Whatever else it still does to what it has given up would be seen by now: each is probed again.
    nodeward.terminate()?;
    let records = journal(&stage.scratch)?;
    for row in ROWS {
        let unit = row.name();
        let intents = records
            .iter()
            .filter(|r| r["kind"] == "intent" && r["target"] == format!("unit:{unit}"));
        let counts = (intents.count(), asked(&bus, &unit), started(&stage, row));
        let expected = (row.attempts.len(), row.attempts.len(), row.starts);
        assert_eq!(counts, expected, "intents, calls and starts of {unit}");
    }
    verified(&stage.scratch)
}

/// What is on record of one incident: its results, its end and why.
fn told(row: &Row, of: &[&Value]) -> Result<(), Failed> {
    let results: Vec<&&Value> = of.iter().filter(|r| r["kind"] == "result").collect();
    assert_eq!(results.len(), row.attempts.len(), "{of:#?}");
    for (record, (outcome, result, why)) in results.iter().zip(row.attempts) {
        let detail = &record["data"]["detail"];
        let reason = detail["why"].as_str().unwrap_or_default();
        let right = record["data"]["outcome"] == *outcome
            && detail["result"] == *result
            && reason.contains(why);
        if !right {
            return Err(format!(
                "{} is to be {outcome}, {result}, {why}: {record:#}",
                row.unit
            )
            .into());
        }
    }
    let to = |state: &str| of.iter().find(|r| r["to"] == state);
    match row.end {
        "escalated" => {
            let escalated = to("escalated").ok_or("not escalated")?;
            assert_eq!(
                escalated["data"]["cause"]["why"], "exhausted",
                "{escalated:#}"
            );
            let notice = of.iter().find(|r| r["kind"] == "notify");
            let summary = notice.and_then(|r| r["data"]["summary"].as_str());
            let summary = summary.unwrap_or_default();
            assert!(summary.contains("what was tried did not help"), "{of:#?}");
            assert!(
                to("healed").is_none() && to("probation").is_none(),
                "{of:#?}"
            );
        }
        _ => assert!(to("escalated").is_none(), "{of:#?}"),
    }
    Ok(())
}

/// How often the unit's program was started.
fn started(stage: &Stage, row: &Row) -> usize {
    let file = format!(
        "/proc/{}/root/run/nodeward/{}",
        stage.booted.first, row.unit
    );
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

/// Somebody else who hears what is said on the bus.
fn watch(stage: &Stage) -> Result<Running, Failed> {
    let mut command = Command::new("busctl");
    command
        .arg(format!("--address={}", stage.booted.bus))
        .args([
            "monitor",
            "--json=short",
            "--match=type='method_call',member='RestartUnit'",
        ]);
    let bus = Running::start("busctl", &mut command, &stage.scratch)?;
    until("busctl to listen", || {
        bus.log().contains("Monitoring bus").then_some(())
    })?;
    Ok(bus)
}

/// How often systemd was asked to restart a unit.
fn asked(bus: &Running, unit: &str) -> usize {
    let log = bus.log();
    let calls = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    calls
        .filter(|call| {
            call["payload"]["data"][0] == unit && call["payload"]["data"][1] == "replace"
        })
        .count()
}

fn config(stage: &Stage) -> Value {
    let check = |row: &Row| {
        let unit = row.name();
        json!({"probe": {"unit": {"name": unit}}, "every": "1s", "alert": {"unit": unit}})
    };
    let checks = ROWS.iter().map(|row| (row.unit.to_owned(), check(row)));
    let playbook = |name: &str, ladder: Value| {
        let of = ROWS.iter().filter(|row| row.playbook == name);
        let units: Vec<String> = of.map(Row::name).collect();
        json!({
            "mode": "auto",
            "match": {"alertname": "CheckFailed", "unit": {"in": units}},
            "target": {"unit": {"from": "unit"}},
            "guards": {"cooldown": "100ms", "budget": "10/1h", "rate": "off"},
            "ladder": ladder,
            "verify": {"all": [{"unit_stable": "1s"}], "pass": 2, "every": "200ms", "deadline": "3s"},
            "probation": "1s",
        })
    };
    let restart = json!({"do": {"systemd": "restart"}, "timeout": "10s"});
    let reset =
        json!({"do": {"systemd": {"verb": "restart", "reset_failed": true}}, "timeout": "10s"});
    json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "subjects": {"enable": ["systemd"], "systemd": {"bus": {"address": stage.booted.bus}}},
        "checks": checks.collect::<serde_json::Map<_, _>>(),
        "playbooks": {
            "once": playbook("once", json!([restart])),
            "reset-late": playbook("reset-late", json!([restart, reset])),
        },
    })
}
