use proptest::prelude::*;

use super::*;

const S: Duration = Duration::from_secs(1);

fn rules() -> Rules {
    Rules {
        drain: 20 * S,
        then: Then::Maint,
        cut_after: None,
        share: None,
        ramp: Duration::ZERO,
    }
}

fn held() -> Event {
    Event::Wish(Wish::Held {
        easing: false,
        age: Duration::ZERO,
    })
}

const EASING: Event = Event::Wish(Wish::Held {
    easing: true,
    age: Duration::ZERO,
});
const LIFTED: Event = Event::Wish(Wish::Lifted);
const FREE: Event = Event::Wish(Wish::Free);

fn since(pool: &Pool) -> Instant {
    match pool.phase {
        Phase::Draining { since } | Phase::Out { since, .. } => since,
        other => panic!("{other:?}"),
    }
}

/// A pool, its clock, and what it did.
struct Story {
    pool: Pool,
    now: Instant,
    rules: Rules,
    did: Vec<Effect>,
}

impl Story {
    fn new(rules: Rules) -> Self {
        Self {
            pool: Pool::default(),
            now: Instant::now(),
            rules,
            did: Vec::new(),
        }
    }

    fn then(&mut self, event: Event) -> &mut Self {
        let (pool, effect) = self.pool.step(event, self.now, &self.rules);
        self.pool = pool;
        self.did.extend(effect);
        self
    }

    fn after(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.then(Event::Tick)
    }

    fn say(&self) -> Say {
        self.pool.say(self.now, &self.rules)
    }
}

#[test]
fn drains_until_no_session_is_left_and_is_out_then() {
    let mut story = Story::new(rules());
    story.then(held());
    assert_eq!(story.say(), Say::Drain);
    // Nobody has heard yet: that no session is open says nothing.
    story.then(Event::Sessions(0));
    assert_eq!(story.say(), Say::Drain);
    story.then(Event::Heard(true)).then(Event::Sessions(2));
    assert_eq!(story.say(), Say::Drain);
    story.then(Event::Sessions(0));
    assert_eq!(story.say(), Say::Out);
    assert!(!story.pool.is_out(), "the gates have not heard that one");
    story.then(Event::Heard(true));
    assert!(story.pool.is_out());
}

#[test]
fn is_out_when_the_drain_is_over_and_cuts_what_is_open_once_its_time_has_come() {
    let cuts = Rules {
        cut_after: Some(60 * S),
        ..rules()
    };
    let mut story = Story::new(cuts);
    story.then(held()).then(Event::Heard(true));
    story.then(Event::Sessions(3)).after(19 * S);
    assert_eq!(story.say(), Say::Drain);
    story.after(S).then(Event::Heard(true));
    assert_eq!(story.say(), Say::Out);
    story.then(Event::Sessions(1)).after(39 * S);
    assert!(story.did.is_empty() && !story.pool.is_out());
    story.after(S).after(S);
    assert_eq!(story.did, [Effect::Cut], "once");
    story.then(Event::Cut(false)).after(S);
    assert_eq!(story.did, [Effect::Cut]);
    story.after(CUT_AGAIN).then(Event::Cut(true));
    assert_eq!(story.did, [Effect::Cut; 2]);
    assert!(story.pool.is_out());
}

#[test]
fn cuts_nothing_where_nothing_is_open() {
    let cuts = Rules {
        cut_after: Some(60 * S),
        ..rules()
    };
    let mut story = Story::new(cuts);
    story.then(held()).after(20 * S);
    story.then(Event::Heard(true)).then(Event::Sessions(0));
    assert!(story.pool.is_out());
    story.after(60 * S);
    assert!(story.did.is_empty());
}

