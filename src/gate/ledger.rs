//! What becomes of the sessions that this node had when it began to leave a pool, from one look at the pool to the next.
//!
//! Owns the sums: `active` = `finished` + `moved` + `cut` + `open` holds after each step, and `active` and `open` are what the load
//! balancer counted. Whether one that is over has moved is a conclusion from addresses: its client is seen at another server, by the same
//! connection or by a new one from the same address. It may come later than the end of the session, which counts as finished until then.
//! Where clients are not told, none has moved.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::{Ledger, View};

/// Most clients that are remembered of sessions that are over.
const GONE: usize = 10_000;

/// Follows the sessions of this node.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    ledger: Ledger,
    /// Sessions that this node ever had, at the last look.
    total: u64,
    /// Sessions that were cut and had come after the last look.
    owed: u64,
    /// Clients that are served here.
    here: Clients,
    /// Clients that are served by another node.
    elsewhere: Clients,
    /// Clients whose session here is over, by host, with the port of each.
    gone: HashMap<String, Vec<String>, RandomState>,
    /// How many these are.
    remembered: usize,
}

impl Tally {
    /// Begins with the sessions that are open now.
    #[must_use]
    pub fn begin(view: &View) -> Self {
        let mut tally = Self {
            ledger: Ledger {
                active: view.sessions,
                open: view.sessions,
                ..Ledger::default()
            },
            total: view.total,
            ..Self::default()
        };
        (tally.here, tally.elsewhere) = clients(view);
        tally
    }

    /// The sums.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// Takes what is seen now. A total that has fallen is a load balancer that was started anew: what the one before still had is out of
    /// sight, and counts as finished.
    pub fn look(&mut self, view: &View) {
        let came = view.total.checked_sub(self.total).unwrap_or(view.total);
        self.total = view.total;
        self.count(came, view.sessions);
        self.follow(view);
    }

    /// The same where only the sessions that are open are known: those that came and went in between are not.
    pub fn count_open(&mut self, sessions: u64) {
        self.count(0, sessions);
    }

    /// nodeward has ended as many.
    pub fn cut(&mut self, sessions: u64) {
        let known = sessions.min(self.ledger.open);
        self.ledger.open -= known;
        self.ledger.cut += known;
        self.owed += sessions - known;
        // Their clients were not moved, wherever they turn up.
        self.here.clear();
    }

    fn count(&mut self, came: u64, open: u64) {
        let ledger = &mut self.ledger;
        // A session may be counted as open a moment before it is counted as one that came.
        let came = came.max(open.saturating_sub(ledger.open));
        let over = ledger.open.saturating_add(came) - open;
        let cut = over.min(std::mem::take(&mut self.owed));
        ledger.active = ledger.active.saturating_add(came);
        ledger.cut += cut;
        ledger.finished += over - cut;
        ledger.open = open;
    }

    fn follow(&mut self, view: &View) {
        let (here, elsewhere) = clients(view);
        let told = !view.clients.is_empty() || view.sessions == 0;
        if told {
            let before = std::mem::take(&mut self.here);
            for client in before.difference(&here) {
                self.forget_later(client);
            }
            self.here = here;
        }
        let arrived: Vec<_> = elsewhere.difference(&self.elsewhere).cloned().collect();
        for client in arrived {
            // One that is cut cannot move as well, and each moves once.
            if self.ledger.finished > 0 && self.was_here(&client) {
                self.ledger.finished -= 1;
                self.ledger.moved += 1;
            }
        }
        self.elsewhere = elsewhere;
    }

    fn forget_later(&mut self, client: &str) {
        if self.remembered < GONE {
            let (host, port) = parts(client);
            self.gone.entry(host.into()).or_default().push(port.into());
            self.remembered += 1;
        }
    }

    /// Whether a session of this client is over here; each is found once, that of the same connection first.
    fn was_here(&mut self, client: &str) -> bool {
        let (host, port) = parts(client);
        let Some(ports) = self.gone.get_mut(host) else {
            return false;
        };
        let same = ports.iter().position(|gone| gone == port);
        let last = ports.len().saturating_sub(1);
        ports.swap_remove(same.unwrap_or(last));
        self.remembered -= 1;
        if ports.is_empty() {
            self.gone.remove(host);
        }
        true
    }
}

type Clients = HashSet<String, RandomState>;

/// Clients served here, and elsewhere. One that is served by both is here.
fn clients(view: &View) -> (Clients, Clients) {
    let of = |wanted: bool| {
        let clients = view.clients.iter().filter(move |(_, ours)| *ours == wanted);
        clients.map(|(client, _)| client.clone())
    };
    let here: Clients = of(true).collect();
    let elsewhere = of(false).filter(|one| !here.contains(one)).collect();
    (here, elsewhere)
}

