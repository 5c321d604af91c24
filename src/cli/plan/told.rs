//! A plan in plain words.

use super::Planned;
use crate::action;
use crate::heal::playbook::{Probe, Verify};
use crate::heal::runner::{Considered, Forecast, Foreseen, Remedy, Taking, Weighed, Would};
use crate::heal::words;
use crate::model::alert::Status;
use crate::model::counted::counted;

/// All of it.
pub(super) fn plan(planned: &Planned) -> String {
    let mut lines = Vec::new();
    for alert in &planned.forecast.alerts {
        considered(planned, alert, &mut lines);
        lines.push(String::new());
    }
    for incident in led_to(planned) {
        foreseen(incident, &mut lines);
        lines.push(String::new());
    }
    lines.extend(looked_at(planned));
    let tame = lines.iter().map(|line| words::tame(line) + "\n");
    tame.collect()
}

/// The last line: what was found, and that nothing was done.
pub(super) fn end(planned: &Planned) -> String {
    let alerts = &planned.forecast.alerts;
    let ours = alerts.iter().filter(|alert| alert.ours).count();
    let about = led_to(planned);
    let would = |wanted: fn(&Would) -> bool| about.iter().filter(|i| wanted(&i.would)).count();
    format!(
        "{} planned for, {ours} ours, {}: {} would be acted upon, {} recorded only, {} wait, {} told to people; \
         nothing was done",
        counted(planned.alerts, "alert"),
        counted(about.len(), "incident"),
        would(|w| matches!(w, Would::Act | Would::Leave(_))),
        would(|w| *w == Would::Record),
        would(|w| matches!(w, Would::Wait(_) | Would::Ask(_))),
        would(|w| matches!(w, Would::Tell(_))),
    )
}

/// The incidents that alerts of this machine lead to. One that is not may have opened another while it was: nothing comes of it now.
fn led_to(planned: &Planned) -> Vec<&Foreseen> {
    let Forecast { alerts, incidents } = &planned.forecast;
    let led = |incident: &&Foreseen| {
        let mut ours = alerts.iter().filter(|alert| alert.ours);
        ours.any(|alert| alert.incidents.contains(&incident.incident))
    };
    incidents.iter().filter(led).collect()
}

fn considered(planned: &Planned, alert: &Considered, lines: &mut Vec<String>) {
    let Considered {
        name,
        severity,
        playbooks,
        ..
    } = alert;
    let status = match alert.status {
        Status::Firing => "fires",
        Status::Resolved => "is resolved",
    };
    lines.push(format!(
        "alert {name} ({severity}) {status}, by the hook {}",
        planned.hook
    ));
    if !alert.ours {
        let wants = &planned.wants;
        lines.push(format!(
            "  not of this machine, so nothing is done: that takes {wants} (node.match)"
        ));
    }
    if let Some(told) = &alert.known {
        lines.push(format!(
            "  no news: it was told at {told}; --as-new shows what a new one would lead to"
        ));
    }
    if alert.status == Status::Resolved {
        lines.push("  what is over starts nothing".to_owned());
        return;
    }
    if playbooks.is_empty() {
        lines.push("  the config has no playbook".to_owned());
    }
    let mut nearest: Vec<&Weighed> = playbooks.iter().collect();
    nearest.sort_by_key(|weighed| match &weighed.taking {
        Taking::Takes(_) => 0,
        Taking::NoTarget(_) | Taking::NotByHook => 1,
        Taking::Misses(misses) => 1 + misses.len(),
    });
    for weighed in nearest {
        lines.push(format!("  {}", taking(planned, weighed, alert.ours)));
    }
}

fn taking(planned: &Planned, weighed: &Weighed, ours: bool) -> String {
    let Weighed { playbook, mode, .. } = weighed;
    match &weighed.taking {
        Taking::Takes(target) => {
            let takes = if ours { "takes it" } else { "would take it" };
            format!(
                "playbook {playbook} ({}) {takes}, to heal {target}",
                mode.as_str()
            )
        }
        Taking::NoTarget(why) => format!("playbook {playbook} fits, but there is no target: {why}"),
        Taking::NotByHook => format!(
            "playbook {playbook} may not be started by the hook {}: it is not listed there (hooks.{}.playbooks)",
            planned.hook, planned.hook
        ),
        Taking::Misses(misses) => {
            let missed: Vec<String> = misses.iter().map(ToString::to_string).collect();
            format!("playbook {playbook} does not: {}", missed.join("; "))
        }
    }
}

