use super::memory::{Memory, Step};
use super::*;
use crate::gate::{Kind as _, Say, Words};
use crate::peer::haproxy::{Admin, State, Weight};

const MAINT: u32 = 1;
const DISABLED: u32 = 4;
const DRAIN: u32 = 8;

fn server(name: &str) -> Server {
    Server {
        name: name.into(),
        admin: Admin(0),
        up: true,
        weight: 100,
        initial_weight: 100,
        backup: false,
        sessions: 0,
        total: 0,
        check: Some(true),
    }
}

/// A HAProxy that does as 2.6 was seen to do.
struct World {
    server: Server,
    memory: Memory,
    beside: Words,
}

impl World {
    fn new() -> Self {
        Self {
            server: server("a"),
            memory: Memory::default(),
            beside: Words::default(),
        }
    }

    fn with(mask: u32) -> Self {
        let mut world = Self::new();
        world.server.admin = Admin(mask);
        world
    }

    fn set(&mut self, state: State) {
        let config = self.server.admin.0 & DISABLED;
        self.server.admin = Admin(
            config
                | match state {
                    State::Ready => 0,
                    State::Drain => DRAIN,
                    State::Maint => MAINT,
                },
        );
    }

    fn happens(&mut self, step: Step) {
        match step {
            Step::State(state) => self.set(state),
            Step::Weight(Weight::Percent(percent)) => {
                self.server.weight = self.server.initial_weight * u64::from(percent) / 100;
            }
            Step::Weight(Weight::Absolute(weight)) => self.server.weight = u64::from(weight),
        }
    }

    /// What is heard of it; the first answers are lost, as often as said.
    fn tell_losing(&mut self, say: Say, lifts: bool, lost: usize) -> Heard {
        let wanted = self.wanted(say, lifts);
        self.memory.wants(&wanted);
        for left in (0..=lost).rev() {
            let found = self.server.clone();
            self.memory.saw(&found);
            let Some(steps) = self.memory.steps(&found, &wanted) else {
                if let Some(step) = self.memory.parting(&found, &wanted) {
                    self.happens(step);
                }
                self.memory.parted();
                return Heard::Foreign;
            };
            let mut whole = true;
            for step in steps {
                self.memory.sends(step, &found);
                self.happens(step);
                if left > 0 {
                    whole = false;
                    break;
                }
                self.memory.sent(step);
            }
            if whole {
                self.memory.told(&found, &wanted);
            }
        }
        Heard::Yes
    }

    fn wanted(&self, say: Say, lifts: bool) -> Wanted {
        Wanted {
            say,
            lifts,
            beside: self.beside,
            recorded: true,
            why: String::new(),
        }
    }

    fn tell(&mut self, say: Say, lifts: bool) -> Heard {
        self.tell_losing(say, lifts, 0)
    }

    fn mask(&self) -> u32 {
        self.server.admin.0
    }

    /// The gate fails while another of the pool has the same HAProxy know this.
    fn fails(&mut self, say: Say, lifts: bool) {
        self.beside = self.beside.and(Words::of(say));
        let wanted = self.wanted(say, lifts);
        self.memory.wants(&wanted);
        match say {
            Say::Drain => self.set(State::Drain),
            Say::Out => self.set(State::Maint),
            Say::In(_) => {}
        }
    }

    /// nodeward starts anew; HAProxy stays.
    fn restart(&mut self) {
        self.memory = Memory::default();
    }
}

#[test]
fn what_nodeward_placed_is_lifted() {
    for lost in [0, 1, 2] {
        let mut world = World::new();
        assert_eq!(world.tell_losing(Say::Drain, false, lost), Heard::Yes);
        assert_eq!(world.mask(), DRAIN);
        assert_eq!(world.tell_losing(Say::Out, true, lost), Heard::Yes);
        assert_eq!(world.mask(), MAINT);
        assert!(!world.memory.is_foreign(&world.server));
        assert_eq!(world.tell_losing(Say::In(100), true, lost), Heard::Yes);
        assert_eq!((world.mask(), world.server.weight), (0, 100));
    }
}

