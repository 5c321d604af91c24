use std::path::Path;

use serde_json::json;

use super::*;

const SOON: Duration = Duration::from_secs(1);

fn shell(script: &str) -> serde_json::Value {
    json!({"command": {"argv": ["/bin/sh", "-c", script]}})
}

#[tokio::test]
async fn the_exit_status_says_whether_all_is_well() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let others = directory.path().join("others-may-write-here");
    std::os::unix::fs::symlink("/bin/true", &others).unwrap();
    for (options, ok, blind, why) in [
        (shell("echo fine"), true, false, "exit status 0: fine"),
        (
            shell("echo torn; exit 3"),
            false,
            false,
            "exit status 3: torn",
        ),
        (shell("kill -9 $$"), false, true, "signal 9"),
        (
            json!({"command": {"argv": ["/bin/no-such-program"]}}),
            false,
            true,
            "cannot be looked at",
        ),
        (
            json!({"command": {"argv": [others]}}),
            false,
            true,
            "is not run",
        ),
        // An empty environment, of which env shows nothing.
        (
            json!({"command": {"argv": ["/usr/bin/env"]}}),
            true,
            false,
            "exit status 0",
        ),
        (
            shell("head -c 50000000 /dev/zero; echo; echo end"),
            true,
            false,
            "exit status 0: end",
        ),
    ] {
        let seen = probe(options.clone(), &world).await;
        assert_eq!((seen.ok, seen.blind), (ok, blind), "{options}: {seen:?}");
        assert!(seen.why.contains(why), "{options}: {seen:?}");
    }
    let seen = probe(json!({"command": {"argv": ["/usr/bin/env"]}}), &world).await;
    assert_eq!(seen.why, "exit status 0");
    assert_eq!(seen.facts["exit"], 0);
}

async fn appears(path: &Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn plan(options: serde_json::Value) -> Plan {
    let mut check = check(options);
    check.timeout = crate::model::duration::Period::secs(60);
    Plan::new(&Options::from([("it".to_owned(), check)]), &world()).unwrap()
}

#[tokio::test]
async fn what_runs_too_long_is_asked_to_end_and_not_run_again_before_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let script = format!(
        "trap 'while [ ! -e {go} ]; do sleep 0.01; done; : > {tidied}; exit 0' TERM; while :; do sleep 0.01; done",
        go = at("go").display(),
        tidied = at("tidied").display()
    );
    let plan = plan(shell(&script));
    let probe = || async { plan.probe("it", Instant::now() + SOON).await.unwrap() };
    let seen = probe().await;
    assert!(!seen.ok && !seen.blind, "{seen:?}");
    assert!(seen.why.contains("ran longer than 1"), "{seen:?}");
    let seen = probe().await;
    assert!(
        seen.blind && seen.why.contains("has not ended yet"),
        "{seen:?}"
    );
    std::fs::write(at("go"), "").unwrap();
    appears(&at("tidied")).await;
}

#[tokio::test]
async fn what_ignores_that_is_killed_with_all_its_group() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let script = format!(
        "trap '' TERM; sh -c 'echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 1000' & wait",
        pid = pid.display()
    );
    let plan = plan(shell(&script));
    let seen = plan.probe("it", Instant::now() + SOON).await.unwrap();
    assert!(!seen.ok && !seen.blind, "{seen:?}");
    appears(&pid).await;
    let child = std::fs::read_to_string(&pid).unwrap();
    let stat = format!("/proc/{}/stat", child.trim());
    let lives = || {
        std::fs::read_to_string(&stat)
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
    };
    while lives() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let script = format!(
        "echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 1000",
        pid = pid.display()
    );
    let plan = plan(shell(&script));
    let probing = tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(60);
        plan.probe("it", deadline).await
    });
    appears(&pid).await;
    probing.abort();
    let child = std::fs::read_to_string(&pid).unwrap();
    while Path::new("/proc").join(child.trim()).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_command_line_must_begin_with_a_path_and_end() {
    let faults = |argv: serde_json::Value| {
        let options = check(json!({"command": {"argv": argv}}));
        options.probe.options().faults().len()
    };
    assert_eq!(faults(json!(["/bin/x", "-y"])), 0);
    for argv in [json!([]), json!(["x"]), json!(["/x", "a\u{0}b"])] {
        assert_eq!(faults(argv), 1);
    }
    assert_eq!(faults(json!(vec!["/x"; 65])), 1);
}
