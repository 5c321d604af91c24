use serde_json::json;

use super::*;
use crate::action::Stopper;
use crate::action::tests::{Case, label};
use crate::model::sight::Sight;

const SOON: Duration = Duration::from_secs(60);

fn shell(script: &str) -> Run {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).into();
    Run::if_allowed(argv, environment(&Case::default().order()).into(), |_| {
        Ok(())
    })
}

async fn ran(script: &str, timeout: Duration) -> (Outcome, Vec<Value>) {
    let mut started = Vec::new();
    let outcome = carry_out(shell(script), timeout, &Stop::never(), |v| started.push(v)).await;
    (outcome, started)
}

fn command(argv: Value) -> Command {
    serde_json::from_value(json!({"argv": argv})).unwrap()
}

/// Waits until a process has ended; a zombie has.
async fn ends(pid: &str) {
    let lives = || {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
    };
    while lives() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn exit_status_signal_and_both_outputs_are_told() {
    let (outcome, started) = ran("echo out; echo err >&2", SOON).await;
    let Outcome::Done(detail) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        detail,
        json!({"output": "out\nerr\n", "dropped": 0, "exit": 0})
    );
    assert!(started[0]["pid"].as_u64().unwrap() > 1);
    let (outcome, _) = ran("echo no; exit 7", SOON).await;
    let Outcome::Failed { why, detail } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(why, "/bin/sh ended with exit status 7");
    assert_eq!(
        (&detail["exit"], &detail["output"]),
        (&json!(7), &json!("no\n"))
    );
    let (outcome, _) = ran("kill -9 $$", SOON).await;
    assert!(matches!(outcome, Outcome::Failed { why, .. } if why.ends_with("signal 9")));
}

#[tokio::test]
async fn the_environment_holds_four_names_and_nothing_of_ours() {
    let argv = vec!["/usr/bin/env".to_owned()];
    let run = Run::if_allowed(argv, environment(&Case::default().order()).into(), |_| {
        Ok(())
    });
    let outcome = carry_out(run, SOON, &Stop::never(), |_| ()).await;
    let Outcome::Done(detail) = outcome else {
        panic!("{outcome:?}");
    };
    let mut lines: Vec<_> = detail["output"].as_str().unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "NODEWARD_ATTEMPT=01JD-1",
            "NODEWARD_INCIDENT=01JD",
            "NODEWARD_PLAYBOOK=web-down",
            "NODEWARD_TARGET=unit:web.service"
        ]
    );
}

#[tokio::test]
async fn what_is_to_stop_is_asked_first_and_its_last_words_are_kept() {
    let (stopper, stop) = Stopper::new();
    let script = "trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let started = |_| stopper.stop();
    let outcome = carry_out(shell(script), SOON, &stop, started).await;
    let Outcome::Unknown { why, detail } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        why.ends_with("cancelled and was ended with SIGTERM"),
        "{why}"
    );
    assert_eq!(detail["stopped_with"], "SIGTERM");
}

#[tokio::test]
async fn what_is_to_stop_and_does_not_is_killed() {
    let (stopper, stop) = Stopper::new();
    let directory = tempfile::tempdir().unwrap();
    let trapped = directory.path().join("trapped");
    let script = format!(
        "trap '' TERM; : > {}; while :; do sleep 0.01; done",
        trapped.display()
    );
    let run = carry_out(shell(&script), SOON, &stop, |_| ());
    let later = async {
        // So that the shell has got as far as its trap.
        while !trapped.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stopper.stop();
    };
    let (outcome, ()) = tokio::join!(run, later);
    let Outcome::Unknown { detail, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(detail["stopped_with"], "SIGKILL");
}

#[tokio::test]
async fn what_runs_too_long_is_ended_with_all_its_group() {
    // The child ignores SIGTERM, so it is left behind when the shell ends.
    let script = "trap '' TERM; sh -c 'sleep 1000' & echo $!; trap - TERM; wait";
    let (outcome, _) = ran(script, Duration::from_secs(1)).await;
    let Outcome::Unknown { why, detail } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("longer than 1s"), "{why}");
    assert_eq!(detail["stopped_with"], "SIGTERM");
    let child = detail["output"].as_str().unwrap().trim().to_owned();
    ends(&child).await;
}

#[tokio::test]
async fn what_a_command_leaves_in_its_group_ends_with_it() {
    let (outcome, _) = ran("sleep 1000 & echo $!", SOON).await;
    let Outcome::Done(detail) = outcome else {
        panic!("{outcome:?}");
    };
    let child = detail["output"].as_str().unwrap().trim().to_owned();
    ends(&child).await;
}