#[test]
fn what_an_operator_placed_is_left() {
    for mask in [MAINT, DRAIN, MAINT | DISABLED] {
        for say in [Say::Drain, Say::Out, Say::In(10), Say::In(100)] {
            for lifts in [false, true] {
                let mut world = World::with(mask);
                // It has done its part here before; the rest is another's.
                world
                    .memory
                    .told(&server("a"), &World::new().wanted(Say::In(100), true));
                let asks = lifts || !matches!(say, Say::In(_));
                let heard = if asks { Heard::Foreign } else { Heard::Yes };
                assert_eq!(world.tell(say, lifts), heard, "{mask} {say:?} {lifts}");
                assert_eq!((world.mask(), world.server.weight), (mask, 100));
                assert!(world.memory.is_foreign(&world.server));
            }
        }
    }
}

#[test]
fn what_an_operator_placed_before_the_first_hold_is_left_too() {
    for mask in [MAINT, DRAIN, MAINT | DISABLED] {
        let mut world = World::with(mask);
        assert_eq!(world.tell(Say::In(100), false), Heard::Yes);
        assert_eq!(world.tell(Say::Drain, false), Heard::Foreign);
        assert_eq!(world.mask(), mask);
    }
}

#[test]
fn an_operator_takes_over_while_the_node_is_held() {
    // (what nodeward says, what the operator sets)
    for (say, state, mask) in [
        (Say::Drain, State::Maint, MAINT),
        (Say::Out, State::Drain, DRAIN),
    ] {
        let mut world = World::new();
        world.tell(say, false);
        world.set(state);
        assert_eq!(world.tell(say, true), Heard::Foreign);
        assert_eq!(world.tell(Say::In(100), true), Heard::Foreign);
        assert_eq!(world.mask(), mask);
    }
    // After the end, while it is still told.
    let mut world = World::new();
    world.tell(Say::Out, false);
    world.tell(Say::In(100), true);
    world.set(State::Maint);
    assert_eq!(world.tell(Say::In(100), true), Heard::Foreign);
    assert_eq!(world.mask(), MAINT);
}

#[test]
fn a_haproxy_that_forgot_is_told_again() {
    let mut world = World::new();
    world.tell(Say::Out, false);
    world.set(State::Ready);
    assert_eq!(world.tell(Say::Out, true), Heard::Yes);
    assert_eq!(world.mask(), MAINT);
    world.tell(Say::In(100), true);
    assert_eq!(world.mask(), 0);
}

#[test]
fn a_haproxy_that_was_loaded_anew_with_the_server_disabled_keeps_it_so() {
    let mut world = World::new();
    world.tell(Say::Out, false);
    world.server.admin = Admin(MAINT | DISABLED);
    assert_eq!(world.tell(Say::In(100), true), Heard::Foreign);
    assert_eq!(world.mask(), MAINT | DISABLED);
    world.restart();
    assert_eq!(world.tell(Say::In(100), true), Heard::Foreign);
}

#[test]
fn what_the_process_before_placed_is_taken_over() {
    for say in [Say::Drain, Say::Out] {
        for lost in [0, 1] {
            let mut world = World::new();
            world.tell(say, false);
            world.restart();
            assert_eq!(world.tell_losing(Say::Out, true, lost), Heard::Yes);
            assert_eq!(world.mask(), MAINT);
            assert_eq!(world.tell_losing(Say::In(100), true, lost), Heard::Yes);
            assert_eq!(world.mask(), 0);
        }
    }
    // Its ramp was cut short, and the server is still in maintenance.
    for lost in [0, 1, 2] {
        let mut world = World::with(MAINT);
        world.server.weight = 10;
        assert_eq!(world.tell_losing(Say::In(20), true, lost), Heard::Yes);
        assert_eq!((world.mask(), world.server.weight), (0, 20));
        assert_eq!(world.tell(Say::In(100), true), Heard::Yes);
        assert_eq!((world.mask(), world.server.weight), (0, 100));
    }
}

