//! One look at whether something is well: a check, a probe of its own, a program, a unit or a container that must stay up.

use std::time::Duration;

use serde_json::{Value, json};

use super::Reach;
use crate::check::Probed;
use crate::heal::job::Job;
use crate::heal::playbook::{Probe, ROUND};
use crate::host::Clock;
use crate::model::duration::Period;
use crate::model::moment::Timestamp;
use crate::model::sight::Sight;
use crate::model::target::Target;
use crate::peer::container::Container;

/// What a probe is called in the journal, and what it wants.
pub(super) fn name(probe: &Probe) -> (&'static str, Value) {
    match probe {
        Probe::Check(name) => ("check", name.as_str().into()),
        Probe::UnitStable(span) => ("unit_stable", json!(span)),
        Probe::ContainerStable(span) => ("container_stable", json!(span)),
        Probe::Probe(probe) => ("probe", probe.kind().into()),
        Probe::Command(test) => ("command", test.program().into()),
        Probe::Pool(pool) => ("pool", pool.as_str().into()),
    }
}

/// What is said of a load balancer that makes no check of this node now: it was not asked.
pub(super) const NOT_ASKED: &str = "not asked: no check is made of this node while it is out";

/// Probes once: whether all is well, and what was seen. What has no time of its own has `share`.
pub(super) async fn probe(
    reach: &Reach,
    clock: &Clock,
    job: &Job,
    probe: &Probe,
    share: Duration,
) -> (Sight, String) {
    let now = tokio::time::Instant::now();
    let target = &job.incident.target;
    match probe {
        Probe::Check(name) => {
            // An open attempt goes by the checks that it began with, whatever a reload makes of them.
            let deadline = now + ROUND;
            let probed = match job.checks.get(name) {
                Some(check) => {
                    let probing = reach.checks.probe_as(name, check, &reach.probes, deadline);
                    Some(probing.await)
                }
                // Of a revision that was kept without them.
                None => reach.checks.probe(name, deadline).await,
            };
            let none = || (Sight::Blind, format!("there is no check {name:?}"));
            probed.map_or_else(none, sight)
        }
        Probe::Probe(own) => sight(own.once(&reach.probes, now + share).await),
        Probe::Command(test) => {
            let attempt = job.attempt();
            test.run(&job.order(share, &attempt)).await
        }
        Probe::Pool(name) => pool(reach, name).await,
        Probe::UnitStable(span) => unit(reach, clock, target, span.get(), share).await,
        Probe::ContainerStable(span) => container(reach, clock, target, span.get(), share).await,
    }
}

/// Whether the load balancer's own check of this node passes.
async fn pool(reach: &Reach, name: &str) -> (Sight, String) {
    let view = match reach.pools.look(name).await {
        Ok(leaving) => leaving.view,
        Err(why) => Err(why),
    };
    match view {
        Err(why) => (Sight::Blind, why.0),
        Ok(view) => match view.check {
            None => (Sight::Blind, NOT_ASKED.to_owned()),
            Some(true) => (Sight::Well, "its check of this node passes".into()),
            Some(false) => (Sight::Ill, "its check of this node fails".into()),
        },
    }
}

fn sight(probed: Probed) -> (Sight, String) {
    let sight = match probed.blind {
        true => Sight::Blind,
        false => probed.ok.into(),
    };
    (sight, probed.why)
}

/// Whether a unit is active and has been so for `span`, in one piece.
async fn unit(
    reach: &Reach,
    clock: &Clock,
    target: &Target,
    span: Duration,
    within: Duration,
) -> (Sight, String) {
    let Target::Unit(unit) = target else {
        return (Sight::Blind, "the target is no unit".into());
    };
    let Some(systemd) = &reach.action.systemd else {
        return (
            Sight::Blind,
            "there is no systemd (subjects.systemd.bus)".into(),
        );
    };
    let state = match systemd.unit_state(unit, within).await {
        Ok(state) => state,
        Err(error) => return (Sight::Blind, error.to_string()),
    };
    let sub = format!("{}/{}", state.active_state, state.sub_state);
    if state.active_state != "active" {
        return (Sight::Ill, format!("it is {sub} ({})", state.result));
    }
    let long = clock
        .monotonic()
        .saturating_sub(Duration::from_micros(state.changed_at));
    seen(stood(&sub, long, span))
}

/// Whether a container runs and has done so for `span`, in one piece, and is healthy if it has a health check.
async fn container(
    reach: &Reach,
    clock: &Clock,
    target: &Target,
    span: Duration,
    within: Duration,
) -> (Sight, String) {
    let Target::Container(name) = target else {
        return (Sight::Blind, "the target is no container".into());
    };
    let Some(engine) = &reach.action.container else {
        return (Sight::Blind, "no container engine is asked here".into());
    };
    match engine.inspect(name, within).await {
        Ok(state) => seen(runs(&state, clock.now().wall, span)),
        Err(error) => (Sight::Blind, error.to_string()),
    }
}

fn seen((well, why): (bool, String)) -> (Sight, String) {
    (well.into(), why)
}

/// An engine begins with `starting` after each start: that is no health yet.
fn runs(state: &Container, now: Timestamp, span: Duration) -> (bool, String) {
    let status = &state.status;
    if !state.running || state.restarting {
        return (false, format!("it is {status} ({})", state.exit_code));
    }
    if !["", "healthy"].contains(&&*state.health) {
        return (
            false,
            format!("it is {status}, its health {}", state.health),
        );
    }
    let Some(started) = Timestamp::parse(&state.started_at) else {
        let when = &state.started_at;
        return (
            false,
            format!("the engine tells no time of its start: {when:?}"),
        );
    };
    let long = now.since(started);
    stood(status, long, span)
}

fn stood(how: &str, long: Duration, span: Duration) -> (bool, String) {
    let words = Period::secs(long.as_secs());
    if long >= span {
        (true, format!("{how} for {words}"))
    } else {
        (false, format!("{how} only for {words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(text: &str) -> Container {
        let mut parts = text.split(' ');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let status = next();
        Container {
            running: status == "running" || status == "restarting",
            restarting: status == "restarting",
            status,
            started_at: next(),
            health: next(),
            ..Container::default()
        }
    }

    #[test]
    fn a_container_is_stable_once_it_has_run_for_a_while_and_is_not_merely_starting() {
        let now = Timestamp::parse("2026-11-26T10:00:20Z").unwrap();
        for (state, passed, says) in [
            ("running 2026-11-26T10:00:09.5Z", true, "running for 10s"),
            (
                "running 2026-11-26T10:00:09.5Z healthy",
                true,
                "running for 10s",
            ),
            (
                "running 2026-11-26T10:00:10.5Z healthy",
                false,
                "only for 9s",
            ),
            (
                "running 2026-11-26T10:00:09.5Z starting",
                false,
                "health starting",
            ),
            (
                "running 2026-11-26T10:00:09.5Z unhealthy",
                false,
                "health unhealthy",
            ),
            (
                "restarting 2026-11-26T10:00:09.5Z",
                false,
                "it is restarting",
            ),
            (
                "exited 2026-11-26T10:00:09.5Z healthy",
                false,
                "it is exited",
            ),
            ("running yesterday", false, "no time of its start"),
        ] {
            let told = runs(&container(state), now, Duration::from_secs(10));
            assert_eq!(told.0, passed, "{state}: {}", told.1);
            assert!(told.1.contains(says), "{state}: {}", told.1);
        }
    }
}