#[tokio::test]
async fn a_program_that_nobody_waits_for_any_more_is_killed_and_reaped() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let run = tokio::spawn(async move {
        carry_out(shell("sleep 1000"), SOON, &Stop::never(), |pid| {
            tell.send(pid["pid"].to_string()).unwrap();
        })
        .await
    });
    let pid = told.await.unwrap();
    run.abort();
    run.await.unwrap_err();
    while std::fs::metadata(format!("/proc/{pid}")).is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_program_that_others_could_change_is_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("x");
    std::os::unix::fs::symlink("/bin/true", &program).unwrap();
    let order = Case::default();
    let act = command(json!([program]));
    let outcome = act
        .act(&order.world(), &order.order(), |_| panic!("started"))
        .await;
    let Outcome::Failed { why, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("is not run"), "{why}");
    let act = command(json!(["/bin/echo", "a b", {"from": "name"}]));
    let outcome = act.act(&order.world(), &order.order(), |_| ()).await;
    let Outcome::Done(detail) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(detail["output"], "a b web.service\n");
}

#[test]
fn is_rendered_with_the_values_it_will_get() {
    let case = Case::default();
    let rendered = command(json!(["/bin/x", {"from": "name"}])).render(&case.order());
    assert_eq!(
        rendered.unwrap()["command"]["argv"],
        json!(["/bin/x", "web.service"])
    );
    let hostile = Case {
        labels: label("name", "--force"),
        ..Case::default()
    };
    assert!(
        command(json!(["/bin/x", {"from": "name"}]))
            .render(&hostile.order())
            .is_err()
    );
    assert!(
        command(json!([{"from": "name"}]))
            .render(&case.order())
            .is_err()
    );
}

#[test]
fn is_checked_as_far_as_can_be_known() {
    let site = Site {
        target: "unit",
        labels: &["name"],
    };
    let wrong = |argv: Value| command(argv).check(&site);
    assert_eq!(
        wrong(json!(["/bin/x", "-y", {"from": "name"}])),
        Vec::<String>::new()
    );
    for (argv, says) in [
        (json!(["x"]), "absolute path"),
        (json!([{"from": "name"}]), "must be written out"),
        (json!([]), "empty"),
        (json!(["/bin/x", {"from": "other"}]), "match"),
        (json!(["/bin/x", "a\u{0}b"]), "zero byte"),
    ] {
        let said = wrong(argv);
        assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
    }
}

#[tokio::test]
async fn a_mark_is_a_strong_witness() {
    let directory = tempfile::tempdir().unwrap();
    let case = Case::default();
    let mut act = command(json!(["/bin/x"]));
    assert_eq!(act.strength(), Strength::Weak);
    assert_eq!(
        act.look(&case.world(), &case.order()).await.witness,
        Ok(None)
    );
    act.witness = Some(directory.path().to_owned());
    assert_eq!(act.strength(), Strength::Strong);
    let before = act
        .look(&case.world(), &case.order())
        .await
        .witness
        .unwrap();
    std::fs::write(directory.path().join("01JD-1"), "").unwrap();
    let after = act
        .look(&case.world(), &case.order())
        .await
        .witness
        .unwrap();
    assert!(before.is_some() && before != after);
}

#[tokio::test]
async fn a_test_says_well_or_ill_only_when_its_program_did() {
    let case = Case::default();
    let stopped = Stopper::new();
    stopped.0.stop();
    for (argv, stop, sight, says) in [
        (json!(["/bin/true"]), None, Sight::Well, "exit status 0"),
        (
            json!(["/bin/sh", "-c", "exit 127"]),
            None,
            Sight::Ill,
            "exit status 127",
        ),
        (
            json!(["/bin/sleep", "1000"]),
            None,
            Sight::Ill,
            "longer than 1s",
        ),
        (
            json!(["/bin/sh", "-c", "kill -9 $$"]),
            None,
            Sight::Blind,
            "signal 9",
        ),
        (
            json!(["/bin/x", {"from": "other"}]),
            None,
            Sight::Blind,
            "no label",
        ),
        (
            json!(["/bin/sleep", "1000"]),
            Some(&stopped.1),
            Sight::Blind,
            "under way",
        ),
    ] {
        let timeout = if says.contains("1s") { "1s" } else { "10s" };
        let test: Test = serde_json::from_value(json!({"argv": argv, "timeout": timeout})).unwrap();
        let mut order = case.order();
        if let Some(stop) = stop {
            order.stop = stop;
        }
        let (seen, why) = test.run(&order).await;
        assert_eq!(seen, sight, "{argv}: {why}");
        assert!(why.contains(says), "{argv}: {why}");
    }
}