#[test]
fn what_another_gate_of_the_pool_told_the_same_haproxy_is_nodewards() {
    for before in [vec![], vec![Say::Drain], vec![Say::Drain, Say::Out]] {
        for lost in [0, 1] {
            let mut world = World::new();
            world.server.weight = 70;
            world.memory.saw(&world.server.clone());
            for say in &before {
                world.tell(*say, before.len() > 1);
            }
            world.fails(Say::Drain, !before.is_empty());
            world.fails(Say::Out, !before.is_empty());
            assert!(!world.memory.is_foreign(&world.server), "{before:?}");
            if lost > 0 {
                assert_eq!(world.tell_losing(Say::Out, false, lost), Heard::Yes);
            }
            assert_eq!(world.mask(), MAINT);
            assert_eq!(world.tell_losing(Say::In(100), true, lost), Heard::Yes);
            assert_eq!((world.mask(), world.server.weight), (0, 70));
            // Its last word was on its way meanwhile, and this is found before all is well.
            world.set(State::Maint);
            assert_eq!(world.tell(Say::In(100), true), Heard::Yes);
            assert_eq!(world.mask(), 0);
            // After that, it is an operator's.
            world.beside = Words::default();
            world.set(State::Maint);
            assert_eq!(world.tell(Say::In(100), true), Heard::Foreign);
            assert_eq!(world.tell(Say::Drain, false), Heard::Foreign);
            assert_eq!(world.mask(), MAINT);
        }
    }
}

#[test]
fn what_an_operator_placed_before_another_gate_spoke_is_theirs() {
    for mask in [MAINT, DRAIN, MAINT | DISABLED] {
        for say in [Say::Drain, Say::Out] {
            let mut world = World::with(mask);
            world.memory.saw(&world.server.clone());
            assert_eq!(world.memory.others(), Some(true));
            world.beside = Words::of(Say::Drain).and(Words::of(Say::Out));
            assert_eq!(world.tell(say, false), Heard::Foreign);
            assert_eq!(world.tell(Say::In(100), true), Heard::Foreign);
            assert_eq!(world.mask(), mask);
        }
    }
    // Nobody ever looked: nothing is taken for ours.
    let mut world = World::new();
    world.fails(Say::Drain, false);
    assert_eq!(world.tell(Say::In(100), true), Heard::Foreign);
    // A word that no gate of ours said.
    let mut world = World::new();
    world.memory.saw(&world.server.clone());
    world.fails(Say::Drain, false);
    world.set(State::Maint);
    assert_eq!(world.tell(Say::In(100), true), Heard::Foreign);
    assert_eq!(world.mask(), MAINT);
}

#[test]
fn a_share_is_one_of_the_weight_that_was_found() {
    let mut world = World::new();
    world.server.weight = 50;
    world.tell(Say::Drain, false);
    assert_eq!(world.server.weight, 50);
    for (percent, weight) in [(10, 5), (50, 25), (99, 49)] {
        assert_eq!(world.tell(Say::In(percent), true), Heard::Yes);
        assert_eq!((world.mask(), world.server.weight), (0, weight));
    }
    // Out again in between: it is still known.
    world.tell(Say::Out, true);
    world.tell(Say::In(100), true);
    assert_eq!((world.mask(), world.server.weight), (0, 50));
    // What an operator sets after that is theirs.
    world.server.weight = 70;
    world.tell(Say::In(100), true);
    assert_eq!(world.server.weight, 70);
}

#[test]
fn a_share_that_the_process_before_gave_is_no_weight_to_take_a_share_of() {
    let shares = [Say::In(10), Say::In(55), Say::In(100)];
    let mut world = World::new();
    world.tell(Say::Out, false);
    world.tell(Say::In(10), true);
    world.restart();
    for (say, weight) in shares.into_iter().zip([10, 55, 100]) {
        assert_eq!(world.tell(say, true), Heard::Yes);
        assert_eq!((world.mask(), world.server.weight), (0, weight));
    }
    // It was out again when the process before ended.
    world.tell(Say::In(10), true);
    world.tell(Say::Out, true);
    world.restart();
    world.tell(Say::Out, true);
    for (say, weight) in shares.into_iter().zip([10, 55, 100]) {
        world.tell(say, true);
        assert_eq!((world.mask(), world.server.weight), (0, weight));
    }
}