#[test]
fn stays_in_the_drain_where_it_is_to() {
    let stays = Rules {
        then: Then::Drain,
        ..rules()
    };
    let mut story = Story::new(stays);
    story.then(held()).then(Event::Heard(true)).after(20 * S);
    assert_eq!(story.say(), Say::Drain);
    assert_eq!(story.pool.traffic(), Traffic::Out);
    assert!(story.pool.is_out(), "no gate has to hear anything new");
}

#[test]
fn comes_back_step_by_step_and_says_once_that_all_have_heard() {
    let ramps = Rules {
        ramp: 30 * S,
        share: Some(5),
        ..rules()
    };
    let mut story = Story::new(ramps);
    story.then(held()).after(20 * S).then(Event::Heard(true));
    story.then(EASING);
    assert_eq!(story.say(), Say::In(5));
    story.then(LIFTED);
    let mut shares = Vec::new();
    while story.pool.traffic() == Traffic::Ramping {
        let Say::In(share) = story.say() else {
            panic!("{:?}", story.say())
        };
        shares.push(share);
        story.then(Event::Heard(true));
        assert!(story.did.is_empty());
        let due = story.pool.due(story.now, &ramps).unwrap();
        let wait = due - story.now;
        story.after(wait);
    }
    assert_eq!(shares, [5, 14, 24, 33, 43, 52, 62, 71, 81, 90]);
    assert_eq!(story.say(), Say::In(100));
    assert!(story.did.is_empty());
    story.then(Event::Heard(true)).then(Event::Heard(true));
    assert_eq!(story.did, [Effect::Heard]);
    assert!(!story.pool.insists());
    // Wanted again, because nobody took note: it is said again.
    story.then(LIFTED).then(FREE);
    assert_eq!(story.did, [Effect::Heard; 2]);
    assert!(!story.pool.is_busy());
}

#[test]
fn a_hold_that_is_older_than_the_process_is_not_drained_anew() {
    let old = |age| Event::Wish(Wish::Held { easing: false, age });
    let mut story = Story::new(rules());
    story.then(old(25 * S));
    assert_eq!(story.say(), Say::Out);
    let mut story = Story::new(rules());
    story.then(old(15 * S)).after(4 * S);
    assert_eq!(story.say(), Say::Drain);
    story.after(S);
    assert_eq!(story.say(), Say::Out);
    // Eased and held again: the traffic that it has is drained, however old the hold is.
    let mut story = Story::new(Rules {
        share: Some(10),
        ..rules()
    });
    story.then(EASING).then(old(3600 * S));
    assert_eq!(story.say(), Say::Drain);
}

#[test]
fn what_is_lifted_where_nobody_remembers_is_said_and_heard_all_the_same() {
    for wish in [LIFTED, FREE] {
        let mut story = Story::new(rules());
        story.then(held()).then(wish);
        assert_eq!(story.say(), Say::In(100));
        assert!(story.pool.insists());
    }
    let mut story = Story::new(rules());
    story.then(LIFTED).then(Event::Heard(true));
    assert_eq!(story.did, [Effect::Heard]);
    let mut story = Story::new(rules());
    story.then(FREE).then(Event::Heard(true));
    assert!(story.did.is_empty() && !story.pool.insists());
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(FREE),
        Just(LIFTED),
        (any::<bool>(), 0..100_u64).prop_map(|(easing, age)| Event::Wish(Wish::Held {
            easing,
            age: Duration::from_secs(age)
        })),
        any::<bool>().prop_map(Event::Heard),
        (0..3_u64).prop_map(Event::Sessions),
        any::<bool>().prop_map(Event::Cut),
        Just(Event::Tick),
    ]
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let cut = proptest::option::of(0..60_u64);
    let share = proptest::option::of(1..=99_u8);
    (0..30_u64, any::<bool>(), cut, share, 0..60_u64).prop_map(
        |(drain, maint, cut, share, ramp)| Rules {
            drain: Duration::from_secs(drain),
            then: if maint { Then::Maint } else { Then::Drain },
            cut_after: cut.map(|more| Duration::from_secs(drain + more)),
            share,
            ramp: Duration::from_secs(ramp),
        },
    )
}