fn foreseen(incident: &Foreseen, lines: &mut Vec<String>) {
    let known = match incident.before {
        None => "a new incident".to_owned(),
        Some(state) => format!("incident {}, which is {state}", incident.incident),
    };
    lines.push(format!(
        "{} by playbook {} ({}), {known}",
        incident.target,
        incident.playbook,
        incident.mode.as_str()
    ));
    if !incident.settles.get().is_zero() {
        lines.push(format!(
            "  it may heal by itself for {} first (for); the guards are asked then",
            incident.settles
        ));
    }
    if !incident.guards.is_empty() {
        lines.push("  the guards, as things stand now:".to_owned());
        lines.extend(words::guards(&incident.guards, "    "));
    }
    // Where nothing of it comes next, it is what the playbook has, not what would happen.
    let acts = !matches!(
        incident.would,
        Would::Tell(_) | Would::Nothing(_) | Would::GoOn
    );
    let next = acts.then_some(incident.rung);
    lines.push(match acts {
        true => "  what would be done:".to_owned(),
        false => "  its ladder, of which nothing would be done now:".to_owned(),
    });
    if let Some(pool) = &incident.isolate {
        lines.push(format!(
            "    first this node leaves {pool}, and rejoins it once it is healed and has stayed well (isolate)"
        ));
    }
    for (index, remedy) in incident.ladder.iter().enumerate() {
        lines.push(format!("    {}", rung(index, remedy, next)));
    }
    lines.push(format!("  what would prove it: {}", proof(incident)));
    if !incident.escalate.is_empty() {
        lines.push(format!(
            "  who is told if it does not help: {}",
            incident.escalate.join(", ")
        ));
    }
    lines.push(format!("  so now: {}", would(incident)));
}

fn rung(index: usize, remedy: &Remedy, next: Option<usize>) -> String {
    let what = match (&remedy.action, &remedy.why) {
        (Some(action), _) => action::plain(action),
        (None, why) => format!("cannot be done: {}", why.as_deref().unwrap_or("unknown")),
    };
    let asks = if remedy.approve {
        ", once a person said yes"
    } else {
        ""
    };
    let when = match next {
        None => "",
        Some(next) if index == next => "; next",
        Some(next) if index < next => "; done before",
        Some(_) => "; if that does not help",
    };
    format!(
        "{}. {what} (at most {}{asks}{when})",
        index + 1,
        remedy.timeout
    )
}

fn proof(incident: &Foreseen) -> String {
    let Verify {
        all,
        pass,
        every,
        deadline,
        resolved,
    } = &incident.verify;
    let probe = |probe: &Probe| match probe {
        Probe::Check(name) => format!("check {name} passes"),
        Probe::Probe(own) => format!("a probe of its own ({}) passes", own.kind()),
        Probe::Command(test) => format!("{} ends with exit status 0", test.program()),
        Probe::Pool(pool) => {
            format!("the load balancer's check of this node in {pool} passes, where it makes one")
        }
        Probe::UnitStable(span) => format!("the unit is active in one piece for {span}"),
        Probe::ContainerStable(span) => {
            format!(
                "the container runs, and is healthy if it has a health check, in one piece for {span}"
            )
        }
    };
    let all: Vec<String> = all.iter().map(probe).collect();
    format!(
        "{}, {} in a row every {every} within {deadline}, and well for {} after that{}",
        all.join(" and "),
        counted(pass, "time"),
        incident.probation,
        if *resolved {
            ", and until its alert has resolved"
        } else {
            ""
        }
    )
}

fn would(incident: &Foreseen) -> String {
    let refusing = incident.guards.iter().filter(|guard| !guard.passes);
    let refusing: Vec<&str> = refusing.map(|guard| guard.guard.as_str()).collect();
    let refusing = refusing.join(", ");
    match &incident.would {
        Would::Act => "it would be done".to_owned(),
        Would::Leave(pool) => format!("this node would leave {pool}, and then go on"),
        Would::Record => {
            "nothing would be done; that it would have been is put on record".to_owned()
        }
        Would::Ask(span) => format!("a person would be asked, and has {span} to approve"),
        Would::Wait(span) => {
            format!("it would wait for {refusing}, at most {span}, and then be escalated")
        }
        Would::Tell(cause) => format!("nothing would be done, people would be told: {cause}"),
        Would::Nothing(why) => format!("nothing would be done: {why}"),
        Would::GoOn => format!(
            "nothing new: it is {}; nodeward why {} tells more",
            incident.state, incident.incident
        ),
    }
}

/// What the plan rests on.
fn looked_at(planned: &Planned) -> Vec<String> {
    let mut lines = vec!["looked at:".to_owned()];
    let place = planned.history.directory.as_ref();
    let place = place.map_or_else(
        || "no state directory is known".to_owned(),
        |directory| directory.display().to_string(),
    );
    lines.push(match planned.history.found {
        true => format!("  history: the journal in {place}, read-only"),
        false => format!(
            "  history: none; there is no journal ({place}), so guards count as if nothing was done before (--state-dir)"
        ),
    });
    let asked = planned.forecast.incidents.iter();
    lines.push(match asked.clone().any(|i| !i.guards.is_empty()) {
        true => "  the world: checks of confirm were probed and witnesses read just now, by this process and as its user".to_owned(),
        false => "  the world: nothing, since no guard would be asked".to_owned(),
    });
    lines
}