#[test]
fn who_takes_over_amid_a_share_gets_the_whole_weight() {
    for restarts in [false, true] {
        let mut world = World::new();
        world.server.weight = if restarts { 100 } else { 50 };
        let found = world.server.weight;
        world.tell(Say::Out, false);
        world.tell(Say::In(10), true);
        if restarts {
            world.restart();
        }
        world.set(State::Maint);
        if restarts {
            // What is found at the start may be of the process before.
            world.server.admin = Admin(MAINT | DISABLED);
        }
        assert_eq!(world.tell(Say::In(10), true), Heard::Foreign);
        assert_eq!((world.mask() & MAINT, world.server.weight), (MAINT, found));
        world.set(State::Ready);
        assert_eq!(world.server.weight, found);
    }
    // A weight that is an operator's is left.
    let mut world = World::new();
    world.tell(Say::Drain, false);
    world.server.weight = 30;
    world.set(State::Maint);
    assert_eq!(world.tell(Say::In(100), true), Heard::Foreign);
    assert_eq!(world.server.weight, 30);
}

#[test]
fn the_weight_comes_before_the_traffic() {
    let mut world = World::new();
    world.tell(Say::Out, false);
    let wanted = world.wanted(Say::In(10), true);
    let steps = world.memory.steps(&world.server, &wanted).unwrap();
    let expected = [Step::Weight(Weight::Percent(10)), Step::State(State::Ready)];
    assert_eq!(steps, expected);
}

#[test]
fn healthy_others_are_those_that_get_sessions() {
    let of = |name: &str, change: fn(&mut Server)| {
        let mut server = server(name);
        change(&mut server);
        server
    };
    let ours = of("a", |_| {});
    let others = |list: &[Server]| {
        let mut all = vec![ours.clone()];
        all.extend_from_slice(list);
        seen(&all, &ours).healthy_others
    };
    let up = of("b", |_| {});
    let down = of("c", |one| one.up = false);
    let drained = of("d", |one| one.admin = Admin(DRAIN));
    let weightless = of("e", |one| one.weight = 0);
    let backup = of("f", |one| one.backup = true);
    let another = of("g", |one| one.backup = true);
    assert_eq!(others(&[]), 0);
    assert_eq!(others(&[up.clone(), down.clone(), drained, weightless]), 1);
    assert_eq!(others(&[up, backup.clone()]), 1);
    assert_eq!(others(&[down.clone(), backup.clone(), another]), 1);
    assert_eq!(others(&[down]), 0);
    // As a backup ours gets sessions only while it is alone.
    let ours = of("a", |one| one.backup = true);
    assert!(!seen(&[ours.clone(), server("b")], &ours).takes_traffic);
    assert!(seen(&[ours.clone(), backup], &ours).takes_traffic);
}

#[test]
fn options_say_what_is_wrong_with_them() {
    let options = |text: &str| serde_json::from_str::<HaproxyRuntime>(text).unwrap();
    let good = options(r#"{"socket": "unix:/run/a.sock", "backend": "web", "server": "web-1"}"#);
    let world = crate::gate::World::default();
    let gates = good.gates(&world).unwrap();
    assert_eq!(
        gates[0].name(),
        "haproxy_runtime:web/web-1@unix:/run/a.sock"
    );
    let two = r#"{"sockets": ["unix:/a", "lb:9999"], "backend": "web", "server": "web-1"}"#;
    assert_eq!(options(two).gates(&world).unwrap().len(), 2);
    let wrong = r#"{"socket": "/run/a", "sockets": ["unix:/a", "unix:/a"], "backend": "a b", "server": ""}"#;
    let faults = options(wrong).faults();
    let keys: Vec<_> = faults.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        ["sockets", "socket", "sockets.1", "backend", "server"]
    );
    let none = options(r#"{"backend": "web", "server": "web-1"}"#);
    assert_eq!(none.faults().len(), 1);
    assert!(none.gates(&world).is_err());
}
