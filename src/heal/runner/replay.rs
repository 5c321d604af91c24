//! What would have become of alerts that were recorded: the book, told what came in then, by the clock of then.
//!
//! Nothing is read but what is given, and nothing is kept: the same recording, rules and assumption tell the same, byte for byte.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::Value;

use super::assumed::{Assume, Assumed};
use super::book::{Book, Names};
use super::recorded::Recorded;
use super::{FORGET, Order, Rules, effect};
use crate::heal::hands::Later;
use crate::heal::incident::Incident;
use crate::heal::machine::Effect;
use crate::journal::{Entry, Kind};
use crate::model::id::IncidentId;
use crate::model::moment::{Moment, Timestamp};
use crate::model::notice::What;

/// Who approves what waits for a person.
pub const APPROVER: &str = "rehearsal";

/// What a replay tells as it goes.
#[derive(Debug)]
pub enum Told<'a> {
    /// A new incident; what is on record of it comes after.
    Opened(&'a Incident),
    /// A record as the journal would hold it, and when it would have been made.
    Record(Timestamp, &'a Entry),
    /// Nothing more comes of this incident.
    Over(&'a IncidentId),
}

/// A replay under way.
pub struct Replay<'a> {
    book: Book,
    world: Assumed,
    now: Moment,
    begun: bool,
    forgot: Moment,
    open: BTreeSet<IncidentId>,
    tell: &'a mut dyn FnMut(Told<'_>),
}

impl<'a> Replay<'a> {
    /// Begins with nothing behind it.
    #[must_use]
    pub fn new(rules: Rules, assume: Assume, tell: &'a mut dyn FnMut(Told<'_>)) -> Self {
        let now = Moment {
            wall: Timestamp(0),
            boot: 0,
            boot_id: "rehearsal".into(),
        };
        let mut book = Book::new(rules);
        book.names = Names::Counted("", 0);
        Self {
            book,
            world: Assumed::new(assume, now.clone()),
            forgot: now.clone(),
            now,
            begun: false,
            open: BTreeSet::new(),
            tell,
        }
    }

    /// Lets time pass until `at`, and then takes what came in. A time before the last one counts as that one.
    pub fn take(&mut self, at: Timestamp, recorded: Recorded) {
        if self.begun {
            self.advance(Some(at));
            self.set(self.now.after(at.since(self.now.wall)));
        } else {
            self.begun = true;
            self.now.wall = at;
            self.set(self.now.clone());
        }
        match recorded {
            Recorded::Alerts {
                hook,
                delivery,
                local,
            } => {
                self.world.told(&delivery.alerts);
                self.book.deliver(&hook, delivery, local, &self.now);
            }
            Recorded::Order { by, order } => {
                // What cannot be done here was done to an incident of then.
                drop(self.book.operate(&by, order, &self.now));
            }
            Recorded::Start => self.book.begin(&self.now),
        }
        self.turn();
    }

    /// Lets time pass until nothing changes any more by itself.
    pub fn end(mut self) {
        self.advance(None);
        for id in std::mem::take(&mut self.open) {
            (self.tell)(Told::Over(&id));
        }
    }

    fn set(&mut self, now: Moment) {
        self.now = now;
        self.world.set(&self.now);
    }

    /// Does all that is due until `to`.
    fn advance(&mut self, to: Option<Timestamp>) {
        loop {
            let world = &self.world;
            let due = self
                .book
                .next_due(|incident| !world.is_stuck(incident), &self.now);
            let Some(left) = due else { return };
            let at = self.now.after(left);
            if to.is_some_and(|to| at.wall > to) {
                return;
            }
            self.set(at);
            let world = &self.world;
            self.book
                .timers_of(|incident| !world.is_stuck(incident), &self.now);
            if !self.turn() && left.is_zero() {
                // Nothing may stop the clock.
                self.set(self.now.after(Duration::from_millis(1)));
            }
        }
    }

    /// Tells what is to be on record, has the world answer, and so on until it is silent. Whether anything was to be said.
    fn turn(&mut self) -> bool {
        let mut said = false;
        loop {
            let (commit, effects) = self.book.take();
            self.book.keep();
            said |= !commit.entries.is_empty() || !effects.is_empty();
            for entry in &commit.entries {
                self.record(entry);
            }
            let asks = commit.entries.iter().filter(|entry| asks(entry));
            let asked: Vec<IncidentId> = asks.filter_map(|e| e.incident.clone()).collect();
            if effects.is_empty() && asked.is_empty() {
                break;
            }
            for (id, effect) in effects {
                self.answer(&id, &effect);
            }
            for id in asked {
                self.approve(&id);
            }
        }
        if self.now.since(&self.forgot) >= FORGET {
            self.forgot = self.now.clone();
            self.book.forget(&self.now);
            let held = &self.book.held;
            let gone = self.open.iter().filter(|id| !held.contains_key(*id));
            let over: Vec<IncidentId> = gone.cloned().collect();
            for id in &over {
                self.open.remove(id);
                (self.tell)(Told::Over(id));
            }
        }
        said
    }

    fn record(&mut self, entry: &Entry) {
        // An alert tells of several.
        let several = entry.data.get("incidents").and_then(Value::as_array);
        let several = several.into_iter().flatten().filter_map(Value::as_str);
        let about = entry.incident.clone().into_iter();
        for id in about.chain(several.map(IncidentId::new)) {
            if !self.open.contains(&id)
                && let Some(held) = self.book.held.get(&id)
            {
                (self.tell)(Told::Opened(&held.incident));
                self.open.insert(id);
            }
        }
        (self.tell)(Told::Record(self.now.wall, entry));
    }

    /// Says yes to what is asked.
    fn approve(&mut self, id: &IncidentId) {
        let incident = self.book.held.get(id).map(|held| &held.incident);
        let token = incident.and_then(|i| Some(i.token(i.question.as_ref()?)));
        if let Some(token) = token {
            let order = Order::Approve(token);
            drop(self.book.operate(APPROVER, order, &self.now));
        }
    }

    fn answer(&mut self, id: &IncidentId, effect: &Effect) {
        let Some(job) = self.book.job(id) else {
            return;
        };
        let (answer, answers) = mpsc::channel();
        let answer = move |event| drop(answer.send(event));
        at_once(effect::carry_out(&self.world, job, effect, answer));
        for event in answers.try_iter() {
            self.book.step(id, event, &self.now);
        }
    }
}

