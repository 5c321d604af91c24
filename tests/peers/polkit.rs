//! The rule of `nodeward generate polkit`, in a polkitd beside a booted systemd: what its user may do, and what not.

use std::process::{Command, Output};

use libtest_mimic::Failed;

use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "polkit::the_rule_allows_what_it_lists_and_nothing_else",
    needs: &[
        Peer::Root,
        Peer::Systemd,
        Peer::DbusDaemon,
        Peer::Polkitd,
        Peer::Unshare,
    ],
    run: rule,
}];

/// Calls of systemd's manager, and whether the user may make them.
const CALLS: &[(&[&str], bool)] = &[
    (
        &["RestartUnit", "ss", "nodeward-active.service", "replace"],
        true,
    ),
    (&["ResetFailedUnit", "s", "nodeward-active.service"], true),
    (
        &["StopUnit", "ss", "nodeward-active.service", "replace"],
        false,
    ),
    (
        &["TryRestartUnit", "ss", "nodeward-active.service", "replace"],
        false,
    ),
    (
        &[
            "ReloadOrRestartUnit",
            "ss",
            "nodeward-active.service",
            "replace",
        ],
        false,
    ),
    (
        &["KillUnit", "ssi", "nodeward-active.service", "all", "9"],
        false,
    ),
    (
        &["RestartUnit", "ss", "nodeward-notify.service", "replace"],
        false,
    ),
    // Who may do this is root.
    (
        &[
            "StartTransientUnit",
            "ssa(sv)a(sa(sv))",
            "evil.service",
            "replace",
            "0",
            "0",
        ],
        false,
    ),
];

const POLKIT: &str =
    "[Unit]\nDefaultDependencies=no\n[Service]\nType=dbus\nBusName=org.freedesktop.PolicyKit1\n";

fn rule() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let booted = Booted::boot(&scratch)?;
    let inside = |arguments: &[&str]| -> Result<Output, Failed> {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &booted.first, "--"]);
        Ok(command.args(arguments).output()?)
    };
    let done = |output: Output| -> Result<(), Failed> {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        output
            .status
            .success()
            .then_some(())
            .ok_or_else(|| complaint.into())
    };
    let root = format!("/proc/{}/root", booted.first);
    let polkitd = Peer::Polkitd.find()?;
    std::fs::write(
        format!("{root}/run/systemd/system/polkit.service"),
        format!("{POLKIT}ExecStart={} --no-debug\n", polkitd.display()),
    )?;
    let rules = "/etc/polkit-1/rules.d";
    done(inside(&[
        "mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", rules,
    ])?)?;
    let unit = "nodeward-active.service";
    let config = serde_json::json!({"playbooks": {"web": {
        "match": {"alertname": "UnitDown", "unit": {"in": [unit]}},
        "target": {"unit": {"from": "unit"}},
        "ladder": [{"do": {"systemd": {"verb": "restart", "reset_failed": true}}}],
    }}});
    let file = scratch.path().join("nodeward.yml");
    std::fs::write(&file, config.to_string())?;
    let made = ours::command("generate", &scratch)
        .args(["polkit", "--user", "nobody", "--config"])
        .arg(&file)
        .output()?;
    assert!(made.status.success(), "{made:?}");
    std::fs::write(format!("{root}{rules}/50-nodeward.rules"), &made.stdout)?;
    let call = |before: &[&str], call: &[&str]| {
        let manager = [
            "busctl",
            "call",
            "org.freedesktop.systemd1",
            "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager",
        ];
        inside(&[before, &manager, call].concat())
    };
    done(call(&[], &["Reload"])?)?;
    let nobody = [
        "setpriv",
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
    ];
    let mut complaints = Vec::new();
    for (method, may) in CALLS {
        let output = call(&nobody, method)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let denied = said.contains("Access denied");
        if output.status.success() != *may || denied == *may {
            complaints.push(format!("{method:?}: {said}"));
        }
    }
    match complaints.as_slice() {
        [] => Ok(()),
        complaints => Err(complaints.join("\n").into()),
    }
}
