//! Checks against the real thing: units of a booted systemd, containers of Podman, file systems that are full, read-only or hang.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;

use crate::containers::Podman;
use crate::hang::HANG;
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "checks::units_pass_while_systemd_calls_them_active",
        needs: &[Peer::Root, Peer::Systemd, Peer::DbusDaemon],
        run: units,
    },
    PeerTest {
        name: "checks::containers_pass_while_podman_calls_them_running_and_healthy",
        needs: &[Peer::Root, Peer::Podman, Peer::Runc, Peer::Busybox],
        run: containers,
    },
    PeerTest {
        name: "checks::directories_fail_while_they_are_full_or_read_only",
        needs: &[Peer::Root, Peer::Unshare],
        run: directories,
    },
    PeerTest {
        name: "checks::a_mount_that_hangs_costs_only_its_own_checks",
        needs: &[Peer::Root, Peer::Fuse, Peer::Unshare],
        run: hanging,
    },
];

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

/// The second word of each line that `nodeward check` prints, by the name of the check.
fn words(told: &str) -> Vec<(&str, &str)> {
    let words = |line| {
        let mut words = str::split_whitespace(line);
        Some((words.next()?, words.next()?))
    };
    told.lines().filter_map(words).collect()
}

fn probed(file: &Path, scratch: &Scratch) -> Result<String, Failed> {
    let mut command = ours::command("check", scratch);
    let out = command.arg("--config").arg(file).output()?;
    Ok(String::from_utf8(out.stdout)?)
}

fn containers() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let podman = Podman::start(&scratch)?;
    podman.container("plain", &[])?;
    let health = "--health-interval=disable --health-retries=1 --health-cmd";
    let mut options: Vec<&str> = health.split(' ').collect();
    let state = scratch.path().join("state");
    std::fs::create_dir(&state)?;
    let volume = format!("{}:/state", state.display());
    options.extend(["/bin/busybox test -e /state/well", "--volume", &volume]);
    podman.container("cared", &options)?;
    let file = scratch.path().join("nodeward.yml");
    let socket = podman.socket.display();
    std::fs::write(
        &file,
        format!(
            "container: {{socket: {socket}}}\n\
             checks:\n  \
               a: {{probe: {{container: {{name: plain}}}}, timeout: 30s}}\n  \
               b: {{probe: {{container: {{name: plain, healthy: true}}}}, timeout: 30s}}\n  \
               c: {{probe: {{container: {{name: cared, healthy: true}}}}, timeout: 30s}}\n  \
               d: {{probe: {{container: {{name: missing}}}}, timeout: 30s}}\n"
        ),
    )?;
    let expect = |when: &str, wanted: [&str; 4]| -> Result<(), Failed> {
        let told = probed(&file, &scratch)?;
        let wanted: Vec<_> = ["a", "b", "c", "d"].into_iter().zip(wanted).collect();
        match words(&told) == wanted {
            true => Ok(()),
            false => Err(format!("{when}: {told}").into()),
        }
    };
    expect("starting", ["ok", "FAILED", "FAILED", "FAILED"])?;
    assert!(podman.run(&["healthcheck", "run", "cared"]).is_err());
    expect("unhealthy", ["ok", "FAILED", "FAILED", "FAILED"])?;
    std::fs::write(state.join("well"), "")?;
    podman.run(&["healthcheck", "run", "cared"])?;
    expect("healthy", ["ok", "FAILED", "ok", "FAILED"])?;
    podman.run(&["stop", "--time", "0", "plain"])?;
    expect("stopped", ["FAILED", "FAILED", "ok", "FAILED"])
}

/// Mounts a small file system on $1 and becomes the rest of its arguments in each of its states.
const STATES: &str = r#"
set -e
at=$1; shift
mount -t tmpfs -o size=1m,nr_inodes=20 small "$at"
echo "= empty"; "$@" || :
head -c 2097152 /dev/zero > "$at/fill" 2>&- || :
echo "= full"; "$@" || :
rm "$at/fill"; for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do : > "$at/$n" || break; done
echo "= crowded"; "$@" || :
rm "$at"/*; mount -o remount,ro "$at"
echo "= read-only"; "$@" || :
mount -o remount,rw "$at"
echo "= again"; "$@" || :
ls -A "$at"
"#;

/// Each state, and what is said in it of the room, the inodes, writing and the mount.
const SAID: &[(&str, [&str; 4])] = &[
    ("empty", ["ok", "ok", "ok", "ok"]),
    ("full", ["FAILED", "ok", "FAILED", "ok"]),
    ("crowded", ["ok", "FAILED", "FAILED", "ok"]),
    ("read-only", ["ok", "ok", "FAILED", "FAILED"]),
    ("again", ["ok", "ok", "ok", "ok"]),
];

fn directories() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let at = scratch.path().join("small");
    std::fs::create_dir(&at)?;
    let file = scratch.path().join("nodeward.yml");
    let mut yaml = String::from("checks:\n");
    for (name, more) in [
        ("a", "free_at_least: 10%"),
        ("b", "inodes_free_at_least: 3"),
        ("c", "writable: true"),
        ("d", "not_read_only: true"),
    ] {
        let path = at.display();
        yaml.push_str(&format!(
            "  {name}: {{probe: {{directory: {{path: {path}, {more}}}}}, timeout: 30s}}\n"
        ));
    }
    std::fs::write(&file, yaml)?;
    let mut ours = ours::command("check", &scratch);
    ours.arg("--config").arg(&file);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-c", STATES]);
    command.arg("bash").arg(&at);
    command.arg(ours.get_program()).args(ours.get_args());
    let out = command.output()?;
    let told = String::from_utf8(out.stdout)?;
    // The last that is listed is what was left there.
    if told.contains(".nodeward-write-test") {
        return Err(format!("something was left behind: {told}").into());
    }
    let mut states = told.split("= ").skip(1);
    for (state, words_of) in SAID {
        let said = states.next().unwrap_or_default();
        let wanted: Vec<_> = ["a", "b", "c", "d"].into_iter().zip(*words_of).collect();
        let lines = said.strip_prefix(state).map(words).unwrap_or_default();
        if lines != wanted {
            let err = String::from_utf8_lossy(&out.stderr);
            return Err(format!("{state}: {told}{err}").into());
        }
    }
    Ok(())
}

fn hanging() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let at = scratch.path().join("stuck");
    std::fs::create_dir(&at)?;
    let file = scratch.path().join("nodeward.yml");
    let (path, fine) = (at.display(), scratch.path().display());
    std::fs::write(
        &file,
        format!(
            "checks:\n  \
               a: {{probe: {{directory: {{path: {path}, writable: true}}}}, timeout: 1s}}\n  \
               b: {{probe: {{file: {{path: {path}/file}}}}, timeout: 1s}}\n  \
               c: {{probe: {{directory: {{path: {fine}, writable: true}}}}, timeout: 30s}}\n  \
               d: {{probe: {{file: {{path: {fine}/nodeward.yml}}}}, timeout: 30s}}\n"
        ),
    )?;
    let mut ours = ours::command("check", &scratch);
    ours.arg("--config").arg(&file);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-c", HANG]);
    command.arg("bash").arg(&at);
    command.arg(ours.get_program()).args(ours.get_args());
    let out = command.output()?;
    let told = String::from_utf8(out.stdout)?;
    let wanted = [("a", "FAILED"), ("b", "FAILED"), ("c", "ok"), ("d", "ok")];
    match words(&told) == wanted {
        true => Ok(()),
        false => Err(format!("{told}{}", String::from_utf8_lossy(&out.stderr)).into()),
    }
}