/// Whether a record says that a person is asked.
fn asks(entry: &Entry) -> bool {
    let what = entry.data.get("what").and_then(Value::as_str);
    entry.kind == Kind::Notify && what == Some(What::ApprovalWanted.as_str())
}

/// Runs what waits for nobody.
fn at_once(mut work: Later<()>) {
    let mut context = Context::from_waker(Waker::noop());
    let done = work.as_mut().poll(&mut context);
    debug_assert_eq!(done, Poll::Ready(()), "an assumed world answers at once");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heal::intake::{Kind as Source, Ours, Severities};
    use crate::heal::plan::Mode;
    use crate::heal::playbook::Playbook;
    use crate::journal::Kind;
    use serde_json::json;
    use std::collections::BTreeMap;

    const START: i64 = 1_795_000_000_000;

    fn rules(mode: Mode) -> Rules {
        let playbook = json!({
            "mode": mode, "match": {"alertname": "Down"}, "target": {"unit": "web.service"}, "confirm": [{"check": "web"}],
            "for": "10s", "ladder": [{"do": {"systemd": "reload"}}, {"do": {"systemd": "restart"}}],
        });
        let playbook: Playbook = serde_json::from_value(playbook).unwrap();
        Rules {
            playbooks: [("web".to_owned(), playbook)].into(),
            ours: Ours::new(&BTreeMap::new(), ["here"], []),
            checks: BTreeMap::new(),
            hooks: BTreeMap::new(),
            config: String::new(),
            node: "here".into(),
            notifiers: BTreeMap::new(),
            pools: BTreeSet::new(),
            maintenance: Default::default(),
            evidence: false,
            traced: false,
        }
    }

    /// An alert that says it began at the start of the second in which it is told.
    fn alert(began: i64, status: &str) -> Recorded {
        let body = json!({"alerts": [{
            "status": status, "labels": {"alertname": "Down", "instance": "here"},
            "startsAt": Timestamp(START + began * 1_000).to_string(), "fingerprint": "f",
        }]});
        let kind = Source::Alertmanager;
        let read = kind.read("am", body.to_string().as_bytes(), &Severities::of(kind));
        Recorded::Alerts {
            hook: "am".into(),
            delivery: read.unwrap(),
            local: false,
        }
    }

    /// What is told of a replay: seconds from the start and what happens then.
    fn told(mode: Mode, assume: Assume, recorded: Vec<(i64, Recorded)>) -> Vec<(i64, String)> {
        let mut lines = Vec::new();
        let mut tell = |told: Told<'_>| {
            let (at, line) = match told {
                Told::Record(at, entry) => {
                    let guards = entry.data.get("guards").and_then(|g| g.as_array());
                    let refusing = guards.into_iter().flatten();
                    let mut refusing = refusing.filter(|g| g["passes"] == json!(false));
                    let what = match (entry.kind, &entry.to) {
                        (Kind::State, Some(to)) => to.clone(),
                        (Kind::Decision, _) => match refusing.next() {
                            Some(guard) => format!("refused by {}", guard["guard"]),
                            None => return,
                        },
                        (Kind::Operator, _) => format!("{}", entry.data["did"]),
                        _ => return,
                    };
                    ((at.0 - START) / 1_000, what)
                }
                Told::Opened(incident) => (-1, format!("opened {}", incident.id)),
                Told::Over(id) => (-1, format!("over {id}")),
            };
            lines.push((at, line));
        };
        let mut replay = Replay::new(rules(mode), assume, &mut tell);
        for (at, what) in recorded {
            replay.take(Timestamp(START + at * 1_000), what);
        }
        replay.end();
        lines
    }

    fn words(told: &[(i64, String)]) -> Vec<(i64, &str)> {
        told.iter().map(|(at, word)| (*at, word.as_str())).collect()
    }

    #[test]
    fn what_helps_heals_by_the_times_of_the_playbook() {
        let recorded = || vec![(0, alert(0, "firing")), (900, alert(0, "resolved"))];
        let first = told(Mode::Auto, Assume::Help, recorded());
        // `for` is 10s; three passes, one a second; probation is 2m, and it is looked at each second.
        let expected = [
            (-1, "opened 00001"),
            (0, "settling"),
            (10, "waiting"),
            (10, "intent"),
            (10, "acting"),
            (10, "verifying"),
            (12, "probation"),
            (132, "healed"),
            (-1, "over 00001"),
        ];
        assert_eq!(words(&first), expected);
        assert_eq!(told(Mode::Auto, Assume::Help, recorded()), first);
    }

    #[test]
    fn what_fails_goes_up_the_ladder_to_its_end_and_people_approve_at_once() {
        let told = told(Mode::Approve, Assume::Fail, vec![(0, alert(0, "firing"))]);
        let words: Vec<&str> = told.iter().map(|(_, word)| word.as_str()).collect();
        let count = |wanted: &str| words.iter().filter(|word| **word == wanted).count();
        assert_eq!((count("intent"), count("\"approve\"")), (2, 2), "{words:?}");
        assert!(words.contains(&"refused by \"cooldown\""), "{words:?}");
        assert_eq!(words[words.len() - 2..], ["escalated", "over 00001"]);
        // 10s of `for`, a minute of verify, the cooldown of 2m from the first attempt or longer, and a minute again.
        let end = told[told.len() - 2].0;
        assert!((190..260).contains(&end), "{end}");
    }

    #[test]
    fn without_help_it_is_well_once_its_alert_is_recorded_as_resolved() {
        let recorded = vec![(0, alert(0, "firing")), (3_600, alert(0, "resolved"))];
        let told = told(Mode::Auto, Assume::Resolve, recorded);
        let find = |wanted: &str| {
            told.iter()
                .find(|(_, word)| word == wanted)
                .map(|(at, _)| *at)
        };
        assert!(find("escalated").unwrap() < 260, "{told:?}");
        assert!(find("healed").unwrap() > 3_600, "{told:?}");
    }

    #[test]
    fn operators_of_then_hold_it_up_and_what_is_over_was_never_touched() {
        let order = |order| Recorded::Order {
            by: "ann".into(),
            order,
        };
        let told = told(
            Mode::Auto,
            Assume::Help,
            vec![
                (0, Recorded::Start),
                (5, order(Order::Pause { reason: None })),
                (10, alert(10, "firing")),
                (60, alert(10, "resolved")),
                (70, order(Order::Resume)),
                // Before the last one: it counts as then.
                (65, alert(65, "firing")),
            ],
        );
        let expected = [
            (5, "\"pause\""),
            (-1, "opened 00001"),
            (10, "settling"),
            (20, "waiting"),
            (20, "refused by \"kill_switch\""),
            (60, "resolved_alone"),
            (70, "\"resume\""),
        ];
        let words = words(&told);
        assert!(words.starts_with(&expected), "{words:?}");
        // It joins the one that has just ended.
        assert!(
            words.contains(&(70, "settling")) && words.contains(&(80, "intent")),
            "{words:?}"
        );
    }
}
