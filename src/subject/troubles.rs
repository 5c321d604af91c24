//! Which troubles of reading are going on, so that the log tells each when it begins and when it ends.
//!
//! Pure: it is told the time and gives what to log. An item may have a name that changes with every read (a line that
//! makes no sense, counters in it), so what is told of one kind is bounded in number and in time; all of it is counted
//! elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::held::AnyWant;

/// Troubles of one kind that are followed, and begun within [`PERIOD`], at most.
const MOST: usize = 16;
/// How long a kind that had too many beginnings stays quiet.
const PERIOD: Duration = Duration::from_secs(600);
/// A trouble that no read looked at for this long is over, since whoever asked for it does not any more.
const FORGET: Duration = Duration::from_secs(600);

/// What the log is to be told of an item that could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It failed for the first time.
    Item,
    /// Too many of its kind fail: from now on they are only counted.
    TooMany,
}

/// How a trouble ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was read well.
    Well,
    /// Nobody has looked at it for long.
    Forgotten,
}

struct Trouble {
    subject: &'static str,
    kind: &'static str,
    item: String,
    /// The least that was asked for when it was seen: a read of as much that does not see it ends it. A key that asks
    /// for less says nothing of what it did not look at.
    want: Box<dyn AnyWant>,
    seen: Instant,
}

struct Beginnings {
    since: Instant,
    count: usize,
}

/// The troubles that are going on.
#[derive(Default)]
pub(super) struct Troubles {
    open: Vec<Trouble>,
    begun: BTreeMap<(&'static str, &'static str), Beginnings>,
}

impl Troubles {
    /// Notes that a read of `want` at `now` could not read `item`.
    pub fn note(
        &mut self,
        subject: &'static str,
        kind: &'static str,
        item: &str,
        want: &dyn AnyWant,
        now: Instant,
    ) -> Option<Begun> {
        let of_kind = |t: &&mut Trouble| t.subject == subject && t.kind == kind;
        let mut same = self.open.iter_mut().filter(of_kind);
        if let Some(known) = same.find(|t| t.item == item) {
            known.seen = now;
            if known.want.covers(want) {
                known.want = want.boxed();
            }
            return None;
        }
        let followed = self.open.iter_mut().filter(of_kind).count();
        let begun = self.begun.entry((subject, kind)).or_insert(Beginnings {
            since: now,
            count: 0,
        });
        if now.saturating_duration_since(begun.since) >= PERIOD {
            *begun = Beginnings {
                since: now,
                count: followed,
            };
        }
        begun.count += 1;
        if begun.count > MOST {
            return (begun.count == MOST + 1).then_some(Begun::TooMany);
        }
        self.open.push(Trouble {
            subject,
            kind,
            item: item.to_owned(),
            want: want.boxed(),
            seen: now,
        });
        Some(Begun::Item)
    }

    /// Ends the troubles of `subject` that a read of `want` at `now` would have noted and did not: kind and item.
    pub fn settle(
        &mut self,
        subject: &str,
        want: &dyn AnyWant,
        now: Instant,
    ) -> Vec<(&'static str, String, Ended)> {
        let mut ended = Vec::new();
        self.open.retain_mut(|t| {
            if t.subject != subject || t.seen == now {
                return true;
            }
            let how = if want.covers(t.want.as_ref()) {
                Ended::Well
            } else if now.saturating_duration_since(t.seen) >= FORGET {
                Ended::Forgotten
            } else {
                return true;
            };
            ended.push((t.kind, std::mem::take(&mut t.item), how));
            false
        });
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Want;

    #[derive(Clone)]
    struct Parts(u8);

    impl Want for Parts {
        fn merge(&mut self, other: &Self) {
            self.0 |= other.0;
        }
        fn covers(&self, other: &Self) -> bool {
            self.0 & other.0 == other.0
        }
    }

    struct Log {
        troubles: Troubles,
        now: Instant,
    }

    impl Log {
        fn new() -> Self {
            Self {
                troubles: Troubles::default(),
                now: Instant::now(),
            }
        }

        /// A read a second later that cannot read `items`.
        fn read(&mut self, want: u8, items: &[&str]) -> (Vec<Begun>, Vec<(String, Ended)>) {
            self.now += Duration::from_secs(1);
            let want = Parts(want);
            let note = |item: &&str| self.troubles.note("s", "mount", item, &want, self.now);
            let begun = items.iter().filter_map(note).collect();
            let ended = self.troubles.settle("s", &want, self.now).into_iter();
            (begun, ended.map(|(_, item, how)| (item, how)).collect())
        }
    }

    fn quiet() -> (Vec<Begun>, Vec<(String, Ended)>) {
        (vec![], vec![])
    }

    fn well(item: &str) -> (String, Ended) {
        (item.into(), Ended::Well)
    }

    #[test]
    fn each_item_begins_once_and_ends_once() {
        let mut log = Log::new();
        assert_eq!(log.read(1, &["a"]), (vec![Begun::Item], vec![]));
        assert_eq!(log.read(1, &["a", "b"]), (vec![Begun::Item], vec![]));
        assert_eq!(log.read(1, &["a", "b"]), quiet());
        assert_eq!(log.read(1, &["b"]), (vec![], vec![well("a")]));
        let elsewhere = log.now + FORGET;
        assert!(log.troubles.settle("t", &Parts(1), elsewhere).is_empty());
        assert_eq!(log.read(1, &[]), (vec![], vec![well("b")]));
        assert_eq!(log.read(1, &[]), quiet());
    }

    #[test]
    fn a_trouble_ends_with_a_read_of_as_much_and_not_with_less() {
        let mut log = Log::new();
        log.read(0b11, &["a"]);
        assert_eq!(log.read(0b01, &[]), quiet());
        assert_eq!(log.read(0b111, &[]), (vec![], vec![well("a")]));
    }

    #[test]
    fn the_least_that_sees_it_is_enough_to_see_its_end() {
        let mut log = Log::new();
        log.read(0b11, &["a"]);
        log.read(0b01, &["a"]);
        assert_eq!(log.read(0b10, &[]), quiet());
        assert_eq!(log.read(0b01, &[]), (vec![], vec![well("a")]));
    }

    #[test]
    fn what_nobody_asks_for_any_more_is_over() {
        let mut log = Log::new();
        log.read(0b10, &["a"]);
        log.now += FORGET;
        let over = vec![("a".to_owned(), Ended::Forgotten)];
        assert_eq!(log.read(0b01, &[]), (vec![], over));
    }

    #[test]
    fn endless_names_take_bounded_lines_and_memory() {
        let mut log = Log::new();
        let mut lines = 0;
        for at in 0..500 {
            let (begun, ended) = log.read(1, &[&format!("line {at}")]);
            lines += begun.len() + ended.len();
        }
        assert!(lines <= 2 * MOST + 1, "{lines}");
        let many: Vec<String> = (0..500).map(|n| format!("mount {n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        log.now += PERIOD;
        let (begun, _) = log.read(1, &many);
        assert_eq!(begun.len(), MOST + 1);
        assert_eq!(begun.last(), Some(&Begun::TooMany));
        assert_eq!(log.troubles.open.len(), MOST);
        log.now += PERIOD;
        assert_eq!(log.read(1, &many), (vec![Begun::TooMany], vec![]));
        assert_eq!(log.troubles.open.len(), MOST);
    }
}