/// Host and port of a client.
fn parts(client: &str) -> (&str, &str) {
    client.rsplit_once(':').unwrap_or((client, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn view(total: u64, here: &[&str], elsewhere: &[&str]) -> View {
        let of = |list: &[&str], ours| -> Vec<_> {
            list.iter().map(|one| ((*one).to_owned(), ours)).collect()
        };
        View {
            sessions: here.len() as u64,
            total,
            clients: [of(here, true), of(elsewhere, false)].concat(),
            ..View::default()
        }
    }

    fn sums(active: u64, finished: u64, moved: u64, cut: u64, open: u64) -> Ledger {
        Ledger {
            active,
            finished,
            moved,
            cut,
            open,
        }
    }

    #[test]
    fn a_client_that_turns_up_elsewhere_has_moved() {
        let mut tally = Tally::begin(&view(7, &["a:1", "b:1", "c:1", "d:1"], &["x:1"]));
        assert_eq!(tally.ledger(), sums(4, 0, 0, 0, 4));
        // By the same connection; one more that came and went unseen.
        tally.look(&view(8, &["b:1", "c:1", "d:1"], &["x:1", "a:1"]));
        assert_eq!(tally.ledger(), sums(5, 1, 1, 0, 3));
        // It is over before it turns up, by a new connection; somebody new elsewhere has not moved.
        tally.look(&view(8, &["c:1", "d:1"], &["x:1", "a:1", "y:1"]));
        assert_eq!(tally.ledger(), sums(5, 2, 1, 0, 2));
        tally.look(&view(8, &["c:1", "d:1"], &["b:9"]));
        assert_eq!(tally.ledger(), sums(5, 1, 2, 0, 2));
        // Its next connection is not another move.
        tally.look(&view(8, &["c:1", "d:1"], &["b:10"]));
        assert_eq!(tally.ledger(), sums(5, 1, 2, 0, 2));
        // Who was cut is cut.
        tally.cut(2);
        assert_eq!(tally.ledger(), sums(5, 1, 2, 2, 0));
        tally.look(&view(8, &[], &["c:2", "d:2"]));
        assert_eq!(tally.ledger(), sums(5, 1, 2, 2, 0));
    }

    #[test]
    fn what_came_between_the_last_look_and_the_cut_is_cut_too() {
        let mut tally = Tally::begin(&view(1, &["a:1"], &[]));
        tally.cut(3);
        assert_eq!(tally.ledger(), sums(1, 0, 0, 1, 0));
        tally.look(&view(4, &[], &[]));
        assert_eq!(tally.ledger(), sums(4, 1, 0, 3, 0));
    }

    #[test]
    fn a_load_balancer_that_starts_anew_loses_none_of_the_sums() {
        let mut tally = Tally::begin(&view(100, &["a:1", "b:1"], &[]));
        tally.look(&view(1, &["c:1"], &[]));
        assert_eq!(tally.ledger(), sums(3, 2, 0, 0, 1));
    }

    #[test]
    fn without_clients_nobody_has_moved() {
        let mut tally = Tally::begin(&view(5, &["a:1", "b:1"], &[]));
        let unknown = View {
            sessions: 1,
            total: 6,
            ..View::default()
        };
        tally.look(&unknown);
        assert_eq!(tally.ledger(), sums(3, 2, 0, 0, 1));
        let mut counted = Tally::default();
        for open in [3, 5, 1] {
            counted.count_open(open);
        }
        assert_eq!(counted.ledger(), sums(5, 4, 0, 0, 1));
    }

    #[derive(Debug, Clone)]
    enum Happens {
        Comes,
        Ends(usize),
        Moves(usize),
        Cut,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            3 => Just(Happens::Comes),
            3 => (0..50_usize).prop_map(Happens::Ends),
            3 => (0..50_usize).prop_map(Happens::Moves),
            1 => Just(Happens::Cut),
        ]
    }

    /// A pool whose every session has a client of its own.
    #[derive(Default)]
    struct World {
        here: Vec<String>,
        elsewhere: Vec<String>,
        total: u64,
        truth: Ledger,
    }

    impl World {
        fn comes(&mut self) {
            self.total += 1;
            self.here.push(format!("host-{}:1", self.total));
        }

        fn leaves(&mut self, at: usize) -> Option<String> {
            let at = at.checked_rem(self.here.len())?;
            Some(self.here.swap_remove(at))
        }

        fn view(&self) -> View {
            fn of(list: &[String]) -> Vec<&str> {
                list.iter().map(String::as_str).collect()
            }
            view(self.total, &of(&self.here), &of(&self.elsewhere))
        }
    }

    proptest! {
        #[test]
        fn the_sums_are_those_of_the_world(
            begin in 0..20_usize,
            steps in proptest::collection::vec((happens(), any::<bool>()), 0..80),
        ) {
            let mut world = World::default();
            (0..begin).for_each(|_| world.comes());
            world.truth.active = begin as u64;
            let mut tally = Tally::begin(&world.view());
            let mut looked_at_all = true;
            for (step, looked) in steps {
                match step {
                    Happens::Comes => {
                        world.comes();
                        world.truth.active += 1;
                    }
                    Happens::Ends(at) => world.truth.finished += u64::from(world.leaves(at).is_some()),
                    Happens::Moves(at) => if let Some(client) = world.leaves(at) {
                        world.elsewhere.push(client);
                        world.truth.moved += 1;
                    },
                    Happens::Cut => {
                        let cut = std::mem::take(&mut world.here).len() as u64;
                        world.truth.cut += cut;
                        tally.cut(cut);
                    }
                }
                world.truth.open = world.here.len() as u64;
                looked_at_all &= looked;
                if looked {
                    tally.look(&world.view());
                    let told = tally.ledger();
                    // The load balancer's own counters, whatever was missed.
                    prop_assert_eq!(told.active, world.total);
                    prop_assert_eq!(told.open, world.truth.open);
                    prop_assert_eq!(told.cut, world.truth.cut);
                    if looked_at_all {
                        prop_assert_eq!(told, world.truth);
                    }
                }
                let told = tally.ledger();
                prop_assert_eq!(told.active, told.finished + told.moved + told.cut + told.open);
            }
        }
    }
}
