//! Checks of units, against a booted systemd.

use libtest_mimic::Failed;

use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "checks::units_pass_while_systemd_calls_them_active",
    needs: &[Peer::Root, Peer::Systemd, Peer::DbusDaemon],
    run: units,
}];

/// A unit, what is asked of it, and what is said.
const UNITS: &[(&str, &str, &str)] = &[
    ("nodeward-active.service", "", "ok"),
    ("nodeward-active.service", ", sub_state: running", "ok"),
    ("nodeward-active.service", ", sub_state: exited", "FAILED"),
    ("nodeward-oneshot.service", ", sub_state: exited", "ok"),
    ("nodeward-failed.service", "", "FAILED"),
    ("nodeward-missing.service", "", "FAILED"),
    ("nodeward-echo.socket", ", sub_state: listening", "ok"),
    ("nodeward-template@one.service", "", "ok"),
    ("nodeward-odd\\x20name.service", "", "ok"),
    ("run-nodeward\\x2dmount.mount", "", "FAILED"),
];

fn units() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let booted = Booted::boot(&scratch)?;
    let mut yaml = String::from("checks:\n");
    for (nth, (unit, more, _)) in UNITS.iter().enumerate() {
        yaml.push_str(&format!(
            "  c{nth}: {{probe: {{unit: {{name: '{unit}'{more}}}}}}}\n"
        ));
    }
    let file = scratch.path().join("checks.yml");
    std::fs::write(&file, yaml)?;
    let mut command = ours::command("check", &scratch);
    command.arg("--config").arg(&file);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &booted.bus);
    let out = command.output()?;
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.code() != Some(1) {
        return Err(format!(
            "{:?}: {told}{}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        )
        .into());
    }
    for (line, (unit, more, word)) in told.lines().zip(UNITS) {
        if line.split_whitespace().nth(1) != Some(word) {
            return Err(format!("{unit}{more} is to be {word}: {line}").into());
        }
    }
    match told.lines().count() {
        count if count == UNITS.len() => Ok(()),
        count => Err(format!("{count} lines: {told}").into()),
    }
}