proptest! {
    #[test]
    fn takes_no_traffic_while_held_and_says_heard_only_when_free(
        rules in any_rules(),
        events in proptest::collection::vec((any_event(), 0..20_u64), 0..60),
    ) {
        let mut story = Story::new(rules);
        let mut wish = Wish::Free;
        for (event, wait) in events {
            story.now += Duration::from_secs(wait);
            let before = story.did.len();
            story.then(event);
            if let Event::Wish(wished) = event {
                wish = wished;
            }
            let did = &story.did[before..];
            match wish {
                Wish::Held { easing: true, .. } if rules.share.is_some() => {
                    prop_assert_eq!(story.say(), Say::In(rules.share.unwrap()));
                    prop_assert!(did.is_empty());
                }
                Wish::Held { .. } => {
                    prop_assert!(!matches!(story.say(), Say::In(_)));
                    prop_assert!(!did.contains(&Effect::Heard));
                    if did.contains(&Effect::Cut) {
                        let over = story.now - since(&story.pool);
                        prop_assert!(over >= rules.cut_after.unwrap());
                    }
                }
                Wish::Free | Wish::Lifted => {
                    prop_assert!(matches!(story.say(), Say::In(_)));
                    prop_assert!(!did.contains(&Effect::Cut));
                    if did.contains(&Effect::Heard) {
                        prop_assert_eq!(story.say(), Say::In(100));
                    }
                }
            }
        }
    }

    /// Whatever went before, with gates that hear: out, or in and heard of, when their times are over.
    #[test]
    fn ends_out_or_in_within_its_bounds(
        rules in any_rules(),
        events in proptest::collection::vec((any_event(), 0..20_u64), 0..30),
        held in any::<bool>(),
    ) {
        let mut story = Story::new(rules);
        for (event, wait) in events {
            story.now += Duration::from_secs(wait);
            story.then(event);
        }
        let wish = Wish::Held { easing: false, age: Duration::ZERO };
        story.then(Event::Wish(if held { wish } else { Wish::Lifted }));
        let began = story.now;
        let mut did = Vec::new();
        loop {
            story.did.clear();
            story.then(Event::Heard(true));
            if story.did.contains(&Effect::Cut) {
                did.append(&mut story.did);
                story.then(Event::Cut(true));
            }
            did.append(&mut story.did);
            let now = story.now;
            let Some(due) = story.pool.due(now, &rules) else {
                if story.pool.has_heard() { break }
                continue;
            };
            if !story.pool.has_heard() { continue }
            prop_assert!(due > now || story.pool.is_out(), "stuck at {:?}", story.pool);
            story.did.clear();
            story.now = due;
            story.then(Event::Tick);
            if story.did.contains(&Effect::Cut) {
                story.then(Event::Cut(true));
            }
            did.append(&mut story.did);
        }
        let took = story.now - began;
        if held {
            let cutting = story.pool == Pool { phase: Phase::Out { since: since(&story.pool), cut: Cut::Now }, ..story.pool };
            prop_assert!(story.pool.is_out() || cutting, "{:?}", story.pool);
            prop_assert!(took <= rules.way_out() + CUT_AGAIN);
        } else {
            prop_assert_eq!(story.say(), Say::In(100));
            prop_assert!(!story.pool.insists());
            prop_assert!(took <= rules.ramp);
        }
    }

    #[test]
    fn a_share_never_shrinks_on_the_way_back(rules in any_rules(), waits in proptest::collection::vec(0..10_u64, 1..20)) {
        let mut story = Story::new(rules);
        story.then(held());
        story.then(LIFTED);
        let mut before = 0;
        for wait in waits {
            story.after(Duration::from_secs(wait));
            let Say::In(share) = story.say() else { panic!("{:?}", story.say()) };
            prop_assert!(share >= before);
            before = share;
        }
    }
}
